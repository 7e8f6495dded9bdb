#include "serialization/buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace dataflow {

namespace {
constexpr std::size_t alignment = 64;
/// A buffer that is filled again and again starts with the size of its last filling, up to this.
constexpr std::size_t largest_first_capacity = 256 * 1024;

constexpr std::size_t round_up(std::size_t n) {
  return (n + alignment - 1) / alignment * alignment;
}
}  // namespace

GrowingBuffer::~GrowingBuffer() {
  std::free(data_);
}

void GrowingBuffer::grow(std::size_t at_least) {
  const std::size_t capacity =
      round_up(std::max({at_least, capacity_ * 2, data_ == nullptr ? first_capacity_ : 0, alignment}));
  auto* bigger = static_cast<std::byte*>(std::aligned_alloc(alignment, capacity));
  if (bigger == nullptr) throw std::bad_alloc{};
  if (size_ != 0) std::memcpy(bigger, data_, size_);
  std::free(data_);
  data_ = bigger;
  capacity_ = capacity;
}

Buffer GrowingBuffer::freeze() {
  first_capacity_ = std::min(size_, largest_first_capacity);
  if (data_ == nullptr) grow(1);  // an empty blob still has an address, so that "absent" stays distinct
  const std::size_t padded = (size_ + 7) / 8 * 8;
  std::memset(data_ + size_, 0, std::min(padded, capacity_) - size_);
  const std::span<const std::byte> bytes{data_, size_};
  std::shared_ptr<const void> owner{data_, [](std::byte* p) { std::free(p); }};
  data_ = nullptr;
  size_ = capacity_ = 0;
  return Buffer{std::move(owner), bytes};
}

}  // namespace dataflow
