#include "libdataflow/sinks/file_sink.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <filesystem>

#include "libdataflow/sinks/partition_path.hpp"
#include "libdataflow/sinks/pending_parts.hpp"
#include "libdataflow/sinks/sink_types.hpp"
#include "libdataflow/topology/field_list.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

/// Partitions that are written at the same time by one subtask; each holds a descriptor and a buffer.
constexpr std::size_t most_open_parts = 64;

class FileSink final : public Operator {
 public:
  explicit FileSink(std::shared_ptr<const FileSinkSpec> spec)
      : spec_{std::move(spec)},
        encoder_{spec_->encoder ? spec_->encoder() : make_encoder(spec_->format, spec_->schema)} {
    extension_ = "." + std::string{to_string(spec_->format)};
    extension_ += extension(spec_->compression);
  }

  Status open(OperatorContext& context) override {
    context_ = &context;
    identity_ = {context.job_id(), spec_->uid};
    publisher_.emplace(spec_->files, spec_->folder, identity_, context.subtask());
    return spec_->files->make_folder(spec_->folder);
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    Status written;
    if (spec_->partition_by.empty()) {
      written = write("", *batch);
    } else {
      for (const auto& [partition, rows] : rows_by_partition(*batch, spec_->partition_by)) {
        const BatchPtr part = rows.size() == batch->rows() ? batch : batch->select_rows(rows);
        written = write(partition, *part);
        if (!written) break;
      }
    }
    if (!written) return fail(written.error());
    return Step::done;
  }

  Result<Step> on_processing_time(Timestamp now, OperatorOutput&) override {
    for (auto part = open_.begin(); part != open_.end();) {
      const auto next = std::next(part);
      if (now >= due(part->second)) {
        if (Status rolled = roll(part); !rolled) return fail(rolled.error());
      }
      part = next;
    }
    return Step::done;
  }

  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override {
    if (!spec_->roll_interval || open_.empty()) return std::nullopt;
    Timestamp first = Timestamp::max();
    for (const auto& [partition, part] : open_) first = std::min(first, due(part));
    return first;
  }

  Status pre_commit(std::uint64_t epoch) override {
    while (!open_.empty()) {
      if (Status rolled = roll(open_.begin()); !rolled) return rolled;
    }
    if (finished_.empty()) return {};
    std::set<std::string> folders;
    for (const std::string& path : finished_) {
      // A folder that was made for a partition has a name, too, in that above it.
      std::string folder = path;
      do {
        folder = std::filesystem::path{folder}.parent_path().native();
      } while (folders.insert(folder).second && folder.size() > spec_->folder.size());
    }
    for (const std::string& folder : folders) {
      if (Status synced = spec_->files->sync_folder(folder); !synced) return synced;
    }
    pending_.add(epoch, finished_);
    finished_.clear();
    return {};
  }

  Status commit(std::uint64_t epoch) override {
    if (spec_->on_existing == OnExisting::replace) {
      if (Status removed = publisher_->remove_replaced(); !removed) return removed;
    }
    std::set<std::string> folders;
    Status published = pending_.commit(epoch, [&](const std::string& path) -> Status {
      if (Status done = publisher_->publish(path, extension_); !done) return done;
      folders.insert(std::filesystem::path{path}.parent_path().native());
      return {};
    });
    if (!published) return published;
    for (const std::string& folder : folders) {
      if (Status synced = spec_->files->sync_folder(folder); !synced) return synced;
    }
    return {};
  }

  Result<CapturedStatePtr> snapshot() override { return pending_.snapshot(); }

  /// Parts that a checkpoint lists are made visible, unless that has been done already.
  Status restore(StateReader& state) override {
    Status read = PendingParts::for_each(state, [this](const std::string& path) {
      if (spec_->files->exists(path)) pending_.add(0, {path});
    });
    return read ? commit(0) : read;
  }

