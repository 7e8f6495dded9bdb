#include "libdataflow/ranking/distinct.hpp"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/ranking/row_bytes.hpp"
#include "libdataflow/ranking/sort_key.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

constexpr const char* rows_table = "rows";

class Distinct final : public Operator {
 public:
  Distinct(const DistinctSpec& spec, SchemaPtr input)
      : spec_{spec},
        input_{std::move(input)},
        kept_schema_{kept_schema()},
        codec_{*input_, kept_fields()},
        results_{input_} {
    for (const std::size_t field : spec_.key_fields) key_order_.push_back({field, false});
  }

  Status open(OperatorContext& context) override {
    context_ = &context;
    dropped_ = &context.counter("duplicates");
    return {};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    if (spec_.keep == DistinctSpec::Keep::first) {
      keep_first(batch, out);
      return Step::done;
    }
    batch_ = batch;
    row_ = 0;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (batch_ && row_ < batch_->rows()) {
      keep_last(row_++);
      if (!results_.full()) continue;
      out.emit(results_.finish());
      if (out.full()) return Step::yield;
    }
    batch_.reset();
    if (!results_.empty()) out.emit(results_.finish());
    return Step::done;
  }

  // Keys that have outlived their time are looked for now and then, so that they do not stay for want of a next row.
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override {
    if (!spec_.ttl || kept_.empty()) return std::nullopt;
    return oldest_ + *spec_.ttl + *spec_.ttl / 4;
  }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput&) override {
    oldest_ = now;
    for (auto at = kept_.begin(); at != kept_.end();) {
      const auto current = at++;
      if (is_expired(current->second, now)) {
        kept_.erase(current);
      } else {
        oldest_ = std::min(oldest_, current->second.seen);
      }
    }
    return Step::done;
  }

  Result<CapturedStatePtr> snapshot() override {
    auto state = std::make_unique<CopiedState>();
    state->begin({rows_table, StateKind::keyed, 1, saved_schema()});
    BatchBuilder rows{saved_schema()};
    const auto flush = [&] {
      if (!rows.empty()) state->add_keyed(rows.finish(), saved_keys(), context_->max_parallelism());
    };
    for (const auto& [key, kept] : kept_) {
      codec_.restore(kept.bytes, rows);
      rows.column(kept_schema_->size()).append_int64(kept.time.micros);
      rows.column(kept_schema_->size() + 1).append_int64(kept.seen.micros);
      rows.end_row();
      if (rows.full()) flush();
    }
    flush();
    return state;
  }

  Status restore(StateReader& state) override {
    oldest_ = context_->now();
    std::vector<SortField> order;
    for (const std::size_t field : saved_keys()) order.push_back({field, false});
    const RowBytes saved{*kept_schema_};
    return state.read(rows_table, saved_schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
      const auto times = rows->column(kept_schema_->size()).as<std::int64_t>();
      const auto seen = rows->column(kept_schema_->size() + 1).as<std::int64_t>();
      for (std::uint32_t row = 0; row < rows->rows(); ++row) {
        key_.clear();
        append_sort_key(*rows, row, order, key_);
        Kept& kept = kept_[key_];
        kept.time = Timestamp{times[row]};
        kept.seen = Timestamp{seen[row]};
        oldest_ = std::min(oldest_, kept.seen);
        saved.append(*rows, row, kept.bytes);
      }
      return {};
    });
  }

 private:
  struct Kept {
    std::string bytes;  ///< of kept_schema_: the last row, or only the first one's key
    Timestamp time{};   ///< the row's event time
    Timestamp seen{};   ///< by the clock
  };

  /// Of the input: all of the last row, of the first only what makes it known again.
  [[nodiscard]] std::vector<std::size_t> kept_fields() const {
    if (spec_.keep == DistinctSpec::Keep::first) return spec_.key_fields;
    std::vector<std::size_t> all(input_->size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }
  [[nodiscard]] SchemaPtr kept_schema() const {
    std::vector<Field> fields;
    for (const std::size_t field : kept_fields()) fields.push_back((*input_)[field]);
    return make_schema(std::move(fields));
  }
  [[nodiscard]] SchemaPtr saved_schema() const {
    std::vector<Field> fields = kept_schema_->fields();
    fields.push_back({"distinct.event_time", TypeKind::timestamp});
    fields.push_back({"distinct.seen", TypeKind::timestamp});
    return make_schema(std::move(fields));
  }
  /// The key fields in kept_schema_.
  [[nodiscard]] std::vector<std::size_t> saved_keys() const {
    if (spec_.keep == DistinctSpec::Keep::last) return spec_.key_fields;
    std::vector<std::size_t> keys(spec_.key_fields.size());
    std::iota(keys.begin(), keys.end(), std::size_t{0});
    return keys;
  }

  [[nodiscard]] bool is_expired(const Kept& kept, Timestamp now) const {
    return spec_.ttl && now - kept.seen >= *spec_.ttl;
  }

  /// The key's entry, and whether it is a new one.
  std::pair<Kept*, bool> touch(const Batch& batch, std::uint32_t row, Timestamp now) {
    key_.clear();
    append_sort_key(batch, row, key_order_, key_);
    if (kept_.empty()) oldest_ = now;
    const auto [at, is_new] = kept_.try_emplace(key_);
    const bool begins = is_new || is_expired(at->second, now);
    at->second.seen = now;
    return {&at->second, begins};
  }

  void keep_first(const BatchPtr& batch, OperatorOutput& out) {
    const Timestamp now = context_->now();
    firsts_.clear();
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      const auto [kept, begins] = touch(*batch, row, now);
      if (!begins) continue;
      firsts_.push_back(row);
      kept->time = batch->timestamp(row);
      kept->bytes.clear();
      codec_.append(*batch, row, kept->bytes);
    }
    dropped_->add(batch->rows() - firsts_.size());
    if (firsts_.size() == batch->rows()) {
      out.emit(batch);
    } else if (!firsts_.empty()) {
      out.emit(batch->select_rows(firsts_));
    }
  }

  void keep_last(std::uint32_t row) {
    const auto [kept, begins] = touch(*batch_, row, context_->now());
    if (!begins) add_result(*kept, RowKind::update_before);
    kept->bytes.clear();
    codec_.append(*batch_, row, kept->bytes);
    kept->time = batch_->timestamp(row);
    add_result(*kept, begins ? RowKind::insert : RowKind::update_after);
  }

  void add_result(const Kept& kept, RowKind kind) {
    codec_.restore(kept.bytes, results_);
    if (batch_->has_event_time()) {
      results_.end_row(kept.time, kind);
    } else {
      results_.end_row(kind);
    }
  }

  const DistinctSpec spec_;
  SchemaPtr input_;
  SchemaPtr kept_schema_;
  RowBytes codec_;
  std::vector<SortField> key_order_;
  OperatorContext* context_ = nullptr;
  Counter* dropped_ = nullptr;
  absl::flat_hash_map<std::string, Kept> kept_;
  Timestamp oldest_{};  ///< no key has been seen before
  BatchBuilder results_;
  BatchPtr batch_;
  std::uint32_t row_ = 0;
  std::string key_;  // scratch
  std::vector<std::uint32_t> firsts_;
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
  if (settings.has("ttl")) {
    spec.ttl = settings.duration("ttl");
    if (spec.ttl->count() <= 0) {
      builder.error("ttl", "must be more than nothing");
      good = false;
    }
  }
  if (!good) return;
  StreamNode& node = builder.node();
  node.stateful = true;
  node.details = settings.text("keep") + " of each key";
  node.outputs = {
      {.schema = input.schema,
       .event_time = input.event_time,
       .changelog = spec.keep == DistinctSpec::Keep::first ? ChangelogMode::append_only : ChangelogMode::retract}};
  send_by_key(builder, spec.key_fields);
  node.factory = make_distinct(std::move(spec), input.schema);
}

}  // namespace

OperatorFactoryPtr make_distinct(DistinctSpec spec, SchemaPtr input) {
  return std::make_shared<DistinctFactory>(std::move(spec), std::move(input));
}

NodeType distinct_type() {
  return {.name = "distinct",
          .role = NodeRole::transform,
          .summary = "One row of each key: the first that came, or the last as a changelog.",
          .options = {{.name = "key_by",
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
                       .help = "A key that no row came of for so long, by the clock, is forgotten; default: never.",
                       .example = "\"1d\""}},
          .example =
              "[operators.once]\ntype   = \"distinct\"\ninput  = \"payments\"\nkey_by = [\"payment_id\"]\nttl  "
              "  = \"1d\"\n",
          .build = build_distinct};
}

}  // namespace dataflow
