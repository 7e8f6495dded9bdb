#pragma once
// Tests of jobs: a process function alone, on a clock of one's own (Harness), or a whole job on virtual time (run).
//
//     df::testing::Harness<SmallThenLarge> h{5min};
//     h.push({"c", 0.5, 0s}); h.watermark(6min); h.push({"c", 900, 6min});
//     CHECK(h.output().empty());

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "dataflow/dataflow.hpp"

namespace dataflow::testing {

/// Thrown where the engine would fail the job; the message is the job's.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const Error& error) : std::runtime_error{error.message()}, error_{error} {}
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
};

/// An operator's state as bytes, as a checkpoint holds it, and back into one that has been opened. Throws Failure.
std::string save_state(Operator& from);
void load_state(Operator& into, std::string_view saved);

/// The world of one operator: a clock and a watermark that the test moves, and everything that was emitted.
class Bench : public OperatorContext, public OperatorOutput {
 public:
  [[nodiscard]] const std::string& operator_name() const override { return name_; }
  [[nodiscard]] std::uint32_t subtask() const override { return 0; }
  [[nodiscard]] std::uint32_t parallelism() const override { return 1; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return 128; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return job_; }
  [[nodiscard]] Timestamp now() const override { return now_; }
  [[nodiscard]] Timestamp watermark() const override { return watermark_; }
  Counter& counter(std::string_view name) override { return counters_[std::string{name}]; }

  void emit(BatchPtr batch, std::size_t output) override { emitted_[output].push_back(std::move(batch)); }
  [[nodiscard]] bool full() const override { return full_; }

  /// Runs a step and its resumes, with the output full after each of them when `pause` is set.
  template <class First>
  void run(Operator& under_test, First first) {
    auto step = first();
    while (step && *step == Step::yield) {
      full_ = false;
      step = under_test.resume(*this);
    }
    if (!step) throw Failure{step.error()};
  }

  Timestamp now_{};
  Timestamp watermark_ = Timestamp::min();
  std::map<std::size_t, std::vector<BatchPtr>> emitted_;

 private:
  std::string name_ = "tested";
  std::string job_ = "test";
  std::map<std::string, Counter, std::less<>> counters_;
  bool full_ = false;
};

/// What harnesses of functions over one and over two streams have in common. Side outputs must be named before the
/// first push: `h.side_output<T>("late")` declares and later reads.
template <class P>
class FunctionHarness {
  using Out = typename P::output_type;

 public:
  FunctionHarness(const FunctionHarness&) = delete;
  FunctionHarness& operator=(const FunctionHarness&) = delete;

  /// Event time comes to `time`: what is due fires.
  void watermark(Timestamp time) {
    Operator& under_test = opened();
    bench_.watermark_ = time;  // who fires sees it, as in a job
    bench_.run(under_test, [&] { return under_test.on_watermark(time, bench_); });
  }
  /// The clock comes to `time`: what is due fires.
  void processing_time(Timestamp time) {
    Operator& under_test = opened();
    for (auto next = under_test.next_processing_timer(); next && *next <= time;
         next = under_test.next_processing_timer()) {
      bench_.now_ = std::max(bench_.now_, *next);
      bench_.run(under_test, [&] { return under_test.on_processing_time(bench_.now_, bench_); });
    }
    bench_.now_ = time;
  }

  /// Everything emitted so far.
  std::vector<Out> output() { return read<Out>(0); }
  /// What was emitted to a side output so far.
  template <class S>
  std::vector<S> side_output(std::string_view name) {
    for (std::size_t i = 0; i < sides_->size(); ++i) {
      if ((*sides_)[i].name == name) return read<S>(i + 1);
    }
    if (operator_) throw std::logic_error{"name the side output \"" + std::string{name} + "\" before the first push"};
    sides_->push_back({std::string{name}, schema_of<S>(), std::string{record_name<S>()}});
    return {};
  }
  /// Forgets what was emitted.
  void clear_output() { bench_.emitted_.clear(); }

  /// State and timers, as a checkpoint holds them.
  std::string snapshot() { return save_state(opened()); }
  /// Goes on in a new operator from a snapshot, as after a failure. Watermark and clock stay.
  void restore(const std::string& snapshot) {
    if (operator_) operator_->abort();
    operator_.reset();
    load_state(opened(), snapshot);
  }

  /// A message as `dfnode send` delivers it: JSON in, JSON out.
  std::string send(std::string_view message, std::string_view json) {
    auto answer = opened().receive(message, json);
    if (!answer) throw Failure{answer.error()};
    return std::move(*answer);
  }
  /// A declared state of a key as `dfnode ask` shows it; "null" when there is none.
  std::string ask(std::string_view state, std::string_view key_json) {
    auto answer = opened().query(state, key_json);
    if (!answer) throw Failure{answer.error()};
    return std::move(*answer);
  }
  /// The event time of its next timer, without those that only clean up: what `dfnode why` says that it waits for.
  [[nodiscard]] std::optional<Timestamp> waits_for() { return opened().waits_for(); }
  std::uint64_t counter(std::string_view name) { return bench_.counter(name).value(); }

