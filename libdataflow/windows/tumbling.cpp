// Tumbling windows: a window is one slice, and fires straight from its groups.

#include <algorithm>

#include "libdataflow/windows/slice_grids.hpp"
#include "libdataflow/windows/sliced_windows.hpp"

namespace dataflow::windows {

namespace {

class TumblingWindows final : public SlicedWindows {
 public:
  TumblingWindows(const WindowSpec& spec, SchemaPtr input)
      : SlicedWindows{spec, std::move(input), make_tumbling_grid(spec), 0} {}

 protected:
  Result<More> produce_due(ResultWriter& writer) override {
    if (firing_ == nullptr) {
      const auto next = next_window();
      if (!next) return fail(next.error());
      if (!*next) {
        drop_expired(fired_until_);
        return More::no;
      }
    }
    if (walking()) {
      auto more = walk(writer);
      if (more && *more == More::no) {
        end_window();
        return More::yes;
      }
      return more;
    }
    constexpr std::size_t step = 256;
    std::byte* rows[step];
    const std::size_t n = firing_->groups.next_rows(cursor_, std::min(step, writer.room()), rows);
    std::byte* states[step];
    for (std::size_t i = 0; i < n; ++i) states[i] = rows[i] + states_offset();
    writer.add(firing_->groups, rows, states, n, firing_->start, firing_->end, saturating_sub(firing_->end, 1));
    if (n == 0) end_window();
    return More::yes;
  }

  std::optional<std::int64_t> next_due() const override {
    const auto it = store().all().lower_bound(fired_until_);
    if (it == store().all().end()) return std::nullopt;
    return it->second->end;
  }

  std::vector<std::int64_t> saved_clocks() const override { return {fired_until_}; }
  void load_clocks(std::span<const std::int64_t> clocks) override { fired_until_ = clocks[0]; }

 private:
  void end_window() {
    fired_until_ = firing_->end;
    if (expired(firing_->end)) drop(firing_->start);
    firing_ = nullptr;
  }

  Result<bool> next_window() {
    const auto it = store().all().lower_bound(fired_until_);
    if (it != store().all().end() && complete(it->second->end)) {
      firing_ = it->second.get();
      cursor_ = {};
      if (on_disk(firing_->end)) {
        if (Status begun = begin_walk(firing_->end, Give::all); !begun) return fail(begun.error());
      }
      return true;
    }
    // Windows that ended without a record count as fired: a late record in one gives its result beside the turn.
    fired_until_ = std::max(fired_until_, grid().start(saturating_add(progress(), 1)));
    return false;
  }

  std::int64_t fired_until_ = first_micros;  ///< all windows that start before have fired
  Slice* firing_ = nullptr;
  GroupTable::Cursor cursor_;
};

}  // namespace

std::unique_ptr<Operator> make_tumbling(const WindowSpec& spec, const SchemaPtr& input) {
  return std::make_unique<TumblingWindows>(spec, input);
}

}  // namespace dataflow::windows
