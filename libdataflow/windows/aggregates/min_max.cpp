// min and max over every type that has an order. Strings and bytes compare byte by byte; NaN is above every other
// number, as in Postgres, so that the result does not depend on the order of the records.

#include <cmath>

#include "libdataflow/windows/aggregates/accumulator.hpp"
#include "libdataflow/windows/aggregates/owned_text.hpp"

namespace dataflow::windows {

namespace {

struct Less {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return a < b;
  }
  bool operator()(double a, double b) const { return std::isnan(b) ? !std::isnan(a) : a < b; }
};

/// Better(a, b): a replaces b.
struct Smaller {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return Less{}(a, b);
  }
};
struct Larger {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return Less{}(b, a);
  }
};

template <class T, class Better>
class Extreme final : public Accumulator {
 public:
  struct State {
    alignas(8) T value;
    alignas(8) std::int64_t has_value;
  };
  Extreme() : Accumulator{sizeof(State)} {}

  bool update(const StateRows& records, const Column* argument) const override {
    const T* values = argument->as<T>().data();
    records.for_each([&](std::byte* states, std::size_t row) { offer(at<State>(states), values[row]); });
    return true;
  }
  [[nodiscard]] Takes takes() const override {
    return std::is_same_v<T, std::int64_t> ? Takes::extremes : Takes::records;
  }
  bool add_totals(std::byte* const* states, const Totals* totals, std::size_t count) const override {
    constexpr auto best = std::is_same_v<Better, Smaller> ? &Totals::least : &Totals::most;
    for (std::size_t i = 0; i < count; ++i) offer(at<State>(states[i]), static_cast<T>(totals[i].*best));
    return true;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& other = at<State>(from[i]);
      if (other.has_value != 0) offer(at<State>(into[i]), other.value);
    }
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& state = at<State>(states[i]);
      if (state.has_value == 0) {
        out.append_null();
      } else {
        *out.append_uninitialised<T>(1) = state.value;
      }
    }
    return true;
  }

 private:
  static void offer(State& state, T value) {
    state.value = state.has_value == 0 || Better{}(value, state.value) ? value : state.value;
    state.has_value = 1;
  }
};

template <class Better>
class ExtremeText final : public Accumulator {
 public:
  ExtremeText() : Accumulator{sizeof(OwnedText)} {}

  bool update(const StateRows& records, const Column* argument) const override {
    records.for_each([&](std::byte* states, std::size_t row) { offer(at<OwnedText>(states), argument->text(row)); });
    return true;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& other = at<OwnedText>(from[i]);
      if (other.has_value()) offer(at<OwnedText>(into[i]), other.view());
    }
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& state = at<OwnedText>(states[i]);
      if (state.has_value()) {
        out.append_text(state.view());
      } else {
        out.append_null();
      }
    }
    return true;
  }
  bool owns_memory() const override { return true; }
  void release(std::byte* states) const override { at<OwnedText>(states).release(); }
  void save(const std::byte* states, std::string& out) const override { at<OwnedText>(states).save(out); }
  bool load(std::string_view saved, std::byte* states) const override { return at<OwnedText>(states).load(saved); }

 private:
  static void offer(OwnedText& state, std::string_view value) {
    if (!state.has_value() || Better{}(value, state.view())) state.assign(value);
  }
};

template <class Better>
AccumulatorPtr make_extreme(const DataType& type) {
  switch (type.kind()) {
    case TypeKind::boolean: return std::make_unique<Extreme<std::uint8_t, Better>>();
    case TypeKind::int32: return std::make_unique<Extreme<std::int32_t, Better>>();
    case TypeKind::float64: return std::make_unique<Extreme<double, Better>>();
    case TypeKind::string:
    case TypeKind::bytes: return std::make_unique<ExtremeText<Better>>();
    default: return std::make_unique<Extreme<std::int64_t, Better>>();
  }
}

}  // namespace

AccumulatorPtr make_min(const DataType& argument) {
  return make_extreme<Smaller>(argument);
}
AccumulatorPtr make_max(const DataType& argument) {
  return make_extreme<Larger>(argument);
}

}  // namespace dataflow::windows
