#pragma once
// Sources of a user's own. A Source lists its splits once. Of one that ends, each subtask reads splits one after the
// other with a SplitReader, whoever is done taking the next; of one that does not end, all are read at once: they are
// dealt out in turns, each has a reader of its own, and a subtask's readers are asked in turns. Neither sees a thread,
// an actor or a barrier; event time, watermarks and idleness of each split are the engine's.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/output.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

/// What a reader's `next` came to.
struct ReadStep {
  enum class Kind : std::uint8_t { more, wait, end };
  Kind kind = Kind::more;
  Duration pause{0};

  /// Ask again as soon as there is room.
  static ReadStep more() { return {}; }
  /// Nothing at present: ask again after `pause`.
  static ReadStep wait(Duration pause) { return {Kind::wait, pause}; }
  /// The split is read to its end.
  static ReadStep end() { return {Kind::end, {}}; }
};

/// Reads splits of one subtask. May throw: the job then restarts or fails by its strategy.
template <class T>
class SplitReader {
 public:
  virtual ~SplitReader() = default;
  /// Starts a split, at a position that `position` gave, or at its beginning when that is empty.
  virtual void open(std::string_view split, std::string_view position) = 0;
  /// Emits at most `max_records` records; returns soon.
  virtual ReadStep next(Output<T>& out, std::uint32_t max_records) = 0;
  /// Where in the split the next record comes from: for snapshots and for people.
  [[nodiscard]] virtual std::string position() const = 0;
};

/// The description of a source; shared by all its readers.
template <class T>
class Source {
 public:
  using record_type = T;
  virtual ~Source() = default;
  /// Names of the splits in the order in which they are handed out, or dealt out. Called once, on the master.
  [[nodiscard]] virtual std::vector<std::string> splits(std::uint32_t /*parallelism*/) const { return {"all"}; }
  [[nodiscard]] virtual std::unique_ptr<SplitReader<T>> reader() const = 0;
  [[nodiscard]] virtual bool bounded() const { return true; }
};

/// The untyped half of a reader: splits, and exceptions turned into errors.
class UserSourceReader : public SourceReader {
 public:
  Status open(OperatorContext& context) final;
  Status start_split(const Split& split) final;
  Result<SourceStep> poll(SourceOutput& out) final;
  [[nodiscard]] Result<std::string> split_position() const final;
  Status resume_split(const Split& split, std::string_view position) final;
  [[nodiscard]] std::string position() const final;

 protected:
  virtual void open_split(std::string_view split, std::string_view position) = 0;
  /// Emits to `rows`.
  virtual ReadStep read(std::uint32_t max_records) = 0;
  [[nodiscard]] virtual std::string user_position() const = 0;
  virtual BatchPtr take_rows() = 0;

 private:
  Status start_at(const Split& split, std::string_view position);

  OperatorContext* context_ = nullptr;
  std::string split_;
  bool reading_ = false;
};

class UserSourceFactory : public SourceFactory {
 public:
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const final;
  [[nodiscard]] bool side_by_side() const final { return !bounded(); }
  /// Asked on the master; may throw.
  [[nodiscard]] virtual std::vector<std::string> list_splits(std::uint32_t parallelism) const = 0;
};

template <class T>
class TypedSourceReader final : public UserSourceReader, private OperatorOutput {
 public:
  explicit TypedSourceReader(std::unique_ptr<SplitReader<T>> reader) : reader_{std::move(reader)} {
    port_.attach(*this);
  }

 protected:
  void open_split(std::string_view split, std::string_view position) override { reader_->open(split, position); }
  ReadStep read(std::uint32_t max_records) override { return reader_->next(out_, max_records); }
  [[nodiscard]] std::string user_position() const override { return reader_->position(); }
  BatchPtr take_rows() override {
    port_.flush();
    if (batches_.empty()) return nullptr;
    BatchPtr all = batches_.size() == 1 ? batches_[0] : concatenate(batches_);
    batches_.clear();
    return all;
  }

 private:
  void emit(BatchPtr batch, std::size_t) override { batches_.push_back(std::move(batch)); }
  [[nodiscard]] bool full() const override { return !batches_.empty(); }

  std::unique_ptr<SplitReader<T>> reader_;
  OutputPort port_{schema_of<T>(), 0, false};
  Output<T> out_{port_};
  std::vector<BatchPtr> batches_;
};

/// Stands for a reader that the user's code has not given: fails when it is opened.
std::unique_ptr<SourceReader> make_failed_reader(Error why);

template <class T>
class TypedSourceFactory final : public UserSourceFactory {
 public:
  explicit TypedSourceFactory(std::shared_ptr<const Source<T>> source) : source_{std::move(source)} {}
  [[nodiscard]] std::vector<std::string> list_splits(std::uint32_t parallelism) const override {
    return source_->splits(parallelism);
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    try {
      if (auto reader = source_->reader()) return std::make_unique<TypedSourceReader<T>>(std::move(reader));
    } catch (...) {
      return make_failed_reader(error_of_current_exception("in reader()"));
    }
    return make_failed_reader({ErrorCode::user_code, "the source's reader() gave a null pointer instead of a reader"});
  }
  [[nodiscard]] bool bounded() const override { return source_->bounded(); }

 private:
  std::shared_ptr<const Source<T>> source_;
};

/// `count` records made from their number, 0 first; a negative count never ends.
template <class T, class F>
class Generated final : public Source<T> {
 public:
  Generated(std::int64_t count, F make) : count_{count}, make_{std::move(make)} {}
  [[nodiscard]] bool bounded() const override { return count_ >= 0; }
  [[nodiscard]] std::unique_ptr<SplitReader<T>> reader() const override {
    return std::make_unique<Reader>(count_, make_);
  }

 private:
  class Reader final : public SplitReader<T> {
   public:
    Reader(std::int64_t count, F make) : count_{count}, make_{std::move(make)} {}
    void open(std::string_view, std::string_view position) override {
      at_ = position.empty() ? 0 : std::stoll(std::string{position});
    }
    ReadStep next(Output<T>& out, std::uint32_t max_records) override {
      for (std::uint32_t i = 0; i < max_records && at_ != count_; ++i) out.emit(make_(at_++));
      return at_ == count_ ? ReadStep::end() : ReadStep::more();
    }
    [[nodiscard]] std::string position() const override { return std::to_string(at_); }

   private:
    std::int64_t count_;
    F make_;
    std::int64_t at_ = 0;
  };
  std::int64_t count_;
  F make_;
};

}  // namespace dataflow
