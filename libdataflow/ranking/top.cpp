#include "libdataflow/ranking/top.hpp"

#include "libdataflow/ranking/top_combiner.hpp"
#include "libdataflow/ranking/top_operator.hpp"

namespace dataflow {

namespace {

class TopFactory final : public OperatorFactory, public CombinesInput {
 public:
  TopFactory(TopSpec spec, SchemaPtr input) : spec_{std::move(spec)}, input_{std::move(input)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return spec_.window_end || spec_.at_end ? make_windowed_top(spec_, input_) : make_running_top(spec_, input_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    // A row with its rank has another schema than the input's: all of its fields are read.
    if (!spec_.rank.empty()) return std::nullopt;
    FieldUse use;
    use.reads = spec_.key_fields;
    for (const SortField& field : spec_.order) use.reads.push_back(field.field);
    use.passing_outputs = {0};
    return use;
  }
  [[nodiscard]] std::optional<Combiner> combiner(Duration) const override { return top_combiner_of(spec_, input_); }

 private:
  TopSpec spec_;
  SchemaPtr input_;
};

}  // namespace

SchemaPtr top_output_schema(const TopSpec& spec, const Schema& input) {
  std::vector<Field> fields = input.fields();
  if (!spec.rank.empty()) fields.push_back({spec.rank, TypeKind::int64});
  return make_schema(std::move(fields));
}

OperatorFactoryPtr make_top(TopSpec spec, SchemaPtr input) {
  return std::make_shared<TopFactory>(std::move(spec), std::move(input));
}

}  // namespace dataflow
