#pragma once
// Memory of columns: immutable shared blobs, and the growing one that becomes such a blob.
//
// Every blob that this file allocates is 64-byte aligned, and the bytes between its size and the next
// multiple of 8 are zero, because a Cap'n Proto message adopts it by reference as whole words.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace dataflow {

/// An immutable run of bytes with shared ownership; copying costs one reference count.
class Buffer {
 public:
  Buffer() = default;
  /// `owner` keeps `bytes` alive. The data must be 8-byte aligned and readable (zeroed) to the next word.
  Buffer(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_{std::move(owner)}, bytes_{bytes} {}

  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  template <class T>
  [[nodiscard]] const T* as() const {
    return reinterpret_cast<const T*>(bytes_.data());
  }
  /// A part of the same memory with the same owner. `part` lies inside and keeps the constructor's promises.
  [[nodiscard]] Buffer view(std::span<const std::byte> part) const { return Buffer{owner_, part}; }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

/// A growing blob. Move-only; `freeze` hands its memory to a Buffer without copying.
class GrowingBuffer {
 public:
  GrowingBuffer() = default;
  explicit GrowingBuffer(std::size_t capacity_bytes) { reserve(capacity_bytes); }
  GrowingBuffer(GrowingBuffer&& other) noexcept { swap(other); }
  GrowingBuffer& operator=(GrowingBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  GrowingBuffer(const GrowingBuffer&) = delete;
  GrowingBuffer& operator=(const GrowingBuffer&) = delete;
  ~GrowingBuffer();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  template <class T>
  [[nodiscard]] T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  [[nodiscard]] const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

  /// Makes room for `capacity_bytes` in all; throws std::bad_alloc.
  void reserve(std::size_t capacity_bytes) {
    if (capacity_bytes > capacity_) grow(capacity_bytes);
  }
  /// Sets the size; new bytes are uninitialised.
  void resize(std::size_t size_bytes) {
    reserve(size_bytes);
    size_ = size_bytes;
  }
  void clear() { size_ = 0; }

  template <class T>
  void push(T value) {
    if (size_ + sizeof(T) > capacity_) grow(size_ + sizeof(T));
    std::memcpy(data_ + size_, &value, sizeof(T));
    size_ += sizeof(T);
  }
  void append(const void* bytes, std::size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
    if (count != 0) std::memcpy(data_ + size_, bytes, count);
    size_ += count;
  }

  /// Gives the bytes away and is empty afterwards.
  Buffer freeze();

 private:
  void grow(std::size_t at_least);
  void swap(GrowingBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(first_capacity_, other.first_capacity_);
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t first_capacity_ = 0;  ///< what the next filling after a freeze starts with
};

}  // namespace dataflow
