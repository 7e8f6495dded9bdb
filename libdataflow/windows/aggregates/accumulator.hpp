#pragma once
// One aggregate call over states that lie in the rows of group tables: fold a batch's values in, merge two states, read
// results out. A state is a few bytes at a fixed offset in every row, so that an update touches the line that the key's
// lookup has fetched; one virtual call a batch, and a typed loop behind it.
//
// Merging is commutative: slices of a window may be combined in any order. `first` and `last` keep the number of the
// record in their state for that.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "libdataflow/expressions/expression.hpp"
#include "serialization/builder.hpp"

namespace dataflow::windows {

/// Which state each record goes to: record `rows[i]` of the batch (null: record i) to the states at `states[i]`.
struct StateRows {
  std::byte* const* states = nullptr;
  const std::uint32_t* rows = nullptr;
  std::size_t count = 0;
  std::uint64_t first_sequence = 1;  ///< number of the batch's first record in its subtask's input, from 1

  /// Calls `visit(state, record)` for each.
  template <class Visit>
  void for_each(Visit&& visit) const {
    if (rows == nullptr) {
      for (std::size_t i = 0; i < count; ++i) visit(states[i], i);
    } else {
      for (std::size_t i = 0; i < count; ++i) visit(states[i], static_cast<std::size_t>(rows[i]));
    }
  }
};

/// The same by groups: record i of the batch goes to the states at `states[groups[i]]`.
struct GroupRows {
  const std::uint16_t* groups = nullptr;
  std::span<const std::uint32_t> sizes;  ///< how many records each group has: at least one
  std::byte* const* states = nullptr;    ///< of each group
  std::uint64_t first_sequence = 1;
};

/// What some records of a group come to.
struct Totals {
  std::int64_t count = 0;
  // Of the values of an argument that is 64 bits wide and no double, when there are any:
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::int64_t sum = 0;
};

class Accumulator {
 public:
  explicit Accumulator(std::size_t state_bytes) : bytes_{state_bytes} {}
  virtual ~Accumulator() = default;

  /// A multiple of 8.
  [[nodiscard]] std::size_t state_bytes() const { return bytes_; }
  /// Where the state lies from the addresses in StateRows.
  void place(std::size_t offset) { offset_ = offset; }
  [[nodiscard]] std::size_t offset() const { return offset_; }

  /// A new state, which may be copied byte by byte: by default zeros.
  virtual void init(std::byte* state) const { std::memset(state, 0, bytes_); }
  /// Folds the argument's values in; records whose argument is NULL have been left out. `argument` is null for count().
  /// False when a state can no longer hold the result.
  [[nodiscard]] virtual bool update(const StateRows& records, const Column* argument) const = 0;
  /// Which totals of a group's records are as good as the records: the count, the least and the most, or all.
  enum class Takes : std::uint8_t { records, counts, extremes, sums };
  [[nodiscard]] virtual Takes takes() const { return Takes::records; }
  /// As update, of an aggregate that takes totals: those of as many groups.
  [[nodiscard]] virtual bool add_totals(std::byte* const* /*states*/, const Totals* /*totals*/,
                                        std::size_t /*count*/) const {
    return false;
  }
  /// Whether the result depends on the order of the records, be it in its last bit.
  [[nodiscard]] virtual bool depends_on_order() const { return false; }
  /// Whether `retract` can be called.
  [[nodiscard]] virtual bool can_retract() const { return false; }
  /// Takes out what `update` folded in, of an aggregate that can.
  [[nodiscard]] virtual bool retract(const StateRows& /*records*/, const Column* /*argument*/) const { return false; }
  /// Folds `from[i]` into `into[i]`. False as for update.
  [[nodiscard]] virtual bool merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const = 0;
  /// Appends each state's result. False when one does not fit the result's type.
  [[nodiscard]] virtual bool append_results(const std::byte* const* states, std::size_t count,
                                            ColumnBuilder& out) const = 0;
  /// Whether states own memory, so that `release` must be called for each before its row goes.
  [[nodiscard]] virtual bool owns_memory() const { return false; }
  virtual void release(std::byte*) const {}

  /// Appends what a checkpoint keeps of a state: by default its bytes, where it owns no memory.
  virtual void save(const std::byte* states, std::string& out) const {
    out.append(reinterpret_cast<const char*>(states + offset_), bytes_);
  }
  /// Makes a new state what `save` wrote; false when the bytes are not such.
  [[nodiscard]] virtual bool load(std::string_view saved, std::byte* states) const {
    if (saved.size() != bytes_) return false;
    std::memcpy(states + offset_, saved.data(), bytes_);
    return true;
  }

 protected:
  template <class State>
  [[nodiscard]] State& at(std::byte* states) const {
    return *reinterpret_cast<State*>(states + offset_);
  }
  template <class State>
  [[nodiscard]] const State& at(const std::byte* states) const {
    return *reinterpret_cast<const State*>(states + offset_);
  }

 private:
  std::size_t bytes_;
  std::size_t offset_ = 0;
};

using AccumulatorPtr = std::unique_ptr<Accumulator>;

/// The accumulator of a checked call.
AccumulatorPtr make_accumulator(const AggregateCall& call);

// One function a file; make_accumulator chooses.
AccumulatorPtr make_count();
AccumulatorPtr make_count_distinct(const DataType& argument);
AccumulatorPtr make_sum(const DataType& argument);
AccumulatorPtr make_average(const DataType& argument, const DataType& result);
AccumulatorPtr make_min(const DataType& argument);
AccumulatorPtr make_max(const DataType& argument);
AccumulatorPtr make_first(const DataType& argument);
AccumulatorPtr make_last(const DataType& argument);
AccumulatorPtr make_variance();
AccumulatorPtr make_standard_deviation();
AccumulatorPtr make_approx_count_distinct(const DataType& argument);
/// `quantile` in [0, 1].
AccumulatorPtr make_approx_percentile(double quantile);

}  // namespace dataflow::windows
