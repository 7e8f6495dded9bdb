#include "actors/exchange/buffer_pool.hpp"

#include <bit>
#include <cstdlib>
#include <new>

namespace dataflow {

namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t smallest_bits = 12;  // smaller ones are malloc's strength
constexpr std::size_t largest_bits = 21;   // larger ones are rare
constexpr std::size_t most_kept_bytes = 16U << 20;

std::byte* allocate(std::size_t bytes) {
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc{};
  return static_cast<std::byte*>(memory);
}

}  // namespace

struct BufferPool::Kept {
  std::mutex mutex;
  std::array<std::vector<std::byte*>, largest_bits + 1> free_by_bits;
  std::size_t bytes = 0;

  ~Kept() {
    for (const auto& free_ones : free_by_bits) {
      for (std::byte* memory : free_ones) std::free(memory);
    }
  }

  std::byte* take(std::size_t bits) {
    const std::lock_guard lock{mutex};
    if (free_by_bits[bits].empty()) return nullptr;
    std::byte* memory = free_by_bits[bits].back();
    free_by_bits[bits].pop_back();
    bytes -= std::size_t{1} << bits;
    return memory;
  }

  void give_back(std::byte* memory, std::size_t bits) {
    {
      const std::lock_guard lock{mutex};
      if (bytes + (std::size_t{1} << bits) <= most_kept_bytes) {
        free_by_bits[bits].push_back(memory);
        bytes += std::size_t{1} << bits;
        return;
      }
    }
    std::free(memory);
  }
};

BufferPool::BufferPool() : kept_{std::make_shared<Kept>()} {}
BufferPool::~BufferPool() = default;

std::shared_ptr<std::byte> BufferPool::take(std::size_t bytes) {
  const auto bits = static_cast<std::size_t>(std::bit_width(bytes == 0 ? 0 : bytes - 1));
  if (bits < smallest_bits || bits > largest_bits) {
    return {allocate(bytes), [](std::byte* memory) { std::free(memory); }};
  }
  std::byte* memory = kept_->take(bits);
  if (memory == nullptr) memory = allocate(std::size_t{1} << bits);
  return {memory, [kept = kept_, bits](std::byte* m) { kept->give_back(m, bits); }};
}

}  // namespace dataflow
