#include <doctest/doctest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "serialization/envelope.hpp"
#include "tests/support/batches.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

SchemaPtr every_type() {
  return make_schema({{"flag", TypeKind::boolean},
                      {"small", TypeKind::int32},
                      {"large", TypeKind::int64},
                      {"real", TypeKind::float64},
                      {"price", DataType::decimal(10, 2)},
                      {"name", TypeKind::string},
                      {"raw", TypeKind::bytes},
                      {"at", TypeKind::timestamp}});
}

BatchPtr small_batch() {
  return make_batch(every_type(),
                    {{true, -7, 1LL << 40, 2.5, 1999, "zürich", std::string_view{"\0\xFF", 2}, Timestamp{1}},
                     {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr},
                     {false, 7, -1, -0.0, -5, "", "x", Timestamp{-1}}},
                    {10, 30, 20}, {RowKind::insert, RowKind::update_before, RowKind::remove});
}

/// More than is copied into one segment.
BatchPtr large_batch() {
  const std::vector<BatchPtr> parts(2000, small_batch());
  return concatenate(parts);
}

const BatchPtr& batch_in(const EncodedEnvelopePtr& encoded) {
  return std::get<BatchPtr>(encoded->envelope());
}

Result<EncodedEnvelopePtr> through_words(const Envelope& envelope, const SchemaPtr& schema,
                                         const DecodeLimits& limits = {}) {
  return decode(to_flat_words(*encode(envelope)), schema, limits);
}

void check_same(const Batch& a, const Batch& b) {
  CHECK(rows_of(a) == rows_of(b));
  CHECK(event_times_of(a) == event_times_of(b));
  CHECK(kinds_of(a) == kinds_of(b));
  CHECK(a.has_event_time() == b.has_event_time());
}

Buffer buffer_of(std::span<const std::byte> bytes) {
  GrowingBuffer out;
  out.append(bytes.data(), bytes.size());
  return out.freeze();
}

std::string hex_of(const Buffer& buffer) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : buffer.bytes()) {
    text += digits[std::to_integer<unsigned>(b) >> 4];
    text += digits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

Buffer from_hex(std::string_view text) {
  const auto nibble = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  GrowingBuffer out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out.push(static_cast<std::uint8_t>(nibble(text[i]) << 4 | nibble(text[i + 1])));
  return out.freeze();
}

/// The words with the one place where `from` lies replaced by `to`, as a peer with a defect might send them.
Buffer tampered(const Buffer& words, std::string_view from, std::string_view to) {
  REQUIRE(from.size() == to.size());
  std::string bytes{words.as<char>(), words.size()};
  const std::size_t at = bytes.find(from);
  REQUIRE(at != std::string::npos);
  REQUIRE(bytes.find(from, at + 1) == std::string::npos);
  bytes.replace(at, from.size(), to);
  return buffer_of(std::as_bytes(std::span{bytes}));
}

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

std::string error_of(const Result<EncodedEnvelopePtr>& result) {
  if (result) return "(decoded)";
  CHECK(result.error().code() == ErrorCode::malformed_data);
  return result.error().message();
}

bool mentions(const std::string& message, std::string_view what) {
  INFO(message);
  return message.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a batch of every type, with NULLs, event times and kinds, comes back equal, whether small or large") {
  for (const BatchPtr& sent : {small_batch(), large_batch()}) {
    const auto received = through_words(sent, every_type());
    REQUIRE(received.has_value());
    check_same(*sent, *batch_in(*received));
    CHECK(*batch_in(*received)->schema() == *sent->schema());
  }
}

TEST_CASE("a batch without event time, NULLs or kinds carries none of their blobs") {
  const SchemaPtr schema = make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}});
  const BatchPtr sent = make_batch(schema, {{1, "a"}, {2, "bc"}});
  // Structs and pointers, then two numbers, two texts and their three offsets.
  CHECK(encode(sent)->wire_size() == ((1 + 3) + (4 + 1) + 2 * 5 + 2 + 1 + 2) * 8);
  const auto received = through_words(sent, schema);
  REQUIRE(received.has_value());
  check_same(*sent, *batch_in(*received));
  CHECK_FALSE(batch_in(*received)->has_event_time());
  CHECK(batch_in(*received)->kinds().empty());
}

TEST_CASE("a batch without rows comes back, with or without event time") {
  const SchemaPtr schema = every_type();
  BatchBuilder builder{schema};
  const BatchPtr timeless = builder.finish();
  const auto received = through_words(timeless, schema);
  REQUIRE(received.has_value());
  CHECK(batch_in(*received)->rows() == 0);
  CHECK_FALSE(batch_in(*received)->has_event_time());

  const BatchPtr timed = small_batch()->select_rows({});
  REQUIRE(timed->has_event_time());
  const auto received_timed = through_words(timed, schema);
  REQUIRE(received_timed.has_value());
  CHECK(batch_in(*received_timed)->has_event_time());
}

