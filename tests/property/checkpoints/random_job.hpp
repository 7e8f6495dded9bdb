#pragma once
// Random small jobs whose output does not depend on who runs first: sources with splits in the order of time, keyed
// windows of every kind that time ends, a process function with state and timers, joins of all records with themselves
// and with a table, unions, parallelism 1 to 3.

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dataflow/dataflow.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/joins/join_plan.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"
#include "tests/support/transactional_sink.hpp"

namespace dataflow::testing_support {

struct Event {
  std::string key;
  std::int64_t id;
  std::int64_t value;
  Timestamp at;
};
DATAFLOW_RECORD(Event, key, id, value, at)

struct Total {
  std::string key;
  std::int64_t records;
  std::int64_t sum;
  std::int64_t seen_twice;
};
DATAFLOW_RECORD(Total, key, records, sum, seen_twice)

/// Sums up a key's records in buckets of 100 microseconds, each told when a timer says that it is over; notices records
/// that come again.
class Totals final : public KeyedProcess<std::string, Event, Total> {
 public:
  void process(const Event& event, Context& context, Output<Total>&) override {
    const std::int64_t bucket = (event.at.micros / 100 + 1) * 100;
    const std::int64_t* count = count_.find(bucket);
    const std::int64_t* sum = sum_.find(bucket);
    const std::int64_t counted = count == nullptr ? 0 : *count;
    const std::int64_t summed = sum == nullptr ? 0 : *sum;
    count_.put(bucket, counted + 1);
    sum_.put(bucket, summed + event.value);
    if (ids_.contains(event.id)) twice_ = twice_.value_or(0) + 1;
    ids_.put(event.id, true);
    context.on_event_time(Timestamp{bucket}, "bucket");
  }
  void on_timer(Timestamp time, Context& context, Output<Total>& out) override {
    out.emit({std::string{context.key()}, *count_.find(time.micros), *sum_.find(time.micros), twice_.value_or(0)});
    count_.remove(time.micros);
    sum_.remove(time.micros);
  }

 private:
  MapState<std::int64_t, std::int64_t> count_{this, "count"};
  MapState<std::int64_t, std::int64_t> sum_{this, "sum"};
  ValueState<std::int64_t> twice_{this, "twice"};
  MapState<std::int64_t, bool> ids_{this, "ids"};
};

class RandomJob {
 public:
  RandomJob(std::uint64_t seed, std::shared_ptr<OutsideWorld> world) : random_{seed}, world_{std::move(world)} {
    sources_ = 1 + pick(2);
    for (std::size_t i = 0; i < sources_; ++i) scripts_.push_back(random_scripts(static_cast<std::int64_t>(i)));
    window_ = random_window();
    raw_sink_ = pick(2) == 0;
    filter_ = pick(2) == 0;
    window_branch_ = pick(3) != 0;
    process_branch_ = !window_branch_ || pick(2) == 0;
    join_ = static_cast<Join>(pick(5));
    table_ = random_scripts(5);
  }

  /// The job with parallelism chosen anew.
  JobGraphPtr graph(std::mt19937_64& random) const {
    GraphBuilder builder;
    const auto parallelism = [&random] { return std::uniform_int_distribution<std::uint32_t>{1, 3}(random); };
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i < sources_; ++i) {
      const std::string name = "source-" + std::to_string(i);
      builder
          .source(name, schema(), std::make_shared<ScriptedSource>(scripts_[i]),
                  EventTimeSpec{.field = 3, .out_of_orderness = disorder})
          .parallelism = parallelism();
      inputs.push_back(name);
    }
    if (filter_ || inputs.size() > 1) {
      builder.transform("pass", inputs, pass_through()).parallelism = parallelism();
      inputs = {"pass"};
    }
    if (raw_sink_) sink(builder, "raw", inputs[0], parallelism());
    if (window_branch_) {
      StreamNode& node = builder.transform("window", inputs, make_window_operator(window_, schema()));
      node.outputs[0].schema = *window_output_schema(window_, *schema());
      by_key(node, parallelism());
      sink(builder, "windows", "window", parallelism());
    }
    if (process_branch_) {
      StreamNode& node = builder.transform("totals", inputs, totals());
      node.outputs[0].schema = schema_of<Total>();
      by_key(node, parallelism());
      sink(builder, "results", "totals", parallelism());
    }
    if (join_ != Join::none) add_join(builder, inputs, parallelism);
    builder.graph.name = "job";
    builder.graph.settings.max_parallelism = 16;
    builder.graph.settings.buffer_timeout = Duration{500};
    builder.graph.settings.checkpoint = CheckpointSettings{
        .interval = Duration{3000}, .storage = {}, .timeout = Duration{60'000}, .tolerable_failures = {}, .retain = 2};
    auto job = build_job_graph(std::make_shared<const StreamGraph>(std::move(builder.graph)), 1);
    assert(job.has_value());
    return std::make_shared<const JobGraph>(std::move(*job));
  }

 private:
  /// Those whose results do not depend on which record of two came first.
  enum class Join : std::uint8_t { none, window, interval, regular, lookup };
  static constexpr Duration disorder{20};

  template <class Parallelism>
  void add_join(GraphBuilder& builder, const std::vector<std::string>& inputs, const Parallelism& parallelism) const {
    if (join_ == Join::lookup) {
      builder.source("table", schema(), std::make_shared<ScriptedSource>(table_)).parallelism = parallelism();
    }
    const bool has_window = join_ == Join::window;
    const joins::JoinKind kind = join_ == Join::regular ? joins::JoinKind::inner : joins::JoinKind::left;
    joins::JoinSpec spec = join_spec(kind, has_window);
    const SchemaPtr output = spec.output;
    StreamNode& node = builder.transform("join", inputs, join_factory(std::move(spec)));
    node.outputs[0].schema = output;
    by_key(node, parallelism());
    const std::size_t edges = node.inputs.size();
    for (std::size_t i = 0; i < (join_ == Join::lookup ? 1 : edges); ++i) {
      StreamEdge right = node.inputs[i];
      right.input = 1;
      if (join_ == Join::lookup) {
        right.from = builder.graph.find("table")->id;
        right.partitioning = Partitioning::broadcast;
        right.key_fields.clear();
      }
      node.inputs.push_back(right);
    }
    sink(builder, "joined", "join", parallelism());
  }

  static joins::JoinSpec join_spec(joins::JoinKind kind, bool windowed) {
    const joins::JoinNames names{{"left", "l", schema()}, {"right", "r", schema()}, windowed};
    std::vector<joins::JoinMistake> mistakes;
    joins::JoinPlan plan =
        joins::plan_join(names, kind,
                         {"left.key = right.key AND left.value <= right.value",
                          {{{"key", "left.key"}, {"a", "left.id"}, {"b", "right.id"}, {"at", "right.at"}}}},
                         mistakes);
    assert(mistakes.empty());
    for (joins::JoinSide& side : plan.spec.sides) side.event_time = true;
    plan.spec.event_time = true;
    return std::move(plan.spec);
  }

  [[nodiscard]] OperatorFactoryPtr join_factory(joins::JoinSpec spec) const {
    WindowSpec window;
    window.kind = WindowKind::sliding;
    window.size = Duration{40};
    window.slide = Duration{20};
    switch (join_) {
      case Join::window: return joins::make_window_join({std::move(spec), window});
      case Join::interval: return joins::make_interval_join({std::move(spec), Duration{-15}, Duration{25}});
      case Join::lookup: return joins::make_lookup({std::move(spec)});
      default: return joins::make_regular_join({std::move(spec), {}});
    }
  }

  static const SchemaPtr& schema() {
    static const SchemaPtr s = schema_of<Event>();
    return s;
  }
  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_); }

