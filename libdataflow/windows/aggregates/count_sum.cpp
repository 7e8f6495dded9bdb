// count, sum and avg. Sums of integers and decimals are exact: one that leaves 64 bits (or a decimal's 18 digits) is an
// error, never a wrong number; an average adds up in 128 bits and cannot overflow.

#include <cstdlib>

#include "libdataflow/windows/aggregates/accumulator.hpp"

namespace dataflow::windows {

namespace {

__extension__ using Int128 = __int128;

class Count final : public Accumulator {
 public:
  Count() : Accumulator{sizeof(std::int64_t)} {}

  bool update(const StateRows& records, const Column*) const override {
    for (std::size_t i = 0; i < records.count; ++i) ++at<std::int64_t>(records.states[i]);
    return true;
  }
  [[nodiscard]] Takes takes() const override { return Takes::counts; }
  bool add_totals(std::byte* const* states, const Totals* totals, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) at<std::int64_t>(states[i]) += totals[i].count;
    return true;
  }
  [[nodiscard]] bool can_retract() const override { return true; }
  bool retract(const StateRows& records, const Column*) const override {
    for (std::size_t i = 0; i < records.count; ++i) --at<std::int64_t>(records.states[i]);
    return true;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) at<std::int64_t>(into[i]) += at<std::int64_t>(from[i]);
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    auto* to = out.append_uninitialised<std::int64_t>(count);
    for (std::size_t i = 0; i < count; ++i) to[i] = at<std::int64_t>(states[i]);
    return true;
  }
};

template <class Number>
struct SumState {
  Number sum;
  std::int64_t count;
};

/// Whether the sum still fits.
inline bool add(std::int64_t& sum, std::int64_t value) {
  return !__builtin_add_overflow(sum, value, &sum);
}
inline bool add(double& sum, double value) {
  sum += value;
  return true;
}
inline bool take_away(std::int64_t& sum, std::int64_t value) {
  return !__builtin_sub_overflow(sum, value, &sum);
}
inline bool take_away(double& sum, double value) {
  sum -= value;
  return true;
}

/// int64 (also decimals, unscaled) or float64.
template <class Number>
class Sum final : public Accumulator {
 public:
  using State = SumState<Number>;
  explicit Sum(std::int64_t largest) : Accumulator{sizeof(State)}, largest_{largest} {}

  bool update(const StateRows& records, const Column* argument) const override {
    const Number* values = argument->as<Number>().data();
    bool fits = true;
    records.for_each([&](std::byte* states, std::size_t row) {
      auto& state = at<State>(states);
      fits &= add(state.sum, values[row]);
      ++state.count;
    });
    return fits;
  }
  [[nodiscard]] bool depends_on_order() const override { return std::is_same_v<Number, double>; }
  [[nodiscard]] Takes takes() const override {
    return std::is_same_v<Number, std::int64_t> ? Takes::sums : Takes::records;
  }
  bool add_totals(std::byte* const* states, const Totals* totals, std::size_t count) const override {
    bool fits = true;
    for (std::size_t i = 0; i < count; ++i) {
      auto& state = at<State>(states[i]);
      fits &= add(state.sum, static_cast<Number>(totals[i].sum));
      state.count += totals[i].count;
    }
    return fits;
  }
  [[nodiscard]] bool can_retract() const override { return true; }
  bool retract(const StateRows& records, const Column* argument) const override {
    const Number* values = argument->as<Number>().data();
    bool fits = true;
    records.for_each([&](std::byte* states, std::size_t row) {
      auto& state = at<State>(states);
      fits &= take_away(state.sum, values[row]);
      --state.count;
    });
    return fits;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    bool fits = true;
    for (std::size_t i = 0; i < count; ++i) {
      auto& to = at<State>(into[i]);
      fits &= add(to.sum, at<State>(from[i]).sum);
      to.count += at<State>(from[i]).count;
    }
    return fits;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    bool fits = true;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& state = at<State>(states[i]);
      if (state.count == 0) {
        out.append_null();
      } else if constexpr (std::is_same_v<Number, double>) {
        out.append_float64(state.sum);
      } else {
        fits &= state.sum <= largest_ && state.sum >= -largest_ - 1;
        out.append_int64(state.sum);
      }
    }
    return fits;
  }

 private:
  std::int64_t largest_;
};

