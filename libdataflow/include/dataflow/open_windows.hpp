#pragma once
// The open windows of each key, as a state.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/codec.hpp"
#include "dataflow/slot_array.hpp"
#include "dataflow/state.hpp"

namespace dataflow {

/// A list of windows W for each key. In a snapshot only when W has a Codec, as the plan of a job with checkpoints
/// demands.
template <class W>
class OpenWindows final : public StateBase {
 public:
  OpenWindows(StateOwner* owner, std::string name) : StateBase{owner, std::move(name), {}} {}

  std::vector<W>& of_key() {
    if (slot() >= windows_.size()) windows_.grow(slots());
    changed(slot());
    return windows_.write(slot());
  }
  /// To be called when the current key's list has become empty or is so no more.
  void count_use(bool before, bool after) {
    if (!before && after) used(slot());
    if (before && !after) unused(slot());
  }

  bool encode(std::uint32_t slot, std::string& out) const override {
    return slot < windows_.size() && append(windows_[slot], out);
  }
  void drop(std::uint32_t slot) override {
    if (slot >= windows_.size() || windows_[slot].empty()) return;
    windows_.write(slot) = {};
    unused(slot);
  }
  [[nodiscard]] std::size_t slot_bytes() const override { return sizeof(std::vector<W>); }
  [[nodiscard]] std::unique_ptr<FrozenState> freeze() override { return std::make_unique<Frozen>(windows_.freeze()); }
  bool decode(std::uint32_t slot, std::string_view bytes) override {
    if constexpr (Codec<W>::known) {
      ByteReader in{bytes};
      if (slot >= windows_.size()) windows_.grow(slots());
      std::vector<W>& windows = windows_.write(slot);
      while (in.ok() && !in.at_end()) Codec<W>::decode(in, windows.emplace_back());
      if (!windows.empty()) used(slot);
      return in.ok();
    }
    return false;
  }
  [[nodiscard]] std::optional<std::string> json(std::uint32_t) const override { return std::nullopt; }
  void expire(std::uint32_t) override {}
  [[nodiscard]] bool storable() const override { return Codec<W>::known; }

 private:
  using Windows = SlotArray<std::vector<W>, Codec<W>::known>;

  static bool append(const std::vector<W>& windows, std::string& out) {
    if constexpr (Codec<W>::known) {
      for (const W& open : windows) Codec<W>::encode(open, out);
      return !windows.empty();
    }
    return false;
  }

  class Frozen final : public FrozenState {
   public:
    explicit Frozen(typename Windows::Frozen windows) : windows_{std::move(windows)} {}
    bool encode(std::uint32_t slot, std::string& out) const override {
      return slot < windows_.size() && append(windows_[slot], out);
    }

   private:
    typename Windows::Frozen windows_;
  };

  Windows windows_;
};

}  // namespace dataflow
