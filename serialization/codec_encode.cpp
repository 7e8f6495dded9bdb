// Encoding: the message's first segment holds the structs and pointers, and each column blob is a segment of its own
// that refers to the column's memory (Cap'n Proto's referenceExternalData), so that the rows are never copied.

#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include <capnp/message.h>

#include "serialization/envelope.capnp.h"
#include "serialization/envelope.hpp"

namespace dataflow {
namespace {

static_assert(std::endian::native == std::endian::little, "column blobs travel as they lie in memory");

/// Words of the first segment, from the layout that capnp compiles envelope.capnp to: with them, one allocation is
/// enough. Too few would cost a further segment, never correctness; a unit test counts the segments.
constexpr std::size_t control_words = 1 + 3 + 3;    // root pointer, Envelope, Barrier or LatencyMarker
constexpr std::size_t batch_words = 1 + 3 + 4 + 1;  // root pointer, Envelope, Batch, the column list's tag
constexpr std::size_t column_words = 5;
constexpr std::size_t blob_words = 2;  // the landing pad of a double-far pointer

std::size_t blobs_of(const Column& column) {
  return std::size_t{!column.values.empty()} + std::size_t{!column.offsets.empty()} +
         std::size_t{!column.validity.empty()};
}

std::size_t first_segment_words(const Envelope& envelope) {
  const auto* batch = std::get_if<BatchPtr>(&envelope);
  if (batch == nullptr) return control_words;
  std::size_t blobs = std::size_t{!(*batch)->kinds().empty()} + std::size_t{(*batch)->has_event_time()};
  for (const ColumnPtr& column : (*batch)->columns()) blobs += blobs_of(*column);
  return batch_words + column_words * (*batch)->columns().size() + blob_words * blobs;
}

class BuiltEnvelope final : public EncodedEnvelope {
 public:
  explicit BuiltEnvelope(Envelope envelope)
      : envelope_{std::move(envelope)},
        scratch_(first_segment_words(envelope_)),
        message_{kj::arrayPtr(scratch_.data(), scratch_.size())} {
    auto root = message_.initRoot<wire::Envelope>();
    root.setVersion(envelope_format_version);
    std::visit([&](const auto& content) { fill(root, content); }, envelope_);
    for (const auto segment : message_.getSegmentsForOutput()) {
      const auto bytes = segment.asBytes();
      segments_.emplace_back(reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size());
      wire_size_ += bytes.size();
    }
  }
  ~BuiltEnvelope() noexcept override {}  // the message's own destructor may throw, as its type has it

  [[nodiscard]] const Envelope& envelope() const override { return envelope_; }
  [[nodiscard]] std::vector<std::span<const std::byte>> segments() const override { return segments_; }
  [[nodiscard]] std::size_t wire_size() const override { return wire_size_; }

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
    if (reinterpret_cast<std::uintptr_t>(bytes) % sizeof(capnp::word) == 0)
      return message_.getOrphanage().referenceExternalData(data);
    return message_.getOrphanage().newOrphanCopy(data);
  }

  Envelope envelope_;
  std::vector<capnp::word> scratch_;  ///< zeroed, as the builder demands
  capnp::MallocMessageBuilder message_;
  std::vector<std::span<const std::byte>> segments_;
  std::size_t wire_size_ = 0;
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
