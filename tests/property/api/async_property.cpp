// Asynchronous calls against a queue that one would write down: answers in any order, at once, later or never, calls
// that fail and are made again, capacity, both orders, and checkpoints while calls are under way.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/support/seeds.hpp"

namespace dataflow {
namespace {

using testing_support::seeds;
using namespace std::chrono_literals;

struct Question {
  std::int64_t number = 0;
};
DATAFLOW_RECORD(Question, number)

enum class Reply : std::uint8_t { later, at_once, failure };
/// What a call for a record comes to before it returns.
Reply reply_to(std::int64_t number, std::uint32_t attempt) {
  if (number % 7 == 3 && attempt == 1) return Reply::failure;
  return number % 5 == 0 ? Reply::at_once : Reply::later;
}
std::string late_answer(const Question& question) {
  return "none " + std::to_string(question.number);
}

/// The operator, and the calls that it has made.
class Asked : public testing::Bench {
 public:
  explicit Asked(const AsyncOptions& options) : options_{options} { open(); }

  void push(const std::vector<std::int64_t>& numbers) {
    RowBuffer rows{schema_of<Question>()};
    for (const std::int64_t number : numbers) {
      put_record(rows, Question{number});
      rows.end_row(Timestamp{number});
    }
    run(*operator_, [&] { return operator_->process(0, rows.finish(), *this); });
  }
  void time_comes_to(std::int64_t time) {
    run(*operator_, [&] { return operator_->on_watermark(Timestamp{time}, *this); });
  }
  void clock(Duration time) {
    now_ = Timestamp{time};
    run(*operator_, [&] { return operator_->on_processing_time(now_, *this); });
  }
  void restore() {
    const std::string saved = testing::save_state(*operator_);
    open();
    testing::load_state(*operator_, saved);
    clock(now_.micros * 1us);
  }
  /// Of the last call for a record.
  void answer(std::int64_t number, const std::string& text) { calls_.at(number).completion.complete(text); }
  void refuse(std::int64_t number) { calls_.at(number).completion.fail("busy"); }

  [[nodiscard]] bool takes(Operator::Event event) const { return operator_->can_take(event); }
  std::vector<std::string> given() { return std::exchange(given_, {}); }

  void emit(BatchPtr batch, std::size_t) override {
    std::vector<std::string> texts;
    REQUIRE(append_records(*batch, texts));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      given_.push_back(texts[i] + "@" + std::to_string(batch->timestamp(i).micros));
    }
  }
  void advance_watermark(Timestamp time) override { given_.push_back("w" + std::to_string(time.micros)); }

 private:
  struct Call {
    std::uint32_t attempts = 0;
    Completion<std::string> completion{nullptr};
  };
  void open() {
    calls_.clear();
    auto call = [this](const Question& question, const Completion<std::string>& done) {
      Call& made = calls_[question.number];
      made.completion = done;
      switch (reply_to(question.number, ++made.attempts)) {
        case Reply::later: return;
        case Reply::at_once: return done.complete("at once");
        case Reply::failure: throw std::runtime_error("no line");
      }
    };
    AsyncPlan plan{.positions = {0},
                   .record = schema_of<Question>(),
                   .output = schema_of<std::string>(),
                   .event_time = true,
                   .options = options_};
    operator_ = std::make_unique<AsyncOperatorOf<Question, std::string, decltype(call), decltype(&late_answer)>>(
        plan, call, &late_answer);
    REQUIRE(operator_->open(*this));
  }

  AsyncOptions options_;
  std::map<std::int64_t, Call> calls_;
  std::unique_ptr<Operator> operator_;
  std::vector<std::string> given_;
};

/// A line of records and watermarks, looked at from its beginning whenever anything happens.
class AskedByHand {
 public:
  explicit AskedByHand(const AsyncOptions& options) : options_{options} {}

  std::vector<std::string> push(const std::vector<std::int64_t>& numbers) {
    for (const std::int64_t number : numbers) line_.push_back({.number = number});
    return look();
  }
  std::vector<std::string> time_comes_to(std::int64_t time) {
    // Where nothing lies between two watermarks, the first says nothing.
    if (!line_.empty() && line_.back().is_watermark) line_.pop_back();
    line_.push_back({.is_watermark = true, .number = time});
    return look();
  }
  std::vector<std::string> clock(Duration time) {
    now_ = time;
    return look();
  }
  std::vector<std::string> restore() {
    std::erase_if(line_, [](const Entry& e) { return e.is_watermark; });
    for (Entry& e : line_) e = {.number = e.number};
    return look();
  }
  void answer(std::int64_t number, const std::string& text) { find(number).answer = text; }
  void refuse(std::int64_t number) { find(number).failed = true; }

  /// Records that wait for an answer, and may be refused once more.
  [[nodiscard]] std::vector<std::int64_t> unanswered(bool may_fail) const {
    std::vector<std::int64_t> numbers;
    for (const Entry& e : line_) {
      const bool open = e.asked && !e.is_watermark && !e.failed && e.answer.empty() && e.retry_at == never;
      if (open && (!may_fail || e.attempts < options_.attempts)) numbers.push_back(e.number);
    }
    return numbers;
  }
  [[nodiscard]] bool any_not_asked() const {
    return std::any_of(line_.begin(), line_.end(), [](const Entry& e) { return !e.is_watermark && !e.asked; });
  }
  [[nodiscard]] bool empty() const { return line_.empty(); }

