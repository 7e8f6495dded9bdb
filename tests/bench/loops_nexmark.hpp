#pragma once
// The hand-written baselines of the Nexmark queries: one thread, one query, the same columns of bids that the engine is
// given, abseil's hash tables and RE2, results into plain arrays: texts that are passed on stay where they are, those
// that are computed are copied, as somebody needs them after the batch. Where a query's results are a changelog, a loop
// gives the same one: what changed in each batch, the old values and the new.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/node_hash_map.h>
#include <absl/hash/hash.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dataflow::loops {

/// A column of texts: offsets into characters.
struct Texts {
  const std::uint32_t* offsets = nullptr;
  const char* bytes = nullptr;
  [[nodiscard]] std::string_view operator[](std::size_t i) const {
    return {bytes + offsets[i], offsets[i + 1] - offsets[i]};
  }
};

/// One batch.
struct Bids {
  std::size_t rows = 0;
  const std::int64_t* auction = nullptr;
  const std::int64_t* bidder = nullptr;
  const std::int64_t* price = nullptr;
  Texts channel;
  Texts url;
  const std::int64_t* time = nullptr;  ///< microseconds
  Texts extra;
};

struct PassedBid {
  std::int64_t auction;
  std::int64_t bidder;
  std::int64_t price;
  std::int64_t time;
  std::string_view extra;
};

/// What every loop has: rows that it gave for a batch, and how many in all.
template <class Row>
class Given {
 public:
  void begin() {
    total_ += rows_.size();
    rows_.clear();
  }
  void add(const Row& row) { rows_.push_back(row); }
  [[nodiscard]] const Row* data() const { return rows_.data(); }
  [[nodiscard]] std::uint64_t total() const { return total_ + rows_.size(); }

 private:
  std::vector<Row> rows_;
  std::uint64_t total_ = 0;
};

class Q0 {
 public:
  Given<PassedBid> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i)
      given.add({bids.auction[i], bids.bidder[i], bids.price[i], bids.time[i], bids.extra[i]});
  }
  void finish() {}
};

/// Prices are decimals with three digits, as the query's are.
class Q1 {
 public:
  Given<PassedBid> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i)
      given.add({bids.auction[i], bids.bidder[i], bids.price[i] * 908, bids.time[i], bids.extra[i]});
  }
  void finish() {}
};

class Q2 {
 public:
  Given<std::pair<std::int64_t, std::int64_t>> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      if (bids.auction[i] % 123 == 0) given.add({bids.auction[i], bids.price[i]});
    }
  }
  void finish() {}
};

/// Sessions of bidders; bids come in order of time.
class Q11 {
 public:
  struct Session {
    std::int64_t bidder;
    std::int64_t first;
    std::int64_t last;
    std::int64_t bids;
  };
  Given<Session> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const auto [at, is_new] = open_.try_emplace(bids.bidder[i], Session{bids.bidder[i], bids.time[i], 0, 0});
      Session& session = at->second;
      if (!is_new && bids.time[i] > session.last + gap) {
        given.add(session);
        session.first = bids.time[i];
        session.bids = 0;
      }
      session.last = bids.time[i];
      ++session.bids;
    }
  }
  void finish() {
    for (const auto& [bidder, session] : open_) given.add(session);
  }

 private:
  static constexpr std::int64_t gap = 10'000'000;
  absl::flat_hash_map<std::int64_t, Session> open_;
};

/// All within one window of the clock.
class Q12 {
 public:
  Given<std::pair<std::int64_t, std::int64_t>> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) ++counts_[bids.bidder[i]];
  }
  void finish() {
    for (const auto& count : counts_) given.add(count);
  }

 private:
  absl::flat_hash_map<std::int64_t, std::int64_t> counts_;
};

class Q14 {
 public:
  struct Described {
    PassedBid bid;
    std::string_view time_type;
    std::int64_t c_counts;
  };
  Given<Described> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const std::int64_t price = bids.price[i] * 908;
      if (price <= 1'000'000'000 || price >= 50'000'000'000) continue;
      const std::int64_t hour = bids.time[i] / 3'600'000'000 % 24;
      const std::string_view type = hour >= 8 && hour <= 18   ? "dayTime"
                                    : hour <= 6 || hour >= 20 ? "nightTime"
                                                              : "otherTime";
      const std::string_view extra = bids.extra[i];
      given.add({{bids.auction[i], bids.bidder[i], price, bids.time[i], extra},
                 type,
                 std::count(extra.begin(), extra.end(), 'c')});
    }
  }
  void finish() {}
};

