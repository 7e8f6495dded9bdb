#include "libdataflow/simulation/sink.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/simulation/storage.hpp"
#include "libdataflow/sinks/pending_parts.hpp"

namespace dataflow::simulation {

namespace {

constexpr std::string_view hidden_prefix = "/.part.";

class PartSink final : public Operator {
 public:
  PartSink(SinkPlace place, std::string sink, SchemaPtr schema)
      : world_{*place.world}, watch_{place.watch}, sink_{std::move(sink)}, schema_{std::move(schema)} {}

  Status open(OperatorContext& context) override {
    subtask_ = std::to_string(context.subtask());
    attempt_ = std::to_string(context.attempt());
    return {};
  }
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) append_row_line(*batch, row, text_);
    world_.counts.records += batch->rows();
    return Step::done;
  }
  Status pre_commit(std::uint64_t epoch) override {
    if (text_.empty()) return {};
    const std::string path =
        output_folder(sink_) + std::string{hidden_prefix} + subtask_ + "." + attempt_ + "." + std::to_string(parts_++);
    unfinished_ = path;
    if (Status written = world_.disk.write(path, text_); !written) return written;
    if (world_.defect != Defect::unsynced_part) {
      if (Status synced = world_.disk.sync_file(path); !synced) return synced;
    }
    if (Status synced = world_.disk.sync_folder(output_folder(sink_)); !synced) return synced;
    unfinished_.clear();
    text_.clear();
    pending_.add(epoch, {path});
    return {};
  }
  Status commit(std::uint64_t epoch) override {
    bool any = false;
    Status published = pending_.commit(epoch, [&](const std::string& path) {
      Status done = publish(path);
      any |= done.has_value();
      return done;
    });
    if (!published) return published;
    return any ? world_.disk.sync_folder(output_folder(sink_)) : Status{};
  }
  Result<CapturedStatePtr> snapshot() override { return pending_.snapshot(); }
  Status restore(StateReader& state) override {
    Status read = PendingParts::for_each(state, [this](const std::string& path) {
      if (world_.disk.exists(path)) pending_.add(0, {path});
    });
    return read ? commit(0) : read;
  }
  void abort() override {
    if (!unfinished_.empty()) static_cast<void>(world_.disk.remove(unfinished_));
    pending_.abort([this](const std::string& path) { static_cast<void>(world_.disk.remove(path)); });
  }

 private:
  Status publish(const std::string& path) {
    for (;; ++visible_) {
      const std::string name = output_folder(sink_) + "/part-" + subtask_ + "-" + std::to_string(visible_);
      if (world_.defect == Defect::commit_twice && world_.loop.current() && world_.random.chance(0.2)) {
        // A link, and not a rename: the hidden name stays and may be made visible again.
        const auto linked = world_.disk.link(path, name);
        if (!linked) return fail(linked.error());
        if (!*linked) continue;
      } else {
        const auto renamed = world_.disk.rename_to_new(path, name);
        if (!renamed) return fail(renamed.error());
        if (!*renamed) continue;
      }
      ++visible_;
      world_.note([&] { return "commit " + path + " as " + name; });
      watch_->published(sink_, path);
      return {};
    }
  }

  World& world_;
  CommitWatch* watch_;
  std::string sink_;
  SchemaPtr schema_;
  std::string subtask_;
  std::string attempt_;
  std::string text_;
  std::string unfinished_;  ///< a part that is being written
  PendingParts pending_;
  std::uint64_t parts_ = 0;
  std::uint64_t visible_ = 0;
};

class PartSinkFactory final : public OperatorFactory {
 public:
  PartSinkFactory(SinkPlace place, std::string sink, SchemaPtr schema)
      : place_{place}, sink_{std::move(sink)}, schema_{std::move(schema)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<PartSink>(place_, sink_, schema_);
  }
  [[nodiscard]] Status before_attempt(const std::string&, std::uint32_t, StateReader* restored) const override {
    std::set<std::string> listed;
    if (restored != nullptr) {
      Status read = PendingParts::for_each(*restored, [&](std::string path) { listed.insert(std::move(path)); });
      if (!read) return read;
    }
    const auto parts = place_.world->disk.list_below(output_folder(sink_) + std::string{hidden_prefix});
    if (!parts) return fail(parts.error());
    for (const std::string& part : *parts) {
      if (listed.contains(part)) continue;
      if (Status removed = place_.world->disk.remove(part); !removed) return removed;
    }
    return {};
  }

