#pragma once
// Cuts what comes out of a connection into frames, whatever pieces it comes in. It says where the next bytes are to be
// read to, so that a payload lands where it stays: behind the rest of a payload there is room to read ahead, which
// gets many small frames with one system call and never much of a large one.

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "libdataflow/exchange/frame.hpp"
#include "serialization/buffer.hpp"

namespace dataflow {

/// Memory that a payload is read into; kept alive by `owner`. No data: the payload is to be thrown away.
struct PayloadMemory {
  std::shared_ptr<void> owner;
  std::byte* data = nullptr;
};

/// Who takes the frames. An error ends the connection.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /// A header has come. Memory for its payload of `header.length` bytes (not 0), 8-byte aligned.
  virtual Result<PayloadMemory> begin(const FrameHeader& header) = 0;
  /// The whole frame has come; no payload when begin wanted none.
  virtual Status end(const FrameHeader& header, Buffer payload) = 0;
};

class FrameParser {
 public:
  FrameParser();

  /// Where to read to: first the payload under way (may be empty), then ahead (never empty).
  struct Space {
    std::span<std::byte> payload;
    std::span<std::byte> ahead;
  };
  Space space();

  /// `bytes` were read into the last space(), in its order. Errors: malformed_data or unsupported for what is no frame;
  /// whatever the sink says.
  Status filled(std::size_t bytes, FrameSink& sink);

  /// No frame is half read: the end of the stream here cuts nothing off.
  [[nodiscard]] bool between_frames() const { return !in_payload_ && begin_ == end_; }

 private:
  Status take_ahead(FrameSink& sink);
  Status start_frame(FrameSink& sink);
  Status end_frame(FrameSink& sink);

  std::vector<std::byte> ahead_;
  std::size_t begin_ = 0;  ///< of what was read ahead and not yet taken
  std::size_t end_ = 0;

  FrameHeader header_;
  bool in_payload_ = false;
  PayloadMemory memory_;
  std::size_t got_ = 0;  ///< of the payload
  bool last_was_small_ = true;
};

}  // namespace dataflow
