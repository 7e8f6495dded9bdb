#include "dataflow/source.hpp"

#include <algorithm>

namespace dataflow {

namespace {

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

 private:
  const UserSourceFactory& factory_;
  std::vector<std::string> splits_;
  std::size_t handed_out_ = 0;
};

}  // namespace

std::unique_ptr<SplitEnumerator> UserSourceFactory::create_enumerator() const {
  return std::make_unique<SplitList>(*this);
}

Status UserSourceReader::open(OperatorContext& context) {
  context_ = &context;
  return {};
}

Status UserSourceReader::start_split(const Split& split) {
  split_ = split.id;
  try {
    open_split(split_);
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
  if (split_.empty()) return "before the first split";
  try {
    return "split \"" + split_ + "\", " + user_position();
  } catch (...) {
    return "split \"" + split_ + "\"";
  }
}

}  // namespace dataflow
