#pragma once
// Memory for windows that come and go one by one (sessions, count windows): blocks of one size, a small header and
// behind it the states of the window's aggregates. A block never moves and is used again, so that a window costs no
// allocation in the long run.

#include <cstddef>
#include <memory>
#include <vector>

#include "libdataflow/windows/frozen_rows.hpp"

namespace dataflow::windows {

class StatePool {
 public:
  /// `states` is what a block has behind its header of `header_bytes`, a multiple of 8, when it is taken.
  StatePool(std::size_t header_bytes, const std::vector<std::byte>& states);

  /// A block with a header of zeros and initial states, aligned to 8 bytes.
  [[nodiscard]] std::byte* take();
  /// What the states own must have been released. The header can still be read, until the block is taken again.
  void give_back(std::byte* block) { free_.push_back(block); }

  /// All blocks that were ever taken, as they are now, for a reader on another thread; see GroupTable::freeze. Those
  /// that were given back are among them.
  std::shared_ptr<FrozenRows> freeze(RowOwnershipPtr ownership = nullptr);
  /// Of the blocks that are taken.
  [[nodiscard]] std::size_t used_bytes() const { return (blocks_ - free_.size()) * image_.size(); }
  [[nodiscard]] std::size_t block_bytes() const { return image_.size(); }
  /// Before a block is changed, or what it owns is given back.
  void before_write(std::byte* block) {
    if (!frozen_.empty()) [[unlikely]]
      frozen_.before_write(&block, 1);
  }

 private:
  std::vector<std::byte> image_;
  struct Slab {
    std::shared_ptr<std::byte[]> data;
    std::size_t blocks;
  };
  std::vector<Slab> slabs_;
  std::size_t slab_blocks_ = 0;  ///< in the newest slab,
  std::size_t used_ = 0;         ///< and how many of them have been taken
  std::size_t blocks_ = 0;       ///< that were ever taken
  std::vector<std::byte*> free_;
  FrozenReaders frozen_;
};

}  // namespace dataflow::windows
