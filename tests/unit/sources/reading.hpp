#pragma once
// A source read to its end without an engine: what the source tests compare.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "libdataflow/sources/source.hpp"

namespace dataflow::testing {

/// Rows as JSON lines, and malformed records as "POSITION: ERROR".
class CollectedOutput final : public SourceOutput {
 public:
  explicit CollectedOutput(std::uint32_t asked = max_batch_rows) : batch_rows_{asked} {}

  void emit(BatchPtr batch, std::string_view) override {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      append_row_json(*batch, row, rows);
      rows += '\n';
    }
    if (batch->rows() > largest) largest = batch->rows();
    count += batch->rows();
  }
  void malformed(std::string_view raw, std::string_view error, std::string_view position) override {
    errors.push_back(std::string{position} + ": " + std::string{error});
    raws.emplace_back(raw);
  }
  [[nodiscard]] bool full() const override { return false; }
  [[nodiscard]] std::uint32_t batch_rows() const override { return batch_rows_; }

  std::string rows;
  std::size_t count = 0;
  std::uint32_t largest = 0;
  std::vector<std::string> errors;
  std::vector<std::string> raws;

 private:
  std::uint32_t batch_rows_;
};

/// A context whose clock stands still.
class FixedContext final : public OperatorContext {
 public:
  [[nodiscard]] const std::string& operator_name() const override { return name_; }
  [[nodiscard]] std::uint32_t subtask() const override { return 0; }
  [[nodiscard]] std::uint32_t parallelism() const override { return 1; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return 128; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return name_; }
  [[nodiscard]] Timestamp now() const override { return Timestamp{1'000'000}; }
  [[nodiscard]] Timestamp watermark() const override { return Timestamp::min(); }
  Counter& counter(std::string_view) override { return counter_; }

 private:
  std::string name_ = "test";
  Counter counter_;
};

struct WholeRead {
  std::string rows;
  std::vector<std::string> errors;
  std::vector<std::string> splits;
  std::string failure;
};

/// Reads every split in the order in which it is handed out, with one reader.
inline WholeRead read_all(const SourceFactory& source, std::uint32_t parallelism = 1,
                          std::uint32_t batch_rows = max_batch_rows) {
  WholeRead result;
  CollectedOutput out{batch_rows};
  const auto enumerator = source.create_enumerator();
  const auto reader = source.create_reader();
  const auto read = [&]() -> Status {
    if (Status opened = enumerator->open(parallelism); !opened) return opened;
    for (;;) {
      const auto next = enumerator->next(0, Timestamp{});
      if (!next) return fail(next.error());
      if (next->kind != SplitEnumerator::Next::Kind::split) return {};
      result.splits.push_back(next->split.id);
      if (Status started = reader->start_split(next->split); !started) return started;
      for (bool more = true; more;) {
        const auto step = reader->poll(out);
        if (!step) return fail(step.error());
        more = step->kind != SourceStep::Kind::split_end;
      }
    }
  };
  if (const Status status = read(); !status) result.failure = status.error().message();
  result.rows = std::move(out.rows);
  result.errors = std::move(out.errors);
  return result;
}

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dataflow-test-XXXXXX").native();
    path_ = ::mkdtemp(name.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string path() const { return path_; }
  std::string write(const std::string& name, std::string_view content) const {
    const std::filesystem::path file = std::filesystem::path{path_} / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream{file, std::ios::binary} << content;
    return file.native();
  }

 private:
  std::string path_;
};

}  // namespace dataflow::testing
