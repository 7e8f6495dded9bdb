#include "libdataflow/windows/window_spec.hpp"

#include <cassert>
#include <numeric>
#include <set>

#include "libdataflow/operators/keeps_keys.hpp"
#include "libdataflow/windows/combiner.hpp"
#include "libdataflow/windows/window_operator.hpp"

namespace dataflow {

namespace {

/// More slices than this in one window would make every firing walk them for too long.
constexpr std::int64_t most_slices = 100'000;

Status positive(Duration d, std::string_view what) {
  if (d.count() > 0) return {};
  return fail(ErrorCode::invalid_argument,
              std::string{what} + " must be longer than zero, not " + to_string(d) + "; write it like \"10m\"");
}

Status check_sliding(const WindowSpec& spec) {
  if (auto status = positive(spec.slide, "a sliding window's step (`every`)"); !status) return status;
  if (spec.slide > spec.size) {
    return fail(ErrorCode::invalid_argument, "windows of " + to_string(spec.size) + " every " + to_string(spec.slide) +
                                                 " would leave out the records between them; make `every` at most " +
                                                 to_string(spec.size));
  }
  const std::int64_t width = std::gcd(spec.size.count(), spec.slide.count());
  if (spec.size.count() / width > most_slices) {
    return fail(ErrorCode::invalid_argument, "windows of " + to_string(spec.size) + " every " + to_string(spec.slide) +
                                                 " fall into " + std::to_string(spec.size.count() / width) +
                                                 " slices; make the size a multiple of `every`, and at most " +
                                                 std::to_string(most_slices) + " times as long");
  }
  return {};
}

Status check_cumulate(const WindowSpec& spec) {
  if (auto status = positive(spec.step, "a cumulating window's step (`every`)"); !status) return status;
  if (spec.size.count() % spec.step.count() != 0) {
    return fail(ErrorCode::invalid_argument, "a cumulating window of " + to_string(spec.size) + " cannot grow by " +
                                                 to_string(spec.step) + ": make the size a multiple of `every`");
  }
  if (spec.size.count() / spec.step.count() > most_slices) {
    return fail(ErrorCode::invalid_argument,
                "a cumulating window may have at most " + std::to_string(most_slices) + " steps; make `every` longer");
  }
  return {};
}

}  // namespace

Result<SchemaPtr> window_output_schema(const WindowSpec& spec, const Schema& input) {
  std::vector<Field> fields;
  for (const std::size_t key : spec.key_fields) fields.push_back(input[key]);
  if (has_window_bounds(spec.kind)) {
    fields.push_back({"window_start", TypeKind::timestamp});
    fields.push_back({"window_end", TypeKind::timestamp});
  }
  for (const WindowAggregate& aggregate : spec.aggregates) {
    fields.push_back({aggregate.name, aggregate.expression.result.type()});
  }
  std::set<std::string_view> names;
  for (const Field& field : fields) {
    if (!names.insert(field.name).second) {
      return fail(ErrorCode::invalid_argument,
                  "the output would have two fields named \"" + field.name + "\"; give the aggregate another name");
    }
  }
  return make_schema(std::move(fields));
}

Status check_window(const WindowSpec& spec) {
  if (spec.allowed_lateness.count() < 0) {
    return fail(ErrorCode::invalid_argument, "the allowed lateness must not be negative");
  }
  if (spec.early && spec.early->count() <= 0) {
    return fail(ErrorCode::invalid_argument, "the time between early results must be longer than zero");
  }
  switch (spec.kind) {
    case WindowKind::tumbling: return positive(spec.size, "a tumbling window");
    case WindowKind::session: return positive(spec.gap, "a session window's gap");
    case WindowKind::global:
    case WindowKind::running: return {};
    case WindowKind::count:
      if (spec.count > 0) return {};
      return fail(ErrorCode::invalid_argument, "a count window must have at least one record");
    case WindowKind::sliding:
      if (auto status = positive(spec.size, "a sliding window"); !status) return status;
      return check_sliding(spec);
    case WindowKind::cumulate:
      if (auto status = positive(spec.size, "a cumulating window"); !status) return status;
      return check_cumulate(spec);
  }
  return {};
}

namespace {

class WindowFactory final : public OperatorFactory, public CombinesInput, public KeepsKeys {
 public:
  WindowFactory(WindowSpec spec, SchemaPtr input) : spec_{std::move(spec)}, input_{std::move(input)} {}

  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    if (spec_.on_error == ErrorPolicy::side_output) return std::nullopt;  // hands on whole records
    FieldUse use{.reads = spec_.key_fields, .passing_outputs = {}};
    if (spec_.kind != WindowKind::running) use.passing_outputs = {window_late_output};
    const auto add = [&](const std::optional<Expression>& expression) {
      if (!expression) return;
      for (const std::size_t field : expression->fields_used()) use.reads.push_back(field);
    };
    for (const WindowAggregate& aggregate : spec_.aggregates) {
      for (const AggregateCall& call : aggregate.expression.calls) {
        add(call.argument);
        add(call.filter);
      }
    }
    return use;
  }

  [[nodiscard]] std::vector<std::vector<std::size_t>> keys_in_output() const override {
    std::vector<std::size_t> first(spec_.key_fields.size());
    std::iota(first.begin(), first.end(), std::size_t{0});
    return {first};
  }

  [[nodiscard]] std::optional<Combiner> combiner(Duration keeps_for) const override {
    return windows::combiner_of(spec_, input_, keeps_for);
  }

  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    switch (spec_.kind) {
      case WindowKind::tumbling: return windows::make_tumbling(spec_, input_);
      case WindowKind::sliding:
      case WindowKind::cumulate: return windows::make_shared_slices(spec_, input_);
      case WindowKind::session: return windows::make_session(spec_, input_);
      case WindowKind::count:
      case WindowKind::global: return windows::make_untimed(spec_, input_);
      case WindowKind::running: return windows::make_running(spec_, input_);
    }
    return nullptr;
  }

 private:
  WindowSpec spec_;
  SchemaPtr input_;
};

}  // namespace

OperatorFactoryPtr make_window_operator(WindowSpec spec, SchemaPtr input) {
  assert(check_window(spec).has_value());
  assert(window_output_schema(spec, *input).has_value());
  return std::make_shared<const WindowFactory>(std::move(spec), std::move(input));
}

}  // namespace dataflow
