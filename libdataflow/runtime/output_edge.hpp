#pragma once
// The sending side of an exchange: spreads batches over the channels of one edge, collects small ones until a size or
// the buffer timeout, and sends within the receiver's credit.

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/runtime/task_host.hpp"
#include "libdataflow/runtime/two_sides.hpp"

namespace dataflow {

/// One channel's queue between the partitioner and the host. Order is kept exactly: neighbouring small batches are
/// joined into one, neighbouring watermarks into the newest, nothing overtakes.
class ChannelSender {
 public:
  /// `window`: the bytes of batches that may be sent before the receiver grants more.
  ChannelSender(std::size_t channel, Duration buffer_timeout, std::size_t window);

  void push(Envelope envelope, Timestamp now);
  /// Sends what is due: all of it when enough has gathered, when the timeout is over or when `force`d; batches only
  /// while there is credit.
  void pump(Timestamp now, TaskHost& host);
  void force() { forced_ = true; }
  void credit(std::size_t bytes) { credit_ += static_cast<std::int64_t>(bytes); }

  [[nodiscard]] bool empty() const { return pending_.empty(); }
  /// The queue holds so much that its feeder should pause.
  [[nodiscard]] bool blocked() const;
  /// When pump has to be called for the buffer timeout's sake; nothing when nothing waits, or only for credit.
  [[nodiscard]] std::optional<Timestamp> deadline() const;

 private:
  [[nodiscard]] bool may_send_batches() const { return credit_ > 0; }
  [[nodiscard]] bool due(Timestamp now) const;
  Envelope take_front();

  std::size_t channel_;
  Duration timeout_;
  std::size_t blocked_bytes_;
  std::deque<Envelope> pending_;
  std::size_t pending_bytes_ = 0;
  std::size_t pending_rows_ = 0;
  std::int64_t credit_;
  Timestamp due_at_{};  ///< valid while pending_ is not empty
  Timestamp last_sent_ = Timestamp::min();
  bool forced_ = false;
};

/// All channels of a subtask on one edge.
class OutputEdge {
 public:
  /// `first_channel`: the index of the edge's first channel among the task's output channels.
  OutputEdge(const JobEdge& edge, std::uint32_t max_parallelism, std::size_t first_channel, std::size_t channels,
             std::uint32_t subtask, Duration buffer_timeout, std::size_t window);

  void emit(BatchPtr batch, Timestamp now, TaskHost& host);
  /// Control envelopes go to every channel, behind what waits there.
  void emit_to_all(const Envelope& envelope, Timestamp now, TaskHost& host);
  void pump(Timestamp now, TaskHost& host);
  void flush(Timestamp now, TaskHost& host);
  /// Some channel holds so much that the feeder should pause.
  [[nodiscard]] bool blocked() const;
  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::optional<Timestamp> deadline() const;

  [[nodiscard]] std::size_t first_channel() const { return first_channel_; }
  ChannelSender& sender(std::size_t channel_in_edge) { return senders_[channel_in_edge]; }
  [[nodiscard]] std::size_t size() const { return senders_.size(); }

 private:
  void scatter(const BatchPtr& batch, Timestamp now, TaskHost& host);
  void scatter_to_two(const BatchPtr& batch, Timestamp now, TaskHost& host);
  /// From the hashes of the rows.
  void choose_of_many(std::uint32_t rows);
  void push(std::size_t target, BatchPtr batch, Timestamp now, TaskHost& host);

  Partitioning partitioning_;
  std::vector<std::size_t> key_fields_;
  std::uint32_t max_parallelism_;
  std::size_t first_channel_;
  std::vector<ChannelSender> senders_;
  std::vector<std::uint32_t> subtask_of_group_;             ///< for hash over more than two: key group -> channel
  std::uint64_t upper_hashes_ = 0;                          ///< from here on they are the second's of two channels
  TwoSides sides_;                                          ///< of two channels
  std::size_t next_ = 0;                                    ///< for rebalance
  std::vector<std::uint64_t> hashes_;                       ///< scratch, kept for its capacity
  std::vector<std::vector<std::uint32_t>> rows_of_target_;  ///< each as long as the largest batch so far
  std::vector<std::uint32_t> rows_for_target_;              ///< how many of them are meant
};

}  // namespace dataflow