inline int level_of(std::int64_t price) {
  return price < 10'000 ? 1 : price < 1'000'000 ? 2 : 3;
}

struct Statistics {
  std::array<std::int64_t, 4> bids{};
  std::array<std::int64_t, 4> bidders{};
  std::array<std::int64_t, 4> auctions{};
  std::int64_t last_minute = 0;
};

/// Statistics by channel and day; by day alone when all bids are given the same channel.
class ReportLoop {
 public:
  Given<std::pair<std::string_view, Statistics>> given;

 protected:
  template <class Channel>
  void add_all(const Bids& bids, Channel channel) {
    ++batch_;
    changed_.clear();
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const std::int64_t day = bids.time[i] / 86'400'000'000;
      auto found = groups_.find(std::pair{channel(i), day});
      if (found == groups_.end()) found = groups_.try_emplace(std::pair{std::string{channel(i)}, day}).first;
      Group& group = found->second;
      if (group.batch != batch_) {
        if (group.batch != 0) given.add({found->first.first, group.now});
        group.batch = batch_;
        changed_.push_back(&*found);
      }
      const int level = level_of(bids.price[i]);
      for (const int part : {0, level}) {
        ++group.now.bids[part];
        group.now.bidders[part] += group.bidders[part].insert(bids.bidder[i]).second ? 1 : 0;
        group.now.auctions[part] += group.auctions[part].insert(bids.auction[i]).second ? 1 : 0;
      }
      group.now.last_minute = std::max(group.now.last_minute, bids.time[i] / 60'000'000 % 1440);
    }
    for (const auto* group : changed_) given.add({group->first.first, group->second.now});
  }

 private:
  struct Group {
    Statistics now;
    std::array<absl::flat_hash_set<std::int64_t>, 4> bidders;
    std::array<absl::flat_hash_set<std::int64_t>, 4> auctions;
    std::uint64_t batch = 0;
  };
  struct Hash {
    using is_transparent = void;
    template <class Text>
    std::size_t operator()(const std::pair<Text, std::int64_t>& key) const {
      return absl::HashOf(std::string_view{key.first}, key.second);
    }
  };
  struct Equal {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const std::pair<A, std::int64_t>& a, const std::pair<B, std::int64_t>& b) const {
      return a.second == b.second && a.first == b.first;
    }
  };
  using Groups = absl::node_hash_map<std::pair<std::string, std::int64_t>, Group, Hash, Equal>;
  Groups groups_;
  std::vector<const Groups::value_type*> changed_;
  std::uint64_t batch_ = 0;
};

class Q15 : public ReportLoop {
 public:
  void add(const Bids& bids) {
    add_all(bids, [](std::size_t) { return std::string_view{}; });
  }
  void finish() {}
};

class Q16 : public ReportLoop {
 public:
  void add(const Bids& bids) {
    add_all(bids, [&](std::size_t i) { return bids.channel[i]; });
  }
  void finish() {}
};

class Q17 {
 public:
  struct Auction {
    std::int64_t auction = 0;
    std::int64_t day = 0;
    std::array<std::int64_t, 4> bids{};
    std::int64_t least = 0;
    std::int64_t most = 0;
    std::int64_t sum = 0;
    std::uint64_t batch = 0;
  };
  Given<Auction> given;
  void add(const Bids& bids) {
    ++batch_;
    changed_.clear();
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const std::int64_t price = bids.price[i];
      const std::int64_t day = bids.time[i] / 86'400'000'000;
      const auto [found, is_new] = index_.try_emplace(std::pair{bids.auction[i], day}, auctions_.size());
      if (is_new) auctions_.push_back({bids.auction[i], day, {}, price, price, 0, 0});
      Auction& auction = auctions_[found->second];
      if (auction.batch != batch_) {
        if (auction.batch != 0) given.add(auction);
        auction.batch = batch_;
        changed_.push_back(found->second);
      }
      ++auction.bids[0];
      ++auction.bids[static_cast<std::size_t>(level_of(price))];
      auction.least = std::min(auction.least, price);
      auction.most = std::max(auction.most, price);
      auction.sum += price;
    }
    for (const std::size_t at : changed_) given.add(auctions_[at]);
  }
  void finish() {}

 private:
  absl::flat_hash_map<std::pair<std::int64_t, std::int64_t>, std::size_t> index_;
  std::vector<Auction> auctions_;
  std::vector<std::size_t> changed_;
  std::uint64_t batch_ = 0;
};

