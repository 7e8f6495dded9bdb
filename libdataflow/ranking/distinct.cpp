#include "libdataflow/ranking/distinct.hpp"

#include <algorithm>
#include <string>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/process/row_state.hpp"
#include "libdataflow/ranking/row_bytes.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/state/stored_table.hpp"
#include "libdataflow/state/ttl_sweep.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

/// Of keys that no row comes of any more so many are looked at in one go.
constexpr std::uint32_t slots_in_a_sweep = 4096;

/// Its name says what else must be the same for the state to be of use.
std::string state_name(const DistinctSpec& spec, const Schema& input) {
  std::string name = spec.keep == DistinctSpec::Keep::first ? "first" : "last";
  for (const std::size_t field : spec.key_fields) name += "," + input[field].name;
  return name;
}

/// Of the input: all of the last row; what makes the first one known again is its key.
SchemaPtr kept_schema(const DistinctSpec& spec, const Schema& input) {
  std::vector<Field> fields{{"distinct.event_time", TypeKind::timestamp}};
  if (spec.keep == DistinctSpec::Keep::last) fields.insert(fields.end(), input.fields().begin(), input.fields().end());
  return make_schema(std::move(fields));
}

struct Kept : StateOwner {
  Kept(const DistinctSpec& spec, const Schema& input)
      : row{this, state_name(spec, input), kept_schema(spec, input), Ttl{spec.ttl.value_or(Duration{0})}} {}
  RowState row;
};

class Distinct final : public Operator {
 public:
  Distinct(const DistinctSpec& spec, SchemaPtr input)
      : spec_{spec},
        input_{std::move(input)},
        codec_{*input_},
        kept_{spec_, *input_},
        runtime_{kept_, spec_.key_fields, key_types(), true},
        results_{input_} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    dropped_ = &context.counter("duplicates");
    runtime_.set_now(context.now());
    const StateBackendPtr backend = context.state_backend();
    return backend ? runtime_.use_backend(backend, context.max_parallelism()) : Status{};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    const auto slots = runtime_.begin_batch(*batch, context_->now());
    if (!slots) return fail(slots.error());
    if (spec_.ttl && !next_sweep_) next_sweep_ = context_->now() + pause();
    if (spec_.keep == DistinctSpec::Keep::first) {
      keep_first(batch, *slots, out);
      return ended(runtime_.end_batch());
    }
    batch_ = batch;
    slots_ = *slots;
    row_ = 0;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    if (!batch_) return Step::done;
    while (row_ < batch_->rows()) {
      keep_last(row_++);
      if (!results_.full()) continue;
      out.emit(results_.finish());
      if (out.full()) return Step::yield;
    }
    batch_.reset();
    if (!results_.empty()) out.emit(results_.finish());
    return ended(runtime_.end_batch());
  }

  // Keys that have outlived their time are looked for now and then, so that they do not stay for want of a next row.
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override { return next_sweep_; }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput&) override {
    runtime_.set_now(now);
    runtime_.expire(slots_in_a_sweep);
    next_sweep_.reset();
    if (runtime_.keys() != 0) next_sweep_ = now + pause();
    return Step::done;
  }

  Result<CapturedStatePtr> snapshot() override {
    runtime_.set_now(context_->now());
    return runtime_.snapshot(context_->max_parallelism());
  }

  Status restore(StateReader& state) override {
    const StateDescription* const written = state.find("values");
    const std::string name = kept_.row.name();
    if (written != nullptr && !written->schema->find("written:" + name)) {
      return fail(ErrorCode::invalid_argument, "the distinct kept another row, or had another key: \"" + name +
                                                   "\" is not in its state; give it another uid to begin anew");
    }
    runtime_.set_now(context_->now());
    if (spec_.ttl) next_sweep_ = context_->now() + pause();
    return runtime_.restore(state);
  }

 private:
  [[nodiscard]] std::vector<DataType> key_types() const {
    std::vector<DataType> types;
    for (const std::size_t field : spec_.key_fields) types.push_back((*input_)[field].type);
    return types;
  }
  /// Between two looks at some of the keys.
  [[nodiscard]] Duration pause() const { return pause_between_sweeps(*spec_.ttl, runtime_.keys(), slots_in_a_sweep); }
  static Result<Step> ended(const Status& status) {
    if (!status) return fail(status.error());
    return Step::done;
  }

  void keep_first(const BatchPtr& batch, const std::uint32_t* slots, OperatorOutput& out) {
    firsts_.clear();
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      runtime_.select(slots[row]);
      if (kept_.row.get() != nullptr) {
        kept_.row.touch();
        continue;
      }
      firsts_.push_back(row);
      append_stored_int64(batch->timestamp(row).micros, kept_.row.put());
    }
    dropped_->add(batch->rows() - firsts_.size());
    if (firsts_.size() == batch->rows()) {
      out.emit(batch);
    } else if (!firsts_.empty()) {
      out.emit(batch->select_rows(firsts_));
    }
  }

  void keep_last(std::uint32_t row) {
    runtime_.select(slots_[row]);
    const StoredRow* const before = kept_.row.get();
    if (before != nullptr) add_result(before->fields, RowKind::update_before);
    std::string& fields = kept_.row.put();
    fields.clear();
    append_stored_int64(batch_->timestamp(row).micros, fields);
    codec_.append(*batch_, row, fields);
    add_result(fields, before == nullptr ? RowKind::insert : RowKind::update_after);
  }

  void add_result(std::string_view fields, RowKind kind) {
    StoredFields time{fields};
    const Timestamp at{time.int64().value_or(0)};
    codec_.restore(time.left(), results_);
    if (batch_->has_event_time()) {
      results_.end_row(at, kind);
    } else {
      results_.end_row(kind);
    }
  }

  const DistinctSpec spec_;
  SchemaPtr input_;
  RowBytes codec_;
  Kept kept_;
  KeyedRuntime runtime_;
  OperatorContext* context_ = nullptr;
  Counter* dropped_ = nullptr;
  std::optional<Timestamp> next_sweep_;  ///< with a TTL, while there are keys
  BatchBuilder results_;
  BatchPtr batch_;
  const std::uint32_t* slots_ = nullptr;  ///< of its rows
  std::uint32_t row_ = 0;
  std::vector<std::uint32_t> firsts_;  // scratch
};

