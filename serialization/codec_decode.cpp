// Decoding: columns become views into the received words after every rule of envelope.capnp was checked. Cap'n Proto
// keeps its own pointers inside of the segments; what the blobs mean is checked here, once a column.
//
// The traversal limit is lifted on purpose: it counts every access to a blob, so large columns would run into it,
// and the work here is bounded by `DecodeLimits` instead (blobs of a hostile message may overlap, so their sizes are
// summed rather than the message's).

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include <capnp/message.h>
#include <kj/exception.h>

#include "serialization/envelope.capnp.h"
#include "serialization/envelope.hpp"

namespace dataflow {
namespace {

static_assert(std::endian::native == std::endian::little, "column blobs are read as they lie in memory");

using Segments = std::vector<std::span<const std::byte>>;
using CapnpSegment = kj::ArrayPtr<const capnp::word>;

class ReceivedEnvelope final : public EncodedEnvelope {
 public:
  ReceivedEnvelope(Buffer words, Segments segments, Envelope envelope)
      : words_{std::move(words)}, segments_{std::move(segments)}, envelope_{std::move(envelope)} {
    for (const auto segment : segments_) wire_size_ += segment.size();
  }

  [[nodiscard]] const Envelope& envelope() const override { return envelope_; }
  [[nodiscard]] Segments segments() const override { return segments_; }
  [[nodiscard]] std::size_t wire_size() const override { return wire_size_; }

 private:
  Buffer words_;
  Segments segments_;
  Envelope envelope_;
  std::size_t wire_size_ = 0;
};

/// The bits that occur in any of the bytes.
std::uint8_t union_of_bytes(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t words = 0;
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i, 8);
    words |= word;
  }
  for (; i < count; ++i) words |= bytes[i];
  words |= words >> 32;
  words |= words >> 16;
  words |= words >> 8;
  return static_cast<std::uint8_t>(words);
}

bool monotone(const std::uint32_t* offsets, std::size_t rows) {
  bool good = true;
  for (std::size_t i = 0; i < rows; ++i) good &= offsets[i] <= offsets[i + 1];
  return good;
}

/// Cuts the flat array at its segment table: count - 1, then each segment's size in words, then padding to a word.
Result<Segments> cut_into_segments(const Buffer& words) {
  constexpr std::size_t word_bytes = sizeof(capnp::word);
  const std::size_t total = words.size() / word_bytes;
  if (words.size() % word_bytes != 0) return malformed("its length is no multiple of 8 bytes");
  if (total == 0) return malformed("it is empty");
  const auto* table = words.as<std::uint32_t>();
  const std::uint64_t count = std::uint64_t{table[0]} + 1;
  std::uint64_t at = count / 2 + 1;
  if (at > total) return malformed("its segment table is cut off");
  Segments segments;
  segments.reserve(count);
  for (std::uint64_t i = 1; i <= count; ++i) {
    const std::uint64_t size = table[i];
    if (size > total - at) return malformed("a segment is cut off");
    segments.push_back(words.bytes().subspan(at * word_bytes, size * word_bytes));
    at += size;
  }
  if (at != total) return malformed("there are bytes after its end");
  return segments;
}

/// Reads one batch, keeping count of the bytes that its columns refer to.
class BatchDecoder {
 public:
  BatchDecoder(const Buffer& words, const SchemaPtr& schema, const DecodeLimits& limits)
      : words_{words}, schema_{schema}, limits_{limits} {}

  Result<BatchPtr> decode(wire::Batch::Reader from) {
    if (schema_ == nullptr) return malformed("a batch came on a channel without a schema");
    rows_ = from.getRows();
    if (rows_ > limits_.max_rows) {
      return malformed(std::to_string(rows_) + " rows exceed the limit of " + std::to_string(limits_.max_rows));
    }
    const auto sent = from.getColumns();
    if (sent.size() > limits_.max_columns) {
      return malformed(std::to_string(sent.size()) + " columns exceed the limit of " +
                       std::to_string(limits_.max_columns));
    }
    if (sent.size() != schema_->size()) {
      return malformed("it has " + std::to_string(sent.size()) + " columns, its channel's schema " +
                       std::to_string(schema_->size()));
    }
    // In one piece of memory: they share that of their values, too, and whoever frees it is another thread.
    const auto made = std::make_shared<Column[]>(sent.size());
    std::vector<ColumnPtr> columns;
    columns.reserve(sent.size());
    for (capnp::uint i = 0; i < sent.size(); ++i) {
      const DataType& type = (*schema_)[i].type;
      if (Status read = decode_column(sent[i], type, made[i]); !read)
        return fail(read.error().within("column " + std::to_string(i) + " '" + (*schema_)[i].name + "'"));
      columns.push_back(sent[i].getUnread() ? unread_column(type, rows_) : ColumnPtr{made, &made[i]});
    }
    Result<ColumnPtr> timestamps = decode_timestamps(from);
    if (!timestamps) return fail(timestamps.error());
    Result<Buffer> kinds = adopt(from.getKinds());
    if (!kinds) return fail(kinds.error());
    if (!kinds->empty()) {
      if (kinds->size() != rows_) return wrong_size("row kinds", kinds->size(), rows_);
      if ((union_of_bytes(kinds->as<std::uint8_t>(), rows_) & ~3U) != 0)
        return malformed("a row kind is none of 0 to 3");
    }
    return std::make_shared<const Batch>(schema_, rows_, std::move(columns), std::move(*timestamps), std::move(*kinds));
  }

