#include "dataflow/source.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include "dataflow/codec.hpp"

namespace dataflow {

namespace {

constexpr const char* before_first_split = "before the first split";

/// Hands the names of a user's splits out in order: to whoever asks, or, where all are read at once, to the subtasks in
/// turns, so that each has as many as the others.
class SplitList final : public SplitEnumerator {
 public:
  explicit SplitList(const UserSourceFactory& factory) : factory_{factory} {}

  Status open(std::uint32_t parallelism) override {
    try {
      deal(factory_.list_splits(parallelism), parallelism);
    } catch (...) {
      return fail(error_of_current_exception("in splits()"));
    }
    return {};
  }
  Result<Next> next(std::uint32_t subtask, Timestamp) override {
    std::deque<std::string>& left = hands_[subtask % hands_.size()];
    if (left.empty()) return Next{};
    const std::string split = std::move(left.front());
    left.pop_front();
    return Next{.kind = Next::Kind::split, .split = {split, split}};
  }
  [[nodiscard]] Result<std::string> snapshot() const override {
    std::string out{"1"};
    for (const auto& hand : hands_) {
      for (const std::string& split : hand) put_text(out, split);
    }
    return out;
  }
  Status restore(std::string_view snapshot) override {
    std::vector<std::string> splits;
    ByteReader in{snapshot};
    if (in.take(1) != "1") in.fail();
    while (in.ok() && !in.at_end()) splits.emplace_back(in.text());
    deal(std::move(splits), parallelism_);
    return in.ok() ? Status{} : fail(ErrorCode::malformed_data, "this is not what was left of a source's splits");
  }

 private:
  void deal(std::vector<std::string> splits, std::uint32_t parallelism) {
    parallelism_ = parallelism;
    hands_.assign(factory_.side_by_side() ? parallelism : 1, {});
    for (std::size_t i = 0; i < splits.size(); ++i) hands_[i % hands_.size()].push_back(std::move(splits[i]));
  }

  const UserSourceFactory& factory_;
  std::uint32_t parallelism_ = 1;
  std::vector<std::deque<std::string>> hands_{1};  ///< one for all subtasks, or one for each
};

/// A task is made before anything of it can fail, so that what has gone wrong by then waits here to be said.
class FailedReader final : public SourceReader {
 public:
  explicit FailedReader(Error why) : why_{std::move(why)} {}
  Status open(OperatorContext&) override { return fail(why_); }
  Status start_split(const Split&) override { return fail(why_); }
  Result<SourceStep> poll(SourceOutput&) override { return fail(why_); }
  [[nodiscard]] Result<std::string> split_position() const override { return fail(why_); }
  Status resume_split(const Split&, std::string_view) override { return fail(why_); }
  [[nodiscard]] std::string position() const override { return before_first_split; }

 private:
  Error why_;
};

}  // namespace

std::unique_ptr<SourceReader> make_failed_reader(Error why) {
  return std::make_unique<FailedReader>(std::move(why));
}

std::unique_ptr<SplitEnumerator> UserSourceFactory::create_enumerator() const {
  return std::make_unique<SplitList>(*this);
}

Status UserSourceReader::open(OperatorContext& context) {
  context_ = &context;
  return {};
}

Status UserSourceReader::start_split(const Split& split) {
  return start_at(split, {});
}

/// The user's own text; an engine's version in front of it.
Result<std::string> UserSourceReader::split_position() const {
  try {
    return "1" + user_position();
  } catch (...) {
    return fail(error_of_current_exception("in position() of split \"" + split_ + "\""));
  }
}

Status UserSourceReader::resume_split(const Split& split, std::string_view position) {
  if (!position.starts_with('1')) return fail(ErrorCode::malformed_data, "its position has an unknown format");
  return start_at(split, position.substr(1));
}

Status UserSourceReader::start_at(const Split& split, std::string_view position) {
  split_ = split.id;
  try {
    open_split(split_, position);
  } catch (...) {
    return fail(error_of_current_exception("in open() of split \"" + split_ + "\""));
  }
  reading_ = true;
  return {};
}

Result<SourceStep> UserSourceReader::poll(SourceOutput& out) {
  if (!reading_) return SourceStep{SourceStep::Kind::split_end};
  ReadStep step;
  try {
    step = read(std::min(out.batch_rows(), max_batch_rows));
  } catch (...) {
    return fail(error_of_current_exception("in next() at " + position()));
  }
  if (BatchPtr rows = take_rows()) out.emit(std::move(rows), split_);
  switch (step.kind) {
    case ReadStep::Kind::more: return SourceStep{};
    case ReadStep::Kind::wait: return SourceStep{SourceStep::Kind::wait, context_->now() + step.pause};
    case ReadStep::Kind::end: break;
  }
  reading_ = false;
  return SourceStep{SourceStep::Kind::split_end};
}

std::string UserSourceReader::position() const {
  if (split_.empty()) return before_first_split;
  try {
    return "split \"" + split_ + "\", " + user_position();
  } catch (...) {
    return "split \"" + split_ + "\"";
  }
}

}  // namespace dataflow
