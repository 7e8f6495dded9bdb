// Encoding: the message's first segment holds the structs and pointers, and each column blob is a segment of its own
// that refers to the column's memory (Cap'n Proto's referenceExternalData), so that the rows are never copied.
//
// Between two subtasks of one process nobody reads the message, only the envelope in it, so it is built when somebody
// asks for its segments; its size, which is what credit is counted in, follows from the layout.

#include <bit>
#include <cassert>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include <capnp/message.h>

#include "serialization/envelope.capnp.h"
#include "serialization/envelope.hpp"

namespace dataflow {
namespace {

static_assert(std::endian::native == std::endian::little, "column blobs travel as they lie in memory");

/// Words of the first segment, from the layout that capnp compiles envelope.capnp to; unit tests compare them with what
/// capnp makes.
constexpr std::size_t envelope_words = 1 + 3;  // root pointer, Envelope
constexpr std::size_t barrier_words = 3;
constexpr std::size_t latency_marker_words = 2;
constexpr std::size_t batch_words = 4 + 1;  // Batch, the column list's tag
constexpr std::size_t column_words = 5;
constexpr std::size_t blob_words = 2;  // the landing pad of a double-far pointer

bool whole_words(const Buffer& blob) {
  return reinterpret_cast<std::uintptr_t>(blob.data()) % sizeof(capnp::word) == 0;
}

/// How large a batch's message is.
struct Extent {
  std::size_t first_words = envelope_words;
  std::size_t blob_bytes = 0;
  bool all_whole_words = true;  ///< else some blobs are copied into segments of capnp's choice

  void add(const Buffer& blob) {
    if (blob.empty()) return;
    first_words += blob_words;
    blob_bytes += (blob.size() + sizeof(capnp::word) - 1) / sizeof(capnp::word) * sizeof(capnp::word);
    all_whole_words = all_whole_words && whole_words(blob);
  }
};

Extent extent_of(const Envelope& envelope) {
  Extent extent;
  if (const auto* batch = std::get_if<BatchPtr>(&envelope)) {
    extent.first_words += batch_words + column_words * (*batch)->columns().size();
    for (const ColumnPtr& column : (*batch)->columns()) {
      extent.add(column->values);
      extent.add(column->offsets);
      extent.add(column->validity);
    }
    if ((*batch)->has_event_time()) extent.add((*batch)->timestamps()->values);
    extent.add((*batch)->kinds());
  } else if (std::holds_alternative<Barrier>(envelope)) {
    extent.first_words += barrier_words;
  } else if (std::holds_alternative<LatencyMarker>(envelope)) {
    extent.first_words += latency_marker_words;
  }
  return extent;
}

/// The message of an envelope, which it refers to.
class Message {
 public:
  Message(const Envelope& envelope, std::size_t first_words)
      : scratch_(first_words), message_{kj::arrayPtr(scratch_.data(), scratch_.size())} {
    auto root = message_.initRoot<wire::Envelope>();
    root.setVersion(envelope_format_version);
    std::visit([&](const auto& content) { fill(root, content); }, envelope);
    for (const auto segment : message_.getSegmentsForOutput()) {
      const auto bytes = segment.asBytes();
      segments_.emplace_back(reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size());
    }
  }

  [[nodiscard]] const std::vector<std::span<const std::byte>>& segments() const { return segments_; }

