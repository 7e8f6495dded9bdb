// count(DISTINCT x), exactly: each state keeps the set of values that it has seen.

#include <absl/container/flat_hash_set.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <string>
#include <vector>

#include "libdataflow/windows/aggregates/boxed.hpp"
#include "libdataflow/windows/aggregates/cell_bits.hpp"

namespace dataflow::windows {

namespace {

template <class Value>
struct ValueSet {
  absl::flat_hash_set<Value> values;
  void merge(const ValueSet& other) { values.insert(other.values.begin(), other.values.end()); }
  /// In order, so that equal sets are equal bytes: each value's length and bytes.
  void save(std::string& out) const {
    std::vector<Value> sorted(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    out += '\1';  // a box is never saved as no bytes
    for (const Value& value : sorted) {
      if constexpr (std::is_same_v<Value, std::string>) {
        const auto length = static_cast<std::uint32_t>(value.size());
        out.append(reinterpret_cast<const char*>(&length), sizeof length);
        out += value;
      } else {
        out.append(reinterpret_cast<const char*>(&value), sizeof value);
      }
    }
  }
  bool load(std::string_view saved) {
    if (!saved.starts_with('\1')) return false;
    saved.remove_prefix(1);
    while (!saved.empty()) {
      std::uint32_t length = sizeof(std::uint64_t);
      if constexpr (std::is_same_v<Value, std::string>) {
        if (saved.size() < sizeof length) return false;
        std::memcpy(&length, saved.data(), sizeof length);
        saved.remove_prefix(sizeof length);
      }
      if (saved.size() < length) return false;
      if constexpr (std::is_same_v<Value, std::string>) {
        values.emplace(saved.substr(0, length));
      } else {
        Value value = 0;
        std::memcpy(&value, saved.data(), sizeof value);
        values.insert(value);
      }
      saved.remove_prefix(length);
    }
    return true;
  }
};

template <class Value>
class CountDistinct final : public BoxedAccumulator<ValueSet<Value>> {
 public:
  bool update(const StateRows& records, const Column* argument) const override {
    if constexpr (std::is_same_v<Value, std::string>) {
      records.for_each([&](std::byte* states, std::size_t row) {
        auto& values = this->box(states).values;
        const std::string_view text = argument->text(row);
        if (!values.contains(absl::string_view{text.data(), text.size()})) values.emplace(text);
      });
    } else {
      visit_fixed_width(*argument, [&](const auto* cells) {
        records.for_each(
            [&](std::byte* states, std::size_t row) { this->box(states).values.insert(cell_bits(cells[row])); });
      });
    }
    return true;
  }
  bool append_results(const std::byte* const* states, std::size_t count, ColumnBuilder& out) const override {
    for (std::size_t i = 0; i < count; ++i) {
      const auto* box = this->box_or_null(states[i]);
      out.append_int64(box == nullptr ? 0 : static_cast<std::int64_t>(box->values.size()));
    }
    return true;
  }
};

}  // namespace

AccumulatorPtr make_count_distinct(const DataType& argument) {
  if (argument.is_variable_width()) return std::make_unique<CountDistinct<std::string>>();
  return std::make_unique<CountDistinct<std::uint64_t>>();
}

}  // namespace dataflow::windows
