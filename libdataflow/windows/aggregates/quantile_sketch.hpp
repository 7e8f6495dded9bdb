#pragma once
// Quantiles within 1 % of the value: DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch
// with relative-error guarantees", PVLDB 12(12), 2019). A value falls into the bucket ceil(log_gamma |x|), so a bucket
// spans 2 % and its middle is within 1 % of everything in it. Unlike a t-digest it does not depend on the order in
// which values come or sketches merge, so that a run that is repeated gives the same result.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow::windows {

class QuantileSketch {
 public:
  static constexpr double relative_error = 0.01;

  /// NaN is left out; infinities are the first and last of the order.
  void add(double value);
  /// Afterwards as if this one had seen all values. Commutative.
  void merge(const QuantileSketch& other);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// The value of rank floor(q * (count - 1)), within relative_error; exact for the smallest and the largest. Needs a
  /// value (asserted), and q in [0, 1].
  [[nodiscard]] double quantile(double q) const;
  /// For checkpoints.
  void save(std::string& out) const;
  [[nodiscard]] bool load(std::string_view saved);

 private:
  struct Bucket {
    std::int32_t index;
    std::uint64_t count;
  };
  /// Ascending by index: magnitudes of one sign.
  using Buckets = std::vector<Bucket>;
  static void add_to(Buckets& buckets, std::int32_t index, std::uint64_t count);

  Buckets negative_;
  Buckets positive_;
  std::uint64_t zeros_ = 0;
  std::uint64_t count_ = 0;
  double smallest_ = 0;
  double largest_ = 0;
};

}  // namespace dataflow::windows
