#pragma once
// The hand-written baselines of the Nexmark queries that keep something for each key of one stream. Where a query's
// results are a changelog, a loop gives the same one: what changed in each batch, the old values and the new.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/node_hash_map.h>
#include <absl/hash/hash.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/loops_nexmark.hpp"

namespace dataflow::loops {

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
}  // namespace dataflow::loops
