#pragma once
// The hand-written baselines of the Nexmark queries: one thread, one query, the same columns that the engine is given,
// abseil's hash tables and RE2, results into plain arrays: texts that are passed on stay where they are, those that are
// computed are copied, as somebody needs them after the batch. Here are the streams and the queries that keep nothing;
// loops_nexmark_keyed.hpp has those with something for each key, loops_nexmark_joins.hpp those over two streams.

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

/// One batch of each stream; times in microseconds. Fields that no loop reads are left out.
struct People {
  std::size_t rows = 0;
  const std::int64_t* id = nullptr;
  Texts name;
  Texts city;
  Texts state;
  const std::int64_t* time = nullptr;
};

struct Auctions {
  std::size_t rows = 0;
  const std::int64_t* id = nullptr;
  Texts item_name;
  Texts description;
  const std::int64_t* initial_bid = nullptr;
  const std::int64_t* reserve = nullptr;
  const std::int64_t* time = nullptr;
  const std::int64_t* expires = nullptr;
  const std::int64_t* seller = nullptr;
  const std::int64_t* category = nullptr;
  Texts extra;
};

struct Bids {
  std::size_t rows = 0;
  const std::int64_t* auction = nullptr;
  const std::int64_t* bidder = nullptr;
  const std::int64_t* price = nullptr;
  Texts channel;
  Texts url;
  const std::int64_t* time = nullptr;
  Texts extra;
};

/// All kinds as one stream, the fields of the other kinds empty.
struct Events {
  std::size_t rows = 0;
  const std::int32_t* type = nullptr;  ///< 0 person, 1 auction, 2 bid
  const std::int64_t* id = nullptr;
  Texts name;
  const std::int64_t* seller = nullptr;
  const std::int64_t* time = nullptr;
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
