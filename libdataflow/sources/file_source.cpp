#include "libdataflow/sources/file_source.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>

#include "libdataflow/sources/byte_stream.hpp"
#include "libdataflow/sources/csv_cut.hpp"
#include "libdataflow/sources/decoder_settings.hpp"
#include "libdataflow/sources/file_listing.hpp"
#include "libdataflow/sources/source_types.hpp"
#include "libdataflow/sources/split_position.hpp"

namespace dataflow {

namespace {

/// What a split's description says: "BEGIN END NAME_LENGTH NAME PATH"; END is "-" for the end of the file.
struct FileRange {
  std::uint64_t begin = 0;
  std::uint64_t end = to_end_of_file;
  std::string name;
  std::string path;
};

Split to_split(const FileRange& range) {
  const bool whole = range.begin == 0 && range.end == to_end_of_file;
  const std::string end = range.end == to_end_of_file ? "-" : std::to_string(range.end);
  const std::string begin = std::to_string(range.begin);
  return {whole ? range.name : range.name + "[" + begin + ".." + (end == "-" ? "" : end) + ")",
          begin + " " + end + " " + std::to_string(range.name.size()) + " " + range.name + " " + range.path};
}

Result<FileRange> parse_split(const Split& split) {
  std::string_view rest = split.description;
  const auto word = [&rest] {
    const std::size_t space = rest.find(' ');
    const std::string_view taken = rest.substr(0, space);
    rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
    return taken;
  };
  const auto number = [](std::string_view text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
  };
  FileRange range;
  std::uint64_t name_size = 0;
  const std::string_view begin = word();
  const std::string_view end = word();
  const std::string_view size = word();
  if (!number(begin, range.begin) || (end != "-" && !number(end, range.end)) || !number(size, name_size) ||
      name_size + 1 > rest.size()) {
    return fail(ErrorCode::internal, "a split of a file source cannot be read: " + split.description);
  }
  range.name = rest.substr(0, name_size);
  range.path = rest.substr(name_size + 1);
  return range;
}

class FileEnumerator final : public SplitEnumerator {
 public:
  explicit FileEnumerator(std::shared_ptr<const FileSourceSpec> spec) : spec_{std::move(spec)} {}

  Status open(std::uint32_t parallelism) override {
    split_size_ = parallelism > 1 ? spec_->split_size : to_end_of_file;
    if (Status found = find_new_files(); !found) return found;
    if (files_.empty() && !spec_->watch) return fail(nothing_found(spec_->path));
    if (spec_->watch) return {};
    // A file that may not be read is better known before the job starts.
    for (const ListedFile& file : files_) {
      if (Status readable = check_readable(file.path); !readable) return readable;
    }
    return {};
  }

  Result<Next> next(std::uint32_t, Timestamp now) override {
    if (next_file_ == files_.size() && spec_->watch && now >= look_again_) {
      if (Status found = find_new_files(); !found) return fail(found.error());
      look_again_ = now + *spec_->watch;
    }
    if (next_file_ == files_.size()) {
      Next none;
      none.kind = spec_->watch ? Next::Kind::wait : Next::Kind::done;
      none.until = look_again_;
      return none;
    }
    return next_range();
  }

  /// A line of numbers, then the paths in the order in which they are read.
  [[nodiscard]] Result<std::string> snapshot() const override {
    std::string out = "1 " + std::to_string(next_file_) + " " + std::to_string(begin_) + " " +
                      std::to_string(split_size_) + " " + std::to_string(files_.size()) + "\n";
    for (const ListedFile& file : files_) {
      out += std::to_string(file.path.size()) + " " + file.path + std::to_string(file.name.size()) + " " + file.name;
    }
    return out;
  }

