#pragma once
// The operator of asynchronous calls: Flink's AsyncWaitOperator without a thread of its own. Answers are looked for
// each millisecond of the clock while there are calls under way.

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "dataflow/async.hpp"
#include "dataflow/codec.hpp"
#include "dataflow/output.hpp"
#include "dataflow/record.hpp"
#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// Where the records' fields lie, and what is known of the streams.
struct AsyncPlan {
  std::vector<std::uint16_t> positions;
  SchemaPtr record;  ///< the record's own fields
  SchemaPtr output;
  bool event_time = false;
  AsyncOptions options;
};

/// The untyped half: events, time and state. Records and calls are the typed half's, in the order in which they came,
/// with watermarks between them.
class AsyncOperator : public Operator {
 public:
  explicit AsyncOperator(AsyncPlan plan);

  Status open(OperatorContext& context) final;
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) final;
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) final;
  [[nodiscard]] bool delays_watermarks() const final { return true; }
  [[nodiscard]] bool can_take(Event event) const final;
  Result<Step> on_processing_time(Timestamp now, OperatorOutput& out) final;
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const final;
  Result<CapturedStatePtr> snapshot() final;
  Status restore(StateReader& state) final;

 protected:
  virtual Status bind(const Batch& batch) = 0;
  /// A record to be asked for, behind the others.
  virtual void add(std::uint32_t row, Timestamp time) = 0;
  virtual void add_watermark(Timestamp watermark) = 0;
  [[nodiscard]] virtual bool any_waiting() const = 0;  ///< records that have not been asked for
  [[nodiscard]] virtual std::size_t under_way() const = 0;
  [[nodiscard]] virtual bool empty() const = 0;
  /// Makes calls as far as there is room, looks for answers, and emits what may be.
  virtual Status advance(Timestamp now, OperatorOutput& out) = 0;
  /// All records that have given no result yet, in order, as rows of state_schema().
  [[nodiscard]] virtual std::vector<BatchPtr> rows() const = 0;
  /// Adds what rows() gave.
  virtual Status add_rows(const Batch& rows) = 0;
  /// The record's own fields, and its event time.
  [[nodiscard]] const SchemaPtr& state_schema() const { return state_schema_; }

  AsyncPlan plan_;
  OutputSet outputs_;
  Counter* retries_ = nullptr;
  Counter* timeouts_ = nullptr;

 private:
  Result<Step> look(OperatorOutput& out);

  SchemaPtr state_schema_;
  OperatorContext* context_ = nullptr;
  Timestamp next_look_ = Timestamp::min();
};

/// What F gives, when that is a future.
template <bool Gives, class F, class T, class Otherwise>
struct FutureGiven {
  using type = Otherwise;
};
template <class F, class T, class Otherwise>
struct FutureGiven<true, F, T, Otherwise> {
  using type = std::invoke_result_t<F&, const T&>;
};

/// F is called with a record, and G, if it is not FailOnTimeout, with one whose call timed out.
template <class T, class R, class F, class G>
class AsyncOperatorOf final : public AsyncOperator {
  static constexpr bool gives_future = std::is_invocable_v<F&, const T&>;
  struct NoFuture {};
  using Future = typename FutureGiven<gives_future, F, T, NoFuture>::type;

 public:
  AsyncOperatorOf(AsyncPlan plan, F function, G on_timeout)
      : AsyncOperator{std::move(plan)},
        function_{std::move(function)},
        on_timeout_{std::move(on_timeout)},
        reader_{plan_.positions} {}

 protected:
  Status bind(const Batch& batch) override { return reader_.bind(batch); }
  void add(std::uint32_t row, Timestamp time) override {
    Entry& entry = waiting_.emplace_back();
    reader_.read(row, entry.record);
    entry.time = time;
  }
  void add_watermark(Timestamp watermark) override {
    std::deque<Entry>& queue = waiting_.empty() ? asked_ : waiting_;
    if (queue.empty() || !queue.back().is_watermark) queue.emplace_back().is_watermark = true;
    queue.back().time = watermark;  // of neighbouring ones the newest
  }
  [[nodiscard]] bool any_waiting() const override { return !waiting_.empty(); }
  [[nodiscard]] std::size_t under_way() const override { return under_way_; }
  [[nodiscard]] bool empty() const override { return waiting_.empty() && asked_.empty(); }

  Status advance(Timestamp now, OperatorOutput& out) override {
    do {
      if (auto asked = ask(now); !asked) return asked;
      for (Entry& entry : asked_) {
        if (entry.is_watermark || entry.done) continue;
        if (auto looked = look_at(entry, now); !looked) return looked;
      }
      give(out);
    } while (!waiting_.empty() && under_way_ < plan_.options.capacity && !out.full());
    return {};
  }

  [[nodiscard]] std::vector<BatchPtr> rows() const override {
    std::vector<BatchPtr> batches;
    RowBuffer rows{state_schema()};
    for (const std::deque<Entry>* queue : {&asked_, &waiting_}) {
      for (const Entry& entry : *queue) {
        if (entry.is_watermark) continue;
        put_record(rows, entry.record);
        FieldTraits<Timestamp>::write(rows, rows.pointers(), field_count<T>, rows.rows(), entry.time);
        rows.end_row();
        if (rows.full()) batches.push_back(rows.finish());
      }
    }
    if (!rows.empty()) batches.push_back(rows.finish());
    return batches;
  }
  Status add_rows(const Batch& rows) override {
    RowReader<T> reader;
    if (auto bound = reader.bind(rows); !bound) return bound;
    for (std::uint32_t row = 0; row < rows.rows(); ++row) {
      Entry& entry = waiting_.emplace_back();
      reader.read(row, entry.record);
      entry.time = Timestamp{rows.column(field_count<T>).template as<std::int64_t>()[row]};
    }
    return {};
  }