  void abort() override {
    for (auto& [partition, part] : open_) part.file.discard();
    // What cannot be removed is left to the next attempt.
    const auto remove = [this](const std::string& path) { static_cast<void>(spec_->files->remove(path)); };
    for (const std::string& path : finished_) remove(path);
    pending_.abort(remove);
    open_.clear();
    finished_.clear();
  }

 private:
  struct OpenPart {
    PartFile file;
    Timestamp opened{};
    std::uint64_t last_use = 0;
  };
  using OpenParts = std::map<std::string, OpenPart>;

  [[nodiscard]] Timestamp due(const OpenPart& part) const {
    return spec_->roll_interval ? part.opened + *spec_->roll_interval : Timestamp::max();
  }

  Status write(const std::string& partition, const Batch& rows) {
    auto part = open_.find(partition);
    if (part == open_.end()) {
      Result<OpenParts::iterator> made = begin(partition);
      if (!made) return fail(made.error());
      part = *made;
    }
    text_.clear();
    if (part->second.file.size() == 0) encoder_->begin(text_);
    encoder_->encode(rows, text_);
    part->second.last_use = ++uses_;
    if (Status appended = part->second.file.append(text_); !appended) return appended;
    return part->second.file.size() >= spec_->roll_size ? roll(part) : Status{};
  }

  Result<OpenParts::iterator> begin(const std::string& partition) {
    if (open_.size() >= most_open_parts) {
      const auto oldest = std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
        return a.second.last_use < b.second.last_use;
      });
      if (Status rolled = roll(oldest); !rolled) return fail(rolled.error());
    }
    std::string folder = spec_->folder;
    if (!partition.empty()) {
      folder += "/" + partition;
      if (Status made = spec_->files->make_folder(folder); !made) return fail(made.error());
    }
    const std::string name = hidden_part_name(identity_, context_->subtask(), context_->attempt(), parts_++);
    Result<PartFile> file = PartFile::create(spec_->files, folder + "/" + name + extension_, spec_->compression);
    if (!file) return fail(file.error());
    return open_.emplace(partition, OpenPart{std::move(*file), context_->now(), 0}).first;
  }

  Status roll(OpenParts::iterator part) {
    if (Status finished = part->second.file.finish(); !finished) return finished;
    finished_.push_back(part->second.file.path());
    open_.erase(part);
    return {};
  }

  std::shared_ptr<const FileSinkSpec> spec_;
  std::unique_ptr<RowEncoder> encoder_;
  std::string extension_;
  OperatorContext* context_ = nullptr;
  SinkIdentity identity_;
  std::optional<PartPublisher> publisher_;
  OpenParts open_;                     ///< by partition
  std::vector<std::string> finished_;  ///< hidden parts of the epoch that is going on
  PendingParts pending_;               ///< hidden parts that were pre-committed
  std::uint64_t parts_ = 0;
  std::uint64_t uses_ = 0;
  std::string text_;
};

class FileSinkFactory final : public OperatorFactory {
 public:
  explicit FileSinkFactory(FileSinkSpec spec) : spec_{std::make_shared<const FileSinkSpec>(std::move(spec))} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<FileSink>(spec_); }
  [[nodiscard]] Result<std::unique_ptr<JobGuard>> before_job(const JobStart& job) const override {
    return claim_folder(spec_->folder, spec_->on_existing, spec_->uid, job);
  }
  [[nodiscard]] Status before_attempt(const std::string& job_id, std::uint32_t, StateReader* restored) const override {
    std::set<std::string> listed;
    if (restored != nullptr) {
      Status read = PendingParts::for_each(*restored, [&](std::string path) { listed.insert(std::move(path)); });
      if (!read) return read;
    }
    return remove_hidden_parts(*spec_->files, spec_->folder, {job_id, spec_->uid}, listed);
  }

 private:
  std::shared_ptr<const FileSinkSpec> spec_;
};

