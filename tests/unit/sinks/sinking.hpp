#pragma once
// A sink run by hand: rows in, files or text out.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "libdataflow/operators/operator.hpp"
#include "serialization/builder.hpp"

namespace dataflow::testing {

class SinkContext final : public OperatorContext {
 public:
  explicit SinkContext(std::uint32_t subtask = 0, std::uint32_t attempt = 0) : subtask_{subtask}, attempt_{attempt} {}
  [[nodiscard]] const std::string& operator_name() const override { return job_; }
  [[nodiscard]] std::uint32_t subtask() const override { return subtask_; }
  [[nodiscard]] std::uint32_t parallelism() const override { return 2; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return 128; }
  [[nodiscard]] std::uint32_t attempt() const override { return attempt_; }
  [[nodiscard]] const std::string& job_id() const override { return job_; }
  [[nodiscard]] Timestamp now() const override { return clock; }
  [[nodiscard]] Timestamp watermark() const override { return Timestamp::min(); }
  Counter& counter(std::string_view) override { return counter_; }

  Timestamp clock{};

 private:
  std::uint32_t subtask_;
  std::uint32_t attempt_;
  std::string job_ = "job1";
  Counter counter_;
};

class NoOutput final : public OperatorOutput {
 public:
  void emit(BatchPtr, std::size_t) override {}
  [[nodiscard]] bool full() const override { return false; }
};

/// Rows of { city string, n int64 }.
inline const SchemaPtr& city_schema() {
  static const SchemaPtr schema = make_schema({{"city", TypeKind::string}, {"n", TypeKind::int64}});
  return schema;
}

inline BatchPtr cities(const std::vector<std::pair<std::string, std::int64_t>>& rows) {
  BatchBuilder builder{city_schema()};
  for (const auto& [city, n] : rows) {
    builder.append_row(std::vector<Value>{city.empty() ? Value{} : Value{city}, n});
  }
  return builder.finish();
}

/// Every visible file below a folder with its content.
inline std::map<std::string, std::string> visible_files(const std::string& folder, bool hidden_ones = false) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{folder}) {
    if (!entry.is_regular_file() || entry.path().filename().native().starts_with('.') != hidden_ones) continue;
    std::ostringstream content;
    content << std::ifstream{entry.path(), std::ios::binary}.rdbuf();
    files[entry.path().lexically_relative(folder).native()] = content.str();
  }
  return files;
}

inline std::map<std::string, std::string> hidden_files(const std::string& folder) {
  return visible_files(folder, true);
}

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
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace dataflow::testing
