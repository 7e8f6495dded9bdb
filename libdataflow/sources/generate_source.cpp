#include "libdataflow/sources/generate_source.hpp"

#include <algorithm>
#include <charconv>

#include "libdataflow/sources/decoder_settings.hpp"
#include "libdataflow/sources/source_types.hpp"
#include "libdataflow/sources/split_position.hpp"
#include "serialization/builder.hpp"
#include "serialization/time.hpp"

namespace dataflow {

namespace {

/// Splits grow from the first to the second number of rows: a slow source with several readers then keeps them close
/// in time, a fast one rarely asks for the next.
constexpr std::uint64_t first_split = 256;
constexpr std::uint64_t largest_split = 65536;

/// SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014): golden values in the tests, since rows must not change.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// FNV-1a, so that a field's values stay when others are added before it.
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

class GenerateEnumerator final : public SplitEnumerator {
 public:
  explicit GenerateEnumerator(std::uint64_t count) : count_{count} {}

  Status open(std::uint32_t parallelism) override {
    parallelism_ = std::max(parallelism, 1U);
    return {};
  }

  Result<Next> next(std::uint32_t, Timestamp) override {
    Next found;
    if (next_ >= count_) return found;
    const std::uint64_t left = count_ - next_;
    const std::uint64_t rows = std::min({size_, left, left / parallelism_ + 1});
    const std::string range = std::to_string(next_) + " " + std::to_string(next_ + rows);
    found.kind = Next::Kind::split;
    found.split = {"rows[" + std::to_string(next_) + ".." + std::to_string(next_ + rows) + ")", range};
    next_ += rows;
    size_ = std::min(2 * size_, largest_split);
    return found;
  }

  [[nodiscard]] Result<std::string> snapshot() const override {
    return "1 " + std::to_string(next_) + " " + std::to_string(size_);
  }
  Status restore(std::string_view snapshot) override {
    const auto numbers = text::parse_position<3>(snapshot);
    if (!numbers || (*numbers)[0] != 1) {
      return fail(ErrorCode::malformed_data, "this is not where a generator was: " + std::string{snapshot});
    }
    next_ = (*numbers)[1];
    size_ = (*numbers)[2];
    return {};
  }

 private:
  std::uint64_t count_;
  std::uint64_t next_ = 0;
  std::uint64_t size_ = first_split;
  std::uint32_t parallelism_ = 1;
};

class GenerateReader final : public SourceReader {
 public:
  explicit GenerateReader(std::shared_ptr<const GenerateSourceSpec> spec)
      : spec_{std::move(spec)}, schema_{schema_of(spec_->plan)} {
    for (const RandomCall& call : spec_->plan.randoms) {
      seeds_.push_back(mix(mix(spec_->seed) ^ mix(hash_name(call.field) + call.number)));
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

  Status start_split(const Split& split) override {
    const char* const end = split.description.data() + split.description.size();
    const auto first = std::from_chars(split.description.data(), end, next_);
    if (first.ec != std::errc{} || first.ptr == end || std::from_chars(first.ptr + 1, end, end_).ec != std::errc{}) {
      return fail(ErrorCode::internal, "a generator has no split \"" + split.description + "\"");
    }
    split_ = split.id;
    return {};
  }

  [[nodiscard]] Result<std::string> split_position() const override { return "1 " + std::to_string(next_); }
  Status resume_split(const Split& split, std::string_view position) override {
    if (Status started = start_split(split); !started) return started;
    const auto numbers = text::parse_position<2>(position);
    if (!numbers || (*numbers)[0] != 1 || (*numbers)[1] < next_ || (*numbers)[1] > end_) {
      return fail(ErrorCode::malformed_data, "this is not a position in it: " + std::string{position});
    }
    next_ = (*numbers)[1];
    return {};
  }

  Result<SourceStep> poll(SourceOutput& out) override {
    SourceStep step;
    if (next_ < end_) {
      const std::uint64_t most = std::clamp<std::uint64_t>(out.batch_rows(), 1, max_batch_rows);
      give(static_cast<std::uint32_t>(std::min(most, end_ - next_)), out);
    }
    step.kind = next_ < end_ ? SourceStep::Kind::more : SourceStep::Kind::split_end;
    return step;
  }

  [[nodiscard]] std::string position() const override { return "row " + std::to_string(next_); }

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
    if (batch) out.emit(std::move(batch), split_);
    next_ += rows;
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
      const std::string number = std::to_string(next_ + row);
      out.malformed(number, error->message, "row " + number);
      while (error != failed.end() && error->row == row) ++error;
    }
    return good.empty() ? nullptr : batch->select_rows(good);
  }

  std::vector<ColumnPtr> input_columns(std::uint32_t rows) const {
    std::vector<ColumnPtr> columns;
    ColumnBuilder numbers{TypeKind::int64};
    ColumnBuilder times{TypeKind::timestamp};
    auto* const n = numbers.append_uninitialised<std::int64_t>(rows);
    auto* const t = times.append_uninitialised<std::int64_t>(rows);
    for (std::uint32_t row = 0; row < rows; ++row) {
      n[row] = static_cast<std::int64_t>(next_ + row);
      // Unsigned, because a source that runs for ever may leave the range of time; the row then has a wrong time.
      t[row] = static_cast<std::int64_t>(static_cast<std::uint64_t>(spec_->start.micros) +
                                         (next_ + row) * static_cast<std::uint64_t>(spec_->interval.count()));
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
        // The upper 53 bits, as many as a double holds.
        r[row] = static_cast<double>(mix(seed ^ mix(next_ + row)) >> 11) * 0x1p-53;
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
  std::string split_;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
  EvalContext eval_;
};

class GenerateSource final : public SourceFactory {
 public:
  explicit GenerateSource(GenerateSourceSpec spec)
      : spec_{std::make_shared<const GenerateSourceSpec>(std::move(spec))} {}
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<GenerateEnumerator>(spec_->count.value_or(INT64_MAX));
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
