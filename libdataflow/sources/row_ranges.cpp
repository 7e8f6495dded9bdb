#include "libdataflow/sources/row_ranges.hpp"

#include <algorithm>
#include <charconv>

#include "libdataflow/sources/split_position.hpp"

namespace dataflow {

namespace {

constexpr std::uint64_t first_split = 256;
constexpr std::uint64_t largest_split = 65536;

class RowRanges final : public SplitEnumerator {
 public:
  explicit RowRanges(std::uint64_t count) : count_{count} {}

  Status open(std::uint32_t parallelism) override {
    parallelism_ = std::max(parallelism, 1U);
    return {};
  }

  Result<Next> next(std::uint32_t, Timestamp) override {
    Next found;
    if (next_ >= count_) return found;
    const std::uint64_t left = count_ - next_;
    const std::uint64_t rows = std::min({size_, left, left / parallelism_ + 1});
    const std::string range = std::to_string(next_) + " " + std::to_string(next_ + rows);
    found.kind = Next::Kind::split;
    found.split = {"rows[" + std::to_string(next_) + ".." + std::to_string(next_ + rows) + ")", range};
    next_ += rows;
    size_ = std::min(2 * size_, largest_split);
    return found;
  }

  [[nodiscard]] Result<std::string> snapshot() const override {
    return "1 " + std::to_string(next_) + " " + std::to_string(size_);
  }
  Status restore(std::string_view snapshot) override {
    const auto numbers = text::parse_position<3>(snapshot);
    if (!numbers || (*numbers)[0] != 1) {
      return fail(ErrorCode::malformed_data, "this is not where a generator was: " + std::string{snapshot});
    }
    next_ = (*numbers)[1];
    size_ = (*numbers)[2];
    return {};
  }

 private:
  std::uint64_t count_;
  std::uint64_t next_ = 0;
  std::uint64_t size_ = first_split;
  std::uint32_t parallelism_ = 1;
};

}  // namespace

std::unique_ptr<SplitEnumerator> enumerate_row_ranges(std::uint64_t count) {
  return std::make_unique<RowRanges>(count);
}

Status RowRange::start(const Split& split) {
  const auto range = text::parse_position<2>(split.description);
  if (!range || (*range)[0] > (*range)[1]) {
    return fail(ErrorCode::internal, "a generator has no split \"" + split.description + "\"");
  }
  next_ = (*range)[0];
  end_ = (*range)[1];
  split_ = split.id;
  return {};
}

Status RowRange::resume(const Split& split, std::string_view position) {
  if (Status started = start(split); !started) return started;
  const auto numbers = text::parse_position<2>(position);
  if (!numbers || (*numbers)[0] != 1 || (*numbers)[1] < next_ || (*numbers)[1] > end_) {
    return fail(ErrorCode::malformed_data, "this is not a position in it: " + std::string{position});
  }
  next_ = (*numbers)[1];
  return {};
}

}  // namespace dataflow