 private:
  Status decode_column(wire::Column::Reader from, const DataType& type, Column& column) {
    if (type.is_nested()) return malformed("columns of type " + to_string(type) + " cannot be read yet");
    if (static_cast<unsigned>(from.getKind()) != static_cast<unsigned>(type.kind()) ||
        from.getPrecision() != type.precision() || from.getScale() != type.scale()) {
      return malformed("its type is not the schema's " + to_string(type));
    }
    column.type = type;
    column.rows = rows_;
    Result<Buffer> values = adopt(from.getValues());
    Result<Buffer> offsets = values ? adopt(from.getOffsets()) : values;
    Result<Buffer> validity = offsets ? adopt(from.getValidity()) : offsets;
    if (!validity) return fail(validity.error());
    if (from.getUnread()) {
      const bool empty = values->empty() && offsets->empty() && validity->empty();
      if (!empty) return malformed("it has values but says that nobody reads them");
      return refer_to(std::uint64_t{rows_} * (type.width() + sizeof(std::uint32_t)));
    }
    Status checked = type.is_variable_width() ? check_text(*values, *offsets) : check_fixed(type, *values, *offsets);
    if (!checked) return fail(checked.error());
    if (!validity->empty()) {
      if (validity->size() != bitmap_bytes(rows_)) return wrong_size("validity", validity->size(), bitmap_bytes(rows_));
      if (!all_bits_set(validity->as<std::uint8_t>(), rows_)) column.validity = std::move(*validity);
    }
    column.values = std::move(*values);
    column.offsets = std::move(*offsets);
    return {};
  }

  Status check_fixed(const DataType& type, const Buffer& values, const Buffer& offsets) const {
    const std::size_t expected = std::size_t{rows_} * type.width();
    if (values.size() != expected) return wrong_size("values", values.size(), expected);
    if (!offsets.empty()) return malformed("a column of fixed width has offsets");
    if (type.kind() == TypeKind::boolean && (union_of_bytes(values.as<std::uint8_t>(), rows_) & ~1U) != 0)
      return malformed("a bool is neither 0 nor 1");
    return {};
  }

  Status check_text(const Buffer& values, const Buffer& offsets) const {
    const std::size_t expected = (std::size_t{rows_} + 1) * sizeof(std::uint32_t);
    if (offsets.size() != expected) return wrong_size("offsets", offsets.size(), expected);
    const auto* at = offsets.as<std::uint32_t>();
    if (at[0] != 0) return malformed("the first offset is not 0");
    if (!monotone(at, rows_)) return malformed("its offsets run backwards");
    if (at[rows_] > values.size()) return malformed("its offsets point behind its values");
    return {};
  }

  Result<ColumnPtr> decode_timestamps(wire::Batch::Reader from) {
    Result<Buffer> values = adopt(from.getTimestamps());
    if (!values) return fail(values.error());
    if (!from.getHasEventTime()) {
      if (!values->empty()) return malformed("it has event times but says that it has none");
      return ColumnPtr{};
    }
    const std::size_t expected = std::size_t{rows_} * sizeof(std::int64_t);
    if (values->size() != expected) return wrong_size("event times", values->size(), expected);
    auto column = std::make_shared<Column>();
    column->type = TypeKind::timestamp;
    column->rows = rows_;
    column->values = std::move(*values);
    return column;
  }

  Status refer_to(std::uint64_t bytes) {
    referred_bytes_ += bytes;
    if (referred_bytes_ <= limits_.max_bytes) return {};
    return malformed("its columns exceed the limit of " + std::to_string(limits_.max_bytes) + " bytes");
  }

