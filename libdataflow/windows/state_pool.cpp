#include "libdataflow/windows/state_pool.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace dataflow::windows {

namespace {

constexpr std::size_t first_slab_blocks = 16;
constexpr std::size_t largest_slab_bytes = 1U << 20;

}  // namespace

StatePool::StatePool(std::size_t header_bytes, const std::vector<std::byte>& states) : image_(header_bytes) {
  assert(header_bytes > 0 && header_bytes % 8 == 0);
  image_.insert(image_.end(), states.begin(), states.end());
  image_.resize((image_.size() + 7) / 8 * 8);
}

std::byte* StatePool::take() {
  std::byte* block = nullptr;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
    before_write(block);
  } else {
    if (used_ == slab_blocks_) {
      const std::size_t most = std::max<std::size_t>(1, largest_slab_bytes / image_.size());
      slab_blocks_ = std::min(most, std::max(first_slab_blocks, slab_blocks_ * 2));
      slabs_.push_back({std::make_shared_for_overwrite<std::byte[]>(slab_blocks_ * image_.size()), slab_blocks_});
      used_ = 0;
    }
    block = slabs_.back().data.get() + used_++ * image_.size();
    ++blocks_;
  }
  std::memcpy(block, image_.data(), image_.size());
  return block;
}

std::shared_ptr<FrozenRows> StatePool::freeze(RowOwnershipPtr ownership) {
  std::vector<FrozenRows::Page> pages;
  for (const Slab& slab : slabs_) {
    const bool newest = &slab == &slabs_.back();
    pages.push_back({slab.data, newest ? used_ : slab.blocks});
  }
  auto frozen = std::make_shared<FrozenRows>(std::move(pages), std::vector<std::shared_ptr<char[]>>{}, image_.size(),
                                             nullptr, std::move(ownership));
  frozen_.add(frozen);
  return frozen;
}

}  // namespace dataflow::windows
