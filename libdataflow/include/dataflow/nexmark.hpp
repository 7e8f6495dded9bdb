#pragma once
// The events of the Nexmark benchmark as a source: people, auctions and bids of an online auction, made up by their
// numbers. The same events as a topology's `type = "nexmark"` gives for equal settings.
//
//     env.nexmark<df::NexmarkBid>({.stream = df::NexmarkStream::bid, .events = 1'000'000})
//
// A record with some of the fields will do, too: the others are not made.

#include <cstdint>
#include <optional>
#include <string>

#include "dataflow/record.hpp"
#include "dataflow/types.hpp"

namespace dataflow {

/// Which events: one kind with its own fields, or all of them (NexmarkEvent).
enum class NexmarkStream : std::uint8_t { person, auction, bid, all };

struct NexmarkOptions {
  NexmarkStream stream = NexmarkStream::all;
  /// Events of all kinds together, of which 46 in 50 are bids; nothing: without end.
  std::optional<std::int64_t> events{};
  /// Another seed gives other events.
  std::uint64_t seed = 0;
  /// date_time of the first event: 2015-07-15T00:00:00Z.
  Timestamp start{1'436'918'400'000'000};
  /// Events per second of date_time. How fast they come is nobody's: as fast as they are taken.
  double event_rate = 10'000;
  /// So many events come shuffled, then the next so many; 1: in order. No multiple of 953.
  std::uint64_t out_of_order_group = 1;
};

struct NexmarkPerson {
  std::int64_t id = 0;
  std::string name;
  std::string email_address;
  std::string credit_card;
  std::string city;
  std::string state;
  Timestamp date_time;
  std::string extra;
};
DATAFLOW_RECORD(NexmarkPerson, id, name, email_address, credit_card, city, state, date_time, extra)

struct NexmarkAuction {
  std::int64_t id = 0;
  std::string item_name;
  std::string description;
  std::int64_t initial_bid = 0;
  std::int64_t reserve = 0;
  Timestamp expires;
  std::int64_t seller = 0;
  std::int64_t category = 0;
  Timestamp date_time;
  std::string extra;
};
DATAFLOW_RECORD(NexmarkAuction, id, item_name, description, initial_bid, reserve, expires, seller, category, date_time,
                extra)

/// The price is in cents.
struct NexmarkBid {
  std::int64_t auction = 0;
  std::int64_t bidder = 0;
  std::int64_t price = 0;
  std::string channel;
  std::string url;
  Timestamp date_time;
  std::string extra;
};
DATAFLOW_RECORD(NexmarkBid, auction, bidder, price, channel, url, date_time, extra)

/// Any of the three; what it does not have is not there.
struct NexmarkEvent {
  std::int32_t event_type = 0;  ///< 0 person, 1 auction, 2 bid
  std::optional<std::int64_t> id;
  std::optional<std::string> name;
  std::optional<std::string> email_address;
  std::optional<std::string> credit_card;
  std::optional<std::string> city;
  std::optional<std::string> state;
  std::optional<std::string> item_name;
  std::optional<std::string> description;
  std::optional<std::int64_t> initial_bid;
  std::optional<std::int64_t> reserve;
  std::optional<Timestamp> expires;
  std::optional<std::int64_t> seller;
  std::optional<std::int64_t> category;
  std::optional<std::int64_t> auction;
  std::optional<std::int64_t> bidder;
  std::optional<std::int64_t> price;
  std::optional<std::string> channel;
  std::optional<std::string> url;
  Timestamp date_time;
  std::string extra;
};
DATAFLOW_RECORD(NexmarkEvent, event_type, id, name, email_address, credit_card, city, state, item_name, description,
                initial_bid, reserve, expires, seller, category, auction, bidder, price, channel, url, date_time, extra)

}  // namespace dataflow
