#pragma once
// Private to this folder. Bytes between a connection to another process, plain or under TLS, and a socket of this
// process that CAF's BASP reads and writes, which knows nothing of TLS.

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "actors/exchange/byte_stream.hpp"

namespace dataflow {

/// Two threads that pass bytes on until either side ends, and then end the other.
class ControlTunnel {
 public:
  explicit ControlTunnel(std::unique_ptr<ByteStream> outside, Descriptor inside);
  ControlTunnel(const ControlTunnel&) = delete;
  ControlTunnel& operator=(const ControlTunnel&) = delete;

  /// Passes bytes on by this thread and another one, until the end.
  void run();
  /// Makes run() return. From any thread.
  void end();

 private:
  void pass_in();
  void pass_out();

  const std::unique_ptr<ByteStream> outside_;
  const Descriptor inside_;
};

}  // namespace dataflow