class DistinctFactory final : public OperatorFactory {
 public:
  DistinctFactory(DistinctSpec spec, SchemaPtr input) : spec_{std::move(spec)}, input_{std::move(input)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<Distinct>(spec_, input_); }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    FieldUse use;
    use.reads = spec_.key_fields;
    use.passing_outputs = {0};
    return use;
  }

 private:
  DistinctSpec spec_;
  SchemaPtr input_;
};

void build_distinct(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  const InputInfo& input = builder.inputs()[0];
  if (!check_append_only(builder, "a distinct")) return;
  DistinctSpec spec;
  auto fields = read_key_fields(builder);
  bool good = fields.has_value();
  if (fields) spec.key_fields = std::move(*fields);
  spec.keep = settings.text("keep") == "first" ? DistinctSpec::Keep::first : DistinctSpec::Keep::last;
  good &= read_ttl(builder, spec.ttl);
  if (!good) return;
  StreamNode& node = builder.node();
  node.stateful = true;
  node.details = settings.text("keep") + " of each key" + ttl_details(spec.ttl);
  node.outputs = {
      {.schema = input.schema,
       .event_time = input.event_time,
       .changelog = spec.keep == DistinctSpec::Keep::first ? ChangelogMode::append_only : ChangelogMode::retract}};
  send_by_key(builder, spec.key_fields);
  const DistinctSpec of_node = spec;
  node.factory = make_distinct(std::move(spec), input.schema);
  if (!of_node.ttl) sort_input_in_batch(builder, input.schema, of_node.key_fields, KeyGrowth::none);
}

}  // namespace

OperatorFactoryPtr make_distinct(DistinctSpec spec, SchemaPtr input) {
  return std::make_shared<DistinctFactory>(std::move(spec), std::move(input));
}

NodeType distinct_type() {
  return {
      .name = "distinct",
      .role = NodeRole::transform,
      .summary = "One row of each key: the first that came, or the last as a changelog.",
      .options =
          {{.name = "key_by",
            .kind = OptionKind::text_list,
            .help = "Fields that are equal in rows that count as the same.",
            .example = "[\"order_id\"]",
            .required = true},
           {.name = "keep",
            .kind = OptionKind::choice,
            .help = "first: goes out at once, later ones are dropped; last: each row takes the place of the "
                    "one before.",
            .example = "\"last\"",
            .default_value = "first",
            .choices = {"first", "last"}},
           {.name = "ttl",
            .kind = OptionKind::duration,
            .help = "A key that no row came of for so long, by the clock, is forgotten; default: `ttl` of [state], or "
                    "never.",
            .example = "\"1d\""}},
      .example =
          "[operators.once]\ntype   = \"distinct\"\ninput  = \"payments\"\nkey_by = [\"payment_id\"]\nttl  "
          "  = \"1d\"\n",
      .build = build_distinct};
}

}  // namespace dataflow
