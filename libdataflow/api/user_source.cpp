#include "dataflow/source.hpp"

#include <algorithm>

#include "dataflow/codec.hpp"

namespace dataflow {

namespace {

constexpr const char* before_first_split = "before the first split";

/// Hands the names of a user's splits out in order, to whoever asks.
class SplitList final : public SplitEnumerator {
 public:
  explicit SplitList(const UserSourceFactory& factory) : factory_{factory} {}

  Status open(std::uint32_t parallelism) override {
    try {
      splits_ = factory_.list_splits(parallelism);
    } catch (...) {
      return fail(error_of_current_exception("in splits()"));
    }
    return {};
  }
  Result<Next> next(std::uint32_t, Timestamp) override {
    if (handed_out_ == splits_.size()) return Next{};
    const std::string& split = splits_[handed_out_++];
    return Next{.kind = Next::Kind::split, .split = {split, split}};
  }
  [[nodiscard]] Result<std::string> snapshot() const override {
    std::string out{"1"};
    for (std::size_t i = handed_out_; i < splits_.size(); ++i) put_text(out, splits_[i]);
    return out;
  }
  Status restore(std::string_view snapshot) override {
    splits_.clear();
    handed_out_ = 0;
    ByteReader in{snapshot};
    if (in.take(1) != "1") in.fail();
    while (in.ok() && !in.at_end()) splits_.emplace_back(in.text());
    return in.ok() ? Status{} : fail(ErrorCode::malformed_data, "this is not what was left of a source's splits");
  }

 private:
  const UserSourceFactory& factory_;
  std::vector<std::string> splits_;
  std::size_t handed_out_ = 0;
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