/// A bid that is kept owns its texts.
struct KeptBid {
  std::int64_t auction = 0;
  std::int64_t bidder = 0;
  std::int64_t price = 0;
  std::int64_t time = 0;
  std::string channel;
  std::string url;
  std::string extra;
};

inline KeptBid kept(const Bids& bids, std::size_t i) {
  return {bids.auction[i],
          bids.bidder[i],
          bids.price[i],
          bids.time[i],
          std::string{bids.channel[i]},
          std::string{bids.url[i]},
          std::string{bids.extra[i]}};
}

/// Gives the last bid of each bidder and auction, and takes back the one before.
class Q18 {
 public:
  Given<KeptBid> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const auto [found, is_new] = last_.try_emplace(std::pair{bids.bidder[i], bids.auction[i]});
      if (!is_new) {
        if (bids.time[i] <= found->second.time) continue;
        given.add(found->second);
      }
      found->second = kept(bids, i);
      given.add(found->second);
    }
  }
  void finish() {}

 private:
  absl::flat_hash_map<std::pair<std::int64_t, std::int64_t>, KeptBid> last_;
};

/// Gives each change of an auction's ten highest bids with their ranks.
class Q19 {
 public:
  Given<std::pair<KeptBid, std::size_t>> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      std::vector<KeptBid>& best = best_[bids.auction[i]];
      const auto place = std::upper_bound(best.begin(), best.end(), bids.price[i],
                                          [](std::int64_t price, const KeptBid& bid) { return price > bid.price; });
      const auto rank = static_cast<std::size_t>(place - best.begin());
      if (rank == limit) continue;
      for (std::size_t at = rank; at < best.size(); ++at) given.add({best[at], at + 1});
      if (best.size() == limit) best.pop_back();
      best.insert(best.begin() + static_cast<std::ptrdiff_t>(rank), kept(bids, i));
      for (std::size_t at = rank; at < best.size(); ++at) given.add({best[at], at + 1});
    }
  }
  void finish() {}

 private:
  static constexpr std::size_t limit = 10;
  absl::flat_hash_map<std::int64_t, std::vector<KeptBid>> best_;
};

class Q21 {
 public:
  struct Identified {
    PassedBid bid;
    std::string_view channel;
    std::string id;
  };
  Given<Identified> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      std::string id = id_of(bids.channel[i], bids.url[i]);
      if (id.empty()) continue;
      given.add({{bids.auction[i], bids.bidder[i], bids.price[i], 0, {}}, bids.channel[i], std::move(id)});
    }
  }
  void finish() {}

 private:
  static bool same_ignoring_case(std::string_view text, std::string_view lower) {
    return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
           });
  }
  /// Empty when there is none.
  std::string id_of(std::string_view channel, std::string_view url) const {
    if (same_ignoring_case(channel, "apple")) return "0";
    if (same_ignoring_case(channel, "google")) return "1";
    if (same_ignoring_case(channel, "facebook")) return "2";
    if (same_ignoring_case(channel, "baidu")) return "3";
    std::string id;
    RE2::PartialMatch(re2::StringPiece{url.data(), url.size()}, pattern_, nullptr, &id);
    return id;
  }

  RE2 pattern_{"(&|^)channel_id=([^&]*)"};
};

class Q22 {
 public:
  struct Split {
    PassedBid bid;
    std::string_view channel;
    std::array<std::uint32_t, 3> ends;  ///< of its directories in `dirs`, one after the other
  };
  Given<Split> given;
  std::string dirs;
  void add(const Bids& bids) {
    dirs.clear();
    for (std::size_t i = 0; i < bids.rows; ++i) {
      Split& split = next_;
      split = {{bids.auction[i], bids.bidder[i], bids.price[i], 0, {}}, bids.channel[i], {}};
      std::string_view rest = bids.url[i];
      for (int part = 0; part < 6; ++part) {
        const std::size_t end = rest.find('/');
        if (part >= 3) {
          dirs.append(rest.substr(0, end));
          split.ends[static_cast<std::size_t>(part - 3)] = static_cast<std::uint32_t>(dirs.size());
        }
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      }
      given.add(split);
    }
  }
  void finish() {}

 private:
  Split next_;
};

}  // namespace dataflow::loops
