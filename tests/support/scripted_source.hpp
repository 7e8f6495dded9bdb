#pragma once
// A source that plays what a test wrote: for each split a list of batches, pauses and failures.

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "libdataflow/sources/source.hpp"

namespace dataflow::testing_support {

struct Pause {
  Duration length;
};
struct Fail {
  Error error;
};
struct Throw {
  std::string what;
};
using ScriptStep = std::variant<BatchPtr, Pause, Fail, Throw>;
using Script = std::vector<ScriptStep>;

/// Splits are named "split-0", "split-1", ... and handed out in that order, each when the one before is read, or all at
/// once. An endless one repeats its last script.
class ScriptedSource final : public SourceFactory {
 public:
  explicit ScriptedSource(std::vector<Script> scripts, bool is_bounded = true, bool all_at_once = false)
      : scripts_{std::make_shared<const std::vector<Script>>(std::move(scripts))},
        bounded_{is_bounded},
        side_by_side_{all_at_once} {}

  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<Enumerator>(scripts_, bounded_);
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<Reader>(scripts_);
  }
  [[nodiscard]] bool bounded() const override { return bounded_; }
  [[nodiscard]] bool side_by_side() const override { return side_by_side_; }

 private:
  using Scripts = std::shared_ptr<const std::vector<Script>>;

  class Enumerator final : public SplitEnumerator {
   public:
    Enumerator(Scripts scripts, bool is_bounded) : scripts_{std::move(scripts)}, bounded_{is_bounded} {}
    Status open(std::uint32_t) override { return {}; }
    Result<Next> next(std::uint32_t, Timestamp) override {
      if (next_ == scripts_->size()) {
        if (bounded_) return Next{};
        --next_;
      }
      const std::string number = std::to_string(next_++);
      return Next{.kind = Next::Kind::split, .split = {"split-" + number, number}};
    }
    [[nodiscard]] Result<std::string> snapshot() const override { return std::to_string(next_); }
    Status restore(std::string_view snapshot) override {
      next_ = std::stoul(std::string{snapshot});
      return {};
    }

   private:
    Scripts scripts_;
    bool bounded_;
    std::size_t next_ = 0;
  };

  class Reader final : public SourceReader {
   public:
    explicit Reader(Scripts scripts) : scripts_{std::move(scripts)} {}
    Status open(OperatorContext& context) override {
      context_ = &context;
      return {};
    }
    Status start_split(const Split& split) override {
      script_ = &(*scripts_)[std::stoul(split.description)];
      split_ = split.id;
      step_ = 0;
      return {};
    }
    Result<SourceStep> poll(SourceOutput& out) override {
      if (step_ == script_->size()) return SourceStep{.kind = SourceStep::Kind::split_end};
      const ScriptStep& step = (*script_)[step_++];
      if (const auto* batch = std::get_if<BatchPtr>(&step)) {
        out.emit(*batch, split_);
        return SourceStep{};
      }
      if (const auto* pause = std::get_if<Pause>(&step)) {
        return SourceStep{.kind = SourceStep::Kind::wait, .until = context_->now() + pause->length};
      }
      if (const auto* failure = std::get_if<Fail>(&step)) return fail(failure->error);
      throw std::runtime_error(std::get<Throw>(step).what);
    }
    [[nodiscard]] Result<std::string> split_position() const override { return std::to_string(step_); }
    Status resume_split(const Split& split, std::string_view position) override {
      if (auto started = start_split(split); !started) return started;
      step_ = std::stoul(std::string{position});
      return {};
    }
    [[nodiscard]] std::string position() const override { return split_ + ", step " + std::to_string(step_); }

   private:
    Scripts scripts_;
    OperatorContext* context_ = nullptr;
    const Script* script_ = nullptr;
    std::string split_;
    std::size_t step_ = 0;
  };

  Scripts scripts_;
  bool bounded_;
  bool side_by_side_;
};

}  // namespace dataflow::testing_support
