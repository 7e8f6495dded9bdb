#pragma once
// Private to this folder.
//
// Of the pairs of each left row the best so far: by a number of the right row.
//
// Of the rows of a batch most are worse than what their left row has had. What some hundred keys have had lies in a
// small table, so that such a row is passed over before its key and the left row are looked for (benchmark nexmark_q4).
// While a batch of right rows is joined no left row comes or goes, and none gets worse.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libdataflow/joins/join_spec.hpp"
#include "libdataflow/joins/timed_rows.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::joins {

class BestPairs {
 public:
  explicit BestPairs(const IntervalJoinSpec& spec)
      : field_{spec.join.sides[right_input].compared_by}, turn_{spec.least_is_best ? ~std::int64_t{0} : 0} {}

  /// What is kept with each row. A best number of something else is none.
  [[nodiscard]] static std::vector<std::string> numbers_of(const IntervalJoinSpec& spec) {
    const JoinSide& right = spec.join.sides[right_input];
    std::vector<std::string> names{"join.matched"};
    if (right.compared_by) {
      names.push_back("join.best " + (*right.schema)[*right.compared_by].name +
                      (spec.least_is_best ? " ASC" : " DESC"));
    }
    return names;
  }

  /// False: all pairs are wanted, and nothing of what follows is.
  [[nodiscard]] bool are_wanted() const { return field_.has_value(); }

  /// A batch of right rows begins. It and `keys`, which are its rows', outlive it.
  void start(const Batch& batch, const windows::KeyBatch& keys) {
    column_ = &batch.column(*field_);
    numbers_ = column_->values.as<std::int64_t>();
    keys_ = keys.words;
    seen_.fill({});
  }
  /// Of a row of the batch: a greater one is better. Nothing: it is in no best pair.
  [[nodiscard]] std::optional<std::int64_t> rank_in_batch(std::uint32_t row) const {
    return column_->is_null(row) ? std::nullopt : std::optional{numbers_[row] ^ turn_};
  }
  /// Of a stored right row.
  [[nodiscard]] std::optional<std::int64_t> rank_of(const TimedRow& right, const PackedLayout& layout) const {
    const auto number = layout.number(right.bytes(), layout.place_of(*field_));
    return number ? std::optional{*number ^ turn_} : std::nullopt;
  }
  /// Whether no pair that the left row has had is better.
  [[nodiscard]] static bool is_best(std::optional<std::int64_t> rank, const TimedRow& left) {
    return rank && (left.flag == 0 || *rank >= left.best);
  }

  /// Of `rows` of the batch those of which it is not known that they are worse: all, when keys are no words. Without a
  /// branch for each, which would be mispredicted.
  void choose(std::span<const std::uint32_t> rows, std::vector<std::uint32_t>& chosen) const {
    if (keys_ == nullptr) return chosen.assign(rows.begin(), rows.end());
    chosen.resize(rows.size());
    std::size_t count = 0;
    for (const std::uint32_t row : rows) {
      const Seen& seen = seen_[place_of(keys_[row])];
      chosen[count] = row;
      count += 1 - (static_cast<std::size_t>(seen.key == keys_[row]) &
                    static_cast<std::size_t>((numbers_[row] ^ turn_) < seen.best));
    }
    chosen.resize(count);
  }
  /// Whether a row of the batch makes a pair with the only left row of its key, which it meets in time if `in_time` is
  /// 1; it is remembered if so.
  [[nodiscard]] bool meets(std::uint32_t row, const TimedRow& left, unsigned in_time) {
    const std::int64_t rank = numbers_[row] ^ turn_;
    const std::int64_t best = left.flag == 0 ? no_rank_is_less : left.best;
    const bool meets =
        (in_time & static_cast<unsigned>(rank >= best) & static_cast<unsigned>(!column_->is_null(row))) != 0;
    if (keys_ != nullptr) seen_[place_of(keys_[row])] = {keys_[row], meets ? rank : best};
    return meets;
  }

 private:
  static constexpr std::int64_t no_rank_is_less = std::numeric_limits<std::int64_t>::min();
  struct Seen {
    std::uint64_t key = 0;
    std::int64_t best = no_rank_is_less;
  };
  static constexpr int bits = 10;
  static std::size_t place_of(std::uint64_t key) { return key * 0x9e3779b97f4a7c15ULL >> (64 - bits); }

  std::optional<std::size_t> field_;  ///< the right's
  std::int64_t turn_;                 ///< numbers are turned with it (XOR) so that greater ones are better
  // Of the batch.
  const Column* column_ = nullptr;
  const std::int64_t* numbers_ = nullptr;
  const std::uint64_t* keys_ = nullptr;  ///< null: they are no words
  std::array<Seen, std::size_t{1} << bits> seen_;
};

}  // namespace dataflow::joins