  /// The files are those of the snapshot; what has come since is only found by a source that watches.
  Status restore(std::string_view snapshot) override {
    const auto refuse = [] { return fail(ErrorCode::malformed_data, "this is not where a file source was"); };
    const std::size_t line = snapshot.find('\n');
    const auto numbers = text::parse_position<5>(snapshot.substr(0, line));
    if (line == std::string_view::npos || !numbers || (*numbers)[0] != 1) return refuse();
    snapshot.remove_prefix(line + 1);
    files_.clear();
    known_.clear();
    for (std::uint64_t left = (*numbers)[4]; left > 0; --left) {
      const auto path = take_text(snapshot);
      const auto name = take_text(snapshot);
      if (!path || !name) return refuse();
      known_.insert(std::string{*path});
      files_.push_back({std::string{*path}, std::string{*name}});
    }
    if (!snapshot.empty() || (*numbers)[1] > files_.size()) return refuse();
    next_file_ = (*numbers)[1];
    // The cuts so far were made with that size; another one may be used from here on, but 0 bytes of a file is whole.
    if ((*numbers)[2] != 0) split_size_ = (*numbers)[3];
    if ((*numbers)[2] == 0) return {};
    if (next_file_ == files_.size()) return refuse();
    if (Status begun = begin_file(files_[next_file_]); !begun) return begun;
    // The quotes before the next cut are read again from the start.
    begin_ = (*numbers)[2];
    if (begin_ > size_) {
      return fail(ErrorCode::io, files_[next_file_].path + " is shorter than when it was read before");
    }
    return {};
  }

 private:
  static std::optional<std::string_view> take_text(std::string_view& from) {
    const std::size_t space = from.find(' ');
    std::uint64_t size = 0;
    if (space == std::string_view::npos) return std::nullopt;
    const auto [end, error] = std::from_chars(from.data(), from.data() + space, size);
    if (error != std::errc{} || end != from.data() + space || size > from.size() - space - 1) return std::nullopt;
    const std::string_view taken = from.substr(space + 1, size);
    from.remove_prefix(space + 1 + size);
    return taken;
  }

  Status find_new_files() {
    Result<std::vector<ListedFile>> listed = list_files(spec_->path);
    if (!listed) return fail(listed.error());
    for (ListedFile& file : *listed) {
      if (known_.insert(file.path).second) files_.push_back(std::move(file));
    }
    return {};
  }

  Result<Next> next_range() {
    const ListedFile& file = files_[next_file_];
    if (begin_ == 0) {
      if (Status begun = begin_file(file); !begun) return fail(begun.error());
    }
    FileRange range{begin_, to_end_of_file, file.name, file.path};
    if (size_ - begin_ > split_size_) {
      const Result<std::uint64_t> cut = find_cut(begin_ + split_size_);
      if (!cut) return fail(cut.error().within(file.name));
      if (*cut < size_) range.end = *cut;
    }
    if (range.end == to_end_of_file) {
      ++next_file_;
      begin_ = 0;
      opened_ = FileHandle{};
    } else {
      begin_ = range.end;
    }
    Next found;
    found.kind = Next::Kind::split;
    found.split = to_split(range);
    return found;
  }

