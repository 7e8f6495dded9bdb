#include "libdataflow/simulation/sink.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <utility>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/simulation/storage.hpp"
#include "libdataflow/sinks/file_sink.hpp"
#include "libdataflow/sinks/pending_parts.hpp"

namespace dataflow::simulation {

namespace {

bool is_hidden(const std::string& path) {
  return path[path.rfind('/') + 1] == '.';
}

class DiskPart final : public OpenFile {
 public:
  DiskPart(World& world, std::string path) : world_{world}, path_{std::move(path)} {}
  Status append(std::string_view bytes) override { return world_.disk.append(path_, bytes); }
  Status finish() override { return world_.defect == Defect::unsynced_part ? Status{} : world_.disk.sync_file(path_); }

 private:
  World& world_;
  std::string path_;
};

/// The simulated disk, as the file sink sees it.
class DiskPartFiles final : public PartFiles {
 public:
  DiskPartFiles(SinkPlace place, std::string sink)
      : world_{*place.world}, watch_{place.watch}, sink_{std::move(sink)} {}

  Status make_folder(const std::string& folder) override { return world_.disk.make_folder(folder); }
  Result<std::unique_ptr<OpenFile>> create(const std::string& path) override {
    if (world_.disk.exists(path)) return fail(ErrorCode::io, path + " is there already");
    if (Status made = world_.disk.write(path, {}); !made) return fail(made.error());
    return std::make_unique<DiskPart>(world_, path);
  }
  Status sync_folder(const std::string& folder) override { return world_.disk.sync_folder(folder); }
  bool exists(const std::string& path) override { return world_.disk.exists(path); }
  Result<bool> rename_to_new(const std::string& from, const std::string& to) override {
    // As a defect a link, and not a rename: the hidden name stays and may be made visible again.
    const bool twice = world_.defect == Defect::commit_twice && world_.loop.current() && world_.random.chance(0.2);
    auto renamed = twice ? world_.disk.link(from, to) : world_.disk.rename_to_new(from, to);
    if (!renamed || !*renamed) return renamed;
    world_.note([&] { return "commit " + from + " as " + to; });
    watch_->published(sink_, from);
    return true;
  }
  Status remove(const std::string& path) override { return world_.disk.remove(path); }
  Result<std::vector<std::string>> list(const std::string& folder) override {
    return world_.disk.list_below(folder + "/");
  }

 private:
  World& world_;
  CommitWatch* watch_;
  std::string sink_;
};

class LineEncoder final : public RowEncoder {
 public:
  explicit LineEncoder(World& world) : world_{world} {}
  void begin(std::string&) override {}
  void encode(const Batch& batch, std::string& out) override {
    for (std::uint32_t row = 0; row < batch.rows(); ++row) {
      const RowKind kind = batch.kind(row);
      out += kind == RowKind::insert || kind == RowKind::update_after ? '+' : '-';
      append_row_line(batch, row, out);
    }
    world_.counts.records += batch.rows();
  }

 private:
  World& world_;
};

/// Fields of few values, as a folder for each is a file for each and checkpoint.
std::vector<std::size_t> partition_fields(const Schema& schema) {
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (schema[i].type.kind() == TypeKind::string || schema[i].type.kind() == TypeKind::boolean) return {i};
  }
  return {};
}

}  // namespace

std::string output_folder(const std::string& sink) {
  return "out/" + sink;
}

OperatorFactoryPtr make_sink(SinkPlace place, const std::string& sink, SchemaPtr schema, Random& random) {
  FileSinkSpec spec{.folder = output_folder(sink), .uid = sink, .schema = std::move(schema)};
  spec.files = std::make_shared<DiskPartFiles>(place, sink);
  spec.encoder = [world = place.world] { return std::make_unique<LineEncoder>(*world); };
  if (random.chance(0.3)) spec.roll_size = random.between(1, 2000);
  if (random.chance(0.2)) spec.partition_by = partition_fields(*spec.schema);
  return make_file_sink(std::move(spec));
}

std::vector<std::string> visible_rows(const Disk& disk, const std::string& sink) {
  std::vector<std::string> rows;
  std::vector<std::string> taken_back;
  for (const std::string& path : disk.paths(output_folder(sink) + "/")) {
    if (is_hidden(path)) continue;
    std::string_view text = *disk.peek(path);
    while (!text.empty()) {
      const std::size_t line = std::min(text.find('\n'), text.size() - 1);
      std::string_view row = text.substr(0, line);
      const bool back = row.starts_with('-');
      row.remove_prefix(std::min<std::size_t>(1, row.size()));
      (back ? taken_back : rows).emplace_back(row);
      text.remove_prefix(line + 1);
    }
  }
  std::sort(rows.begin(), rows.end());
  if (taken_back.empty()) return rows;
  std::sort(taken_back.begin(), taken_back.end());
  std::vector<std::string> left;
  std::set_difference(rows.begin(), rows.end(), taken_back.begin(), taken_back.end(), std::back_inserter(left));
  std::vector<std::string> never_there;
  std::set_difference(taken_back.begin(), taken_back.end(), rows.begin(), rows.end(), std::back_inserter(never_there));
  for (const std::string& row : never_there) left.push_back("taken back, and never there: " + row);
  return left;
}

std::vector<std::string> hidden_parts(const Disk& disk, const std::string& sink) {
  std::vector<std::string> paths = disk.paths(output_folder(sink) + "/");
  std::erase_if(paths, [](const std::string& path) { return !is_hidden(path); });
  return paths;
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
