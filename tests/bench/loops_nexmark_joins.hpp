#pragma once
// The hand-written baselines of the Nexmark queries that join: two streams, or a stream with what was computed from it.
// Batches come in step: those of people and auctions before the bids of the same time.
//
// An interval join keeps an auction until it has closed; a join without bounds keeps all rows of both sides, as nobody
// has said that there will be no more.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/node_hash_map.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/loops_nexmark.hpp"

namespace dataflow::loops {

/// Who sells in some states what is of category 10.
class Q3 {
 public:
  struct Seller {
    std::string_view name;
    std::string_view city;
    std::string_view state;
    std::int64_t auction;
  };
  Given<Seller> given;
  void add(const People& people) {
    for (std::size_t i = 0; i < people.rows; ++i) {
      const std::string_view state = people.state[i];
      if (state != "OR" && state != "ID" && state != "CA") continue;
      const Person& person =
          people_.emplace_back(Person{std::string{people.name[i]}, std::string{people.city[i]}, std::string{state}});
      Sides& sides = sides_[people.id[i]];
      sides.people.push_back(&person);
      for (const std::int64_t auction : sides.auctions) give(person, auction);
    }
  }
  void add(const Auctions& auctions) {
    for (std::size_t i = 0; i < auctions.rows; ++i) {
      if (auctions.category[i] != 10) continue;
      Sides& sides = sides_[auctions.seller[i]];
      sides.auctions.push_back(auctions.id[i]);
      for (const Person* person : sides.people) give(*person, auctions.id[i]);
    }
  }
  void finish() {}

 private:
  struct Person {
    std::string name;
    std::string city;
    std::string state;
  };
  struct Sides {
    std::vector<const Person*> people;
    std::vector<std::int64_t> auctions;
  };
  void give(const Person& person, std::int64_t auction) {
    given.add({person.name, person.city, person.state, auction});
  }

  std::deque<Person> people_;
  absl::flat_hash_map<std::int64_t, Sides> sides_;
};

/// Auctions from when they open until the bids have passed their ends.
template <class Auction>
class OpenAuctions {
 public:
  Auction& open(std::int64_t id, std::int64_t time, std::int64_t expires) {
    ends_.push({expires, id});
    Entry& entry = auctions_[id];
    entry.time = time;
    entry.expires = expires;
    return entry.auction;
  }
  /// Null when it is not open at that time.
  Auction* at(std::int64_t id, std::int64_t time) {
    const auto found = auctions_.find(id);
    if (found == auctions_.end()) return nullptr;
    Entry& entry = found->second;
    return time >= entry.time && time <= entry.expires ? &entry.auction : nullptr;
  }
  /// `closed(auction)` for each that ends before this, in the order of their ends.
  template <class Closed>
  void close_before(std::int64_t time, Closed&& closed) {
    for (; !ends_.empty() && ends_.top().first < time; ends_.pop()) {
      const auto found = auctions_.find(ends_.top().second);
      closed(found->second.auction);
      auctions_.erase(found);
    }
  }

 private:
  struct Entry {
    std::int64_t time;
    std::int64_t expires;
    Auction auction;
  };
  using End = std::pair<std::int64_t, std::int64_t>;
  absl::node_hash_map<std::int64_t, Entry> auctions_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
};

/// The mean of all winning bids by category: what changed in each batch, the old value and the new.
class Q4 {
 public:
  struct Mean {
    std::int64_t category;
    double average;
  };
  Given<Mean> given;
  void add(const Auctions& auctions) {
    for (std::size_t i = 0; i < auctions.rows; ++i) {
      open_.open(auctions.id[i], auctions.time[i], auctions.expires[i]) = {&categories_[auctions.category[i]], 0};
    }
  }
  void add(const Bids& bids) {
    if (bids.rows != 0) open_.close_before(bids.time[0], [](const Auction&) {});
    for (std::size_t i = 0; i < bids.rows; ++i) {
      Auction* auction = open_.at(bids.auction[i], bids.time[i]);
      if (auction == nullptr || bids.price[i] <= auction->highest) continue;
      auction->category->sold += auction->highest == 0 ? 1 : 0;
      auction->category->sum += bids.price[i] - auction->highest;
      auction->highest = bids.price[i];
    }
    for (auto& [number, category] : categories_) {
      const Mean mean{number, static_cast<double>(category.sum) / static_cast<double>(category.sold)};
      if (category.sold == 0 || mean.average == category.given) continue;
      if (category.given != 0) given.add({number, category.given});
      given.add(mean);
      category.given = mean.average;
    }
  }
  void finish() {}

