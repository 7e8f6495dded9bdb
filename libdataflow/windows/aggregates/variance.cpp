// variance and stddev of a sample (divided by n - 1, as Flink's VAR_SAMP and STDDEV_SAMP); NULL for fewer than two
// values. Welford's update and Chan's merge keep the mean beside the squared distances, so that large values with a
// small spread do not cancel out (Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm for computing
// sample variances", 1979).

#include <cmath>

#include "libdataflow/windows/aggregates/accumulator.hpp"

namespace dataflow::windows {

namespace {

enum class Moment : std::uint8_t { variance, deviation };

class Spread final : public Accumulator {
 public:
  struct State {
    std::int64_t count;
    double mean;
    double squares;  ///< sum of squared distances from the mean
  };
  explicit Spread(Moment moment) : Accumulator{sizeof(State)}, moment_{moment} {}

  bool update(const StateRows& records, const Column* argument) const override {
    const double* values = argument->as<double>().data();
    records.for_each([&](std::byte* states, std::size_t row) {
      auto& state = at<State>(states);
      const double distance = values[row] - state.mean;
      state.mean += distance / static_cast<double>(++state.count);
      state.squares += distance * (values[row] - state.mean);
    });
    return true;
  }
  bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) {
      auto& a = at<State>(into[i]);
      const auto& b = at<State>(from[i]);
      if (b.count == 0) continue;
      const auto na = static_cast<double>(a.count);
      const auto nb = static_cast<double>(b.count);
      const double distance = b.mean - a.mean;
      a.count += b.count;
      a.mean += distance * nb / (na + nb);
      a.squares += b.squares + distance * distance * na * nb / (na + nb);
    }
    return true;
  }
  [[nodiscard]] bool depends_on_order() const override { return true; }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto& state = at<State>(states[i]);
      if (state.count < 2) {
        out.append_null();
        continue;
      }
      const double variance = (state.squares < 0 ? 0 : state.squares) / static_cast<double>(state.count - 1);
      out.append_float64(moment_ == Moment::variance ? variance : std::sqrt(variance));
    }
    return true;
  }

 private:
  Moment moment_;
};

}  // namespace

AccumulatorPtr make_variance() {
  return std::make_unique<Spread>(Moment::variance);
}
AccumulatorPtr make_standard_deviation() {
  return std::make_unique<Spread>(Moment::deviation);
}

}  // namespace dataflow::windows
