// A source of a user's own that does not end: all of its splits are read, also where there are more than subtasks.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>
#include <vector>

namespace df = dataflow;
using namespace std::chrono_literals;

namespace {

struct Reading {
  std::string sensor;
  std::int64_t number = 0;
  df::Timestamp at{};
};
DATAFLOW_RECORD(Reading, sensor, number, at)

/// Each sensor tells its next number once a second.
class Sensors : public df::Source<Reading> {
 public:
  [[nodiscard]] std::vector<std::string> splits(std::uint32_t) const override { return {"a", "b", "c", "d", "e"}; }
  [[nodiscard]] std::unique_ptr<df::SplitReader<Reading>> reader() const override { return std::make_unique<Reader>(); }
  [[nodiscard]] bool bounded() const override { return false; }

 private:
  class Reader : public df::SplitReader<Reading> {
   public:
    void open(std::string_view split, std::string_view position) override {
      sensor_ = split;
      std::from_chars(position.data(), position.data() + position.size(), next_);
    }
    df::ReadStep next(df::Output<Reading>& out, std::uint32_t) override {
      asked_ = !asked_;
      if (!asked_) return df::ReadStep::wait(1s);
      out.emit({sensor_, next_, df::Timestamp{std::chrono::seconds{next_}}});
      ++next_;
      return df::ReadStep::more();
    }
    [[nodiscard]] std::string position() const override { return std::to_string(next_); }

   private:
    std::string sensor_;
    std::int64_t next_ = 0;
    bool asked_ = false;
  };
};

void tell(df::Environment& env) {
  env.from_source<Reading>(std::make_shared<Sensors>())
      .named("sensors")
      .event_time(&Reading::at)
      .map([](const Reading& r) { return r.sensor + std::to_string(r.number); })
      .named("told")
      .print();
}

TEST_CASE("splits that do not end are all read, by fewer subtasks and by more") {
  for (const std::uint32_t parallelism : {1, 2, 3, 7}) {
    CAPTURE(parallelism);
    const auto outputs = df::testing::run(tell, {}, {.parallelism = parallelism, .until = df::Timestamp{2500ms}});
    auto told = outputs.of<std::string>("told");
    std::sort(told.begin(), told.end());
    CHECK(told == std::vector<std::string>{"a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2", "d0", "d1", "d2", "e0",
                                           "e1", "e2"});
  }
}

}  // namespace