 private:
  struct Category {
    std::int64_t sum = 0;
    std::int64_t sold = 0;
    double given = 0;
  };
  struct Auction {
    Category* category;
    std::int64_t highest;
  };
  absl::node_hash_map<std::int64_t, Category> categories_;
  OpenAuctions<Auction> open_;
};

/// Counts of two seconds each; five of them are a window.
class Q5 {
 public:
  Given<std::pair<std::int64_t, std::int64_t>> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const std::int64_t slice = bids.time[i] / slide;
      if (slices_.empty()) start(slice);
      while (slice_ < slice) end_slice();
      ++slices_.back()[bids.auction[i]];
    }
  }
  void finish() {
    do end_slice();
    while (!totals_.empty());
  }

 private:
  using Counts = absl::flat_hash_map<std::int64_t, std::int64_t>;
  void start(std::int64_t slice) {
    slice_ = slice;
    slices_.emplace_back();
  }
  void end_slice() {
    for (const auto& [auction, count] : slices_.back()) totals_[auction] += count;
    std::int64_t most = 0;
    for (const auto& total : totals_) most = std::max(most, total.second);
    for (const auto& total : totals_) {
      if (total.second == most) given.add(total);
    }
    if (slices_.size() == slices) {
      for (const auto& [auction, count] : slices_.front()) {
        const auto total = totals_.find(auction);
        if ((total->second -= count) == 0) totals_.erase(total);
      }
      slices_.pop_front();
    }
    start(slice_ + 1);
  }

  static constexpr std::int64_t slide = 2'000'000;
  static constexpr std::size_t slices = 5;
  std::deque<Counts> slices_;
  Counts totals_;
  std::int64_t slice_ = 0;
};

/// The mean of a seller's last ten sales, each time that an auction closes.
class Q6 {
 public:
  Given<std::pair<std::int64_t, std::int64_t>> given;
  void add(const Auctions& auctions) {
    for (std::size_t i = 0; i < auctions.rows; ++i) {
      open_.open(auctions.id[i], auctions.time[i], auctions.expires[i]) = {auctions.seller[i], 0};
    }
  }
  void add(const Bids& bids) {
    if (bids.rows != 0) close_before(bids.time[0]);
    for (std::size_t i = 0; i < bids.rows; ++i) {
      Auction* auction = open_.at(bids.auction[i], bids.time[i]);
      if (auction != nullptr) auction->highest = std::max(auction->highest, bids.price[i]);
    }
  }
  void finish() { close_before(std::numeric_limits<std::int64_t>::max()); }

 private:
  static constexpr std::size_t kept = 10;
  struct Auction {
    std::int64_t seller;
    std::int64_t highest;
  };
  struct Last {
    std::array<std::int64_t, kept> prices{};
    std::size_t sales = 0;
    std::int64_t sum = 0;
  };
  void close_before(std::int64_t time) {
    open_.close_before(time, [this](const Auction& auction) {
      if (auction.highest == 0) return;
      Last& last = sellers_[auction.seller];
      std::int64_t& place = last.prices[last.sales++ % kept];
      last.sum += auction.highest - std::exchange(place, auction.highest);
      given.add({auction.seller, last.sum / static_cast<std::int64_t>(std::min(last.sales, kept))});
    });
  }

  OpenAuctions<Auction> open_;
  absl::flat_hash_map<std::int64_t, Last> sellers_;
};

/// The highest bid of ten seconds, and those that are as high.
class Q7 {
 public:
  Given<KeptBid> given;
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const std::int64_t window = bids.time[i] / size;
      if (window != window_) finish();
      window_ = window;
      if (bids.price[i] < most_) continue;
      if (bids.price[i] > most_) highest_.clear();
      most_ = bids.price[i];
      highest_.push_back(
          {bids.auction[i], bids.bidder[i], bids.price[i], bids.time[i], {}, {}, std::string{bids.extra[i]}});
    }
  }
  void finish() {
    for (const KeptBid& bid : highest_) given.add(bid);
    highest_.clear();
    most_ = 0;
  }

 private:
  static constexpr std::int64_t size = 10'000'000;
  std::int64_t window_ = 0;
  std::int64_t most_ = 0;
  std::vector<KeptBid> highest_;
};

/// People who open an auction in the ten seconds in which they register.
class Q8 {
 public:
  struct Seller {
    std::int64_t id;
    std::string name;
    std::int64_t start;
  };
  Given<Seller> given;
  void add(const Events& events) {
    for (std::size_t i = 0; i < events.rows; ++i) {
      if (events.type[i] > 1) continue;
      const std::int64_t start = events.time[i] / size * size;
      Window& window = open_[start];
      if (events.type[i] == 0) {
        window.people.push_back({events.id[i], std::string{events.name[i]}, start});
      } else {
        window.sellers.insert(events.seller[i]);
      }
    }
    if (events.rows != 0) end_windows(events.time[events.rows - 1]);
  }
  void finish() { end_windows(std::numeric_limits<std::int64_t>::max()); }

 private:
  static constexpr std::int64_t size = 10'000'000;
  struct Window {
    std::vector<Seller> people;
    absl::flat_hash_set<std::int64_t> sellers;
  };
  void end_windows(std::int64_t until) {
    while (!open_.empty() && open_.begin()->first <= until - size) {
      Window& window = open_.begin()->second;
      for (Seller& person : window.people) {
        if (window.sellers.contains(person.id)) given.add(std::move(person));
      }
      open_.erase(open_.begin());
    }
  }

