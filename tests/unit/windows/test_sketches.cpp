// The sketches of approx_count_distinct and approx_percentile keep to the error that docs/topology.md states, also when
// they are put together out of several: windows of slices, sessions and combiners do that.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/windows/aggregates/hyperloglog.hpp"
#include "libdataflow/windows/aggregates/quantile_sketch.hpp"

namespace dataflow::windows {
namespace {

std::uint64_t hash_of(std::uint64_t value) {
  return HyperLogLog::hash_value(&value, sizeof value);
}

template <class Sketch>
std::string saved(const Sketch& sketch) {
  std::string bytes;
  sketch.save(bytes);
  return bytes;
}

TEST_CASE("counts of different values are within the error that is stated, two of three within its standard error") {
  constexpr double standard_error = 0.01625;
  for (const std::uint64_t count : {1'000, 10'000, 100'000}) {
    CAPTURE(count);
    constexpr std::uint64_t rounds = 100;
    double squares = 0;
    std::size_t far = 0;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      HyperLogLog sketch;
      for (std::uint64_t i = 0; i < count; ++i) sketch.add(hash_of(round * count + i));
      const double error = static_cast<double>(sketch.estimate()) / static_cast<double>(count) - 1;
      squares += error * error;
      far += std::abs(error) > 2.6 * standard_error ? 1 : 0;
    }
    CHECK(std::sqrt(squares / rounds) < 1.2 * standard_error);
    CHECK(far <= 3);  // one is expected
  }
}

TEST_CASE(
    "sketches of parts, put together, are the sketch of all: small with small, small with large, large with large") {
  for (const std::uint64_t left : {3, 60, 200, 5'000}) {
    for (const std::uint64_t right : {0, 5, 60, 300, 7'000}) {
      CAPTURE(left);
      CAPTURE(right);
      HyperLogLog first;
      HyperLogLog second;
      HyperLogLog all;
      for (std::uint64_t i = 0; i < left; ++i) first.add(hash_of(i));
      for (std::uint64_t i = left / 2; i < left / 2 + right; ++i) second.add(hash_of(i));  // some are in both
      for (std::uint64_t i = 0; i < std::max(left, left / 2 + right); ++i) all.add(hash_of(i));
      HyperLogLog loaded;
      REQUIRE(loaded.load(saved(second)));
      loaded.merge(first);
      first.merge(second);
      CHECK(saved(first) == saved(all));
      CHECK(saved(loaded) == saved(all));
      CHECK(first.estimate() == all.estimate());
    }
  }
}

std::vector<double> values_of(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random{seed};
  std::lognormal_distribution<double> magnitude{3, 2};
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(random() % 10 == 0 ? 0 : random() % 3 == 0 ? -magnitude(random) : magnitude(random));
  }
  return values;
}

TEST_CASE("a percentile is within one percent of the value that is there, also out of sketches of parts") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::vector<double> values = values_of(seed, 100 * seed + 1);
    QuantileSketch all;
    std::array<QuantileSketch, 3> parts;
    for (std::size_t i = 0; i < values.size(); ++i) {
      all.add(values[i]);
      parts[i * i % 3].add(values[i]);
    }
    QuantileSketch together;
    REQUIRE(together.load(saved(parts[2])));
    together.merge(parts[0]);
    together.merge(parts[1]);
    CHECK(saved(together) == saved(all));
    std::sort(values.begin(), values.end());
    for (const double fraction : {0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
      CAPTURE(fraction);
      const double exact = values[static_cast<std::size_t>(fraction * static_cast<double>(values.size() - 1))];
      CHECK(std::abs(together.quantile(fraction) - exact) <= QuantileSketch::relative_error * std::abs(exact) + 1e-9);
    }
  }
}

}  // namespace
}  // namespace dataflow::windows
