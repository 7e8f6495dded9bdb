#pragma once
// Watermarks out of batches with event time: a watermark follows each batch, `out_of_orderness` behind the newest
// record (Flink's bounded out-of-orderness).
//
// A record that is late by the records before it in the same batch must find the watermark there already, else what is
// late would depend on where batches happen to end: such batches are cut before that record.

#include <deque>

#include "serialization/batch.hpp"
#include "serialization/time.hpp"

namespace dataflow {

class EventTimePieces {
 public:
  /// A batch, or a part of one, that waits to be emitted.
  struct Piece {
    BatchPtr batch;
    Timestamp watermark;  ///< to be given out behind it where it is greater than the last one
  };

  explicit EventTimePieces(Duration out_of_orderness) : delay_{out_of_orderness + Duration{1}} {}

  /// The times of what comes next have nothing to do with those before: another split.
  /// `newest` is the greatest event time that has been seen of it.
  void restart(Timestamp newest) { newest_ = newest; }
  [[nodiscard]] Timestamp newest() const { return newest_; }
  /// What may be given out when no piece is left.
  [[nodiscard]] Timestamp watermark() const {
    return newest_ == Timestamp::min() ? Timestamp::min() : watermark_at(newest_);
  }
  /// Appends a batch of at least one row, whose event times have no NULL.
  void add(BatchPtr batch);
  [[nodiscard]] bool empty() const { return pieces_.empty(); }
  /// Takes the first piece out; there must be one.
  Piece take();

 private:
  [[nodiscard]] Timestamp watermark_at(Timestamp newest) const { return newest - delay_; }

  Duration delay_;                       ///< by which the watermark is behind the newest record
  Timestamp newest_ = Timestamp::min();  ///< greatest event time so far
  std::deque<Piece> pieces_;
};

}  // namespace dataflow