void build_file_sink(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  const InputInfo& input = builder.inputs().at(0);
  FileSinkSpec spec;
  bool good = true;
  if (input.changelog != ChangelogMode::append_only) {
    builder.error("input",
                  "a file cannot take back a row: \"" + input.name + "\" is a changelog (" +
                      std::string{to_string(input.changelog)} + ")",
                  "print takes it");
    good = false;
  }
  spec.folder = settings.text("path");
  spec.uid = builder.node().uid.empty() ? builder.name() : builder.node().uid;
  spec.schema = input.schema;
  spec.format = settings.text("format") == "csv" ? OutputFormat::csv : OutputFormat::json;
  auto partition_by = read_field_list(builder, "partition_by");
  good = good && partition_by;
  if (partition_by) spec.partition_by = std::move(*partition_by);
  spec.roll_size = settings.size("roll_size");
  if (spec.roll_size == 0) {
    builder.error("roll_size", "must be at least one byte", "roll_size = \"64MiB\"");
    good = false;
  }
  if (settings.has("roll_interval")) {
    spec.roll_interval = settings.duration("roll_interval");
    if (*spec.roll_interval <= Duration{0}) {
      builder.error("roll_interval", "must be longer than nothing", "roll_interval = \"10m\"");
      good = false;
    }
  }
  const std::string compression = settings.text("compression");
  spec.compression = compression == "gzip"   ? OutputCompression::gzip
                     : compression == "zstd" ? OutputCompression::zstd
                                             : OutputCompression::none;
  const std::string existing = settings.text("on_existing");
  spec.on_existing = existing == "append"    ? OnExisting::append
                     : existing == "replace" ? OnExisting::replace
                                             : OnExisting::error;
  if (!good) return;
  builder.node().details = spec.folder;
  builder.node().factory = make_file_sink(std::move(spec));
}

}  // namespace

OperatorFactoryPtr make_file_sink(FileSinkSpec spec) {
  return std::make_shared<FileSinkFactory>(std::move(spec));
}

NodeType file_sink_type() {
  return {
      .name = "file",
      .role = NodeRole::sink,
      .summary = "Part files in a folder; rows are visible once committed, exactly once.",
      .options = {{.name = "path",
                   .kind = OptionKind::path,
                   .help = "The folder; it is made when it does not exist.",
                   .example = "\"alerts\"",
                   .required = true},
                  {.name = "format",
                   .kind = OptionKind::choice,
                   .help = "json: an object a line; csv: each part with a header.",
                   .example = "\"csv\"",
                   .default_value = "json",
                   .choices = {"json", "csv"}},
                  {.name = "partition_by",
                   .kind = OptionKind::text_list,
                   .help =
                       "Fields by whose values rows go to subfolders FIELD=VALUE; of a name beyond 255 bytes the first "
                       "200, then \"-\" and a hash of the whole.",
                   .example = "[\"city\"]"},
                  {.name = "roll_size",
                   .kind = OptionKind::size,
                   .help = "A part of this size, before compression, is followed by another.",
                   .example = "\"64MiB\"",
                   .default_value = "128MiB"},
                  {.name = "roll_interval",
                   .kind = OptionKind::duration,
                   .help = "A part that is open for so long is followed by another.",
                   .example = "\"10m\""},
                  {.name = "compression",
                   .kind = OptionKind::choice,
                   .help = "How parts are compressed.",
                   .example = "\"zstd\"",
                   .default_value = "none",
                   .choices = {"none", "gzip", "zstd"}},
                  {.name = "on_existing",
                   .kind = OptionKind::choice,
                   .help =
                       "What files in the folder before the job starts mean: error refuses to start; append adds to "
                       "them; replace removes the parts of earlier runs when this job commits first.",
                   .example = "\"replace\"",
                   .default_value = "error",
                   .choices = {"error", "append", "replace"}}},
      .example = "[sinks.alerts]\ntype  = \"file\"\ninput = \"hot\"\npath  = \"alerts\"\npartition_by = [\"city\"]\n",
      .build = build_file_sink};
}

}  // namespace dataflow