 protected:
  /// The function is made from `arguments`, as by stream.process<P>(arguments...).
  template <class... Args>
  explicit FunctionHarness(std::tuple<Args...> arguments) {
    make_ = [arguments =
                 std::move(arguments)](std::shared_ptr<const ProcessPlan> plan) -> std::unique_ptr<ProcessOperator> {
      return std::make_unique<OperatorOfFunction<P, Args...>>(std::move(plan), arguments);
    };
  }
  ~FunctionHarness() {
    if (operator_) static_cast<void>(operator_->close());
  }

  template <class T>
  void push_to(std::size_t input, const T& record, std::optional<Timestamp> event_time) {
    RowBuffer rows{schema_of<T>()};
    put_record(rows, record);
    rows.end_row(event_time ? *event_time : time_of(record));
    const BatchPtr batch = rows.finish();
    bench_.run(opened(), [&] { return opened().process(input, batch, bench_); });
  }

  /// Keys are these members' values; else the first members of the key's types.
  template <class T, class M>
  void set_key_of(std::size_t input, M T::*member) {
    key_fields_[input] = member_index(member);
  }

 private:
  ProcessOperator& opened() {
    if (operator_) return *operator_;
    auto plan = std::make_shared<ProcessPlan>();
    if constexpr (KeyedFunction<P>) {
      using K = typename P::key_type;
      plan->key_types = KeyTraits<K>::types();
      plan->optional_key = KeyTraits<K>::optional;
    }
    if constexpr (CoFunction<P>) {
      describe_input<typename P::first_type>(0, *plan, *plan);
      describe_input<typename P::second_type>(1, *plan, plan->second.emplace());
    } else {
      describe_input<typename P::input_type>(0, *plan, *plan);
    }
    plan->output = schema_of<Out>();
    plan->sides = sides_;
    plan->event_time = true;
    operator_ = make_(std::move(plan));
    if (auto status = operator_->open(bench_); !status) throw Failure{status.error()};
    return *operator_;
  }
  template <class T>
  void describe_input(std::size_t number, const ProcessPlan& plan, ProcessInput& input) const {
    for (std::size_t i = 0; i < field_count<T>; ++i) input.positions.push_back(static_cast<std::uint16_t>(i));
    if (number == 1 && BroadcastFunction<P>) return;  // rules have none
    input.key_fields = key_fields_[number] ? std::vector{*key_fields_[number]} : fields_of_types<T>(plan.key_types);
  }
  /// The first fields of the key's types, each taken once.
  template <class T>
  static std::vector<std::size_t> fields_of_types(const std::vector<DataType>& types) {
    std::vector<std::size_t> fields;
    const Schema& schema = *schema_of<T>();
    for (const DataType& type : types) {
      std::size_t i = fields.empty() ? 0 : fields.back() + 1;
      while (i < schema.size() && !(schema[i].type == type)) ++i;
      if (i == schema.size()) throw std::logic_error{"the record has no member of the key's type: call set_key"};
      fields.push_back(i);
    }
    return fields;
  }
  template <class T>
  Timestamp time_of(const T& record) const {
    std::optional<Timestamp> time;
    for_each_field<T>(record, [&]<class M>(const M& field) {
      if constexpr (std::is_same_v<M, Timestamp>) {
        if (!time) time = field;
      }
    });
    return time.value_or(bench_.watermark_);
  }
  template <class S>
  std::vector<S> read(std::size_t output) {
    std::vector<S> records;
    for (const BatchPtr& batch : bench_.emitted_[output]) {
      if (auto status = append_records(*batch, records); !status) throw Failure{status.error()};
    }
    return records;
  }

  std::function<std::unique_ptr<ProcessOperator>(std::shared_ptr<const ProcessPlan>)> make_;
  SideOutputsPtr sides_ = std::make_shared<SideOutputs>();
  std::array<std::optional<std::size_t>, 2> key_fields_;
  Bench bench_;
  std::unique_ptr<ProcessOperator> operator_;
};

/// A process function under test.
template <class P>
class Harness : public FunctionHarness<P> {
  using In = typename P::input_type;

 public:
  /// The function is made from `arguments`, as by stream.process<P>(arguments...).
  template <class... Args>
  explicit Harness(Args... arguments) : FunctionHarness<P>{std::tuple<Args...>{std::move(arguments)...}} {}

  /// One record, with its event time; without one it is that of the record's first Timestamp member, or the watermark.
  /// A KeyedProcess finds its key in the member that set_key named, or in the first of the key's type.
  void push(const In& record, std::optional<Timestamp> event_time = std::nullopt) {
    this->push_to(0, record, event_time);
  }
  /// Keys are this member's values; needed when the key's type is not that of the first such member.
  template <class M>
  void set_key(M In::*member) {
    this->set_key_of(0, member);
  }
};

