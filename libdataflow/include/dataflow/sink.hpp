#pragma once
// Sinks of a user's own: one for at-least-once (Sink), one whose transactions make it exactly-once (TwoPhaseSink).

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "dataflow/record.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// Records go to `write`; `flush` is called before a checkpoint completes and at the end.
template <class T>
class Sink {
 public:
  using record_type = T;
  virtual ~Sink() = default;
  virtual void open(const OperatorContext&) {}
  virtual void write(const T& record) = 0;
  virtual void flush() {}
  virtual void close() {}
};

/// Records go into a transaction; the engine names it (job, operator, subtask, epoch: the same after a restart).
/// A transaction is begun before its first record. `commit` and `abort` may be called again for the same name, and
/// for one that an earlier process has pre-committed; `abort` also for one that nobody has begun.
template <class T>
class TwoPhaseSink {
 public:
  using record_type = T;
  virtual ~TwoPhaseSink() = default;
  virtual void open(const OperatorContext&) {}
  virtual void begin(std::string_view transaction) = 0;
  virtual void write(const T& record) = 0;
  /// What was written since begin is durable afterwards, and not yet visible.
  virtual void pre_commit(std::string_view transaction) = 0;
  virtual void commit(std::string_view transaction) = 0;
  virtual void abort(std::string_view transaction) = 0;
  virtual void close() {}
};

/// The untyped half: batches, epochs, and exceptions turned into errors.
class UserSink : public Operator {
 public:
  Status open(OperatorContext& context) final;
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) final;
  Result<Step> end_of_data(OperatorOutput& out) final;
  Status pre_commit(std::uint64_t epoch) final;
  Status commit(std::uint64_t epoch) final;
  Result<CapturedStatePtr> snapshot() final;
  Status restore(StateReader& state) final;
  void abort() final;
  Status close() final;

 protected:
  virtual void call_open(OperatorContext& context) = 0;
  virtual Status bind(const Batch& batch) = 0;
  virtual void write_rows(const Batch& batch, std::uint32_t& row) = 0;
  virtual void call_flush() {}
  virtual void call_begin(const std::string& /*transaction*/) {}
  virtual void call_pre_commit(const std::string& /*transaction*/) {}
  virtual void call_commit(const std::string& /*transaction*/) {}
  virtual void call_abort(const std::string& /*transaction*/) {}
  virtual void call_close() = 0;

 private:
  struct Pending {
    std::uint64_t epoch;
    std::string transaction;
  };
  [[nodiscard]] std::string transaction_name(std::uint32_t subtask, std::uint64_t epoch) const;
  void abort_left_over(std::uint64_t until);
  OperatorContext* context_ = nullptr;
  std::uint64_t last_listed_ = 0;         ///< epochs up to this are in a checkpoint, perhaps
  bool restored_ = false;                 ///< an earlier attempt may have used the names of what is to come
  std::vector<std::uint32_t> inherited_;  ///< subtasks of earlier attempts, whose transactions are this one's to abort
  std::uint64_t epoch_ = 1;               ///< the one that records are written into
  std::optional<std::string> open_transaction_;
  std::vector<Pending> pending_;  ///< pre-committed, in order
};

template <class S, class... Args>
class TypedSink final : public UserSink {
  using T = typename S::record_type;

 public:
  TypedSink(std::vector<std::uint16_t> positions, const std::tuple<Args...>& arguments)
      : sink_{std::make_from_tuple<S>(arguments)}, reader_{std::move(positions)} {}

 protected:
  static constexpr bool two_phase = std::is_base_of_v<TwoPhaseSink<T>, S>;
  void call_open(OperatorContext& context) override { sink_.open(context); }
  Status bind(const Batch& batch) override { return reader_.bind(batch); }
  void write_rows(const Batch& batch, std::uint32_t& row) override {
    for (; row < batch.rows(); ++row) {
      reader_.read(row, record_);
      sink_.write(record_);
    }
  }
  void call_flush() override {
    if constexpr (!two_phase) sink_.flush();
  }
  void call_begin([[maybe_unused]] const std::string& transaction) override {
    if constexpr (two_phase) sink_.begin(transaction);
  }
  void call_pre_commit([[maybe_unused]] const std::string& transaction) override {
    if constexpr (two_phase) sink_.pre_commit(transaction);
  }
  void call_commit([[maybe_unused]] const std::string& transaction) override {
    if constexpr (two_phase) sink_.commit(transaction);
  }
  void call_abort([[maybe_unused]] const std::string& transaction) override {
    if constexpr (two_phase) sink_.abort(transaction);
  }
  void call_close() override { sink_.close(); }

 private:
  S sink_;
  RowReader<T> reader_;
  T record_{};
};

template <class S, class... Args>
class TypedSinkFactory final : public OperatorFactory {
 public:
  TypedSinkFactory(std::vector<std::uint16_t> positions, std::tuple<Args...> arguments)
      : positions_{std::move(positions)}, arguments_{std::move(arguments)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<TypedSink<S, Args...>>(positions_, arguments_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    return FieldUse{.reads = {positions_.begin(), positions_.end()}, .passing_outputs = {}};
  }

 private:
  std::vector<std::uint16_t> positions_;
  std::tuple<Args...> arguments_;
};

}  // namespace dataflow
