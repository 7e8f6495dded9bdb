#include "actors/exchange/frame_link.hpp"

namespace dataflow {

FrameLink::FrameLink(std::unique_ptr<ByteStream> stream, Duration silence_timeout)
    : stream_{std::move(stream)}, silence_timeout_{silence_timeout} {}

FrameLink::~FrameLink() {
  if (writer_.joinable()) writer_.join();
}

Status FrameLink::read_once(FrameSink& sink, Duration timeout) {
  stream_->set_timeouts(timeout, timeout);
  const FrameParser::Space space = parser_.space();
  const auto got = stream_->read(space.payload, space.ahead);
  if (!got) return dataflow::fail(got.error());
  if (*got == 0) return dataflow::fail(ErrorCode::io, "it hung up");
  return parser_.filled(*got, sink);
}

Status FrameLink::write(const std::vector<OutgoingFrame>& frames) {
  std::vector<ByteStream::Bytes> parts;
  for (const OutgoingFrame& frame : frames) frame.append_parts(parts);
  return stream_->write(parts);
}

Status FrameLink::run(FrameLinkUser& user) {
  stream_->set_timeouts(silence_timeout_, silence_timeout_);
  writer_ = std::thread{[this, &user] {
    if (auto written = write_loop(user); !written) fail(written.error());
  }};
  Status read = read_loop(user);
  if (!read) fail(read.error());
  ended_ = true;
  if (read) {
    // Both have said all; the writer has nothing left but to notice.
    closing_ = true;
  }
  wake();
  writer_.join();
  stream_->shut_down();
  const std::lock_guard lock{mutex_};
  return reason_ ? Status{tl::unexpect, *reason_} : Status{};
}

Status FrameLink::read_loop(FrameLinkUser& user) {
  while (true) {
    const FrameParser::Space space = parser_.space();
    const auto got = stream_->read(space.payload, space.ahead);
    if (!got) return dataflow::fail(got.error());
    if (*got == 0) {
      if (closing_ || (peer_leaves_ && parser_.between_frames())) return {};
      return dataflow::fail(ErrorCode::io, parser_.between_frames() ? "it hung up" : "it hung up within a frame");
    }
    if (auto status = parser_.filled(*got, user); !status) return status;
    if (auto status = user.caught_up(); !status) return status;
  }
}

bool FrameLink::wait_for_work() {
  std::unique_lock lock{mutex_};
  const bool woken = changed_.wait_for(lock, silence_timeout_ / 3, [this] { return work_.load(); });
  work_ = false;
  return woken;
}

Status FrameLink::write_loop(FrameLinkUser& user) {
  while (true) {
    const bool woken = wait_for_work();
    if (ended_) return {};
    const bool last_round = closing_;
    bool wrote = false;
    for (auto frames = user.take_frames(); !frames.empty(); frames = user.take_frames()) {
      if (auto status = write(frames); !status) return status;
      wrote = true;
      if (ended_) return {};
    }
    if (last_round) {
      auto status = write({make_frame({FrameKind::goodbye, {}, 0, 0})});
      stream_->end_writing();
      return status;
    }
    if (!woken && !wrote) {
      if (auto status = write({make_frame({FrameKind::ping, {}, 0, 0})}); !status) return status;
    }
  }
}

void FrameLink::wake() {
  if (work_.exchange(true)) return;
  // Taken and let go, so that a writer between looking and waiting does not miss it.
  { const std::lock_guard lock{mutex_}; }
  changed_.notify_one();
}

void FrameLink::fail(Error reason) {
  {
    const std::lock_guard lock{mutex_};
    if (ended_ || reason_) return;
    reason_ = std::move(reason);
  }
  stream_->shut_down();
  wake();
}

void FrameLink::close() {
  closing_ = true;
  wake();
}

}  // namespace dataflow