 private:
  static constexpr Duration never = Duration::max();
  struct Entry {
    bool is_watermark = false;
    std::int64_t number = 0;
    bool asked = false;
    std::uint32_t attempts = 0;
    Duration deadline{};
    Duration retry_at = never;
    bool failed = false;
    std::string answer{};
    bool done = false;
  };

  Entry& find(std::int64_t number) {
    return *std::find_if(line_.begin(), line_.end(),
                         [&](const Entry& e) { return !e.is_watermark && e.number == number; });
  }
  void call(Entry& e) {
    const Reply reply = reply_to(e.number, ++e.attempts);
    e.failed = reply == Reply::failure;
    if (reply == Reply::at_once) e.answer = "at once";
    e.retry_at = never;
  }
  std::vector<std::string> look() {
    std::vector<std::string> given;
    do {
      for (Entry& e : line_) {
        if (e.is_watermark || e.asked || under_way() == options_.capacity) continue;
        e.asked = true;
        e.deadline = now_ + options_.timeout;
        call(e);
      }
      for (Entry& e : line_) {
        if (!e.asked || e.done) continue;
        if (now_ >= e.retry_at) call(e);
        e.done = !e.answer.empty();
        if (!e.done && std::exchange(e.failed, false)) e.retry_at = now_ + options_.retry_delay;
        if (!e.done && now_ >= e.deadline) {
          e.answer = late_answer({e.number});
          e.done = true;
        }
      }
      give(given);
    } while (any_not_asked() && under_way() < options_.capacity);
    return given;
  }
  [[nodiscard]] std::size_t under_way() const {
    return static_cast<std::size_t>(std::count_if(line_.begin(), line_.end(), [](const Entry& e) { return e.asked; }));
  }
  void give(std::vector<std::string>& given) {
    bool held_back = false;
    bool stopped = false;  // a watermark waits, which nothing behind it overtakes
    std::erase_if(line_, [&](const Entry& e) {
      const bool goes = e.is_watermark || options_.order == AsyncOrder::ordered
                            ? !held_back && (e.is_watermark || e.done)
                            : !stopped && e.done;
      if (e.is_watermark && !goes) stopped = true;
      held_back = held_back || !goes;
      if (goes)
        given.push_back(e.is_watermark ? "w" + std::to_string(e.number) : e.answer + "@" + std::to_string(e.number));
      return goes;
    });
  }

  AsyncOptions options_;
  std::vector<Entry> line_;
  Duration now_{};
};

}  // namespace

TEST_CASE("answers are given as one would give them by hand, in whatever order they come") {
  std::size_t timeouts = 0;
  std::size_t retries = 0;
  const auto all = seeds(300);
  for (const std::uint64_t seed : all) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto up_to = [&](std::int64_t most) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most + 1));
    };
    const AsyncOptions options{.timeout = (5 + up_to(30)) * 1ms,
                               .capacity = static_cast<std::size_t>(1 + up_to(5)),
                               .order = up_to(1) == 0 ? AsyncOrder::ordered : AsyncOrder::unordered,
                               .attempts = static_cast<std::uint32_t>(2 + up_to(1)),
                               .retry_delay = up_to(4) * 1ms};
    Asked asked{options};
    AskedByHand by_hand{options};
    std::int64_t records = 0;
    std::int64_t time = 0;
    Duration now{};
    for (int step = 1; step <= 150; ++step) {
      CAPTURE(step);
      std::vector<std::string> expected;
      switch (up_to(6)) {
        case 0: {
          if (by_hand.any_not_asked()) break;
          std::vector<std::int64_t> numbers;
          for (std::int64_t left = 1 + up_to(5); left != 0; --left) numbers.push_back(++records);
          asked.push(numbers);
          expected = by_hand.push(numbers);
          break;
        }
        case 1: {
          time += 1 + up_to(3);
          asked.time_comes_to(time);
          expected = by_hand.time_comes_to(time);
          break;
        }
        case 2:
        case 3: {
          const auto open = by_hand.unanswered(false);
          if (open.empty()) break;
          const std::int64_t number = open[random() % open.size()];
          asked.answer(number, "answer");
          by_hand.answer(number, "answer");
          break;
        }
        case 4: {
          const auto open = by_hand.unanswered(true);
          if (open.empty()) break;
          const std::int64_t number = open[random() % open.size()];
          asked.refuse(number);
          by_hand.refuse(number);
          ++retries;
          break;
        }
        default: {
          now += (1 + up_to(2)) * 1ms;
          asked.clock(now);
          expected = by_hand.clock(now);
        }
      }
      REQUIRE(asked.given() == expected);
      for (const std::string& line : expected) timeouts += line.starts_with("none") ? 1 : 0;
      if (up_to(19) == 0) {
        asked.restore();
        REQUIRE(asked.given() == by_hand.restore());
      }
      REQUIRE(asked.takes(Operator::Event::batch) == !by_hand.any_not_asked());
      REQUIRE(asked.takes(Operator::Event::end) == by_hand.empty());
    }
  }
  if (all.size() == 1) return;
  CHECK(timeouts > 10);
  CHECK(retries > 10);
}

}  // namespace dataflow
