#include "libdataflow/exchange/frame_parser.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace dataflow {

namespace {

constexpr std::size_t read_ahead_bytes = 256 * 1024;
/// Behind a frame of this size or more probably comes another: what was read ahead of it would have to be copied.
constexpr std::size_t large_frame_bytes = 32 * 1024;

}  // namespace

FrameParser::FrameParser() : ahead_(read_ahead_bytes) {}

FrameParser::Space FrameParser::space() {
  if (in_payload_ && memory_.data != nullptr) {
    const std::size_t ahead = header_.length >= large_frame_bytes ? frame_header_bytes : ahead_.size();
    return {{memory_.data + got_, header_.length - got_}, {ahead_.data(), ahead}};
  }
  if (in_payload_) return {{}, ahead_};  // thrown away from where it lies
  const std::size_t wanted = last_was_small_ ? ahead_.size() - end_ : frame_header_bytes - (end_ - begin_);
  return {{}, {ahead_.data() + end_, wanted}};
}

Status FrameParser::filled(std::size_t bytes, FrameSink& sink) {
  if (in_payload_ && memory_.data != nullptr) {
    const std::size_t to_payload = std::min<std::size_t>(bytes, header_.length - got_);
    got_ += to_payload;
    bytes -= to_payload;
    if (got_ < header_.length) {
      assert(bytes == 0);
      return {};
    }
    if (auto status = end_frame(sink); !status) return status;
  }
  end_ += bytes;
  assert(end_ <= ahead_.size());
  return take_ahead(sink);
}

/// Takes all frames that lie in what was read ahead, and the beginning of the next.
Status FrameParser::take_ahead(FrameSink& sink) {
  while (true) {
    if (in_payload_) {
      const std::size_t here = std::min<std::size_t>(end_ - begin_, header_.length - got_);
      if (memory_.data != nullptr && here > 0) std::memcpy(memory_.data + got_, ahead_.data() + begin_, here);
      begin_ += here;
      got_ += here;
      if (got_ < header_.length) break;
      if (auto status = end_frame(sink); !status) return status;
    }
    if (end_ - begin_ < frame_header_bytes) break;
    if (auto status = start_frame(sink); !status) return status;
  }
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > 0) {  // a part of a header
    std::memmove(ahead_.data(), ahead_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {};
}

Status FrameParser::start_frame(FrameSink& sink) {
  auto header =
      read_frame_header(std::span<const std::byte, frame_header_bytes>{ahead_.data() + begin_, frame_header_bytes});
  if (!header) return fail(header.error());
  begin_ += frame_header_bytes;
  header_ = *header;
  in_payload_ = true;
  got_ = 0;
  if (header_.length == 0) return {};
  auto memory = sink.begin(header_);
  if (!memory) return fail(memory.error());
  memory_ = std::move(*memory);
  return {};
}

Status FrameParser::end_frame(FrameSink& sink) {
  in_payload_ = false;
  last_was_small_ = header_.length < large_frame_bytes;
  Buffer payload;
  if (memory_.data != nullptr) payload = Buffer{std::move(memory_.owner), {memory_.data, header_.length}};
  memory_ = {};
  return sink.end(header_, std::move(payload));
}

}  // namespace dataflow