TEST_CASE("a batch without columns keeps its rows and event times") {
  const SchemaPtr nothing = make_schema({});
  const BatchPtr sent = make_batch(nothing, {{}, {}}, {1, 2});
  const auto received = through_words(sent, nothing);
  REQUIRE(received.has_value());
  check_same(*sent, *batch_in(*received));
}

TEST_CASE("a column that nobody reads takes no room and comes back as such") {
  constexpr std::uint32_t rows = 5000;
  std::vector<ColumnPtr> columns;
  for (std::size_t i = 0; i < every_type()->size(); ++i)
    columns.push_back(unread_column((*every_type())[i].type, rows));
  const auto batch = std::make_shared<const Batch>(every_type(), rows, columns);
  CHECK(batch->byte_size() == 0);
  CHECK(encode(batch)->wire_size() < 500);
  const auto decoded = through_words(batch, every_type());
  REQUIRE(decoded.has_value());
  CHECK(batch_in(*decoded)->rows() == rows);
  for (const ColumnPtr& column : batch_in(*decoded)->columns()) CHECK(is_unread(*column));
  CHECK(mentions(error_of(through_words(batch, every_type(), {.max_bytes = 100'000})), "exceed the limit"));
}

TEST_CASE("every other kind of envelope comes back equal") {
  const Envelope envelopes[] = {Watermark{Timestamp{-5}},
                                Watermark{Timestamp::min()},
                                Watermark{Timestamp::max()},
                                Barrier{42, Timestamp{7}, true},
                                Barrier{~0ULL, Timestamp{0}, false},
                                StreamStatus{true},
                                StreamStatus{false},
                                EndOfData{true},
                                EndOfData{false},
                                LatencyMarker{Timestamp{99}, 3, 4}};
  for (const Envelope& sent : envelopes) {
    const auto received = through_words(sent, nullptr);
    REQUIRE(received.has_value());
    CHECK(((*received)->envelope() == sent));
    CHECK(encode(sent)->segments().size() == 1);
  }
}

TEST_CASE("an envelope knows the size of its message before the message is built") {
  const SchemaPtr numbers = make_schema({{"id", TypeKind::int64}});
  const Envelope envelopes[] = {small_batch(),
                                large_batch(),
                                small_batch()->select_rows({}),
                                BatchBuilder{every_type()}.finish(),
                                make_batch(make_schema({}), {{}, {}}, {1, 2}),
                                make_batch(make_schema({}), {}),
                                make_batch(numbers, {{1}, {2}}),
                                make_batch(make_schema({{"name", TypeKind::string}}), {{"nine bytes"}}),
                                Watermark{Timestamp{-5}},
                                Barrier{42, Timestamp{7}, true},
                                StreamStatus{true},
                                EndOfData{false},
                                LatencyMarker{Timestamp{99}, 3, 4}};
  for (const Envelope& sent : envelopes) {
    const EncodedEnvelopePtr encoded = encode(sent);
    const std::size_t foretold = encoded->wire_size();
    std::size_t built = 0;
    for (const auto segment : encoded->segments()) built += segment.size();
    CHECK(foretold == built);
    CHECK(encoded->wire_size() == built);
  }
}

TEST_CASE("several threads may be the first to ask for an envelope's message") {
  const EncodedEnvelopePtr encoded = encode(small_batch());
  std::vector<std::size_t> counts(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t& count : counts) threads.emplace_back([&] { count = encoded->segments().size(); });
  }
  for (const std::size_t count : counts) CHECK(count == encoded->segments().size());
}

TEST_CASE("a small batch is one segment") {
  CHECK(encode(small_batch())->segments().size() == 1);
}

TEST_CASE("encoding a large batch refers to the columns' memory instead of copying it") {
  const BatchPtr batch = large_batch();
  const auto encoded = encode(batch);
  const auto segments = encoded->segments();
  const auto refers_to = [&](const Buffer& blob) {
    return std::any_of(segments.begin(), segments.end(), [&](auto segment) { return segment.data() == blob.data(); });
  };
  std::size_t blobs = 2;  // event times and kinds
  CHECK(refers_to(batch->timestamps()->values));
  CHECK(refers_to(batch->kinds()));
  for (const ColumnPtr& column : batch->columns()) {
    CHECK(refers_to(column->values));
    CHECK(refers_to(column->validity));
    blobs += column->type.is_variable_width() ? 3 : 2;
  }
  CHECK(segments.size() == 1 + blobs);  // and the first segment was large enough for all the rest
}

TEST_CASE("decoding refers to the received words instead of copying them") {
  const BatchPtr sent = make_batch(make_schema({{"id", TypeKind::int64}}), {{1}, {2}});
  const Buffer words = to_flat_words(*encode(sent));
  const auto received = decode(words, sent->schema());
  REQUIRE(received.has_value());
  const std::byte* values = batch_in(*received)->column(0).values.data();
  CHECK(values >= words.data());
  CHECK(values < words.data() + words.size());
  CHECK(hex_of(to_flat_words(**received)) == hex_of(words));
}

TEST_CASE("columns outlive the envelope and the words that they came in") {
  ColumnPtr column;
  {
    const auto received = through_words(small_batch(), every_type());
    REQUIRE(received.has_value());
    column = batch_in(*received)->columns()[5];
  }
  CHECK(column->text(0) == "zürich");
}

TEST_CASE("a column that begins at an odd address is copied into the message of a large batch") {
  constexpr std::uint32_t rows = 40'003;
  const auto owner = std::make_shared<std::vector<std::uint64_t>>(rows / 8 + 2);
  auto* odd = reinterpret_cast<std::byte*>(owner->data()) + 1;
  for (std::uint32_t i = 0; i < rows; ++i) odd[i] = std::byte{i % 3 == 0};
  auto column = std::make_shared<Column>();
  column->type = TypeKind::boolean;
  column->rows = rows;
  column->values = Buffer{owner, {odd, rows}};
  auto even = std::make_shared<Column>(*column);
  even->values = buffer_of(column->values.bytes());
  const SchemaPtr schema = make_schema({{"flag", TypeKind::boolean}, {"again", TypeKind::boolean}});
  const auto sent = std::make_shared<const Batch>(schema, rows, std::vector<ColumnPtr>{column, even});
  const auto encoded = encode(sent);
  CHECK(encoded->segments().size() == 2);
  std::size_t bytes = 0;
  for (const auto segment : encoded->segments()) bytes += segment.size();
  CHECK(encoded->wire_size() == bytes);
  const auto received = through_words(sent, schema);
  REQUIRE(received.has_value());
  check_same(*sent, *batch_in(*received));
}

TEST_CASE("words that begin at an odd address are decoded from a copy") {
  const Buffer words = to_flat_words(*encode(small_batch()));
  const auto owner = std::make_shared<std::vector<std::uint64_t>>(words.size() / 8 + 1);
  auto* odd = reinterpret_cast<std::byte*>(owner->data()) + 3;
  std::memcpy(odd, words.data(), words.size());
  const auto received = decode(Buffer{owner, {odd, words.size()}}, every_type());
  REQUIRE(received.has_value());
  check_same(*small_batch(), *batch_in(*received));
}

TEST_CASE("padding that a peer left dirty does not reach the column's padding") {
  const SchemaPtr schema = make_schema({{"name", TypeKind::string}});
  const Buffer words = to_flat_words(*encode(make_batch(schema, {{"hello"}})));
  const Buffer dirty = tampered(words, std::string_view{"hello\0\0\0", 8}, std::string_view{"hello\1\2\3", 8});
  const auto received = decode(dirty, schema);
  REQUIRE(received.has_value());
  const Buffer& values = batch_in(*received)->column(0).values;
  CHECK(std::memcmp(values.data(), "hello\0\0\0", 8) == 0);
}

TEST_CASE("a batch that does not match the channel's schema is refused") {
  const SchemaPtr schema = make_schema({{"id", TypeKind::int64}});
  const BatchPtr batch = make_batch(schema, {{1}});
  CHECK(mentions(error_of(through_words(batch, make_schema({}))), "1 columns, its channel's schema 0"));
  CHECK(mentions(error_of(through_words(batch, make_schema({{"id", TypeKind::timestamp}}))),
                 "envelope: column 0 'id': its type is not the schema's timestamp"));
  CHECK(mentions(error_of(through_words(batch, nullptr)), "without a schema"));
  const SchemaPtr price = make_schema({{"p", DataType::decimal(10, 2)}});
  CHECK(mentions(error_of(through_words(make_batch(price, {{1}}), make_schema({{"p", DataType::decimal(10, 3)}}))),
                 "decimal(10,3)"));
  const SchemaPtr nested = make_schema({{"l", DataType::nested(TypeKind::array, {{"element", TypeKind::int64}})}});
  CHECK(mentions(error_of(through_words(batch, nested)), "array<int64>"));
}

TEST_CASE("limits on rows, columns and bytes are kept before anything is believed") {
  const BatchPtr batch = small_batch();
  DecodeLimits limits;
  limits.max_rows = 2;
  CHECK(mentions(error_of(through_words(batch, every_type(), limits)), "3 rows exceed the limit of 2"));
  limits = {};
  limits.max_columns = 7;
  CHECK(mentions(error_of(through_words(batch, every_type(), limits)), "8 columns exceed the limit of 7"));
  limits = {};
  limits.max_bytes = 64;
  CHECK(mentions(error_of(through_words(batch, every_type(), limits)), "exceed the limit of 64"));
}

TEST_CASE("offsets that run backwards, start late or point behind the values are refused") {
  const SchemaPtr schema = make_schema({{"name", TypeKind::string}});
  const Buffer words = to_flat_words(*encode(make_batch(schema, {{"abc"}, {"defg"}, {"h"}})));
  const std::string good = bytes_of<std::uint32_t>({0, 3, 7, 8});
  const auto with = [&](std::initializer_list<std::uint32_t> offsets) {
    return error_of(decode(tampered(words, good, bytes_of(offsets)), schema));
  };
  CHECK(with({0, 3, 7, 8}) == "(decoded)");
  CHECK(mentions(with({1, 3, 7, 8}), "first offset"));
  CHECK(mentions(with({0, 7, 3, 8}), "backwards"));
  CHECK(mentions(with({0, 3, 7, 9}), "behind its values"));
  CHECK(mentions(with({0, 3, 7, 0xFFFFFFFF}), "behind its values"));
}

TEST_CASE("bools other than 0 and 1 and kinds other than 0 to 3 are refused") {
  const SchemaPtr schema = make_schema({{"flag", TypeKind::boolean}});
  const Buffer flags = to_flat_words(*encode(make_batch(schema, {{true}, {false}, {true}, {true}, {true}, {true}})));
  CHECK(
      mentions(error_of(decode(tampered(flags, std::string_view{"\1\0\1\1\1\1", 6}, "\1\2\1\1\1\1"), schema)), "bool"));

  const Buffer kinds = to_flat_words(*encode(small_batch()));
  const std::string_view good{"\0\1\3\0\0\0\0\0", 8};
  CHECK(mentions(error_of(decode(tampered(kinds, good, {"\0\1\4\0\0\0\0\0", 8}), every_type())), "row kind"));
}

TEST_CASE("a newer format version and a message of zeros are refused") {
  const Buffer words = to_flat_words(*encode(Watermark{Timestamp{1}}));
  // segment table, root pointer, then the struct that starts with the version
  auto with_version = [&](std::uint8_t version) {
    std::string bytes{words.as<char>(), words.size()};
    bytes[16] = static_cast<char>(version);
    return error_of(decode(buffer_of(std::as_bytes(std::span{bytes})), nullptr));
  };
  CHECK(with_version(1) == "(decoded)");
  CHECK(with_version(2) == "(decoded)");
  CHECK(mentions(with_version(3), "format version is 3"));
  CHECK(mentions(with_version(0), "format version is 0"));
  CHECK(mentions(error_of(decode(from_hex(std::string(64, '0')), nullptr)), "after its end"));
  CHECK(mentions(error_of(decode(Buffer{}, nullptr)), "empty"));
  CHECK(mentions(error_of(decode(from_hex("000000"), nullptr)), "multiple of 8"));
}

TEST_CASE("a segment table that promises more than there is is refused") {
  CHECK(mentions(error_of(decode(from_hex("ffffffff00000000"), nullptr)), "segment table"));
  CHECK(mentions(error_of(decode(from_hex("00000000ffffffff"), nullptr)), "segment is cut off"));
  CHECK(mentions(error_of(decode(from_hex("0100000001000000ffffffff000000000000000000000000"), nullptr)), "cut off"));
}

TEST_CASE("every truncation of a valid envelope is an error") {
  const Buffer words = to_flat_words(*encode(small_batch()));
  for (std::size_t size = 0; size < words.size(); ++size) {
    const auto result = decode(buffer_of(words.bytes().first(size)), every_type());
    CHECK_FALSE(result.has_value());
  }
}

TEST_CASE("words of format version 1 decode for ever; those of 2 differ in the number alone where all is read") {
  // small_batch and a barrier as version 1 wrote them. A change of these texts is a change of the format.
  const std::string_view words_of_segments =
      "140000005900000001000000010000000200000001000000030000000100000003000000010000000300000001000000"
      "010000000200000001000000010000000200000001000000030000000100000003000000010000000000000002000100"
      "01000000000000000000000000000000000000000100030003000000010000000900000047010000ae02000000000000"
      "be02000000000000200000000100040000000000000000008e0100000000000000000000000000009e01000000000000"
      "00000000000000000100000000000000ae010000000000000000000000000000be010000000000000000000000000000"
      "0200000000000000ce010000000000000000000000000000de0100000000000000000000000000000300000000000000"
      "ee010000000000000000000000000000fe01000000000000000000000000000004000a02000000000e02000000000000"
      "00000000000000001e02000000000000000000000000000005000000000000002e020000000000003e02000000000000"
      "4e02000000000000000000000000000006000000000000005e020000000000006e020000000000007e02000000000000"
      "000000000000000007000000000000008e0200000000000000000000000000009e020000000000000000000000000000"
      "0200000001000000010000001a0000000200000002000000010000000a00000002000000030000000100000062000000"
      "0200000004000000010000000a000000020000000500000001000000c20000000200000006000000010000000a000000"
      "020000000700000001000000c20000000200000008000000010000000a000000020000000900000001000000c2000000"
      "020000000a000000010000000a000000020000000b000000010000003a000000020000000c0000000100000082000000"
      "020000000d000000010000000a000000020000000e000000010000001a000000020000000f0000000100000082000000"
      "0200000010000000010000000a000000020000001100000001000000c20000000200000012000000010000000a000000"
      "020000001300000001000000c20000000200000014000000010000001a00000001000000000000000500000000000000"
      "f9ffffff000000000700000000000000050000000000000000000000000100000000000000000000ffffffffffffffff"
      "05000000000000000000000000000440000000000000000000000000000000800500000000000000cf07000000000000"
      "0000000000000000fbffffffffffffff05000000000000007ac3bc726963680000000000070000000700000007000000"
      "050000000000000000ff7800000000000000000002000000020000000300000005000000000000000100000000000000"
      "0000000000000000ffffffffffffffff05000000000000000a000000000000001e000000000000001400000000000000"
      "0001030000000000";
  // The same in one segment.
  const std::string_view batch_words =
      "000000005200000000000000020001000100000000000000000000000000000000000000010003000300000001000000"
      "09000000470100001d010000c2000000250100001a00000020000000010004000000000000000000990000001a000000"
      "0000000000000000950000000a000000000000000000000001000000000000008d000000620000000000000000000000"
      "8d0000000a0000000000000000000000020000000000000085000000c20000000000000000000000890000000a000000"
      "0000000000000000030000000000000081000000c20000000000000000000000850000000a0000000000000000000000"
      "04000a02000000007d000000c20000000000000000000000810000000a00000000000000000000000500000000000000"
      "790000003a00000079000000820000007d0000000a00000000000000000000000600000000000000750000001a000000"
      "7500000082000000790000000a0000000000000000000000070000000000000071000000c20000000000000000000000"
      "750000000a000000000000000000000001000000000000000500000000000000f9ffffff000000000700000000000000"
      "050000000000000000000000000100000000000000000000ffffffffffffffff05000000000000000000000000000440"
      "000000000000000000000000000000800500000000000000cf070000000000000000000000000000fbffffffffffffff"
      "05000000000000007ac3bc726963680000000000070000000700000007000000050000000000000000ff780000000000"
      "00000000020000000200000003000000050000000000000001000000000000000000000000000000ffffffffffffffff"
      "05000000000000000a000000000000001e0000000000000014000000000000000001030000000000";
  for (const std::string_view words : {words_of_segments, batch_words}) {
    const auto batch = decode(from_hex(words), every_type());
    REQUIRE_MESSAGE(batch.has_value(), batch.error().message());
    check_same(*small_batch(), *batch_in(*batch));
  }
  const auto as_version_2 = [](std::string_view words) {
    return std::string{words.substr(0, 32)}.append("02").append(words.substr(34));
  };
  CHECK(hex_of(to_flat_words(*encode(small_batch()))) == as_version_2(batch_words));

  const std::string_view barrier_words =
      "000000000700000000000000020001000100020000000000000000000000000000000000030000002a00000000000000"
      "07000000000000000100000000000000";
  const auto barrier = decode(from_hex(barrier_words), nullptr);
  REQUIRE(barrier.has_value());
  CHECK(((*barrier)->envelope() == Envelope{Barrier{42, Timestamp{7}, true}}));
  CHECK(hex_of(to_flat_words(*encode(Barrier{42, Timestamp{7}, true}))) == as_version_2(barrier_words));
}
