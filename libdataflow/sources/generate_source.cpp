#include "libdataflow/sources/generate_source.hpp"

#include <algorithm>

#include "libdataflow/sources/decoder_settings.hpp"
#include "libdataflow/sources/row_ranges.hpp"
#include "libdataflow/sources/source_types.hpp"
#include "libdataflow/sources/split_mix.hpp"
#include "serialization/builder.hpp"
#include "serialization/time.hpp"

namespace dataflow {

namespace {

/// FNV-1a, so that a field's values stay when others are added before it.
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

class GenerateReader final : public SourceReader {
 public:
  explicit GenerateReader(std::shared_ptr<const GenerateSourceSpec> spec)
      : spec_{std::move(spec)}, schema_{schema_of(spec_->plan)} {
    for (const RandomCall& call : spec_->plan.randoms) {
      seeds_.push_back(split_mix(split_mix(spec_->seed) ^ split_mix(hash_name(call.field) + call.number)));
    }
    random_used_.resize(seeds_.size(), false);
    for (std::size_t i = 0; i < spec_->plan.fields.size(); ++i) {
      if (!reads(i)) continue;
      for (const std::size_t used : spec_->plan.fields[i].value.fields_used()) {
        if (used >= first_random) random_used_[used - first_random] = true;
      }
    }
  }

  Status open(OperatorContext& context) override {
    context_ = &context;
    return {};
  }

  Status start_split(const Split& split) override { return range_.start(split); }
  [[nodiscard]] Result<std::string> split_position() const override { return range_.position(); }
  Status resume_split(const Split& split, std::string_view position) override { return range_.resume(split, position); }

  Result<SourceStep> poll(SourceOutput& out) override {
    SourceStep step;
    if (range_.left() > 0) {
      const std::uint64_t most = std::clamp<std::uint64_t>(out.batch_rows(), 1, max_batch_rows);
      give(static_cast<std::uint32_t>(std::min(most, range_.left())), out);
    }
    step.kind = range_.left() > 0 ? SourceStep::Kind::more : SourceStep::Kind::split_end;
    return step;
  }

  [[nodiscard]] std::string position() const override { return "row " + std::to_string(range_.next()); }
  RecordPlace place_of(std::uint32_t row) override { return {"row " + std::to_string(range_.next() + row)}; }

 private:
  /// The input's columns before it: seq and time.
  static constexpr std::size_t first_random = 2;

  [[nodiscard]] bool reads(std::size_t field) const { return spec_->read.empty() || spec_->read[field]; }

  void give(std::uint32_t rows, SourceOutput& out) {
    const Batch input{spec_->plan.input, rows, input_columns(rows)};
    if (context_ != nullptr) eval_.processing_time = context_->now();
    std::vector<ColumnPtr> columns;
    std::vector<RowError> failed;
    for (std::size_t i = 0; i < spec_->plan.fields.size(); ++i) {
      const GeneratedField& field = spec_->plan.fields[i];
      if (!reads(i)) {
        columns.push_back(unread_column(field.value.type(), rows));
        continue;
      }
      EvalResult result = field.value.evaluate(input, eval_);
      for (RowError& error : result.errors) {
        failed.push_back({error.row, "field \"" + field.name + "\": " + error.message});
      }
      columns.push_back(std::move(result.column));
    }
    BatchPtr batch = std::make_shared<const Batch>(schema_, rows, std::move(columns));
    if (!failed.empty()) batch = without_failed(batch, failed, out);
    if (batch) out.emit(std::move(batch), range_.split());
    range_.advance(rows);
  }

  /// Reports each failed row once and drops it.
  BatchPtr without_failed(const BatchPtr& batch, std::vector<RowError>& failed, SourceOutput& out) const {
    std::stable_sort(failed.begin(), failed.end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
    std::vector<std::uint32_t> good;
    auto error = failed.begin();
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      if (error == failed.end() || error->row != row) {
        good.push_back(row);
        continue;
      }
      const std::string number = std::to_string(range_.next() + row);
      out.malformed(number, error->message, "row " + number);
      while (error != failed.end() && error->row == row) ++error;
    }
    return good.empty() ? nullptr : batch->select_rows(good);
  }

  std::vector<ColumnPtr> input_columns(std::uint32_t rows) const {
    const std::uint64_t first = range_.next();
    std::vector<ColumnPtr> columns;
    ColumnBuilder numbers{TypeKind::int64};
    ColumnBuilder times{TypeKind::timestamp};
    auto* const n = numbers.append_uninitialised<std::int64_t>(rows);
    auto* const t = times.append_uninitialised<std::int64_t>(rows);
    for (std::uint32_t row = 0; row < rows; ++row) {
      n[row] = static_cast<std::int64_t>(first + row);
      // Unsigned, because a source that runs for ever may leave the range of time; the row then has a wrong time.
      t[row] = static_cast<std::int64_t>(static_cast<std::uint64_t>(spec_->start.micros) +
                                         (first + row) * static_cast<std::uint64_t>(spec_->interval.count()));
    }
    columns.push_back(numbers.finish());
    columns.push_back(times.finish());
    for (std::size_t i = 0; i < seeds_.size(); ++i) {
      if (!random_used_[i]) {
        columns.push_back(unread_column(TypeKind::float64, rows));
        continue;
      }
      const std::uint64_t seed = seeds_[i];
      ColumnBuilder randoms{TypeKind::float64};
      auto* const r = randoms.append_uninitialised<double>(rows);
      for (std::uint32_t row = 0; row < rows; ++row) {
        r[row] = unit_interval(split_mix(seed ^ split_mix(first + row)));
      }
      columns.push_back(randoms.finish());
    }
    return columns;
  }