constexpr std::int64_t power_of_ten(int exponent) {
  std::int64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

/// Number is what is read from the column, Total what it adds up in.
template <class Number, class Total>
class Average final : public Accumulator {
 public:
  /// The total is kept as two words where it is wider than one, since rows are aligned to 8 bytes.
  struct State {
    std::byte total[sizeof(Total)];
    std::int64_t count;
  };
  Average(const DataType& argument, const DataType& result)
      : Accumulator{sizeof(State)}, argument_{argument}, result_{result} {}

  bool update(const StateRows& records, const Column* argument) const override {
    const Number* values = argument->as<Number>().data();
    records.for_each([&](std::byte* states, std::size_t row) {
      auto& state = at<State>(states);
      store(state, load(state) + static_cast<Total>(values[row]));
      ++state.count;
    });
    return true;
  }
  [[nodiscard]] bool depends_on_order() const override { return std::is_same_v<Number, double>; }
  [[nodiscard]] Takes takes() const override {
    return std::is_same_v<Number, std::int64_t> ? Takes::sums : Takes::records;
  }
  bool add_totals(std::byte* const* states, const Totals* totals, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) {
      auto& state = at<State>(states[i]);
      store(state, load(state) + static_cast<Total>(totals[i].sum));
      state.count += totals[i].count;
    }
    return true;
  }
  [[nodiscard]] bool can_retract() const override { return true; }
  bool retract(const StateRows& records, const Column* argument) const override {
    const Number* values = argument->as<Number>().data();
    records.for_each([&](std::byte* states, std::size_t row) {
      auto& state = at<State>(states);
      store(state, load(state) - static_cast<Total>(values[row]));
      --state.count;
    });
    return true;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) {
      auto& to = at<State>(into[i]);
      store(to, load(to) + load(at<State>(from[i])));
      to.count += at<State>(from[i]).count;
    }
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    bool fits = true;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& state = at<State>(states[i]);
      if (state.count == 0) {
        out.append_null();
      } else if (result_.kind() == TypeKind::float64) {
        const double scale = argument_.kind() == TypeKind::decimal ? double(power_of_ten(argument_.scale())) : 1.0;
        out.append_float64(static_cast<double>(load(state)) / scale / static_cast<double>(state.count));
      } else {
        fits &= append_exact(static_cast<Int128>(load(state)), state.count, out);
      }
    }
    return fits;
  }

 private:
  /// A decimal, rounded half away from zero, or an integer, cut toward zero.
  bool append_exact(Int128 total, std::int64_t count, ColumnBuilder& out) const {
    const bool decimal = result_.kind() == TypeKind::decimal;
    const int from = argument_.kind() == TypeKind::decimal ? argument_.scale() : 0;
    const int more = decimal ? result_.scale() - from : 0;
    Int128 divisor = count;
    Int128 scaled = total;
    bool fits = true;
    if (more >= 0) {
      fits = !__builtin_mul_overflow(scaled, static_cast<Int128>(power_of_ten(more)), &scaled);
    } else {
      divisor *= power_of_ten(-more);
    }
    Int128 quotient = scaled / divisor;
    const Int128 rest = scaled % divisor;
    if (decimal && 2 * (rest < 0 ? -rest : rest) >= divisor) quotient += scaled < 0 ? -1 : 1;
    const Int128 limit = decimal ? Int128{power_of_ten(18)} : Int128{1} << 63;
    out.append_int64(static_cast<std::int64_t>(quotient));
    return fits && quotient < limit && quotient > -limit;
  }
  static Total load(const State& state) {
    Total total;
    std::memcpy(&total, state.total, sizeof total);
    return total;
  }
  static void store(State& state, Total total) { std::memcpy(state.total, &total, sizeof total); }

  DataType argument_;
  DataType result_;
};

}  // namespace

AccumulatorPtr make_count() {
  return std::make_unique<Count>();
}

AccumulatorPtr make_sum(const DataType& argument) {
  if (argument.kind() == TypeKind::float64) return std::make_unique<Sum<double>>(0);
  const bool decimal = argument.kind() == TypeKind::decimal;
  return std::make_unique<Sum<std::int64_t>>(decimal ? power_of_ten(18) - 1 : std::numeric_limits<std::int64_t>::max());
}

AccumulatorPtr make_average(const DataType& argument, const DataType& result) {
  if (argument.kind() == TypeKind::float64) return std::make_unique<Average<double, double>>(argument, result);
  return std::make_unique<Average<std::int64_t, Int128>>(argument, result);
}

}  // namespace dataflow::windows
