#include "libdataflow/windows/window_state.hpp"

#include <algorithm>
#include <numeric>

namespace dataflow::windows {

namespace {

constexpr std::string_view key_prefix = "key:";

}  // namespace

GroupSchema::GroupSchema(const Schema& input, const std::vector<std::size_t>& key_fields,
                         std::vector<std::string> numbers, const Aggregation& aggregation)
    : keys_{key_fields.size()}, numbers_{numbers.size()} {
  std::vector<Field> fields;
  for (const std::size_t field : key_fields) {
    fields.push_back({std::string{key_prefix} + input[field].name, input[field].type});
  }
  for (std::string& name : numbers) fields.push_back({std::move(name), TypeKind::int64});
  for (Field& field : aggregation.saved_fields()) fields.push_back(std::move(field));
  schema_ = make_schema(std::move(fields));
}

std::vector<std::size_t> GroupSchema::key_columns() const {
  std::vector<std::size_t> columns(keys_);
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  return columns;
}

Status GroupSchema::check_keys(const Schema& written) const {
  std::vector<std::string> before;
  std::vector<std::string> now;
  for (const Field& field : written.fields()) {
    if (field.name.starts_with(key_prefix)) before.push_back(field.name.substr(key_prefix.size()));
  }
  for (std::size_t i = 0; i < keys_; ++i) now.push_back((*schema_)[i].name.substr(key_prefix.size()));
  if (before == now) return {};
  const auto names = [](const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& name : list) text += (text.empty() ? "" : ", ") + name;
    return text.empty() ? std::string{"nothing"} : text;
  };
  return fail(ErrorCode::invalid_argument, "the window was keyed by " + names(before) + " and is keyed by " +
                                               names(now) + " now; give it another uid to begin anew");
}

namespace {

class StatesOwnership final : public RowOwnership {
 public:
  StatesOwnership(GroupFormPtr form, std::size_t offset) : form_{std::move(form)}, offset_{offset} {}
  void own_copy(std::byte* row) const override { form_->aggregation.own_copy(row + offset_); }
  void release(std::byte* row) const override { form_->aggregation.release(row + offset_); }

 private:
  GroupFormPtr form_;
  std::size_t offset_;
};

}  // namespace

RowOwnershipPtr ownership_of_states(const GroupFormPtr& form, std::size_t offset) {
  if (!form->aggregation.states_own_memory()) return nullptr;
  return std::make_shared<StatesOwnership>(form, offset);
}

GroupSaver::GroupSaver(const GroupForm& form, StateWriter& writer)
    : form_{form},
      state_{writer},
      writer_{writer, form.schema.key_columns(), form.max_parallelism},
      rows_{form.schema.schema()} {
  for (std::size_t i = 0; i < form.schema.schema()->size(); ++i) columns_.push_back(&rows_.column(i));
}

Status GroupSaver::add(const KeyRef& key, std::span<const std::int64_t> numbers, const std::byte* states) {
  form_.keys.write(&key, 1, columns_.data());
  for (std::size_t i = 0; i < numbers.size(); ++i) columns_[form_.schema.keys() + i]->append_int64(numbers[i]);
  form_.aggregation.save(states, columns_.data() + form_.schema.first_aggregate());
  rows_.end_row();
  return rows_.full() ? writer_.add(rows_.finish()) : Status{};
}

Status GroupSaver::add_segment(const SegmentId& id, const std::function<Status(GroupSaver&)>& save) {
  return state_.add_segment(id, [&](StateWriter& rows) -> Status {
    GroupSaver saver{form_, rows};
    Status saved = save(saver);
    return saved ? saver.finish() : saved;
  });
}

Status SavedGroups::merge(std::uint32_t row, std::byte* states) const {
  std::vector<std::byte> part = aggregation.initial_states();
  Status merged = load(row, part.data());
  const std::byte* from = part.data();
  if (merged) merged = aggregation.merge(&states, &from, 1);
  aggregation.release(part.data());
  return merged;
}

Status GroupSaver::finish() {
  if (!rows_.empty()) {
    if (Status added = writer_.add(rows_.finish()); !added) return added;
  }
  return writer_.finish();
}

}  // namespace dataflow::windows