  std::map<std::int64_t, Window> open_;  ///< by their starts; two at most
};

/// An auction that is kept owns its texts.
struct KeptAuction {
  std::int64_t id = 0;
  std::int64_t initial_bid = 0;
  std::int64_t reserve = 0;
  std::int64_t time = 0;
  std::int64_t expires = 0;
  std::int64_t seller = 0;
  std::int64_t category = 0;
  std::string item_name;
  std::string description;
  std::string extra;
};

inline KeptAuction kept(const Auctions& auctions, std::size_t i) {
  return {auctions.id[i],
          auctions.initial_bid[i],
          auctions.reserve[i],
          auctions.time[i],
          auctions.expires[i],
          auctions.seller[i],
          auctions.category[i],
          std::string{auctions.item_name[i]},
          std::string{auctions.description[i]},
          std::string{auctions.extra[i]}};
}

/// A kept auction as it is given.
struct PassedAuction {
  explicit PassedAuction(const KeptAuction& auction)
      : id{auction.id},
        initial_bid{auction.initial_bid},
        reserve{auction.reserve},
        time{auction.time},
        expires{auction.expires},
        seller{auction.seller},
        category{auction.category},
        item_name{auction.item_name},
        description{auction.description},
        extra{auction.extra} {}
  std::int64_t id;
  std::int64_t initial_bid;
  std::int64_t reserve;
  std::int64_t time;
  std::int64_t expires;
  std::int64_t seller;
  std::int64_t category;
  std::string_view item_name;
  std::string_view description;
  std::string_view extra;
};

/// Each auction's highest bid, the earlier one of equal bids: gives a new one, and takes back the one before.
class Q9 {
 public:
  Given<std::pair<PassedAuction, KeptBid>> given;
  void add(const Auctions& auctions) {
    for (std::size_t i = 0; i < auctions.rows; ++i) {
      open_.open(auctions.id[i], auctions.time[i], auctions.expires[i]) = {kept(auctions, i), {}};
    }
  }
  void add(const Bids& bids) {
    if (bids.rows != 0) open_.close_before(bids.time[0], [](const Auction&) {});
    for (std::size_t i = 0; i < bids.rows; ++i) {
      Auction* auction = open_.at(bids.auction[i], bids.time[i]);
      if (auction == nullptr || bids.price[i] <= auction->best.price) continue;
      const PassedAuction passed{auction->auction};
      if (auction->best.price != 0) given.add({passed, auction->best});
      auction->best = {bids.auction[i],           bids.bidder[i], bids.price[i], bids.time[i], {}, {},
                       std::string{bids.extra[i]}};
      given.add({passed, auction->best});
    }
  }
  void finish() {}

 private:
  struct Auction {
    KeptAuction auction;
    KeptBid best;
  };
  OpenAuctions<Auction> open_;
};

/// Bids with their match in a table of ten thousand rows.
class Q13 {
 public:
  struct Enriched {
    PassedBid bid;
    std::string_view value;
  };
  Given<Enriched> given;
  Q13() {
    for (std::int64_t key = 0; key < rows; ++key) table_.emplace(key, std::to_string(key));
  }
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const auto found = table_.find(bids.auction[i] % rows);
      if (found == table_.end()) continue;
      given.add({{bids.auction[i], bids.bidder[i], bids.price[i], bids.time[i], {}}, found->second});
    }
  }
  void finish() {}

 private:
  static constexpr std::int64_t rows = 10'000;
  absl::flat_hash_map<std::int64_t, std::string> table_;
};

/// Bids with their auction, of category 10.
class Q20 {
 public:
  struct Expanded {
    PassedBid bid;
    std::string_view channel;
    std::string_view url;
    PassedAuction auction;
  };
  Given<Expanded> given;
  void add(const Auctions& auctions) {
    for (std::size_t i = 0; i < auctions.rows; ++i) {
      if (auctions.category[i] != 10) continue;
      const KeptAuction& auction = auctions_.emplace_back(kept(auctions, i));
      Sides& sides = sides_[auction.id];
      sides.auctions.push_back(&auction);
      for (const KeptBid* bid : sides.bids) give(*bid, auction);
    }
  }
  void add(const Bids& bids) {
    for (std::size_t i = 0; i < bids.rows; ++i) {
      const KeptBid& bid = bids_.emplace_back(kept(bids, i));
      Sides& sides = sides_[bid.auction];
      sides.bids.push_back(&bid);
      for (const KeptAuction* auction : sides.auctions) give(bid, *auction);
    }
  }
  void finish() {}

 private:
  struct Sides {
    std::vector<const KeptAuction*> auctions;
    std::vector<const KeptBid*> bids;
  };
  void give(const KeptBid& bid, const KeptAuction& auction) {
    given.add(
        {{bid.auction, bid.bidder, bid.price, bid.time, bid.extra}, bid.channel, bid.url, PassedAuction{auction}});
  }

  std::deque<KeptAuction> auctions_;
  std::deque<KeptBid> bids_;
  absl::flat_hash_map<std::int64_t, Sides> sides_;
};

}  // namespace dataflow::loops