  /// A view of the blob that keeps a Buffer's promises: aligned (blobs begin at words), zero up to the next word.
  Result<Buffer> adopt(capnp::Data::Reader blob) {
    if (Status counted = refer_to(blob.size()); !counted) return fail(counted.error());
    if (blob.size() == 0) return Buffer{};
    const std::span bytes{reinterpret_cast<const std::byte*>(blob.begin()), blob.size()};
    const std::size_t padding = (8 - blob.size() % 8) % 8;  // still inside of the segment, which is made of words
    if (std::all_of(bytes.data() + bytes.size(), bytes.data() + bytes.size() + padding,
                    [](std::byte b) { return b == std::byte{0}; }))
      return words_.view(bytes);
    GrowingBuffer copy{bytes.size()};
    copy.append(bytes.data(), bytes.size());
    return copy.freeze();
  }

  static tl::unexpected<Error> wrong_size(const char* what, std::size_t found, std::size_t expected) {
    return malformed(std::string{what} + " of " + std::to_string(found) + " bytes where " + std::to_string(expected) +
                     " are due");
  }

  const Buffer& words_;
  const SchemaPtr& schema_;
  const DecodeLimits& limits_;
  std::uint32_t rows_ = 0;
  std::uint64_t referred_bytes_ = 0;
};

/// May throw kj::Exception for pointers that leave the message.
Result<Envelope> decode_root(wire::Envelope::Reader root, BatchDecoder batches) {
  if (root.getVersion() == 0 || root.getVersion() > envelope_format_version) {
    return malformed("its format version is " + std::to_string(root.getVersion()) + ", this program reads 1 to " +
                     std::to_string(envelope_format_version));
  }
  switch (root.which()) {
    case wire::Envelope::BATCH: {
      Result<BatchPtr> batch = batches.decode(root.getBatch());
      if (!batch) return fail(batch.error());
      return Envelope{std::move(*batch)};
    }
    case wire::Envelope::WATERMARK: return Envelope{Watermark{Timestamp{root.getWatermark()}}};
    case wire::Envelope::BARRIER: {
      const auto barrier = root.getBarrier();
      return Envelope{Barrier{barrier.getCheckpointId(), Timestamp{barrier.getStarted()}, barrier.getSavepoint()}};
    }
    case wire::Envelope::IDLE: return Envelope{StreamStatus{root.getIdle()}};
    case wire::Envelope::END_OF_DATA: return Envelope{EndOfData{root.getEndOfData()}};
    case wire::Envelope::LATENCY_MARKER: {
      const auto marker = root.getLatencyMarker();
      return Envelope{LatencyMarker{Timestamp{marker.getEmitted()}, marker.getSourceNode(), marker.getSourceSubtask()}};
    }
  }
  return malformed("it is of a kind that this program does not know");
}

Buffer aligned(const Buffer& words) {
  if (reinterpret_cast<std::uintptr_t>(words.data()) % alignof(std::uint64_t) == 0) return words;
  GrowingBuffer copy{words.size()};
  copy.append(words.data(), words.size());
  return copy.freeze();
}

Result<EncodedEnvelopePtr> decode_words(const Buffer& words, const SchemaPtr& schema, const DecodeLimits& limits) {
  if (words.size() > limits.max_bytes) {
    return malformed("its " + std::to_string(words.size()) + " bytes exceed the limit of " +
                     std::to_string(limits.max_bytes));
  }
  Buffer whole = aligned(words);
  Result<Segments> segments = cut_into_segments(whole);
  if (!segments) return fail(segments.error());
  std::vector<CapnpSegment> capnp_segments;
  capnp_segments.reserve(segments->size());
  for (const auto segment : *segments) {
    capnp_segments.emplace_back(reinterpret_cast<const capnp::word*>(segment.data()),
                                segment.size() / sizeof(capnp::word));
  }
  std::optional<Result<Envelope>> envelope;
  try {
    capnp::ReaderOptions options;
    options.traversalLimitInWords = kj::maxValue;
    capnp::SegmentArrayMessageReader reader{kj::arrayPtr(capnp_segments.data(), capnp_segments.size()), options};
    envelope = decode_root(reader.getRoot<wire::Envelope>(), BatchDecoder{whole, schema, limits});
  } catch (const kj::Exception& problem) {
    return malformed(problem.getDescription().cStr());
  }
  if (!*envelope) return fail(envelope->error());
  return std::make_shared<const ReceivedEnvelope>(std::move(whole), std::move(*segments), std::move(**envelope));
}

}  // namespace

Result<EncodedEnvelopePtr> decode(const Buffer& words, const SchemaPtr& schema, const DecodeLimits& limits) {
  return decode_words(words, schema, limits).map_error([](const Error& error) { return error.within("envelope"); });
}

}  // namespace dataflow