 private:
  struct Entry {
    bool is_watermark = false;
    bool done = false;  ///< its results are there
    T record{};
    Timestamp time;  ///< its event time, or the watermark
    Timestamp deadline;
    Timestamp retry_at;
    std::uint32_t attempts = 0;
    std::shared_ptr<AsyncCall<R>> call;  ///< null: to be made at retry_at
    Future future;                       ///< that answers it, if the function gives one
    std::vector<R> results;
  };

  Status ask(Timestamp now) {
    while (!waiting_.empty() && (waiting_.front().is_watermark || under_way_ < plan_.options.capacity)) {
      asked_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      Entry& entry = asked_.back();
      if (entry.is_watermark) continue;
      ++under_way_;
      entry.deadline = now + plan_.options.timeout;
      make_call(entry);
    }
    return {};
  }

  void make_call(Entry& entry) {
    ++entry.attempts;
    entry.call = std::make_shared<AsyncCall<R>>();
    try {
      if constexpr (gives_future) {
        entry.future = function_(std::as_const(entry.record));
      } else {
        function_(std::as_const(entry.record), Completion<R>{entry.call});
      }
    } catch (...) {
      entry.call->fail(std::current_exception());
    }
  }

  Status look_at(Entry& entry, Timestamp now) {
    using State = typename AsyncCall<R>::State;
    if (!entry.call && now >= entry.retry_at) make_call(entry);
    if (entry.call) {
      if constexpr (gives_future) poll(entry);
      const State state = entry.call->state();
      if (state == State::answered) {
        entry.results = std::move(entry.call->results());
        entry.call.reset();
        entry.done = true;
        return {};
      }
      if (state == State::failed) {
        if (entry.attempts >= plan_.options.attempts) return failure_of(entry);
        retries_->add(1);
        entry.call.reset();
        entry.retry_at = now + plan_.options.retry_delay;
      }
    }
    return now < entry.deadline ? Status{} : time_out(entry);
  }

  Status failure_of(const Entry& entry) const {
    const std::string tried =
        entry.attempts == 1 ? "" : ", at the last of " + std::to_string(entry.attempts) + " attempts";
    try {
      std::rethrow_exception(entry.call->failure());
    } catch (...) {
      return fail(error_of_current_exception("at record " + record_to_json(entry.record) + tried));
    }
  }

  Status time_out(Entry& entry) {
    timeouts_->add(1);
    entry.call.reset();
    if constexpr (std::is_same_v<G, FailOnTimeout>) {
      return fail(ErrorCode::user_code,
                  "the call for a record has no answer after " + to_string(plan_.options.timeout) + ", at record " +
                      record_to_json(entry.record) + "; give it more time, or a result for those that time out");
    } else {
      try {
        entry.results.clear();
        entry.results.push_back(on_timeout_(std::as_const(entry.record)));
      } catch (...) {
        return fail(error_of_current_exception("at record " + record_to_json(entry.record)));
      }
      entry.done = true;
      return {};
    }
  }

  void give(OperatorOutput& out) {
    outputs_.attach(out);
    while (!out.full()) {
      if (plan_.options.order == AsyncOrder::unordered) give_unordered();
      if (asked_.empty()) break;
      Entry& first = asked_.front();
      if (!first.is_watermark && !first.done) break;
      if (first.is_watermark) {
        outputs_.flush();
        out.advance_watermark(first.time);
      } else {
        emit(first);
      }
      asked_.pop_front();
    }
    outputs_.flush();
  }

  /// Those with an answer in front of the next watermark.
  void give_unordered() {
    const auto end = std::find_if(asked_.begin(), asked_.end(), [](const Entry& e) { return e.is_watermark; });
    const auto left = std::stable_partition(asked_.begin(), end, [](const Entry& e) { return e.done; });
    for (auto done = asked_.begin(); done != left; ++done) emit(*done);
    asked_.erase(asked_.begin(), left);
  }

  void emit(const Entry& entry) {
    outputs_.set_time(entry.time);
    for (const R& result : entry.results) outputs_.main().put(result);
    --under_way_;
  }

  static void poll(Entry& entry) {
    if (!entry.future.valid() || entry.future.wait_for(std::chrono::seconds{0}) == std::future_status::timeout) return;
    try {
      if constexpr (std::is_same_v<Future, std::future<std::vector<R>>>) {
        entry.call->answer(entry.future.get());
      } else {
        std::vector<R> one;
        one.push_back(entry.future.get());
        entry.call->answer(std::move(one));
      }
    } catch (...) {
      entry.call->fail(std::current_exception());
    }
  }

  F function_;
  G on_timeout_;
  RowReader<T> reader_;
  std::deque<Entry> asked_;    ///< under way, or done and waiting for their turn
  std::deque<Entry> waiting_;  ///< not asked for: the rest of a batch
  std::size_t under_way_ = 0;  ///< records in asked_
};

template <class T, class R, class F, class G>
class AsyncFactory final : public OperatorFactory {
 public:
  AsyncFactory(AsyncPlan plan, F function, G on_timeout)
      : plan_{std::move(plan)}, function_{std::move(function)}, on_timeout_{std::move(on_timeout)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<AsyncOperatorOf<T, R, F, G>>(plan_, function_, on_timeout_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    return FieldUse{.reads = {plan_.positions.begin(), plan_.positions.end()}, .passing_outputs = {}};
  }

 private:
  AsyncPlan plan_;
  F function_;
  G on_timeout_;
};

}  // namespace dataflow
