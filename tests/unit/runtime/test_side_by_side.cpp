// Splits that one subtask reads at the same time: each holds time back alone, until it is silent or ends.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "libdataflow/runtime/local_executor.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

const SchemaPtr schema = make_schema({{"k", TypeKind::int64}, {"at", TypeKind::timestamp}});

BatchPtr at_second(std::int64_t second) {
  return make_batch(schema, {{second, Timestamp{std::chrono::seconds{second}}}});
}

SourceFactoryPtr at_once(std::vector<Script> scripts) {
  return std::make_shared<ScriptedSource>(std::move(scripts), true, true);
}

using Lines = std::vector<std::string>;

std::string joined(const Lines& lines) {
  std::string all;
  for (const std::string& line : lines) all += (all.empty() ? "" : " ") + line;
  return all;
}

/// Notes records as "r5" and watermarks as "w4", in seconds.
OperatorFactoryPtr log_to(const std::shared_ptr<Lines>& log) {
  class Log final : public Operator {
   public:
    explicit Log(std::shared_ptr<Lines> lines) : lines_{std::move(lines)} {}
    Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
      for (const std::int64_t k : batch->column(0).as<std::int64_t>()) lines_->push_back("r" + std::to_string(k));
      return Step::done;
    }
    Result<Step> on_watermark(Timestamp watermark, OperatorOutput&) override {
      lines_->push_back(watermark == Timestamp::max() ? "end" : "w" + std::to_string(watermark.micros / 1'000'000));
      return Step::done;
    }

   private:
    std::shared_ptr<Lines> lines_;
  };
  return std::make_shared<LambdaFactory>([log] { return std::make_unique<Log>(log); });
}

std::string read(std::vector<Script> scripts, const EventTimeSpec& event_time) {
  GraphBuilder b;
  b.source("in", schema, at_once(std::move(scripts)), event_time);
  const auto log = std::make_shared<Lines>();
  b.sink("log", {"in"}, log_to(log));
  REQUIRE(LocalExecutor::create(b.graph).value()->run());
  return joined(*log);
}

}  // namespace

TEST_CASE("time is where the split is that is the farthest behind, until it ends") {
  const EventTimeSpec by_at{.field = 1, .out_of_orderness = 0s, .idle_after = {}};
  const std::string lines = read({{at_second(10), Pause{1s}, at_second(20), Pause{1s}, at_second(30), Pause{5s}},
                                  {at_second(15), Pause{4s}, at_second(16)}},
                                 by_at);
  CHECK(lines == "r10 r15 w9 r20 w14 r30 r16 w15 w29 end");
}

TEST_CASE("a silent split alone stops holding time back, and takes nothing back when it wakes") {
  const EventTimeSpec by_at{.field = 1, .out_of_orderness = 0s, .idle_after = 30s};
  const Script fast{at_second(100), Pause{20s},     at_second(150), Pause{20s},    at_second(200),
                    Pause{20s},     at_second(250), Pause{20s},     at_second(300)};
  const Script silent{at_second(10), Pause{50s}, at_second(20), Pause{1s}, at_second(260), Pause{9s}};
  // At 30 s the second one is silent; at 50 s its record is late, and it holds back again.
  CHECK(read({fast, silent}, by_at) == "r100 r10 w9 r150 w149 r200 w199 r20 r260 r250 w249 r300 w299 end");
}

TEST_CASE("a source is silent when all of its splits are, and lets another source's time through") {
  const EventTimeSpec by_at{.field = 1, .out_of_orderness = 0s, .idle_after = 30s};
  GraphBuilder b;
  b.source("in", schema,
           at_once({{at_second(10), Pause{5min}}, {at_second(20), Pause{20s}, at_second(30), Pause{5min}}}), by_at);
  b.source(
      "other", schema,
      std::make_shared<ScriptedSource>(std::vector<Script>{{at_second(100), Pause{25s}, at_second(110), Pause{15s},
                                                            at_second(120), Pause{15s}, at_second(130), Pause{1s}}}),
      by_at);
  const auto log = std::make_shared<Lines>();
  b.sink("log", {"in", "other"}, log_to(log));
  REQUIRE(LocalExecutor::create(b.graph).value()->run());
  std::erase_if(*log, [](const std::string& line) { return line[0] == 'r'; });
  // At 30 s the first split is silent: 29. At 50 s the second one is, too: 119 of the other source, then 129.
  CHECK(joined(*log) == "w9 w29 w119 w129 end");
}
