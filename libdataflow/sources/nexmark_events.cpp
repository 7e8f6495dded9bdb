#include "libdataflow/sources/nexmark_events.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "libdataflow/sources/split_mix.hpp"

namespace dataflow {

namespace {

constexpr std::uint64_t persons = 1;  // of so many events:
constexpr std::uint64_t auctions = 3;
constexpr std::uint64_t bids = 46;
constexpr std::uint64_t all = persons + auctions + bids;

constexpr std::int64_t first_person = 1000;
constexpr std::int64_t first_auction = 1000;
constexpr std::int64_t first_category = 10;
constexpr std::uint64_t categories = 5;

/// One in so many is not for the hot one.
constexpr std::uint64_t hot_auction_ratio = 2;
constexpr std::uint64_t hot_seller_ratio = 4;
constexpr std::uint64_t hot_bidder_ratio = 4;
constexpr std::uint64_t hot_channel_ratio = 2;
/// A new one becomes hot after so many.
constexpr std::int64_t hot_span = 100;

constexpr std::int64_t auctions_in_flight = 100;
constexpr std::int64_t active_people = 1000;
/// Ids may be of people and auctions that come a little later.
constexpr std::int64_t id_lead = 10;

constexpr std::size_t shortest_text = 3;
constexpr std::size_t hot_channels = 4;
constexpr std::size_t cold_channels = 10'000;
constexpr std::size_t pool_size = std::size_t{1} << 16U;

constexpr std::array<std::string_view, 4> hot_channel_names{"Google", "Facebook", "Baidu", "Apple"};
constexpr std::array<std::string_view, 6> states{"AZ", "CA", "ID", "OR", "WA", "WY"};
constexpr std::array<std::string_view, 10> cities{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                                  "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
constexpr std::array<std::string_view, 11> first_names{"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                                       "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
constexpr std::array<std::string_view, 9> last_names{"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                                     "Walton", "Smith",  "Jones",   "Noris"};

/// How many people there are up to event n, less one; that is, n's own when it is one.
constexpr std::int64_t last_person(std::uint64_t n) {
  return static_cast<std::int64_t>(n / all * persons + std::min(n % all, persons - 1));
}

/// The same of auctions: -1 before the first.
constexpr std::int64_t last_auction(std::uint64_t n) {
  const std::uint64_t offset = n % all;
  const auto before = static_cast<std::int64_t>(n / all * auctions);
  if (offset < persons) return before - 1;
  return before + static_cast<std::int64_t>(std::min(offset - persons, auctions - 1));
}

constexpr std::int64_t hot(std::int64_t last) {
  return std::max<std::int64_t>(last, 0) / hot_span * hot_span;
}

constexpr std::uint32_t reverse_bits(std::uint32_t x) {
  std::uint32_t reversed = 0;
  for (int i = 0; i < 32; ++i, x >>= 1U) reversed = (reversed << 1U) | (x & 1U);
  return reversed;
}

/// Random letters, one in `gap` of them the special character; 0: none.
std::string random_letters(std::uint64_t seed, std::size_t size, std::uint64_t gap = 0, char special = ' ') {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t random = split_mix(seed ^ split_mix(i));
    const bool is_special = gap != 0 && in_range(split_mix(random), gap) == 0;
    text[i] = is_special ? special : static_cast<char>('a' + in_range(random, 26));
  }
  return text;
}

std::string random_folder(std::uint64_t seed) {
  return random_letters(seed, shortest_text + in_range(split_mix(~seed), 2), 13, '_');
}

std::string item_url(std::uint64_t seed) {
  return "https://www.nexmark.com/" + random_folder(split_mix(seed)) + '/' + random_folder(split_mix(seed + 1)) + '/' +
         random_folder(split_mix(seed + 2)) + "/item.htm?query=1";
}

}  // namespace

enum class NexmarkEvents::Draw : std::uint8_t {
  extra_size,
  extra,
  first_name,
  last_name,
  mailbox_size,
  mailbox,
  host_size,
  host,
  card,
  city,
  state,
  item_size,
  item,
  description_size,
  description,
  initial_bid,
  reserve,
  expires,
  seller_is_hot,
  seller,
  category,
  auction_is_hot,
  auction,
  bidder_is_hot,
  bidder,
  price,
  channel_is_hot,
  channel
};

NexmarkEvents::NexmarkEvents(const NexmarkSettings& settings)
    : settings_{settings},
      seed_{split_mix(settings.seed)},
      micros_per_event_{1e6 / settings.events_per_second},
      letters_{random_letters(split_mix(seed_ + 1), pool_size)},
      words_{random_letters(split_mix(seed_ + 2), pool_size, 13)} {
  settings_.out_of_order_group = std::max<std::uint64_t>(settings_.out_of_order_group, 1);
  urls_.reserve(hot_channels + cold_channels);
  for (std::size_t i = 0; i < hot_channels + cold_channels; ++i) {
    const std::uint64_t seed = split_mix(seed_ + 3 + i);
    urls_.push_back(item_url(seed));
    if (i < hot_channels || in_range(split_mix(~seed), 10) == 0) continue;
    const auto reversed = static_cast<std::int32_t>(reverse_bits(static_cast<std::uint32_t>(i - hot_channels)));
    urls_.back() += "&channel_id=" + std::to_string(std::abs(std::int64_t{reversed}));
  }
}

std::uint64_t NexmarkEvents::number_at(std::uint64_t position) const {
  const std::uint64_t group = settings_.out_of_order_group;
  // 953 is a prime, so that every number of a group comes once unless the group is a multiple of it.
  return position / group * group + position * 953 % group;
}

NexmarkKind NexmarkEvents::kind(std::uint64_t n) {
  const std::uint64_t offset = n % all;
  if (offset < persons) return NexmarkKind::person;
  return offset < persons + auctions ? NexmarkKind::auction : NexmarkKind::bid;
}

Timestamp NexmarkEvents::time(std::uint64_t n) const {
  const auto millis = static_cast<std::int64_t>(static_cast<double>(n) * micros_per_event_) / 1000;
  return Timestamp{settings_.start.micros + millis * 1000};
}

std::uint64_t NexmarkEvents::draw(std::uint64_t n, Draw what) const {
  return split_mix(split_mix(seed_ ^ n) + static_cast<std::uint64_t>(what) * 0xD6E8FEB86659FD93ULL);
}

std::uint64_t NexmarkEvents::draw_below(std::uint64_t n, Draw what, std::uint64_t below) const {
  return in_range(draw(n, what), below);
}

std::int64_t NexmarkEvents::money(std::uint64_t n, Draw what) const {
  return std::llround(std::pow(10.0, unit_interval(draw(n, what)) * 6.0) * 100.0);
}

std::size_t NexmarkEvents::words_length(std::uint64_t n, Draw what, std::size_t below) const {
  return shortest_text + draw_below(n, what, below - shortest_text);
}

void NexmarkEvents::append_words(std::uint64_t n, Draw what, std::size_t below, std::string& out) const {
  const auto text = static_cast<Draw>(static_cast<std::uint8_t>(what) + 1);
  const std::size_t length = words_length(n, what, below);
  out.append(words_, draw_below(n, text, pool_size - length), length);
}

void NexmarkEvents::extra(std::uint64_t n, std::string& out) const {
  std::size_t filled = 100 - 4 * 8;
  if (kind(n) == NexmarkKind::person) {
    filled = 200 - 60;  // names, address, card, city and state take about so much
  } else if (kind(n) == NexmarkKind::auction) {
    filled = 500 - 6 * 8 - words_length(n, Draw::item_size, 20) - words_length(n, Draw::description_size, 100);
  }
  const std::size_t fifth = filled / 5;
  const std::size_t size = filled - fifth + draw_below(n, Draw::extra_size, 2 * fifth);
  out.append(letters_, draw_below(n, Draw::extra, pool_size - size), size);
}

std::int64_t NexmarkEvents::id(std::uint64_t n) {
  return kind(n) == NexmarkKind::person ? first_person + last_person(n) : first_auction + last_auction(n);
}

void NexmarkEvents::person_name(std::uint64_t n, std::string& out) const {
  out.append(first_names[draw_below(n, Draw::first_name, first_names.size())]).append(" ");
  out.append(last_names[draw_below(n, Draw::last_name, last_names.size())]);
}

void NexmarkEvents::email_address(std::uint64_t n, std::string& out) const {
  append_words(n, Draw::mailbox_size, 7, out);
  out.append("@");
  append_words(n, Draw::host_size, 5, out);
  out.append(".com");
}

void NexmarkEvents::credit_card(std::uint64_t n, std::string& out) const {
  std::uint64_t digits = draw_below(n, Draw::card, 10'000'000'000'000'000ULL);
  std::array<char, 19> text{};
  for (std::size_t i = text.size(); i-- > 0;) {
    const bool blank = i % 5 == 4;
    text[i] = blank ? ' ' : static_cast<char>('0' + digits % 10);
    if (!blank) digits /= 10;
  }
  out.append(text.data(), text.size());
}

void NexmarkEvents::city(std::uint64_t n, std::string& out) const {
  out.append(cities[draw_below(n, Draw::city, cities.size())]);
}

void NexmarkEvents::state(std::uint64_t n, std::string& out) const {
  out.append(states[draw_below(n, Draw::state, states.size())]);
}

void NexmarkEvents::item_name(std::uint64_t n, std::string& out) const {
  append_words(n, Draw::item_size, 20, out);
}

void NexmarkEvents::description(std::uint64_t n, std::string& out) const {
  append_words(n, Draw::description_size, 100, out);
}

std::int64_t NexmarkEvents::initial_bid(std::uint64_t n) const {
  return money(n, Draw::initial_bid);
}

std::int64_t NexmarkEvents::reserve(std::uint64_t n) const {
  return initial_bid(n) + money(n, Draw::reserve);
}

Timestamp NexmarkEvents::expires(std::uint64_t n) const {
  const Timestamp now = time(n);
  const std::int64_t horizon_ms = (time(n + auctions_in_flight * all / auctions).micros - now.micros) / 1000;
  const auto length_ms =
      1 + draw_below(n, Draw::expires, static_cast<std::uint64_t>(std::max<std::int64_t>(horizon_ms * 2, 1)));
  return Timestamp{now.micros + static_cast<std::int64_t>(length_ms) * 1000};
}

std::int64_t NexmarkEvents::some_person(std::uint64_t n, Draw what) const {
  const std::int64_t people = last_person(n) + 1;
  const std::int64_t active = std::min(people, active_people);
  return first_person + people - active +
         static_cast<std::int64_t>(draw_below(n, what, static_cast<std::uint64_t>(active + id_lead)));
}

std::int64_t NexmarkEvents::seller(std::uint64_t n) const {
  if (draw_below(n, Draw::seller_is_hot, hot_seller_ratio) > 0) return first_person + hot(last_person(n));
  return some_person(n, Draw::seller);
}

std::int64_t NexmarkEvents::category(std::uint64_t n) const {
  return first_category + static_cast<std::int64_t>(draw_below(n, Draw::category, categories));
}

std::int64_t NexmarkEvents::auction(std::uint64_t n) const {
  const std::int64_t last = last_auction(n);
  if (draw_below(n, Draw::auction_is_hot, hot_auction_ratio) > 0) return first_auction + hot(last);
  const std::int64_t first = std::max<std::int64_t>(last - auctions_in_flight, 0);
  return first_auction + first +
         static_cast<std::int64_t>(
             draw_below(n, Draw::auction, static_cast<std::uint64_t>(last - first + 1 + id_lead)));
}

std::int64_t NexmarkEvents::bidder(std::uint64_t n) const {
  // One after the hot seller, so that nobody bids for an item of his own all the time.
  if (draw_below(n, Draw::bidder_is_hot, hot_bidder_ratio) > 0) return first_person + hot(last_person(n)) + 1;
  return some_person(n, Draw::bidder);
}

std::int64_t NexmarkEvents::price(std::uint64_t n) const {
  return money(n, Draw::price);
}

std::size_t NexmarkEvents::channel_number(std::uint64_t n) const {
  if (draw_below(n, Draw::channel_is_hot, hot_channel_ratio) > 0) return draw_below(n, Draw::channel, hot_channels);
  return hot_channels + draw_below(n, Draw::channel, cold_channels);
}

void NexmarkEvents::channel(std::uint64_t n, std::string& out) const {
  const std::size_t number = channel_number(n);
  if (number < hot_channels) {
    out.append(hot_channel_names[number]);
  } else {
    out.append("channel-").append(std::to_string(number - hot_channels));
  }
}

void NexmarkEvents::url(std::uint64_t n, std::string& out) const {
  out.append(urls_[channel_number(n)]);
}

}  // namespace dataflow
