// Tumbling windows: a window is one slice, and fires straight from its groups.
//
// With a state backend slices that memory has no room for are written to disk, and a window of which anything is there
// fires from it, in the order of its keys. A window that may fire more than once (allowed lateness, early
// results) needs what a key has again for each record, and stays in memory.

#include <algorithm>
#include <cstring>

#include "libdataflow/windows/sliced_windows.hpp"
#include "libdataflow/windows/spilled_groups.hpp"

namespace dataflow::windows {

namespace {

class TumblingGrid final : public SliceGrid {
 public:
  using SliceGrid::SliceGrid;
  std::int64_t first_window_end(std::int64_t slice_start) const override { return end(slice_start); }
  std::int64_t last_window_end(std::int64_t slice_start) const override { return end(slice_start); }
  std::int64_t next_window_end(std::int64_t window_end) const override { return saturating_add(window_end, width()); }
  std::int64_t window_start(std::int64_t window_end) const override { return start(saturating_sub(window_end, 1)); }
  std::int64_t first_end_after(std::int64_t ts) const override { return end(ts); }
};

class TumblingWindows final : public SlicedWindows {
 public:
  TumblingWindows(const WindowSpec& spec, SchemaPtr input)
      : SlicedWindows{spec, std::move(input), std::make_unique<TumblingGrid>(spec.size.count(), spec.offset.count()),
                      0} {}

  ~TumblingWindows() override { release_merged(); }

 protected:
  Status opened() override {
    const StateBackendPtr backend = context().state_backend();
    if (!backend || spec().key_fields.empty() || spec().early || lateness() > 0) return {};
    auto folder = backend->open_folder();
    if (!folder) return fail(folder.error());
    spilled_ = std::make_unique<SpilledGroups>(std::move(*folder), key_form(), aggregation(), states_offset());
    return {};
  }
  Status after_absorb(const Records&, std::byte* const*) override {
    if (!spilled_) return {};
    const bool look = ++batches_ % batches_between_looks == 0 || store().all().size() <= few_slices;
    return look ? make_room() : Status{};
  }
  Status after_load() override { return spilled_ ? make_room() : Status{}; }
  void freeze_others(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) override {
    if (spilled_) spilled_->freeze(form, groups);
  }
  void flushed() override {
    SlicedWindows::flushed();
    release_merged();
  }

  Result<More> produce_due(ResultWriter& writer) override {
    if (firing_ == nullptr) {
      const auto next = next_window();
      if (!next) return fail(next.error());
      if (!*next) {
        drop_expired(fired_until_);
        return More::no;
      }
    }
    if (reader_ != nullptr) return produce_spilled(writer);
    constexpr std::size_t step = 256;
    std::byte* rows[step];
    const std::size_t n = firing_->groups.next_rows(cursor_, std::min(step, writer.room()), rows);
    for (std::size_t i = 0; i < n; ++i) {
      writer.add(firing_->groups.key_of(rows[i]), rows[i] + states_offset(), firing_->start, firing_->end,
                 saturating_sub(firing_->end, 1));
    }
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
  /// When there are many tables, a look at how large they are is worth so many batches.
  static constexpr std::uint64_t batches_between_looks = 8;
  static constexpr std::size_t few_slices = 16;

  /// A group that fires from disk: its states, and its key's text if it has one.
  struct Merged {
    std::unique_ptr<std::byte[]> states;
    std::unique_ptr<char[]> text;
  };

  /// Writes the largest slices until the others fit.
  Status make_room() {
    while (true) {
      std::uint64_t bytes = 0;
      std::uint64_t most = 0;
      Slice* largest = nullptr;
      for (const auto& [start, slice] : store().all()) {
        const std::uint64_t takes = bytes_of(*slice);
        bytes += takes;
        if (takes <= most || slice->groups.empty()) continue;
        most = takes;
        largest = slice.get();
      }
      if (largest == nullptr || bytes <= spilled_->budget_bytes()) return {};
      if (Status written = spill(*largest); !written) return written;
    }
  }

  /// With what its states own, by the example of one of them.
  [[nodiscard]] std::uint64_t bytes_of(const Slice& slice) const {
    std::uint64_t bytes = slice.groups.byte_size();
    if (!aggregation().states_own_memory()) return bytes;
    GroupTable::Cursor first;
    std::byte* row = nullptr;
    if (slice.groups.next_rows(first, 1, &row) == 0) return bytes;
    std::string saved;
    aggregation().save(row + states_offset(), saved);
    return bytes + saved.size() * slice.groups.size();
  }

  Status spill(Slice& slice) {
    if (Status written = spilled_->write(slice); !written) return written;
    clear_groups(slice);
    return {};
  }

  Result<More> produce_spilled(ResultWriter& writer) {
    const std::vector<std::byte>& initial = aggregation().initial_states();
    while (writer.room() > 0) {
      Merged group{std::make_unique<std::byte[]>(initial.size()), nullptr};
      std::memcpy(group.states.get(), initial.data(), initial.size());
      merged_.push_back(std::move(group));
      Merged& kept = merged_.back();
      const auto more = reader_->next(kept.states.get());
      if (!more) return fail(more.error());
      if (!*more) {
        reader_.reset();
        spilled_->forget(firing_->start);
        end_window();
        return More::yes;
      }
      KeyRef key = reader_->key();
      if (key_form() == KeyForm::text && !key.key.is_inline()) {
        kept.text = std::make_unique<char[]>(key.key.length());
        std::memcpy(kept.text.get(), key.key.far(), key.key.length());
        key.key = make_text_key(kept.text.get(), key.key.length());
      }
      writer.add(key, kept.states.get(), firing_->start, firing_->end, saturating_sub(firing_->end, 1));
    }
    return More::yes;
  }
  void release_merged() {
    for (Merged& group : merged_) aggregation().release(group.states.get());
    merged_.clear();
  }

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
      if (spilled_ && spilled_->has(firing_->start)) {
        // What a key has in memory is one more part of it.
        if (Status written = spill(*firing_); !written) return fail(written.error());
        reader_ = spilled_->read(firing_->start);
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
  std::unique_ptr<SpilledGroups> spilled_;  ///< null: everything stays in memory
  std::unique_ptr<SpilledReader> reader_;   ///< of the window that fires from disk
  std::vector<Merged> merged_;              ///< until the writer's results are out
  std::uint64_t batches_ = 0;
};

}  // namespace

std::unique_ptr<Operator> make_tumbling(const WindowSpec& spec, const SchemaPtr& input) {
  return std::make_unique<TumblingWindows>(spec, input);
}

}  // namespace dataflow::windows
