#pragma once
// Everything that flows through a channel is an Envelope; what leaves a subtask is an EncodedEnvelope: the
// envelope's Cap'n Proto message, with the column views beside it.

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "serialization/batch.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// No record with an event time at or before `time` will follow (as in Flink: later ones are late).
struct Watermark {
  Timestamp time;
  friend bool operator==(const Watermark&, const Watermark&) = default;
};

/// A checkpoint's cut through the stream.
struct Barrier {
  std::uint64_t checkpoint_id = 0;
  Timestamp started;
  bool savepoint = false;
  friend bool operator==(const Barrier&, const Barrier&) = default;
};

/// The channel has nothing to say about time until it is active again.
struct StreamStatus {
  bool idle = false;
  friend bool operator==(const StreamStatus&, const StreamStatus&) = default;
};

/// The last of the data. `drain`: fire what is open (a bounded input ended); else keep it for the savepoint.
struct EndOfData {
  bool drain = true;
  friend bool operator==(const EndOfData&, const EndOfData&) = default;
};

/// Travels with the records to measure how long they take.
struct LatencyMarker {
  Timestamp emitted;  ///< processing time at the source
  std::uint32_t source_node = 0;
  std::uint32_t source_subtask = 0;
  friend bool operator==(const LatencyMarker&, const LatencyMarker&) = default;
};

using Envelope = std::variant<BatchPtr, Watermark, Barrier, StreamStatus, EndOfData, LatencyMarker>;

/// Version of envelope.capnp's meaning; a peer or a file with a newer one is refused.
inline constexpr std::uint16_t envelope_format_version = 2;

/// Limits a decoder enforces before it allocates or believes anything.
struct DecodeLimits {
  std::uint32_t max_rows = 1U << 20;
  std::uint32_t max_columns = 4096;
  std::uint64_t max_bytes = 512ULL << 20;
};

/// An immutable envelope together with its Cap'n Proto message. The message refers to the columns' blobs and
/// keeps them alive; nothing is copied. May be read by several threads.
class EncodedEnvelope {
 public:
  virtual ~EncodedEnvelope() = default;
  EncodedEnvelope(const EncodedEnvelope&) = delete;
  EncodedEnvelope& operator=(const EncodedEnvelope&) = delete;

  /// The decoded form, with views into the same memory.
  [[nodiscard]] virtual const Envelope& envelope() const = 0;
  /// The message's segments as they lie in memory, to be written with writev. Valid while this object lives. The first
  /// call may have to build the message.
  [[nodiscard]] virtual std::vector<std::span<const std::byte>> segments() const = 0;
  /// Bytes over all segments.
  [[nodiscard]] virtual std::size_t wire_size() const = 0;

 protected:
  EncodedEnvelope() = default;
};

using EncodedEnvelopePtr = std::shared_ptr<const EncodedEnvelope>;

/// Makes the message of an envelope. Errors: none for valid batches (nested columns cannot be built yet).
EncodedEnvelopePtr encode(Envelope envelope);

/// Opens a received message whose segments lie in `words` (8-byte aligned, framed as Cap'n Proto's flat array:
/// segment table, then segments), kept alive by `words`' owner. `schema` is the channel's schema; a batch whose
/// columns do not match it is refused. Checks every bound: offsets, lengths, counts, versions, kinds.
/// Errors: malformed_data saying what is wrong; never throws, never reads outside of `words`.
Result<EncodedEnvelopePtr> decode(const Buffer& words, const SchemaPtr& schema, const DecodeLimits& limits = {});

/// The flat array that decode reads: segment table and segments in one blob. Copies; for tests, files and fuzzers.
Buffer to_flat_words(const EncodedEnvelope& encoded);

}  // namespace dataflow
