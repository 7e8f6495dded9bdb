// Reading CSV and JSON lines from a file: 4 columns of which 2 are used, through the file source and a Task, beside a
// loop over the mapped file.

#include <simdjson.h>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>
#include <random>

#include "libdataflow/sources/file_source.hpp"
#include "tests/bench/loops_text.hpp"
#include "tests/bench/pipeline.hpp"

namespace dataflow::bench {
namespace {

constexpr std::int64_t row_count = 1'000'000;
constexpr std::size_t block_rows = 4096;

/// A file of the benchmark's rows, removed at the end.
class RowsFile {
 public:
  explicit RowsFile(TextFormat format)
      : path_{std::filesystem::temp_directory_path() /
              ("bench_text_" + std::to_string(::getpid()) + "." + std::string{to_string(format)})} {
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    if (file == nullptr) require(fail(ErrorCode::io, "cannot write " + path_.string()));
    const bool csv = format == TextFormat::csv;
    if (csv) std::fputs("id,channel,price,time\n", file);
    const char* line = csv ? "%lld,channel-%lld,%.2f,2026-03-02T10:%02lld:%02lldZ\n"
                           : "{\"id\":%lld,\"channel\":\"channel-%lld\",\"price\":%.2f,"
                             "\"time\":\"2026-03-02T10:%02lld:%02lldZ\"}\n";
    std::mt19937_64 random{4711};
    for (long long row = 0; row < row_count; ++row) {
      std::fprintf(file, line, row, static_cast<long long>(random() % 1000),
                   static_cast<double>(random() % 100'000) / 100, row / 60 % 60, row % 60);
    }
    std::fclose(file);
  }
  ~RowsFile() { std::filesystem::remove(path_); }
  RowsFile(const RowsFile&) = delete;
  RowsFile& operator=(const RowsFile&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

const RowsFile& rows_file(TextFormat format) {
  static const RowsFile csv{TextFormat::csv};
  static const RowsFile json{TextFormat::json};
  return format == TextFormat::csv ? csv : json;
}

/// The two columns that are used, a block at a time.
struct Block {
  std::int64_t ids[block_rows];
  double prices[block_rows];
  std::size_t rows = 0;

  void add(std::int64_t id, double price) {
    ids[rows] = id;
    prices[rows] = price;
    if (++rows == block_rows) give();
  }
  void give() {
    benchmark::DoNotOptimize(&ids[0]);
    benchmark::DoNotOptimize(&prices[0]);
    benchmark::ClobberMemory();
    rows = 0;
  }
};

void csv_loop(benchmark::State& state) {
  const std::string path = rows_file(TextFormat::csv).path();
  static Block block;
  for (auto _ : state) {
    const loops::MappedFile file{path};
    const char* at = loops::behind(file.begin(), file.end(), '\n');
    while (at < file.end()) {
      const std::int64_t id = loops::take_integer(at);
      at = loops::behind(at + 1, file.end(), ',');
      const double price = loops::take_decimal(at);
      block.add(id, price);
      at = loops::behind(at, file.end(), '\n');
    }
    block.give();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * row_count);
}

void json_loop(benchmark::State& state) {
  const std::string path = rows_file(TextFormat::json).path();
  static Block block;
  simdjson::ondemand::parser parser;
  parser.threaded = false;
  for (auto _ : state) {
    simdjson::padded_string text;
    if (simdjson::padded_string::load(path).get(text) != simdjson::SUCCESS) state.SkipWithError("cannot read the file");
    simdjson::ondemand::document_stream records = parser.iterate_many(text, std::size_t{1} << 20);
    for (auto record : records) {
      const std::int64_t id = record["id"];
      const double price = record["price"];
      block.add(id, price);
    }
    block.give();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * row_count);
}

template <TextFormat format>
void through_task(benchmark::State& state) {
  FileSourceSpec spec;
  spec.path = rows_file(format).path();
  spec.decoder.format = format;
  spec.decoder.fields = {{{"id", TypeKind::int64}}, {{"price", TypeKind::float64}}};
  for (auto _ : state) {
    Pipeline pipeline{schema_of(spec.decoder.fields), make_file_source(spec)};
    const auto count = pipeline.count();
    run_in_task(pipeline.finish());
    if (count->rows != row_count) state.SkipWithError("rows are missing");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * row_count);
}

BENCHMARK(csv_loop)->Name("csv/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(through_task<TextFormat::csv>)->Name("csv/task")->Unit(benchmark::kMillisecond);
BENCHMARK(json_loop)->Name("json/loop")->Unit(benchmark::kMillisecond);
BENCHMARK(through_task<TextFormat::json>)->Name("json/task")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dataflow::bench