  /// Opens a file that may have to be cut; the size of every other counts as 0.
  Status begin_file(const ListedFile& file) {
    size_ = 0;
    scan_ = CsvQuoteScan{spec_->decoder.delimiter};
    scanned_ = 0;
    if (split_size_ == to_end_of_file || compression_of(file.path) != Compression::none) return {};
    struct stat info {};
    // Pipes and devices have no size, and opening one here would take its bytes from the reader.
    if (::stat(file.path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
    Result<FileHandle> opened = open_to_read(file.path);
    if (!opened) return fail(opened.error());
    opened_ = std::move(*opened);
    size_ = static_cast<std::uint64_t>(info.st_size);
    return {};
  }

  /// The first record start at or after `position`, or the file's size.
  Result<std::uint64_t> find_cut(std::uint64_t position) {
    const bool csv = spec_->decoder.format == TextFormat::csv;
    std::uint64_t at = csv ? scanned_ : position - 1;
    while (at < size_) {
      const ssize_t got = ::pread(opened_.descriptor(), chunk_.data(), chunk_.size(), static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(ErrorCode::io, std::string{"cannot read: "} + std::strerror(errno));
      if (got == 0) break;
      std::string_view bytes{chunk_.data(), static_cast<std::size_t>(got)};
      if (at == 0 && csv && bytes.starts_with("\xEF\xBB\xBF")) {
        bytes.remove_prefix(3);
        at += 3;
      }
      if (csv && at < position - 1) {
        const std::string_view before = bytes.substr(0, position - 1 - at);
        scan_.pass(before);
        at += before.size();
        bytes.remove_prefix(before.size());
      }
      const std::size_t used = csv ? scan_.pass_to_row_end(bytes) : newline_end(bytes);
      if (used != CsvQuoteScan::npos) {
        scanned_ = at + used;
        return scanned_;
      }
      at += bytes.size();
    }
    return size_;
  }

  static std::size_t newline_end(std::string_view bytes) {
    const std::size_t newline = bytes.find('\n');
    return newline == std::string_view::npos ? CsvQuoteScan::npos : newline + 1;
  }

  std::shared_ptr<const FileSourceSpec> spec_;
  std::uint64_t split_size_ = to_end_of_file;
  std::set<std::string> known_;
  std::vector<ListedFile> files_;
  std::size_t next_file_ = 0;
  std::uint64_t begin_ = 0;  ///< of the next split in that file
  std::uint64_t size_ = 0;
  FileHandle opened_;
  CsvQuoteScan scan_{','};
  std::uint64_t scanned_ = 0;                               ///< bytes of the file that scan_ has passed
  std::vector<char> chunk_ = std::vector<char>(64 * 1024);  ///< stays in a core's cache
  Timestamp look_again_ = Timestamp::min();
};

class FileReader final : public SourceReader {
 public:
  explicit FileReader(std::shared_ptr<const FileSourceSpec> spec) : spec_{std::move(spec)} {}

  Status start_split(const Split& split) override { return start_at(split, {}); }

  [[nodiscard]] Result<std::string> split_position() const override {
    const RecordReader::Mark mark = reader_->mark();
    return "1 " + std::to_string(mark.bytes) + " " + std::to_string(mark.lines) + " " +
           std::to_string(static_cast<int>(mark.skipping));
  }

  Status resume_split(const Split& split, std::string_view position) override {
    const auto numbers = text::parse_position<4>(position);
    if (!numbers || (*numbers)[0] != 1 || (*numbers)[3] > 2) {
      return fail(ErrorCode::malformed_data, "this is not a position in a file: " + std::string{position});
    }
    return start_at(split, {(*numbers)[1], (*numbers)[2], static_cast<RecordReader::Skipping>((*numbers)[3])});
  }

 private:
  /// The stream of a split from a mark on. What is compressed is decompressed up to there.
  static Result<std::unique_ptr<ByteStream>> open_stream(const FileRange& range, std::uint64_t skip) {
    Result<FileHandle> file = open_to_read(range.path);
    if (!file) return fail(file.error());
    const Compression compression = compression_of(range.path);
    if (compression == Compression::none) return file_range(std::move(*file), range.begin + skip, range.end);
    auto stream = decompress(file_range(std::move(*file), range.begin, range.end), compression);
    std::vector<char> chunk(256 * 1024);
    while (skip > 0) {
      const auto got = stream->read(chunk.data(), std::min<std::uint64_t>(chunk.size(), skip));
      if (!got) return fail(got.error());
      skip -= got->bytes;
      if (got->end && skip > 0) return fail(ErrorCode::io, range.path + " is shorter than when it was read before");
    }
    return stream;
  }

  Status start_at(const Split& split, const RecordReader::Mark& mark) {
    const Result<FileRange> range = parse_split(split);
    if (!range) return fail(range.error());
    split_ = split.id;
    auto stream = open_stream(*range, mark.bytes);
    if (!stream) return fail(stream.error());
    RecordReader::Options options;
    options.name = range->name;
    options.first_byte = range->begin;
    options.max_record_size = spec_->max_record_size;
    reader_ = std::make_unique<RecordReader>(std::move(*stream), make_decoder(spec_->decoder), std::move(options));
    reader_->start_at(mark);
    if (range->begin == 0 && mark.bytes == 0) return {};
    auto head = open_stream({0, to_end_of_file, range->name, range->path}, 0);
    if (!head) return fail(head.error());
    return reader_->start_from(**head);
  }

 public:
  Result<SourceStep> poll(SourceOutput& out) override {
    SourceStep step;
    step.kind = SourceStep::Kind::split_end;
    if (!reader_) return step;
    const Result<RecordReader::Step> read = reader_->poll(out, split_);
    if (!read) return fail(read.error());
    if (*read == RecordReader::Step::end) {
      reader_.reset();
    } else {
      step.kind = SourceStep::Kind::more;
    }
    return step;
  }

  Status close() override {
    reader_.reset();
    return {};
  }

  [[nodiscard]] std::string position() const override { return reader_ ? reader_->position() : "between splits"; }
  RecordPlace place_of(std::uint32_t row) override { return reader_->place_of(row); }

 private:
  std::shared_ptr<const FileSourceSpec> spec_;
  std::string split_;
  std::unique_ptr<RecordReader> reader_;
};

class FileSource final : public SourceFactory {
 public:
  explicit FileSource(FileSourceSpec spec) : spec_{std::make_shared<const FileSourceSpec>(std::move(spec))} {}

  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<FileEnumerator>(spec_);
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<FileReader>(spec_);
  }
  [[nodiscard]] bool bounded() const override { return !spec_->watch; }
  [[nodiscard]] std::shared_ptr<const SourceFactory> reading(const std::vector<bool>& fields) const override {
    FileSourceSpec spec = *spec_;
    spec.decoder.read = fields;
    return std::make_shared<FileSource>(std::move(spec));
  }

 private:
  std::shared_ptr<const FileSourceSpec> spec_;
};

void build_file(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  const std::optional<DecoderOptions> decoder = read_decoder_options(builder);
  FileSourceSpec spec;
  spec.path = settings.text("path");
  spec.max_record_size = settings.size("max_record_size");
  spec.split_size = settings.size("split_size");
  if (settings.has("watch")) spec.watch = settings.duration("watch");
  if (spec.watch && *spec.watch <= Duration{0}) {
    builder.error("watch", "must be longer than nothing", "watch = \"1s\"");
    return;
  }
  if (spec.split_size == 0) {
    builder.error("split_size", "must be at least one byte");
    return;
  }
  if (!decoder) return;
  spec.decoder = *decoder;
  builder.node().details = spec.path;
  const SchemaPtr schema = schema_of(decoder->fields);
  set_source(builder, schema, make_file_source(std::move(spec)));
}

}  // namespace

SourceFactoryPtr make_file_source(FileSourceSpec spec) {
  return std::make_shared<FileSource>(std::move(spec));
}

NodeType file_source_type() {
  std::vector<Option> options = {
      {.name = "path",
       .kind = OptionKind::path,
       .help = "A file, a folder (read with its subfolders; names that begin with a dot are left out) or a glob. "
               "Files named .gz and .zst are decompressed.",
       .example = "\"data/*.csv.gz\"",
       .required = true}};
  for (Option& option : decoder_options()) options.push_back(std::move(option));
  options.push_back({.name = "watch",
                     .kind = OptionKind::duration,
                     .help = "Keeps looking for new files so often; the source then never ends. Move files into place "
                             "whole: what is added to a file later is not read.",
                     .example = "\"1s\""});
  options.push_back({.name = "split_size",
                     .kind = OptionKind::size,
                     .help = "With parallelism, a larger uncompressed file is read in pieces of about this size.",
                     .example = "\"64MiB\"",
                     .default_value = "16MiB"});
  return {.name = "file",
          .role = NodeRole::source,
          .summary = "Records of a file, a folder or a glob: CSV, JSON lines or plain lines.",
          .options = std::move(options),
          .example =
              "[sources.readings]\ntype   = \"file\"\npath   = \"readings.csv\"\nformat = \"csv\"\nschema = { date = "
              "\"timestamp\", temperature = \"float64\" }\nevent_time = { field = \"date\", out_of_orderness = "
              "\"1h\" }\n",
          .build = build_file};
}

}  // namespace dataflow