/// A function over two streams under test.
template <class P>
class CoHarness : public FunctionHarness<P> {
  using A = typename P::first_type;
  using B = typename P::second_type;

 public:
  template <class... Args>
  explicit CoHarness(Args... arguments) : FunctionHarness<P>{std::tuple<Args...>{std::move(arguments)...}} {}

  /// One record of the first stream; time and key as Harness::push has them.
  void push_first(const A& record, std::optional<Timestamp> event_time = std::nullopt) {
    this->push_to(0, record, event_time);
  }
  void push_second(const B& record, std::optional<Timestamp> event_time = std::nullopt) {
    this->push_to(1, record, event_time);
  }
  template <class MA, class MB>
  void set_keys(MA A::*first, MB B::*second) {
    this->set_key_of(0, first);
    this->set_key_of(1, second);
  }
};

/// A function over records and rules under test.
template <class P>
class BroadcastHarness : public FunctionHarness<P> {
  using In = typename P::first_type;
  using Rule = typename P::broadcast_type;

 public:
  template <class... Args>
  explicit BroadcastHarness(Args... arguments) : FunctionHarness<P>{std::tuple<Args...>{std::move(arguments)...}} {}

  /// One record; time and key as Harness::push has them.
  void push(const In& record, std::optional<Timestamp> event_time = std::nullopt) {
    this->push_to(0, record, event_time);
  }
  void push_broadcast(const Rule& rule, std::optional<Timestamp> event_time = std::nullopt) {
    this->push_to(1, rule, event_time);
  }
  template <class M>
  void set_key(M In::*member) {
    this->set_key_of(0, member);
  }
};

/// What stands in for a job's sources: `Inputs{}.from("payments", payments)`, by the name of the source's node. What
/// is not named runs as it is.
class Inputs {
 public:
  template <class T>
  Inputs& from(std::string source, const std::vector<T>& records) {
    batches_[std::move(source)] = to_batches(records);
    return *this;
  }
  [[nodiscard]] const std::map<std::string, std::vector<BatchPtr>>& batches() const { return batches_; }

 private:
  std::map<std::string, std::vector<BatchPtr>> batches_;
};

/// What a job's sinks would have got, and what it came to.
class Outputs {
 public:
  explicit Outputs(std::map<std::string, std::vector<BatchPtr>> batches) : batches_{std::move(batches)} {}
  /// By the name of the sink, or of the node whose main output it reads. Throws std::out_of_range naming the outputs
  /// that there are.
  template <class T>
  [[nodiscard]] std::vector<T> of(const std::string& name) const {
    std::vector<T> records;
    for (const BatchPtr& batch : find(name)) {
      if (auto status = append_records(*batch, records); !status) throw Failure{status.error()};
    }
    return records;
  }
  /// The same as JSON lines.
  [[nodiscard]] std::string json_of(const std::string& name) const;

 private:
  [[nodiscard]] const std::vector<BatchPtr>& find(const std::string& name) const;
  std::map<std::string, std::vector<BatchPtr>> batches_;
};

/// How `run` runs.
struct RunOptions {
  std::uint32_t parallelism = 1;         ///< where the job says none
  std::vector<std::string> arguments{};  ///< what env.args() gives
  std::optional<Timestamp> until{};      ///< an unbounded job is stopped and drained at this virtual time
};

/// Runs a whole job in this thread on virtual time, its sinks replaced by memory. Throws Failure with the job's error.
Outputs run(void (*job)(Environment&), const Inputs& inputs = {}, const RunOptions& options = {});

/// Seeds, both included.
struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
};

/// The cluster that `simulate` runs on.
struct SimulateOptions {
  std::uint32_t nodes = 3;
  std::uint32_t parallelism = 2;         ///< where the job says none
  std::vector<std::string> arguments{};  ///< what env.args() gives
};

/// What happened to a job while it was simulated.
struct Simulated {
  std::uint64_t faults = 0;
  std::uint64_t restarts = 0;
  std::uint64_t checkpoints = 0;  ///< that were completed
  std::uint64_t rescales = 0;     ///< after which it went on with another parallelism
};

/// Runs a bounded job on a simulated cluster for each seed, under faults drawn from it (processes killed, networks cut,
/// disks that fail), as `dfnode simulate` does, and compares what its sinks, replaced by ones in memory, have committed
/// with what they commit without faults. Throws Failure: with the seed, its faults and the rows that are missing or too
/// many; with the operator whose output depends on more than its input; with the job's own error.
Simulated simulate(void (*job)(Environment&), const Inputs& inputs = {}, Seeds seeds = {},
                   const SimulateOptions& options = {});

}  // namespace dataflow::testing
