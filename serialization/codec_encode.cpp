// Encoding: the message's first segment holds the structs and pointers. The column blobs of a large batch are segments
// of their own that refer to the columns' memory (Cap'n Proto's referenceExternalData), so that its rows are never
// copied; those of a small one are copied behind the structs, which costs less than a segment each costs both sides.
//
// Between two subtasks of one process nobody reads the message, only the envelope in it, so it is built when somebody
// asks for its segments; its size, which is what credit is counted in, follows from the layout.

#include <atomic>
#include <bit>
#include <cassert>
#include <cstring>
#include <memory>
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

/// Up to this many bytes of blobs are copied: a segment for each column costs an entry in the system call, a segment in
/// the reader's arena and a far pointer apiece (`tools/bench exchange` at 16 KiB).
constexpr std::size_t copied_bytes = 32 * 1024;

std::size_t words_of(const Buffer& blob) {
  return (blob.size() + sizeof(capnp::word) - 1) / sizeof(capnp::word);
}

bool begins_at_word(const Buffer& blob) {
  return reinterpret_cast<std::uintptr_t>(blob.data()) % sizeof(capnp::word) == 0;
}

/// How large a message is.
struct Extent {
  std::size_t struct_words = envelope_words;
  std::size_t blobs = 0;
  std::size_t words_of_blobs = 0;
  std::size_t blobs_askew = 0;  ///< those that do not begin at a word: they have to be copied
  std::size_t words_askew = 0;

  void add(const Buffer& blob) {
    if (blob.empty()) return;
    ++blobs;
    words_of_blobs += words_of(blob);
    if (begins_at_word(blob)) return;
    ++blobs_askew;
    words_askew += words_of(blob);
  }
  [[nodiscard]] bool copies_all() const { return words_of_blobs * sizeof(capnp::word) <= copied_bytes; }
  [[nodiscard]] std::size_t first_segment_words() const {
    return struct_words + (copies_all() ? words_of_blobs : (blobs - blobs_askew) * blob_words + words_askew);
  }
  [[nodiscard]] std::size_t all_words() const {
    return first_segment_words() + (copies_all() ? 0 : words_of_blobs - words_askew);
  }
};

Extent extent_of(const Envelope& envelope) {
  Extent extent;
  if (const auto* batch = std::get_if<BatchPtr>(&envelope)) {
    extent.struct_words += batch_words + column_words * (*batch)->columns().size();
    for (const ColumnPtr& column : (*batch)->columns()) {
      if (is_unread(*column)) continue;
      extent.add(column->values);
      extent.add(column->offsets);
      extent.add(column->validity);
    }
    if ((*batch)->has_event_time()) extent.add((*batch)->timestamps()->values);
    extent.add((*batch)->kinds());
  } else if (std::holds_alternative<Barrier>(envelope)) {
    extent.struct_words += barrier_words;
  } else if (std::holds_alternative<LatencyMarker>(envelope)) {
    extent.struct_words += latency_marker_words;
  }
  return extent;
}

/// The message of an envelope, which it refers to.
class Message {
 public:
  Message(const Envelope& envelope, const Extent& extent)
      : copies_all_{extent.copies_all()},
        first_words_{std::make_unique_for_overwrite<capnp::word[]>(extent.first_segment_words())},
        next_{first_words_.get() + extent.struct_words},
        builder_{kj::arrayPtr(first_words_.get(), extent.first_segment_words())} {
    std::memset(first_words_.get(), 0, extent.struct_words * sizeof(capnp::word));
    auto root = builder_.initRoot<wire::Envelope>();
    root.setVersion(envelope_format_version);
    std::visit([&](const auto& content) { fill(root, content); }, envelope);
    assert(next_ == first_words_.get() + extent.first_segment_words());
    for (const auto segment : builder_.getSegmentsForOutput()) {
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
    if (is_unread(column)) {
      to.setUnread(true);
      return;
    }
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

  /// The blob as an orphan of the message. The builder takes words from the first segment in the order of the calls and
  /// demands zeros; what the blob itself will cover need not be any.
  capnp::Orphan<capnp::Data> refer_to(const Buffer& blob) {
    const capnp::Data::Reader data{reinterpret_cast<const kj::byte*>(blob.data()), blob.size()};
    if (copies_all_ || !begins_at_word(blob)) {
      next_ += words_of(blob);
      std::memset(next_ - 1, 0, sizeof(capnp::word));
      return builder_.getOrphanage().newOrphanCopy(data);
    }
    std::memset(next_, 0, blob_words * sizeof(capnp::word));
    next_ += blob_words;
    return builder_.getOrphanage().referenceExternalData(data);
  }

  bool copies_all_;
  std::unique_ptr<capnp::word[]> first_words_;
  capnp::word* next_;  ///< behind what the builder has taken of them
  capnp::FlatMessageBuilder builder_;
  std::vector<std::span<const std::byte>> segments_;
};

class BuiltEnvelope final : public EncodedEnvelope {
 public:
  explicit BuiltEnvelope(Envelope envelope) : envelope_{std::move(envelope)}, extent_{extent_of(envelope_)} {}
  ~BuiltEnvelope() noexcept override { delete message_.load(std::memory_order_relaxed); }

  [[nodiscard]] const Envelope& envelope() const override { return envelope_; }
  [[nodiscard]] std::vector<std::span<const std::byte>> segments() const override { return message().segments(); }
  [[nodiscard]] std::size_t wire_size() const override { return extent_.all_words() * sizeof(capnp::word); }

 private:
  /// An envelope may be shared by threads, and each may be the first to ask: one that is late throws its own away.
  /// (std::call_once is a system call, whether anybody waits or not.)
  const Message& message() const {
    if (const Message* made = message_.load(std::memory_order_acquire)) return *made;
    auto mine = std::make_unique<const Message>(envelope_, extent_);
    const Message* first = nullptr;
    if (message_.compare_exchange_strong(first, mine.get(), std::memory_order_acq_rel)) return *mine.release();
    return *first;
  }

  Envelope envelope_;
  Extent extent_;
  mutable std::atomic<const Message*> message_ = nullptr;  ///< owned
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
