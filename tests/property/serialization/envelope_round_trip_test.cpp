// Any batch that can be built survives encode, to_flat_words and decode; no damage to its words makes decode do
// anything but refuse them or give a valid batch.

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "serialization/envelope.hpp"
#include "serialization/schema_codec.hpp"
#include "tests/support/random_batches.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

/// Memory of exactly this size, so that a sanitizer sees a read of one byte too many.
Buffer buffer_of(std::string_view bytes) {
  const std::shared_ptr<char[]> memory{new char[bytes.size()]};
  std::copy(bytes.begin(), bytes.end(), memory.get());
  return Buffer{memory, std::as_bytes(std::span{memory.get(), bytes.size()})};
}

std::string_view bytes_of(const Buffer& buffer) {
  return {buffer.as<char>(), buffer.size()};
}

void check_same(const Batch& a, const Batch& b) {
  CHECK(rows_of(a) == rows_of(b));
  CHECK(event_times_of(a) == event_times_of(b));
  CHECK(kinds_of(a) == kinds_of(b));
}

/// Reads all of a batch, so that a sanitizer sees any view that leaves its memory.
std::size_t read_all(const Envelope& envelope) {
  const auto* batch = std::get_if<BatchPtr>(&envelope);
  if (batch == nullptr) return 0;
  const std::string json = to_json_lines(**batch);
  return json.size() + event_times_of(**batch).size() + kinds_of(**batch).size();
}

/// One to four changed places: a bit, a byte, or a word of small or extreme value.
std::string damaged(std::string bytes, RandomBatches& random) {
  for (std::uint64_t i = 0; i <= random.below(4); ++i) {
    const std::size_t at = random.below(bytes.size());
    switch (random.below(3)) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
      case 1: bytes[at] = static_cast<char>(random.below(256)); break;
      default: {
        const std::uint32_t word = random.one_in(2) ? ~std::uint32_t{0} : static_cast<std::uint32_t>(random.below(64));
        std::memcpy(bytes.data() + at / 4 * 4, &word, 4);
      }
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("any batch comes back equal from its words") {
  for (const std::uint64_t seed : seeds(300)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const SchemaPtr schema = random.schema();
    const BatchPtr sent = random.batch(schema, random.below(60));
    const auto received = decode(to_flat_words(*encode(sent)), schema);
    REQUIRE_MESSAGE(received.has_value(), received.error().message());
    check_same(*sent, *std::get<BatchPtr>((*received)->envelope()));
    // and what was received can be sent on
    const auto again = decode(to_flat_words(*encode((*received)->envelope())), schema);
    REQUIRE(again.has_value());
    check_same(*sent, *std::get<BatchPtr>((*again)->envelope()));
  }
}

TEST_CASE("damaged words are refused or give a batch that can be read to its end") {
  std::size_t refused = 0;
  std::size_t accepted = 0;
  for (const std::uint64_t seed : seeds(150)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const SchemaPtr schema = random.schema(5);
    const std::string good{bytes_of(to_flat_words(*encode(random.batch(schema, random.below(12)))))};
    for (int round = 0; round < 60; ++round) {
      const auto result = decode(buffer_of(damaged(good, random)), schema);
      if (result) {
        ++accepted;
        if (const auto* batch = std::get_if<BatchPtr>(&(*result)->envelope())) CHECK(*(*batch)->schema() == *schema);
        read_all((*result)->envelope());
      } else {
        ++refused;
        CHECK(result.error().code() == ErrorCode::malformed_data);
      }
    }
  }
  CHECK(refused > 100);  // both happen, or the test claims nothing
  CHECK(accepted > 100);
}

TEST_CASE("words that were cut off anywhere are refused") {
  for (const std::uint64_t seed : seeds(40)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const SchemaPtr schema = random.schema(5);
    const Buffer words = to_flat_words(*encode(random.batch(schema, 1 + random.below(12))));
    for (int round = 0; round < 30; ++round) {
      const std::size_t size = random.below(words.size());
      CHECK_FALSE(decode(buffer_of(bytes_of(words).substr(0, size)), schema).has_value());
    }
  }
}

TEST_CASE("bytes without any sense are no envelope") {
  for (const std::uint64_t seed : seeds(2000)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const SchemaPtr schema = random.schema(3);
    const auto result = decode(buffer_of(random.text(TypeKind::bytes)), schema);
    if (result) read_all((*result)->envelope());
  }
}

TEST_CASE("any schema comes back equal from its message, and damage to it never crashes") {
  for (const std::uint64_t seed : seeds(200)) {
    CAPTURE(seed);
    RandomBatches random{seed};
    const SchemaPtr schema = random.schema(20);
    const Buffer words = encode_schema(*schema);
    const auto received = decode_schema(words);
    REQUIRE(received.has_value());
    CHECK(**received == *schema);
    for (int round = 0; round < 30; ++round) {
      const auto result = decode_schema(buffer_of(damaged(std::string{bytes_of(words)}, random)));
      if (result) CHECK(!to_string(**result).empty());
    }
  }
}