  std::shared_ptr<const GenerateSourceSpec> spec_;
  SchemaPtr schema_;
  OperatorContext* context_ = nullptr;
  std::vector<std::uint64_t> seeds_;  ///< of each random() call
  std::vector<bool> random_used_;
  RowRange range_;
  EvalContext eval_;
};

class GenerateSource final : public SourceFactory {
 public:
  explicit GenerateSource(GenerateSourceSpec spec)
      : spec_{std::make_shared<const GenerateSourceSpec>(std::move(spec))} {}
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return enumerate_row_ranges(spec_->count.value_or(INT64_MAX));
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<GenerateReader>(spec_);
  }
  [[nodiscard]] bool bounded() const override { return spec_->count.has_value(); }
  [[nodiscard]] std::shared_ptr<const SourceFactory> reading(const std::vector<bool>& fields) const override {
    GenerateSourceSpec spec = *spec_;
    spec.read = fields;
    return std::make_shared<GenerateSource>(std::move(spec));
  }

 private:
  std::shared_ptr<const GenerateSourceSpec> spec_;
};

void build_generate(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  bool good = true;
  const auto refuse = [&](std::string_view path, std::string message, std::string suggestion = {}) {
    builder.error(path, std::move(message), std::move(suggestion));
    good = false;
  };
  if (!builder.source_schema().empty()) {
    refuse("schema", "a generator's fields have the types of their expressions", "remove schema; CAST says a type");
  }
  auto plan = plan_generator(settings.text_table("fields"));
  if (!plan) {
    for (const GeneratorMistake& mistake : plan.error()) builder.error("fields." + mistake.field, mistake.error);
    return;
  }
  if (plan->fields.empty()) refuse("fields", "a generator needs at least one field", "fields = { id = \"seq()\" }");
  GenerateSourceSpec spec;
  if (settings.has("count")) {
    if (settings.integer("count") < 0) refuse("count", "must not be negative");
    spec.count = static_cast<std::uint64_t>(settings.integer("count"));
  }
  spec.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  spec.interval = settings.duration("interval");
  if (spec.interval < Duration{0}) refuse("interval", "\"interval\" must not be negative");
  const Result<Timestamp> start = parse_iso8601(settings.text("start"));
  if (!start) {
    refuse("start", start.error().message());
  } else {
    spec.start = *start;
  }
  if (!good) return;
  const SchemaPtr schema = schema_of(*plan);
  builder.node().details = spec.count ? std::to_string(*spec.count) + " rows" : "without end";
  spec.plan = std::move(*plan);
  set_source(builder, schema, make_generate_source(std::move(spec)));
}

}  // namespace

SourceFactoryPtr make_generate_source(GenerateSourceSpec spec) {
  return std::make_shared<GenerateSource>(std::move(spec));
}

NodeType generate_source_type() {
  return {
      .name = "generate",
      .role = NodeRole::source,
      .summary = "Rows computed from their number and a seed; the same rows at any parallelism.",
      .options = {{.name = "fields",
                   .kind = OptionKind::text_table,
                   .help = "Expressions over seq() (0, 1, 2, ...), random() (each call its own number in [0, 1)) and "
                           "time() (start + seq() * interval).",
                   .example = "{ id = \"seq()\", at = \"time()\", x = \"random()\" }",
                   .required = true},
                  {.name = "count",
                   .kind = OptionKind::integer,
                   .help = "Rows in all; default: without end.",
                   .example = "1000000"},
                  {.name = "seed",
                   .kind = OptionKind::integer,
                   .help = "Another seed gives other random numbers.",
                   .example = "42",
                   .default_value = "0"},
                  {.name = "start",
                   .help = "What time() is for the first row.",
                   .example = "\"2024-01-01T00:00:00\"",
                   .default_value = "1970-01-01T00:00:00"},
                  {.name = "interval",
                   .kind = OptionKind::duration,
                   .help = "How much later time() is for each next row.",
                   .example = "\"1s\"",
                   .default_value = "1ms"}},
      .example =
          "[sources.payments]\ntype   = \"generate\"\ncount  = 1000000\nfields = { card = \"floor(random() * "
          "1000)\", amount = \"random() * 900\", at = \"time()\" }\n",
      .build = build_generate};
}

}  // namespace dataflow
