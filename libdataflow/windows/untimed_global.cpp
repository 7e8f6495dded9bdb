// Global windows: everything of a key, in the key's row. They give results early, if asked to, and once the input has
// ended, in the order of the keys' first records.

#include <algorithm>
#include <array>

#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/untimed.hpp"

namespace dataflow::windows {

namespace {

/// In a key's row, in front of the aggregates' states.
struct GlobalWindow {
  std::int64_t newest;    ///< event time of its records
  std::uint64_t changed;  ///< 1: since its last result

  [[nodiscard]] std::byte* states() { return reinterpret_cast<std::byte*>(this + 1); }
};

std::vector<std::byte> initial_window(const std::vector<std::byte>& states) {
  constexpr GlobalWindow window{first_micros, 0};
  std::vector<std::byte> image(sizeof window);
  std::memcpy(image.data(), &window, sizeof window);
  image.insert(image.end(), states.begin(), states.end());
  return image;
}

class GlobalWindows final : public WindowOperator {
 public:
  GlobalWindows(const WindowSpec& spec, SchemaPtr input)
      : WindowOperator{spec, std::move(input)},
        layout_{key_form(), initial_window(aggregation().initial_states())},
        groups_{layout_} {}
  ~GlobalWindows() override { release_all(); }

 protected:
  Status absorb(const Records& records, std::vector<std::uint32_t>& late) override;
  Result<More> produce(ResultWriter& writer) override;
  void flushed() override;
  void start_early() override;
  [[nodiscard]] std::optional<std::int64_t> first_open_end() const override { return std::nullopt; }
  [[nodiscard]] std::vector<std::string> saved_numbers() const override { return {"newest", "changed"}; }
  void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) override;
  Status load_groups(const SavedGroups& saved) override;

 private:
  /// Early results come from a walk over the rows like the last ones, but only of those that changed.
  enum class Walk : std::uint8_t { none, early, last, ended };

  [[nodiscard]] GlobalWindow& window_in(std::byte* row) const {
    return *reinterpret_cast<GlobalWindow*>(row + layout_.payload_offset());
  }
  void release_all();

  RowLayout layout_;
  GroupTable groups_;
  std::vector<std::byte*> states_;
  Walk walk_ = Walk::none;
  GroupTable::Cursor cursor_;
};

void GlobalWindows::release_all() {
  if (!aggregation().states_own_memory()) return;
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; groups_.next_rows(cursor, 1, &row) == 1;) {
    groups_.before_write(row);
    aggregation().release(window_in(row).states());
  }
}

Status GlobalWindows::absorb(const Records& records, std::vector<std::uint32_t>&) {
  const std::size_t count = records.times.size();
  states_.resize(std::max(states_.size(), count));
  groups_.find_or_insert(*records.keys, nullptr, count, states_.data());
  for (std::size_t i = 0; i < count; ++i) {
    GlobalWindow& window = window_in(states_[i]);
    window.newest = std::max(window.newest, records.times[i]);
    window.changed = 1;
    states_[i] = window.states();
  }
  return aggregation().update({states_.data(), nullptr, count, records.first_sequence});
}

void GlobalWindows::start_early() {
  if (walk_ == Walk::none) walk_ = Walk::early;
}

Result<WindowOperator::More> GlobalWindows::produce(ResultWriter& writer) {
  if (walk_ == Walk::none && drained()) walk_ = Walk::last;
  if (walk_ == Walk::none || walk_ == Walk::ended) return More::no;
  constexpr std::size_t step = 256;
  std::byte* rows[step];
  const std::size_t n = groups_.next_rows(cursor_, std::min(step, writer.room()), rows);
  for (std::size_t i = 0; i < n; ++i) {
    GlobalWindow& window = window_in(rows[i]);
    if (walk_ == Walk::early && window.changed == 0) continue;
    groups_.before_write(rows[i]);
    window.changed = 0;
    writer.add(groups_.key_of(rows[i]), window.states(), 0, 0, window.newest);
  }
  if (n > 0) return More::yes;
  cursor_ = {};
  walk_ = walk_ == Walk::last ? Walk::ended : Walk::none;
  return More::yes;
}

void GlobalWindows::freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) {
  const std::size_t states = layout_.payload_offset() + sizeof(GlobalWindow);
  auto save = [layout = layout_, states](const FrozenRows::Rows& rows, GroupSaver& saver) -> Status {
    for (std::size_t i = 0; i < rows.count; ++i) {
      const std::byte* row = rows.first + i * layout.stride();
      const auto& window = *reinterpret_cast<const GlobalWindow*>(row + layout.payload_offset());
      const std::array numbers{window.newest, static_cast<std::int64_t>(window.changed)};
      const KeyRef key = GroupTable::key_of_copy(layout, row, row == rows.null_key);
      if (Status saved = saver.add(key, numbers, row + states); !saved) return saved;
    }
    return {};
  };
  groups.push_back(frozen_groups(groups_.freeze(ownership_of_states(form, states)), std::move(save)));
}

Status GlobalWindows::load_groups(const SavedGroups& saved) {
  for (std::uint32_t row = 0; row < saved.batch.rows(); ++row) {
    std::byte* group = nullptr;
    groups_.find_or_insert(saved.keys, &row, 1, &group);
    GlobalWindow& window = window_in(group);
    window.newest = saved.number(row, 0);
    window.changed = saved.number(row, 1) != 0 ? 1 : 0;
    if (Status loaded = saved.load(row, window.states()); !loaded) return loaded;
  }
  return {};
}

void GlobalWindows::flushed() {
  if (walk_ != Walk::ended || groups_.empty()) return;
  release_all();
  groups_ = GroupTable{layout_};
}

}  // namespace

std::unique_ptr<Operator> make_global_windows(const WindowSpec& spec, const SchemaPtr& input) {
  return std::make_unique<GlobalWindows>(spec, input);
}

}  // namespace dataflow::windows
