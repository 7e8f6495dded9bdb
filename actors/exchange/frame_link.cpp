#include "actors/exchange/frame_link.hpp"

#include <exception>
#include <utility>

namespace dataflow {

namespace {

/// A thread that has something else to do writes no more than this for others too.
constexpr int most_rounds = 2;

/// What a thread of a connection does: without memory the connection ends, not the process.
template <class Work>
Status guarded(const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    return fail(ErrorCode::io, error.what());
  }
}

/// The frames' bytes from the one numbered `from` on.
std::vector<ByteStream::Bytes> parts_of(const std::vector<OutgoingFrame>& frames, std::size_t from) {
  std::vector<ByteStream::Bytes> parts;
  for (const OutgoingFrame& frame : frames) frame.append_parts(parts);
  auto first = parts.begin();
  for (; from > 0 && first != parts.end() && first->size() <= from; ++first) from -= first->size();
  parts.erase(parts.begin(), first);
  if (from > 0) parts.front() = parts.front().subspan(from);
  return parts;
}

}  // namespace

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
  return guarded([&] { return parser_.filled(*got, sink); });
}

Status FrameLink::write(const std::vector<OutgoingFrame>& frames) {
  return stream_->write(parts_of(frames, 0));
}

Status FrameLink::run(FrameLinkUser& user) {
  stream_->set_timeouts(silence_timeout_, silence_timeout_);
  Status read = guarded([&]() -> Status {
    writer_ = std::thread{[this, &user] {
      if (auto written = guarded([&] { return write_loop(user); }); !written) fail(written.error());
    }};
    return read_loop(user);
  });
  if (!read) fail(read.error());
  ended_ = true;
  if (read) {
    // Both have said all; the writer has nothing left but to notice.
    closing_ = true;
  }
  wake();
  if (writer_.joinable()) writer_.join();
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
    const std::lock_guard lock{write_mutex_};
    const auto wrote = write_all(user);
    if (!wrote) return dataflow::fail(wrote.error());
    if (ended_) return {};
    if (last_round) {
      said_goodbye_ = true;
      auto status = write({make_frame({FrameKind::goodbye, {}, 0, 0})});
      stream_->end_writing();
      return status;
    }
    if (!woken && !*wrote) {
      if (auto status = write({make_frame({FrameKind::ping, {}, 0, 0})}); !status) return status;
    }
  }
}

Result<bool> FrameLink::write_all(FrameLinkUser& user) {
  bool wrote = false;
  if (!started_.frames.empty()) {
    const Started started = std::exchange(started_, {});
    if (auto status = stream_->write(parts_of(started.frames, started.written)); !status) {
      return dataflow::fail(status.error());
    }
    wrote = true;
  }
  for (auto frames = user.take_frames(); !frames.empty() && !ended_; frames = user.take_frames()) {
    if (auto status = write(frames); !status) return dataflow::fail(status.error());
    wrote = true;
  }
  return wrote;
}

void FrameLink::write_now(FrameLinkUser& user) {
  const std::unique_lock lock{write_mutex_, std::try_to_lock};
  if (!lock || !started_.frames.empty()) return wake();
  if (said_goodbye_) return;
  for (int round = 0; round < most_rounds; ++round) {
    std::vector<OutgoingFrame> frames = user.take_frames();
    if (frames.empty()) return;
    std::size_t size = 0;
    for (const OutgoingFrame& frame : frames) size += frame.size();
    const auto written = stream_->write_now(parts_of(frames, 0));
    if (!written) return fail(written.error());
    if (*written == size) continue;
    started_ = {std::move(frames), *written};
    break;
  }
  wake();
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
    if (!ended_ && !reason_) reason_ = std::move(reason);
  }
  stream_->shut_down();
  wake();
}

void FrameLink::close() {
  closing_ = true;
  wake();
}

}  // namespace dataflow
