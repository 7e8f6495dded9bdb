#pragma once
// An accumulator whose states are too large for a row: the row has a pointer to a Box, made with the first value.
//
// Box needs: `void merge(const Box&)`, `void save(std::string&) const` and `bool load(std::string_view)`.

#include "libdataflow/windows/aggregates/accumulator.hpp"

namespace dataflow::windows {

template <class Box>
class BoxedAccumulator : public Accumulator {
 public:
  BoxedAccumulator() : Accumulator{sizeof(Box*)} {}

  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const final {
    for (std::size_t i = 0; i < count; ++i) {
      const Box* other = at<Box*>(from[i]);
      if (other != nullptr) box(into[i]).merge(*other);
    }
    return true;
  }
  bool owns_memory() const final { return true; }
  void release(std::byte* states) const final {
    delete at<Box*>(states);
    at<Box*>(states) = nullptr;
  }
  /// No bytes at all: no value has come.
  void save(const std::byte* states, std::string& out) const final {
    if (const Box* boxed = box_or_null(states)) boxed->save(out);
  }
  bool load(std::string_view saved, std::byte* states) const final { return saved.empty() || box(states).load(saved); }

 protected:
  Box& box(std::byte* states) const {
    auto& pointer = at<Box*>(states);
    if (pointer == nullptr) pointer = new Box{};
    return *pointer;
  }
  /// Null when no value has come.
  const Box* box_or_null(const std::byte* states) const { return at<Box*>(states); }
};

}  // namespace dataflow::windows