 private:
  SinkPlace place_;
  std::string sink_;
  SchemaPtr schema_;
};

}  // namespace

std::string output_folder(const std::string& sink) {
  return "out/" + sink;
}

OperatorFactoryPtr make_sink(SinkPlace place, std::string sink, SchemaPtr schema) {
  return std::make_shared<PartSinkFactory>(place, std::move(sink), std::move(schema));
}

std::vector<std::string> visible_rows(const Disk& disk, const std::string& sink) {
  std::vector<std::string> rows;
  for (const std::string& path : disk.paths(output_folder(sink) + "/part-")) {
    std::string_view text = *disk.peek(path);
    while (!text.empty()) {
      const std::size_t line = std::min(text.find('\n'), text.size() - 1);
      rows.emplace_back(text.substr(0, line));
      text.remove_prefix(line + 1);
    }
  }
  return rows;
}

std::vector<std::string> hidden_parts(const Disk& disk, const std::string& sink) {
  return disk.paths(output_folder(sink) + std::string{hidden_prefix});
}

void append_row_line(const Batch& batch, std::uint32_t row, std::string& out) {
  const Schema& schema = *batch.schema();
  out += '{';
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(schema[i].name, out);
    out += ':';
    const Column& column = batch.column(i);
    if (schema[i].type.kind() == TypeKind::float64 && !column.is_null(row)) {
      char digits[40];
      // Without a sign in front of nothing: -0.0 and 0.0 are the same number.
      const double value = column.as<double>()[row] + 0.0;
      std::snprintf(digits, sizeof digits, "%.9g", value);
      out += digits;
    } else {
      append_json(column, row, out);
    }
  }
  out += "}\n";
}

void CommitWatch::published(const std::string& sink, const std::string& part) {
  if (!listed_.contains(part)) look();
  if (!listed_.contains(part)) {
    world_.violation("\"" + sink + "\" has committed " + part + ", which no completed checkpoint lists");
  }
}

/// Every checkpoint that has a name, whichever run it is of.
void CommitWatch::look() {
  const Disk::Unwatched outside{world_.disk};
  const auto storage = make_disk_storage(world_.disk, storage_folder_);
  const std::string marker = "/latest-";
  const std::vector<std::string> paths = world_.disk.paths(storage_folder_ + "/");
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string& path = paths[i];
    const std::size_t at = path.find(marker);
    if (at == std::string::npos) continue;
    const std::string lineage = path.substr(storage_folder_.size() + 1, at - storage_folder_.size() - 1);
    const auto latest = decode_latest(*world_.disk.peek(path), 0, lineage);
    if (!latest || !seen_.insert(latest->folder).second) continue;
    const auto checkpoint = RestoredCheckpoint::load(storage, latest->folder);
    if (!checkpoint) {
      // A power cut may bring the name of one back that was removed, and not the rest of it: nobody goes on from that.
      const bool is_newest = i + 1 == paths.size() || !paths[i + 1].starts_with(path.substr(0, at + marker.size()));
      if (!is_newest) continue;
      world_.violation("a completed checkpoint cannot be read: " + checkpoint.error().message());
      continue;
    }
    for (const CheckpointMetadata::Operator& op : (*checkpoint)->metadata().operators) {
      const auto state = (*checkpoint)->reader_of_all(op.uid);
      if (state->find(PendingParts::table) == nullptr) continue;
      static_cast<void>(PendingParts::for_each(*state, [this](std::string part) { listed_.insert(std::move(part)); }));
    }
  }
}

}  // namespace dataflow::simulation