  /// Times rise from split to split, so that no record is late whoever reads which split.
  std::vector<Script> random_scripts(std::int64_t source) {
    std::vector<Script> scripts(1 + pick(5));
    std::int64_t time = 0;
    std::int64_t id = source * 1000;
    for (Script& script : scripts) {
      for (std::size_t batches = pick(4); batches > 0; --batches) {
        BatchBuilder rows{schema()};
        for (std::size_t n = 1 + pick(5); n > 0; --n) {
          rows.column(0).append_text(std::string(1, static_cast<char>('a' + pick(5))));
          rows.column(1).append_int64(++id);
          rows.column(2).append_int64(static_cast<std::int64_t>(pick(100)));
          rows.column(3).append_int64(time +
                                      static_cast<std::int64_t>(pick(static_cast<std::size_t>(disorder.count()))));
          rows.end_row();
          time += static_cast<std::int64_t>(pick(30));
        }
        script.push_back(rows.finish());
        if (pick(4) == 0) script.push_back(Pause{Duration{1000}});
      }
      time += disorder.count();
    }
    return scripts;
  }

  WindowSpec random_window() {
    WindowSpec spec;
    constexpr WindowKind kinds[] = {WindowKind::tumbling, WindowKind::sliding, WindowKind::session,
                                    WindowKind::cumulate, WindowKind::global};
    spec.kind = kinds[pick(5)];
    spec.size = Duration{static_cast<std::int64_t>(40 + 20 * pick(5))};
    spec.slide = Duration{20};
    spec.step = Duration{20};
    spec.gap = Duration{static_cast<std::int64_t>(5 + pick(40))};
    spec.allowed_lateness = Duration{pick(2) == 0 ? 0 : 50};
    spec.key_fields = {0};
    for (const char* text :
         {"count()", "sum(value)", "max(value)", "count(distinct value)", "min(key)", "avg(value)"}) {
      if (pick(2) == 0) continue;
      spec.aggregates.push_back({"a" + std::to_string(spec.aggregates.size()), *compile_aggregate(text, *schema())});
    }
    if (spec.aggregates.empty()) spec.aggregates.push_back({"n", *compile_aggregate("count()", *schema())});
    return spec;
  }

  static OperatorFactoryPtr totals() {
    auto plan = std::make_shared<ProcessPlan>();
    plan->key_fields = {0};
    plan->key_types = {DataType{TypeKind::string}};
    plan->positions = {0, 1, 2, 3};
    plan->output = schema_of<Total>();
    plan->sides = std::make_shared<std::vector<SideOutput>>();
    plan->event_time = true;
    return std::make_shared<ProcessFactory<Totals>>(plan, std::tuple<>{});
  }

  static void by_key(StreamNode& node, std::uint32_t parallelism) {
    node.parallelism = parallelism;
    node.stateful = true;
    for (StreamEdge& edge : node.inputs) {
      edge.partitioning = Partitioning::hash;
      edge.key_fields = {0};
    }
  }
  void sink(GraphBuilder& builder, const std::string& name, const std::string& input, std::uint32_t parallelism) const {
    builder.sink(name, {input}, std::make_shared<TransactionalSinkFactory>(world_, name)).parallelism = parallelism;
  }

  std::mt19937_64 random_;
  std::shared_ptr<OutsideWorld> world_;
  std::size_t sources_ = 1;
  std::vector<std::vector<Script>> scripts_;
  WindowSpec window_;
  bool raw_sink_ = false;
  bool filter_ = false;
  bool window_branch_ = false;
  bool process_branch_ = false;
  Join join_ = Join::none;
  std::vector<Script> table_;
};

}  // namespace dataflow::testing_support