 private:
  void fill(wire::Envelope::Builder root, const BatchPtr& batch) {
    auto to = root.initBatch();
    to.setRows(batch->rows());
    auto columns = to.initColumns(static_cast<capnp::uint>(batch->columns().size()));
    for (capnp::uint i = 0; i < columns.size(); ++i) fill(columns[i], batch->column(i));
    if (batch->has_event_time()) {
      to.setHasEventTime(true);
      if (const Buffer& times = batch->timestamps()->values; !times.empty()) to.adoptTimestamps(refer_to(times));
    }
    if (!batch->kinds().empty()) to.adoptKinds(refer_to(batch->kinds()));
  }
  void fill(wire::Column::Builder to, const Column& column) {
    assert(!column.type.is_nested());
    to.setKind(static_cast<wire::TypeKind>(column.type.kind()));
    to.setPrecision(column.type.precision());
    to.setScale(column.type.scale());
    if (!column.values.empty()) to.adoptValues(refer_to(column.values));
    if (!column.offsets.empty()) to.adoptOffsets(refer_to(column.offsets));
    if (!column.validity.empty()) to.adoptValidity(refer_to(column.validity));
  }
  static void fill(wire::Envelope::Builder root, const Watermark& watermark) {
    root.setWatermark(watermark.time.micros);
  }
  static void fill(wire::Envelope::Builder root, const Barrier& barrier) {
    auto to = root.initBarrier();
    to.setCheckpointId(barrier.checkpoint_id);
    to.setStarted(barrier.started.micros);
    to.setSavepoint(barrier.savepoint);
  }
  static void fill(wire::Envelope::Builder root, const StreamStatus& status) { root.setIdle(status.idle); }
  static void fill(wire::Envelope::Builder root, const EndOfData& end) { root.setEndOfData(end.drain); }
  static void fill(wire::Envelope::Builder root, const LatencyMarker& marker) {
    auto to = root.initLatencyMarker();
    to.setEmitted(marker.emitted.micros);
    to.setSourceNode(marker.source_node);
    to.setSourceSubtask(marker.source_subtask);
  }

  /// The blob as an orphan of the message; copied only when its memory is not made of whole words.
  capnp::Orphan<capnp::Data> refer_to(const Buffer& blob) {
    const auto* bytes = reinterpret_cast<const kj::byte*>(blob.data());
    const capnp::Data::Reader data{bytes, blob.size()};
    if (whole_words(blob)) return message_.getOrphanage().referenceExternalData(data);
    return message_.getOrphanage().newOrphanCopy(data);
  }

  std::vector<capnp::word> scratch_;  ///< zeroed, as the builder demands
  capnp::MallocMessageBuilder message_;
  std::vector<std::span<const std::byte>> segments_;
};

class BuiltEnvelope final : public EncodedEnvelope {
 public:
  explicit BuiltEnvelope(Envelope envelope) : envelope_{std::move(envelope)} {
    const Extent extent = extent_of(envelope_);
    first_words_ = extent.first_words;
    wire_size_ = extent.first_words * sizeof(capnp::word) + extent.blob_bytes;
    if (extent.all_whole_words) return;
    wire_size_ = 0;
    for (const auto segment : message().segments()) wire_size_ += segment.size();
  }
  ~BuiltEnvelope() noexcept override = default;  // the message's own destructor may throw, as its type has it

  [[nodiscard]] const Envelope& envelope() const override { return envelope_; }
  [[nodiscard]] std::vector<std::span<const std::byte>> segments() const override { return message().segments(); }
  [[nodiscard]] std::size_t wire_size() const override { return wire_size_; }

 private:
  /// An envelope may be shared by threads, and each may be the first to ask.
  const Message& message() const {
    std::call_once(once_, [this] { message_ = std::make_unique<const Message>(envelope_, first_words_); });
    return *message_;
  }

  Envelope envelope_;
  std::size_t first_words_ = 0;
  std::size_t wire_size_ = 0;
  mutable std::once_flag once_;
  mutable std::unique_ptr<const Message> message_;
};

}  // namespace

EncodedEnvelopePtr encode(Envelope envelope) {
  return std::make_shared<const BuiltEnvelope>(std::move(envelope));
}

Buffer to_flat_words(const EncodedEnvelope& encoded) {
  const auto segments = encoded.segments();
  const std::size_t table_bytes = (sizeof(std::uint32_t) * (1 + segments.size()) + 7) / 8 * 8;
  GrowingBuffer out{table_bytes + encoded.wire_size()};
  out.push(static_cast<std::uint32_t>(segments.size() - 1));
  for (const auto segment : segments) out.push(static_cast<std::uint32_t>(segment.size() / sizeof(capnp::word)));
  while (out.size() < table_bytes) out.push(std::uint32_t{0});
  for (const auto segment : segments) out.append(segment.data(), segment.size());
  return out.freeze();
}

}  // namespace dataflow
