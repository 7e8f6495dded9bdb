#pragma once
// Memory for received payloads: 64-byte aligned, used again instead of given back, so that a stream of batches touches
// the same few pages. Sizes are powers of two; what is kept is limited.

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace dataflow {

/// Safe to use from any thread; memory outlives the pool.
class BufferPool {
 public:
  BufferPool();
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// Memory of at least `bytes`; comes back when the last owner lets go. Throws std::bad_alloc.
  std::shared_ptr<std::byte> take(std::size_t bytes);

 private:
  struct Kept;
  std::shared_ptr<Kept> kept_;
};

}  // namespace dataflow
