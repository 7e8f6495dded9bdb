#include "libdataflow/windows/aggregates/hyperloglog.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "libdataflow/windows/aggregates/boxed.hpp"
#include "libdataflow/windows/aggregates/cell_bits.hpp"

namespace dataflow::windows {

namespace {

constexpr int precision = 12;
constexpr std::size_t register_count = 1U << precision;
constexpr int max_rank = 64 - precision + 1;
constexpr std::size_t most_exact = 64;

/// Ertl's sigma(x): the correction for registers that are still zero.
double sigma(double x) {
  if (x == 1.0) return std::numeric_limits<double>::infinity();
  double y = 1;
  double z = x;
  for (double previous = -1; previous != z;) {
    x *= x;
    previous = z;
    z += x * y;
    y += y;
  }
  return z;
}

/// Ertl's tau(x): the correction for registers at their highest value.
double tau(double x) {
  if (x == 0.0 || x == 1.0) return 0.0;
  double y = 1.0;
  double z = 1 - x;
  for (double previous = -1; previous != z;) {
    x = std::sqrt(x);
    previous = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3.0;
}

}  // namespace

std::uint64_t HyperLogLog::hash_value(const void* bytes, std::size_t size) {
  return XXH3_64bits_withSeed(bytes, size, 0x5d1f9c3b7a2e4680ULL);
}

void HyperLogLog::add_to_registers(std::uint64_t hash) {
  const std::size_t index = hash >> (64 - precision);
  const std::uint64_t rest = (hash << precision) | (1ULL << (precision - 1));
  const auto rank = static_cast<std::uint8_t>(std::countl_zero(rest) + 1);
  registers_[index] = std::max(registers_[index], rank);
}

void HyperLogLog::make_dense() {
  registers_.assign(register_count, 0);
  for (const std::uint64_t hash : exact_) add_to_registers(hash);
  exact_ = {};
}

void HyperLogLog::add(std::uint64_t hash) {
  if (!registers_.empty()) return add_to_registers(hash);
  const auto at = std::lower_bound(exact_.begin(), exact_.end(), hash);
  if (at != exact_.end() && *at == hash) return;
  exact_.insert(at, hash);
  if (exact_.size() > most_exact) make_dense();
}

void HyperLogLog::merge(const HyperLogLog& other) {
  for (const std::uint64_t hash : other.exact_) add(hash);
  if (other.registers_.empty()) return;
  if (registers_.empty()) make_dense();
  for (std::size_t i = 0; i < register_count; ++i) registers_[i] = std::max(registers_[i], other.registers_[i]);
}

std::int64_t HyperLogLog::estimate() const {
  if (registers_.empty()) return static_cast<std::int64_t>(exact_.size());
  int counts[max_rank + 1] = {};
  for (const std::uint8_t rank : registers_) ++counts[rank];
  constexpr double m = register_count;
  double z = m * tau(1.0 - counts[max_rank] / m);
  for (int k = max_rank - 1; k >= 1; --k) z = 0.5 * (z + counts[k]);
  z += m * sigma(counts[0] / m);
  return std::llround(m * m / (2.0 * std::log(2.0)) / z);
}

/// A byte that says which form it has, then the hashes or the registers.
void HyperLogLog::save(std::string& out) const {
  out += registers_.empty() ? '\1' : '\2';
  out.append(reinterpret_cast<const char*>(exact_.data()), exact_.size() * sizeof(std::uint64_t));
  out.append(reinterpret_cast<const char*>(registers_.data()), registers_.size());
}

bool HyperLogLog::load(std::string_view saved) {
  const char form = saved.empty() ? '\0' : saved[0];
  if (!saved.empty()) saved.remove_prefix(1);
  if (form == '\1' && saved.size() % sizeof(std::uint64_t) == 0 && saved.size() <= most_exact * sizeof(std::uint64_t)) {
    exact_.resize(saved.size() / sizeof(std::uint64_t));
    if (!saved.empty()) std::memcpy(exact_.data(), saved.data(), saved.size());
    return std::is_sorted(exact_.begin(), exact_.end());
  }
  if (form != '\2' || saved.size() != register_count) return false;
  registers_.assign(saved.begin(), saved.end());
  return std::all_of(registers_.begin(), registers_.end(), [](std::uint8_t rank) { return rank <= max_rank; });
}

namespace {

class ApproxCountDistinct final : public BoxedAccumulator<HyperLogLog> {
 public:
  bool update(const StateRows& records, const Column* argument) const override {
    if (argument->type.is_variable_width()) {
      records.for_each([&](std::byte* states, std::size_t row) {
        const std::string_view text = argument->text(row);
        box(states).add(HyperLogLog::hash_value(text.data(), text.size()));
      });
    } else {
      visit_fixed_width(*argument, [&](const auto* cells) {
        records.for_each([&](std::byte* states, std::size_t row) {
          const std::uint64_t bits = cell_bits(cells[row]);
          box(states).add(HyperLogLog::hash_value(&bits, sizeof bits));
        });
      });
    }
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const HyperLogLog* sketch = box_or_null(states[i]);
      out.append_int64(sketch == nullptr ? 0 : sketch->estimate());
    }
    return true;
  }
};

}  // namespace

AccumulatorPtr make_approx_count_distinct(const DataType&) {
  return std::make_unique<ApproxCountDistinct>();
}

}  // namespace dataflow::windows
