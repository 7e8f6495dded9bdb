#pragma once
// The events of Nexmark, a benchmark of an online auction: people register, put items up for auction, and bid.
// After Tucker et al., "NEXMark: A Benchmark for Queries over Data Streams" (2002), with the event mix, skew and
// disorder of the published generator (github.com/nexmark/nexmark), from which ours differs in one thing: an event
// depends on its number and the seed alone, not on the events before it. Event n is therefore the same at any
// parallelism, and a field that nobody reads costs nothing.
//
// Of 50 events one is a person, three are auctions, 46 are bids. Half of the bids go to the latest "hot" auction (a new
// one every 100), three quarters come from the latest hot bidder; three quarters of the auctions are a hot seller's.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/time.hpp"

namespace dataflow {

struct NexmarkSettings {
  std::uint64_t seed = 0;
  Timestamp start{};
  /// Events per second of event time: how far apart their times are.
  double events_per_second = 10'000;
  /// Events come in groups of so many, shuffled within; 1: in order.
  std::uint64_t out_of_order_group = 1;
};

enum class NexmarkKind : std::uint8_t { person, auction, bid };

/// Computes fields of events. `n` is an event's number in the order of time, from 0. A field may be asked of events of
/// its kind only. Texts are appended to a string, since most are put together. Thread-safe, and large: share it.
class NexmarkEvents {
 public:
  explicit NexmarkEvents(const NexmarkSettings& settings);

  /// The number of the event that comes at a position: its own position when events come in order.
  [[nodiscard]] std::uint64_t number_at(std::uint64_t position) const;
  [[nodiscard]] static NexmarkKind kind(std::uint64_t n);
  /// Whole milliseconds.
  [[nodiscard]] Timestamp time(std::uint64_t n) const;
  /// Letters that bring an event to its kind's usual size: 100 bytes a bid, 200 a person, 500 an auction, give or take
  /// a fifth of what is filled up.
  void extra(std::uint64_t n, std::string& out) const;

  /// A person's or an auction's own.
  [[nodiscard]] static std::int64_t id(std::uint64_t n);

  void person_name(std::uint64_t n, std::string& out) const;
  void email_address(std::uint64_t n, std::string& out) const;
  void credit_card(std::uint64_t n, std::string& out) const;
  void city(std::uint64_t n, std::string& out) const;
  void state(std::uint64_t n, std::string& out) const;

  void item_name(std::uint64_t n, std::string& out) const;
  void description(std::uint64_t n, std::string& out) const;
  [[nodiscard]] std::int64_t initial_bid(std::uint64_t n) const;
  [[nodiscard]] std::int64_t reserve(std::uint64_t n) const;
  [[nodiscard]] Timestamp expires(std::uint64_t n) const;
  [[nodiscard]] std::int64_t seller(std::uint64_t n) const;
  [[nodiscard]] std::int64_t category(std::uint64_t n) const;

  [[nodiscard]] std::int64_t auction(std::uint64_t n) const;
  [[nodiscard]] std::int64_t bidder(std::uint64_t n) const;
  /// In cents, 100 to 100 million, evenly spread by logarithm.
  [[nodiscard]] std::int64_t price(std::uint64_t n) const;
  void channel(std::uint64_t n, std::string& out) const;
  void url(std::uint64_t n, std::string& out) const;

 private:
  /// What is drawn for an event: each has its own numbers, so that no field depends on which others are computed.
  enum class Draw : std::uint8_t;

  [[nodiscard]] std::uint64_t draw(std::uint64_t n, Draw what) const;
  [[nodiscard]] std::uint64_t draw_below(std::uint64_t n, Draw what, std::uint64_t below) const;
  [[nodiscard]] std::int64_t money(std::uint64_t n, Draw what) const;
  [[nodiscard]] std::int64_t some_person(std::uint64_t n, Draw what) const;
  [[nodiscard]] std::size_t words_length(std::uint64_t n, Draw what, std::size_t below) const;
  void append_words(std::uint64_t n, Draw what, std::size_t below, std::string& out) const;
  /// The number of the channel, from 0; the first four are the hot ones.
  [[nodiscard]] std::size_t channel_number(std::uint64_t n) const;

  NexmarkSettings settings_;
  std::uint64_t seed_;
  double micros_per_event_;
  std::string letters_;  ///< what texts are cut from
  std::string words_;    ///< the same with blanks
  std::vector<std::string> urls_;
};

}  // namespace dataflow
