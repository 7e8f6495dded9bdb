#include "libdataflow/windows/aggregates/quantile_sketch.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "libdataflow/windows/aggregates/boxed.hpp"

namespace dataflow::windows {

namespace {

constexpr double gamma_ratio = (1 + QuantileSketch::relative_error) / (1 - QuantileSketch::relative_error);
const double log_gamma = std::log(gamma_ratio);
/// Below this magnitude a value counts as zero: the smallest normal double.
constexpr double smallest_magnitude = std::numeric_limits<double>::min();
constexpr std::int32_t infinity_index = std::numeric_limits<std::int32_t>::max();

std::int32_t index_of(double magnitude) {
  if (std::isinf(magnitude)) return infinity_index;
  return static_cast<std::int32_t>(std::ceil(std::log(magnitude) / log_gamma));
}

/// The value with the smallest relative error to everything in the bucket.
double middle_of(std::int32_t index) {
  if (index == infinity_index) return std::numeric_limits<double>::infinity();
  return 2.0 * std::exp(index * log_gamma) / (gamma_ratio + 1);
}

}  // namespace

void QuantileSketch::add_to(Buckets& buckets, std::int32_t index, std::uint64_t count) {
  const auto at = std::lower_bound(buckets.begin(), buckets.end(), index,
                                   [](const Bucket& bucket, std::int32_t i) { return bucket.index < i; });
  if (at != buckets.end() && at->index == index) {
    at->count += count;
  } else {
    buckets.insert(at, {index, count});
  }
}

void QuantileSketch::add(double value) {
  if (std::isnan(value)) return;
  smallest_ = count_ == 0 ? value : std::min(smallest_, value);
  largest_ = count_ == 0 ? value : std::max(largest_, value);
  ++count_;
  const double magnitude = std::abs(value);
  if (magnitude < smallest_magnitude) {
    ++zeros_;
  } else {
    add_to(value < 0 ? negative_ : positive_, index_of(magnitude), 1);
  }
}

void QuantileSketch::merge(const QuantileSketch& other) {
  if (other.count_ == 0) return;
  smallest_ = count_ == 0 ? other.smallest_ : std::min(smallest_, other.smallest_);
  largest_ = count_ == 0 ? other.largest_ : std::max(largest_, other.largest_);
  count_ += other.count_;
  zeros_ += other.zeros_;
  for (const Bucket& bucket : other.negative_) add_to(negative_, bucket.index, bucket.count);
  for (const Bucket& bucket : other.positive_) add_to(positive_, bucket.index, bucket.count);
}

double QuantileSketch::quantile(double q) const {
  assert(count_ > 0);
  const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_ - 1));
  if (rank == 0) return smallest_;
  if (rank >= count_ - 1) return largest_;
  std::uint64_t before = 0;
  const auto in_bounds = [this](double v) { return std::clamp(v, smallest_, largest_); };
  for (auto bucket = negative_.rbegin(); bucket != negative_.rend(); ++bucket) {
    before += bucket->count;
    if (before > rank) return in_bounds(-middle_of(bucket->index));
  }
  before += zeros_;
  if (before > rank) return in_bounds(0.0);
  for (const Bucket& bucket : positive_) {
    before += bucket.count;
    if (before > rank) return in_bounds(middle_of(bucket.index));
  }
  return largest_;
}

/// Numbers, then the buckets of both signs, each as index and count.
void QuantileSketch::save(std::string& out) const {
  const auto put = [&out](const auto& value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  put(zeros_);
  put(count_);
  put(smallest_);
  put(largest_);
  for (const Buckets* buckets : {&negative_, &positive_}) {
    put(static_cast<std::uint64_t>(buckets->size()));
    for (const Bucket& bucket : *buckets) {
      put(bucket.index);
      put(bucket.count);
    }
  }
}

bool QuantileSketch::load(std::string_view saved) {
  bool good = true;
  const auto take = [&](auto& value) {
    good = good && saved.size() >= sizeof value;
    if (!good) return;
    std::memcpy(&value, saved.data(), sizeof value);
    saved.remove_prefix(sizeof value);
  };
  take(zeros_);
  take(count_);
  take(smallest_);
  take(largest_);
  for (Buckets* buckets : {&negative_, &positive_}) {
    std::uint64_t size = 0;
    take(size);
    for (; good && size > 0; --size) {
      Bucket bucket{};
      take(bucket.index);
      take(bucket.count);
      good = good && (buckets->empty() || buckets->back().index < bucket.index);
      buckets->push_back(bucket);
    }
  }
  return good && saved.empty();
}

namespace {

class ApproxPercentile final : public BoxedAccumulator<QuantileSketch> {
 public:
  explicit ApproxPercentile(double quantile) : quantile_{quantile} {}

  bool update(const StateRows& records, const Column* argument) const override {
    const double* values = argument->as<double>().data();
    records.for_each([&](std::byte* states, std::size_t row) { box(states).add(values[row]); });
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const QuantileSketch* sketch = box_or_null(states[i]);
      if (sketch == nullptr || sketch->count() == 0) {
        out.append_null();
      } else {
        out.append_float64(sketch->quantile(quantile_));
      }
    }
    return true;
  }

 private:
  double quantile_;
};

}  // namespace

AccumulatorPtr make_approx_percentile(double quantile) {
  return std::make_unique<ApproxPercentile>(quantile);
}

}  // namespace dataflow::windows
