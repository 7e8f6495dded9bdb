#pragma once
// A connection that frames travel on: the thread that runs it reads, a second one writes. Blocking calls on a thread
// each are what was fastest (docs/decisions), and each side's wait has its deadline: whoever has nothing to send pings,
// so a peer that is silent for too long is lost.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "actors/exchange/byte_stream.hpp"
#include "libdataflow/exchange/frame_parser.hpp"
#include "libdataflow/exchange/sending_port.hpp"

namespace dataflow {

/// Who reads a link's frames and has frames to write.
class FrameLinkUser : public FrameSink {
 public:
  /// Everything that was there to be read has been given to FrameSink. By the reading thread.
  virtual Status caught_up() = 0;
  /// What is to be written next; empty when there is nothing. By one thread at a time, in the order of the calls.
  virtual std::vector<OutgoingFrame> take_frames() = 0;
};

class FrameLink {
 public:
  FrameLink(std::unique_ptr<ByteStream> stream, Duration silence_timeout);
  /// The link has ended, or was never run.
  ~FrameLink();
  FrameLink(const FrameLink&) = delete;
  FrameLink& operator=(const FrameLink&) = delete;

  // Before `run`, by the thread that will call it.
  /// Reads once and gives the frames that are complete to `sink`; at most as long as `timeout`.
  Status read_once(FrameSink& sink, Duration timeout);
  Status write(const std::vector<OutgoingFrame>& frames);

  /// Reads and writes until the link ends; returns why. Success: one of the two said goodbye.
  Status run(FrameLinkUser& user);

  // From any thread, at any time.
  /// take_frames has something to give: the writing thread will.
  void wake();
  /// The same, but while nobody else writes this thread does, as far as that goes without waiting: a thread less to
  /// wake. Not before `run`, nor with a lock that take_frames takes.
  void write_now(FrameLinkUser& user);
  /// The link ends with this reason, unless it has one.
  void fail(Error reason);
  /// Writes what is left, says goodbye, and ends when the peer ends too.
  void close();
  /// A goodbye was read.
  void peer_leaves() { peer_leaves_ = true; }

  [[nodiscard]] std::string peer_address() const { return stream_->peer_address(); }

 private:
  /// Frames of which `written` bytes are through.
  struct Started {
    std::vector<OutgoingFrame> frames;
    std::size_t written = 0;
  };

  Status read_loop(FrameLinkUser& user);
  /// Everything that take_frames has; false: there was nothing.
  Result<bool> write_all(FrameLinkUser& user);
  Status write_loop(FrameLinkUser& user);
  /// Waits until there may be something to write; false: there was nothing for as long as a ping is due.
  bool wait_for_work();

  std::unique_ptr<ByteStream> stream_;
  Duration silence_timeout_;
  FrameParser parser_;
  std::thread writer_;
  std::mutex write_mutex_;     ///< who writes: what is taken first goes first
  Started started_;            ///< guarded by write_mutex_
  bool said_goodbye_ = false;  ///< guarded by write_mutex_: nothing may follow

  std::atomic<bool> work_{false};
  std::atomic<bool> ended_{false};
  std::atomic<bool> closing_{false};
  std::atomic<bool> peer_leaves_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Error> reason_;  ///< guarded by mutex_
};

}  // namespace dataflow
