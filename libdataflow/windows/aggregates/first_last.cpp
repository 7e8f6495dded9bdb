// first and last: the value of the record that came first or last into the window, in order of arrival at this subtask
// (not of event time), NULLs left out. A state has its record's number, so that slices merge in any order.

#include "libdataflow/windows/aggregates/accumulator.hpp"
#include "libdataflow/windows/aggregates/owned_text.hpp"

namespace dataflow::windows {

namespace {

/// Earlier(a, b): the record numbered a replaces b. 0 is no record.
struct Earliest {
  bool operator()(std::uint64_t a, std::uint64_t b) const { return b == 0 || a < b; }
};
struct Latest {
  bool operator()(std::uint64_t a, std::uint64_t b) const { return a > b; }
};

template <class T, class Wins>
class Ordered final : public Accumulator {
 public:
  struct State {
    std::uint64_t sequence;
    alignas(8) T value;
  };
  Ordered() : Accumulator{sizeof(State)} {}

  bool update(const StateRows& records, const Column* argument) const override {
    const T* values = argument->as<T>().data();
    records.for_each([&](std::byte* states, std::size_t row) {
      offer(at<State>(states), records.first_sequence + row, values[row]);
    });
    return true;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& other = at<State>(from[i]);
      if (other.sequence != 0) offer(at<State>(into[i]), other.sequence, other.value);
    }
    return true;
  }
  [[nodiscard]] bool depends_on_order() const override { return true; }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& state = at<State>(states[i]);
      if (state.sequence == 0) {
        out.append_null();
      } else {
        *out.append_uninitialised<T>(1) = state.value;
      }
    }
    return true;
  }

 private:
  static void offer(State& state, std::uint64_t sequence, T value) {
    if (!Wins{}(sequence, state.sequence)) return;
    state.sequence = sequence;
    state.value = value;
  }
};

template <class Wins>
class OrderedText final : public Accumulator {
 public:
  struct State {
    std::uint64_t sequence;
    OwnedText value;
  };
  OrderedText() : Accumulator{sizeof(State)} {}

  bool update(const StateRows& records, const Column* argument) const override {
    records.for_each([&](std::byte* states, std::size_t row) {
      offer(at<State>(states), records.first_sequence + row, argument->text(row));
    });
    return true;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& other = at<State>(from[i]);
      if (other.sequence != 0) offer(at<State>(into[i]), other.sequence, other.value.view());
    }
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& state = at<State>(states[i]);
      if (state.sequence == 0) {
        out.append_null();
      } else {
        out.append_text(state.value.view());
      }
    }
    return true;
  }
  bool owns_memory() const override { return true; }
  void release(std::byte* states) const override { at<State>(states).value.release(); }
  void save(const std::byte* states, std::string& out) const override {
    const auto& state = at<State>(states);
    out.append(reinterpret_cast<const char*>(&state.sequence), sizeof state.sequence);
    state.value.save(out);
  }
  bool load(std::string_view saved, std::byte* states) const override {
    auto& state = at<State>(states);
    if (saved.size() < sizeof state.sequence) return false;
    std::memcpy(&state.sequence, saved.data(), sizeof state.sequence);
    return state.value.load(saved.substr(sizeof state.sequence));
  }

 private:
  static void offer(State& state, std::uint64_t sequence, std::string_view value) {
    if (!Wins{}(sequence, state.sequence)) return;
    state.sequence = sequence;
    state.value.assign(value);
  }
};

template <class Wins>
AccumulatorPtr make_ordered(const DataType& type) {
  if (type.is_variable_width()) return std::make_unique<OrderedText<Wins>>();
  switch (type.width()) {
    case 1: return std::make_unique<Ordered<std::uint8_t, Wins>>();
    case 4: return std::make_unique<Ordered<std::int32_t, Wins>>();
    default: return std::make_unique<Ordered<std::int64_t, Wins>>();
  }
}

}  // namespace

AccumulatorPtr make_first(const DataType& argument) {
  return make_ordered<Earliest>(argument);
}
AccumulatorPtr make_last(const DataType& argument) {
  return make_ordered<Latest>(argument);
}

}  // namespace dataflow::windows
