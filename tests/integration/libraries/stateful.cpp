// What a tumbling window does, with the state of process functions: sums of each key and ten seconds in a map, a timer
// for each of them, and everything that it has seen in values. A job that loses or doubles any of it gives other sums
// than the window.
#include <dataflow/dataflow.hpp>

#include <string>

namespace df = dataflow;

struct Number {
  std::int64_t n;
  std::int64_t k;
  df::Timestamp at;
};
DATAFLOW_RECORD(Number, n, k, at)

struct Sum {
  std::int64_t k;
  df::Timestamp window_start;
  df::Timestamp window_end;
  std::int64_t records;
  std::int64_t sum;
  std::int64_t largest;
};
DATAFLOW_RECORD(Sum, k, window_start, window_end, records, sum, largest)

struct Sums {
  std::int64_t records = 0;
  std::int64_t sum = 0;
  std::int64_t largest = 0;
};
DATAFLOW_RECORD(Sums, records, sum, largest)

class Totals : public df::KeyedProcess<std::int64_t, Number, Sum> {
 public:
  void process(const Number& number, Context& context, df::Output<Sum>&) override {
    constexpr std::int64_t width = 10'000'000;
    const df::Timestamp end{(number.at.micros / width + 1) * width};
    Sums sums;
    if (const Sums* found = windows_.find(end.micros)) sums = *found;
    windows_.put(end.micros, {sums.records + 1, sums.sum + number.n, std::max(sums.largest, number.n)});
    seen_.add(1);
    newest_ = std::to_string(number.n);
    context.on_event_time(end - df::Duration{1});
  }

  void on_timer(df::Timestamp time, Context& context, df::Output<Sum>& out) override {
    const df::Timestamp end = time + df::Duration{1};
    const Sums* sums = windows_.find(end.micros);
    if (sums == nullptr || *seen_ < sums->records || newest_.value_or("").empty()) {
      throw std::runtime_error("state is lost");
    }
    out.emit({context.key(), end - df::Duration{10'000'000}, end, sums->records, sums->sum, sums->largest});
    windows_.remove(end.micros);
  }

 private:
  df::MapState<std::int64_t, Sums> windows_{this, "windows"};
  df::ReducingState<std::int64_t> seen_{this, "seen"};
  df::ValueState<std::string> newest_{this, "newest"};
};
DATAFLOW_FUNCTION("totals", Totals)
