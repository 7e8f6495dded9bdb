#pragma once
// An array over slots that can be frozen: a reader on another thread sees it as it was while its owner goes on.
//
// Slots lie in small pages. Freezing shares the pages; the first change to a page afterwards, while a reader is still
// at it, copies the page, and the reader keeps the one it has. A change costs one branch when nobody reads.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace dataflow {

/// `copies`: false for a T that cannot be copied; it is never frozen then.
template <class T, bool copies = true>
class SlotArray {
  /// Copying a page of values that own memory copies each of them.
  static constexpr std::size_t page_slots = std::is_trivially_copyable_v<T> ? 64 : 8;
  struct Page {
    T slots[page_slots]{};
    std::uint32_t generation = 0;
  };
  struct Reader {};

 public:
  /// The array as it was. May be read and destroyed on any thread.
  class Frozen {
   public:
    [[nodiscard]] std::size_t size() const { return pages_.size() * page_slots; }
    const T& operator[](std::size_t slot) const { return pages_[slot / page_slots]->slots[slot % page_slots]; }

   private:
    friend class SlotArray;
    std::vector<std::shared_ptr<const Page>> pages_;
    std::shared_ptr<Reader> reader_;  ///< last, so that the pages are held until the owner is told
  };

  /// Slots that may be used; a multiple of a page's.
  [[nodiscard]] std::size_t size() const { return pages_.size() * page_slots; }
  /// New slots have a T{}.
  void grow(std::size_t slots) {
    while (size() < slots) {
      pages_.push_back(std::make_shared<Page>());
      pages_.back()->generation = generation_;
    }
  }
  const T& operator[](std::size_t slot) const { return pages_[slot / page_slots]->slots[slot % page_slots]; }
  /// To be changed. What was read from the slot's page before is not valid any more.
  T& write(std::size_t slot) {
    std::shared_ptr<Page>& page = pages_[slot / page_slots];
    if (!readers_.empty() && page->generation != generation_) [[unlikely]]
      copy_first(page);
    return page->slots[slot % page_slots];
  }

  /// Costs a few nanoseconds a page.
  [[nodiscard]] Frozen freeze() {
    Frozen frozen;
    frozen.pages_.assign(pages_.begin(), pages_.end());
    frozen.reader_ = std::make_shared<Reader>();
    readers_.push_back(frozen.reader_);
    ++generation_;
    return frozen;
  }
  /// Whether somebody may be reading what has been frozen.
  [[nodiscard]] bool has_readers() {
    std::erase_if(readers_, [](const auto& reader) { return reader.use_count() == 1; });
    return !readers_.empty();
  }
  [[nodiscard]] static constexpr std::size_t bytes_per_slot() { return sizeof(T); }

 private:
  void copy_first(std::shared_ptr<Page>& page) {
    if (!has_readers()) return;
    if constexpr (copies) page = std::make_shared<Page>(*page);
    page->generation = generation_;
  }

  std::vector<std::shared_ptr<Page>> pages_;
  std::vector<std::shared_ptr<Reader>> readers_;
  std::uint32_t generation_ = 0;  ///< grows with each freeze: pages of an older one may be somebody's
};

}  // namespace dataflow
