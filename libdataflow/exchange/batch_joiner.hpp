#pragma once
// Joins small batches of a channel that are there at the same time, so that an operator sees few large ones: after a
// shuffle to many receivers a batch of a thousand rows has become many of a few. It waits for nothing: what is not
// there yet makes its own batch.

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "libdataflow/exchange/wire_channel.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

/// An envelope for its receiver.
struct Delivery {
  WireChannel channel;
  EncodedEnvelopePtr envelope;
  std::size_t received_bytes = 0;  ///< wire_size of what it was made of
};

class BatchJoiner {
 public:
  /// Takes the next envelope of a channel and adds to `out` what is due before anything else can be: the order within a
  /// channel is kept.
  void add(WireChannel channel, EncodedEnvelopePtr envelope, std::vector<Delivery>& out);
  /// Nothing more is there: gives out what was kept back, in the order in which channels came.
  void flush(std::vector<Delivery>& out);

 private:
  struct Run {
    std::vector<EncodedEnvelopePtr> batches;
    std::size_t bytes = 0;
    std::size_t rows = 0;
  };
  static bool fits(const Run& run, const EncodedEnvelope& next);
  static void give_out(WireChannel channel, Run& run, std::vector<Delivery>& out);

  std::unordered_map<WireChannel, Run> runs_;
  std::vector<WireChannel> order_;  ///< of the runs that are not empty; may have some that are
};

}  // namespace dataflow
