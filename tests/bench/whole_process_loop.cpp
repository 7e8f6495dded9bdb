// whole_process_loop csv|json PATH: the hand-written program that `dfnode run` is measured against as a whole process.
//
// The query of tests/bench/payments_*.toml and nothing else, in one thread: payments above 2000, counted and summed by
// user over ten minutes, written as JSON lines to standard output.

#include <simdjson.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/bench/loops_text.hpp"
#include "tests/bench/loops_windows.hpp"

namespace {

namespace loops = dataflow::loops;

constexpr std::int64_t window_ms = 600'000;
constexpr std::int64_t out_of_orderness_ms = 1000;
constexpr std::int64_t least_amount = 2000;
constexpr std::size_t batch_rows = 4096;

/// Rows wait here until there are enough for the block of prefetches, then go into the windows.
class Query {
 public:
  void add(std::int64_t time_ms, std::int64_t user, std::int64_t amount) {
    if (amount <= least_amount) return;
    times_[rows_] = time_ms;
    users_[rows_] = user;
    amounts_[rows_] = amount;
    if (++rows_ == batch_rows) flush();
  }
  void finish() {
    flush();
    windows_.finish(results_);
    print();
    std::fwrite(text_.data(), 1, text_.size(), stdout);
  }

 private:
  void flush() {
    windows_.add(
        rows_, times_, [this](std::size_t i) { return users_[i]; }, amounts_);
    rows_ = 0;
    windows_.fire(results_);
    print();
  }
  void print() {
    std::int64_t formatted = -1;
    for (std::size_t i = 0; i < results_.keys.size(); ++i) {
      if (results_.starts[i] != formatted) {
        formatted = results_.starts[i];
        bounds_ = ",\"window_start\":\"" + iso(formatted) + "\",\"window_end\":\"" + iso(formatted + window_ms) + "\"";
      }
      text_ += "{\"user\":";
      number(results_.keys[i].value);
      text_ += bounds_;
      text_ += ",\"n\":";
      number(results_.totals[i].count);
      text_ += ",\"total\":";
      number(results_.totals[i].sum);
      text_ += "}\n";
      if (text_.size() > 1 << 16) {
        std::fwrite(text_.data(), 1, text_.size(), stdout);
        text_.clear();
      }
    }
    results_.clear();
  }
  void number(std::int64_t value) {
    char digits[24];
    text_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
  static std::string iso(std::int64_t time_ms) {
    const std::time_t seconds = time_ms / 1000;
    char text[32];
    std::tm parts{};
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &parts));
    return text;
  }

  loops::TumblingLoop<loops::IntKey> windows_{window_ms, out_of_orderness_ms, 10'000};
  loops::Results<loops::IntKey> results_;
  std::int64_t times_[batch_rows];
  std::int64_t users_[batch_rows];
  std::int64_t amounts_[batch_rows];
  std::size_t rows_ = 0;
  std::string bounds_;
  std::string text_;
};

void read_csv(const std::string& path, Query& query) {
  const loops::MappedFile file{path};
  const char* at = loops::behind(file.begin(), file.end(), '\n');
  while (at < file.end()) {
    const std::int64_t time = loops::take_integer(at);
    const std::int64_t user = loops::take_integer(++at);
    const std::int64_t amount = loops::take_integer(++at);
    query.add(time, user, amount);
    at = loops::behind(at, file.end(), '\n');
  }
}

/// simdjson wants some bytes that it may read behind its input, so the file goes through a buffer, block by block.
void read_json(const std::string& path, Query& query) {
  const loops::MappedFile file{path};
  simdjson::ondemand::parser parser;
  parser.threaded = false;
  constexpr std::size_t block_bytes = std::size_t{1} << 20;
  std::vector<char> block(block_bytes + simdjson::SIMDJSON_PADDING);
  for (const char* at = file.begin(); at < file.end();) {
    std::size_t size = std::min<std::size_t>(block_bytes, static_cast<std::size_t>(file.end() - at));
    while (at[size - 1] != '\n') --size;
    std::memcpy(block.data(), at, size);
    at += size;
    simdjson::ondemand::document_stream records = parser.iterate_many(block.data(), size, size);
    for (auto record : records) {
      const std::int64_t time = record["time"];
      const std::int64_t user = record["user"];
      const std::int64_t amount = record["amount"];
      query.add(time, user, amount);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  static Query query;
  if (argc == 3 && std::strcmp(argv[1], "csv") == 0) {
    read_csv(argv[2], query);
  } else if (argc == 3 && std::strcmp(argv[1], "json") == 0) {
    read_json(argv[2], query);
  } else {
    std::fprintf(stderr, "usage: whole_process_loop csv|json PATH\n");
    return 2;
  }
  query.finish();
  return 0;
}
