// The builder of C++ jobs, with the examples of Flink's documentation: records are letters with a number.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>

namespace df = dataflow;
using namespace std::chrono_literals;

namespace {

struct Letter {
  std::string name;  ///< "b2": its kind and a number
  df::Timestamp time;
};
DATAFLOW_RECORD(Letter, name, time)

using Pattern = df::Pattern<Letter>;
using Match = df::Match<Letter>;

struct Found {
  std::string records;
};
DATAFLOW_RECORD(Found, records)

Found names_of(const Match& match) {
  Found found;
  for (const Letter& letter : match.all()) found.records += (found.records.empty() ? "" : " ") + letter.name;
  return found;
}

auto is(const std::string& kind) {
  return [kind](const Letter& letter) { return letter.name.substr(0, 1) == kind; };
}

/// A step by that name is a letter of that kind.
Pattern begin(const std::string& kind) {
  return Pattern::begin(kind).where(is(kind));
}

struct Run {
  std::vector<std::string> matches;   ///< sorted
  std::vector<std::string> timeouts;  ///< likewise
};

std::vector<std::string> sorted(const df::testing::Outputs& outputs, const std::string& name) {
  std::vector<std::string> lines;
  for (const Found& found : outputs.of<Found>(name)) lines.push_back(found.records);
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// Over letters one second apart.
Run run(const Pattern& pattern, const std::string& letters) {
  static std::optional<Pattern> chosen;
  static std::vector<Letter> records;
  chosen = pattern;
  records.clear();
  for (std::size_t at = 0; at < letters.size();) {
    const std::size_t end = std::min(letters.find(' ', at), letters.size());
    records.push_back({letters.substr(at, end - at), df::Timestamp{records.size() * 1s}});
    at = end + 1;
  }
  const auto outputs = df::testing::run([](df::Environment& env) {
    auto found = env.from_collection(records)
                     .event_time(&Letter::time)
                     .pattern(*chosen)
                     .select(names_of, names_of)
                     .named("found");
    found.print().named("matches");
    found.side_output<Found>("timeout").print().named("timeouts");
  });
  return {sorted(outputs, "matches"), sorted(outputs, "timeouts")};
}

using Texts = std::vector<std::string>;
Texts matches(Pattern pattern, const std::string& letters) {
  return run(pattern.within(1h), letters).matches;
}

TEST_CASE("next is the record that follows, followed_by the next that fits, followed_by_any each that fits") {
  const std::string letters = "a c b1 b2";
  CHECK(matches(begin("a").next("b").where(is("b")), letters) == Texts{});
  CHECK(matches(begin("a").next("b").where(is("b")), "a b1 b2") == Texts{"a b1"});
  CHECK(matches(begin("a").followed_by("b").where(is("b")), letters) == Texts{"a b1"});
  CHECK(matches(begin("a").followed_by_any("b").where(is("b")), letters) == Texts{"a b1", "a b2"});
}

TEST_CASE("the records of one step may lie apart, follow each other, or be combined") {
  const std::string letters = "a b1 d1 b2 d2 b3 c";
  const auto pattern = [] { return begin("a").followed_by_any("b").where(is("b")).one_or_more(); };
  CHECK(matches(pattern().consecutive().followed_by("c").where(is("c")), letters) ==
        Texts{"a b1 c", "a b2 c", "a b3 c"});
  CHECK(matches(pattern().followed_by("c").where(is("c")), letters) ==
        Texts{"a b1 b2 b3 c", "a b1 b2 c", "a b1 c", "a b2 b3 c", "a b2 c", "a b3 c"});
  CHECK(matches(pattern().allow_combinations().followed_by("c").where(is("c")), letters) ==
        Texts{"a b1 b2 b3 c", "a b1 b2 c", "a b1 b3 c", "a b1 c", "a b2 b3 c", "a b2 c", "a b3 c"});
}

TEST_CASE("the guide's table says what is found") {
  const std::string letters = "a b1 d b2 c";
  const auto then_c = [](Pattern pattern) { return pattern.followed_by("c").where(is("c")); };
  const auto bs = [] { return begin("a").followed_by("b").where(is("b")).one_or_more(); };
  CHECK(matches(then_c(begin("a").next("b").where(is("b"))), letters) == Texts{"a b1 c"});
  CHECK(matches(then_c(begin("a").followed_by("b").where(is("b"))), letters) == Texts{"a b1 c"});
  CHECK(matches(then_c(begin("a").followed_by_any("b").where(is("b"))), letters) == Texts{"a b1 c", "a b2 c"});
  CHECK(matches(then_c(bs()), letters) == Texts{"a b1 b2 c", "a b1 c"});
  CHECK(matches(then_c(bs().consecutive()), letters) == Texts{"a b1 c"});
  CHECK(matches(then_c(bs().greedy()), letters) == Texts{"a b1 b2 c"});
  CHECK(matches(then_c(begin("a").not_followed_by("d").where(is("d"))), letters) == Texts{});
}

TEST_CASE("a step is there a number of times") {
  const std::string letters = "a b1 b2 b3 c";
  const auto b = [] { return begin("a").next("b").where(is("b")); };
  const auto c = [](Pattern pattern) { return pattern.followed_by("c").where(is("c")); };
  CHECK(matches(c(b().times(2)), letters) == Texts{"a b1 b2 c"});
  CHECK(matches(c(b().times(2, 3)), letters) == Texts{"a b1 b2 b3 c", "a b1 b2 c"});
  CHECK(matches(c(b().times_or_more(3)), letters) == Texts{"a b1 b2 b3 c"});
  CHECK(matches(c(b().times(4)), letters) == Texts{});
  CHECK(matches(c(b().optional()), letters) == Texts{"a b1 c", "a c"});
  CHECK(matches(c(b().times(2).optional()), letters) == Texts{"a b1 b2 c", "a c"});
  CHECK(matches(c(b().one_or_more().optional()), "a c") == Texts{"a c"});
}

TEST_CASE("a greedy step leaves no record that it can take to the step behind it") {
  const auto step = [] { return begin("c").followed_by("a").where(is("a")).one_or_more(); };
  CHECK(matches(step().followed_by("b").where(is("b")), "c a1 a2 b") == Texts{"c a1 a2 b", "c a1 b"});
  CHECK(matches(step().greedy().followed_by("b").where(is("b")), "c a1 a2 b") == Texts{"c a1 a2 b"});
  const auto anything = [](const Letter&) { return true; };
  CHECK(matches(step().consecutive().greedy().next("x").where(anything), "c a1 a2 d a3") == Texts{"c a1 a2 d"});
}

TEST_CASE("until ends the repetition with a record that does not belong to it") {
  CHECK(matches(begin("a").one_or_more().until(is("b")), "a1 c a2 b a3") == Texts{"a1", "a1 a2", "a2", "a3"});
}

TEST_CASE("not_next looks at one record, not_followed_by at all up to the next step") {
  const auto not_next = begin("a").not_next("b").where(is("b")).followed_by("c").where(is("c"));
  CHECK(matches(not_next, "a b c") == Texts{});
  CHECK(matches(not_next, "a d b c") == Texts{"a c"});
  CHECK(matches(not_next, "a c") == Texts{"a c"});
  const auto not_followed_by = begin("a").not_followed_by("b").where(is("b")).followed_by("c").where(is("c"));
  CHECK(matches(not_followed_by, "a d b c") == Texts{});
  CHECK(matches(not_followed_by, "a d c b c2") == Texts{"a c"});
  const auto optional_between =
      begin("a").not_followed_by("b").where(is("b")).followed_by("d").where(is("d")).optional().followed_by("c").where(
          is("c"));
  CHECK(matches(optional_between, "a d b c") == Texts{"a d c"});
}

TEST_CASE("a repetition ends where what must not follow comes") {
  const auto pattern = begin("a").one_or_more().not_followed_by("b").where(is("b")).followed_by("c").where(is("c"));
  CHECK(matches(pattern, "a1 b a2 c") == Texts{"a2 c"});
}

TEST_CASE("at the end, what did not follow is known when the time is over") {
  auto unconfirmed = begin("p").not_followed_by("c").where(is("c")).within(10s);
  const Run absent = run(unconfirmed, "p x x c");
  CHECK(absent.matches == Texts{});
  CHECK(run(unconfirmed, "p1 x x").matches == Texts{"p1"});
  CHECK(run(unconfirmed, "p1 x x x x x x x x x c p2").matches == Texts{"p1", "p2"});
  auto not_at_once = begin("p").not_next("c").where(is("c")).within(10s);
  CHECK(run(not_at_once, "p1 c p2 x p3").matches == Texts{"p2", "p3"});
}

TEST_CASE("what runs out of time comes out as far as it got") {
  auto pattern = begin("a").next("b").where(is("b")).followed_by("c").where(is("c")).within(3s);
  const Run result = run(pattern, "a1 b1 c1 a2 b2 x c2 a3");
  CHECK(result.matches == Texts{"a1 b1 c1"});
  CHECK(result.timeouts == Texts{"a2 b2", "a3"});
}

TEST_CASE("a skip strategy says which matches are still given") {
  const auto b_then_c = [](df::AfterMatchSkip skip) {
    return begin("b").one_or_more().consecutive().next("c").where(is("c")).after_match(std::move(skip));
  };
  const std::string letters = "b1 b2 b3 c";
  CHECK(matches(b_then_c(df::no_skip()), letters) == Texts{"b1 b2 b3 c", "b2 b3 c", "b3 c"});
  CHECK(matches(b_then_c(df::skip_to_next()), letters) == Texts{"b1 b2 b3 c", "b2 b3 c", "b3 c"});
  CHECK(matches(b_then_c(df::skip_past_last()), letters) == Texts{"b1 b2 b3 c"});
  CHECK(matches(b_then_c(df::skip_to_first("b")), letters) == Texts{"b1 b2 b3 c", "b2 b3 c", "b3 c"});
  CHECK(matches(b_then_c(df::skip_to_last("b")), letters) == Texts{"b1 b2 b3 c", "b3 c"});

  const auto a_then_bs = [](df::AfterMatchSkip skip) {
    return begin("a").next("b").where(is("b")).one_or_more().after_match(std::move(skip));
  };
  CHECK(matches(a_then_bs(df::no_skip()), "a b1 b2 b3") == Texts{"a b1", "a b1 b2", "a b1 b2 b3"});
  CHECK(matches(a_then_bs(df::skip_to_next()), "a b1 b2 b3") == Texts{"a b1"});
}

TEST_CASE("several conditions hold together, or_where instead of those before") {
  const auto second = [](const Letter& letter) { return letter.name.substr(1) == "2"; };
  CHECK(matches(Pattern::begin("x").where(is("a")).where(second).or_where(is("c")), "a1 a2 b2 c1") ==
        Texts{"a2", "c1"});
  CHECK(matches(Pattern::begin("x").followed_by("y"), "a b c") == Texts{"a b", "b c"});
}

TEST_CASE("a condition may look at what was matched before") {
  const auto higher = [](const Letter& letter, const Match& so_far) {
    return letter.name > so_far[so_far.size() - 1].name;
  };
  CHECK(matches(Pattern::begin("first").where(is("a")).followed_by("up").where(higher).times(2), "a3 a1 b2 a9 c1") ==
        Texts{"a1 b2 c1", "a3 b2 c1"});
}

TEST_CASE("steps in a group are repeated and optional as a whole") {
  const auto pair = begin("a").followed_by("b").where(is("b"));
  CHECK(matches(Pattern::begin(pair).times(2), "a1 b1 a2 x b2") == Texts{"a1 b1 a2 b2"});
  CHECK(matches(begin("s").next(pair).optional().followed_by("e").where(is("e")), "s a b e") ==
        Texts{"s a b e", "s e"});
  CHECK(matches(begin("s").followed_by(pair).one_or_more().followed_by("e").where(is("e")), "s a1 b1 a2 b2 e") ==
        Texts{"s a1 b1 a2 b2 e", "s a1 b1 e"});
}

struct Payment {
  std::string card;
  double amount = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, amount, time)

struct Alert {
  std::string card;
  std::int64_t smalls = 0;
  double amount = 0;
};
DATAFLOW_RECORD(Alert, card, smalls, amount)

TEST_CASE("a pattern is looked for in the records of each key, and late ones go to their stream") {
  const auto outputs = df::testing::run([](df::Environment& env) {
    const auto small_then_large = df::Pattern<Payment>::begin("small")
                                      .where([](const Payment& p) { return p.amount < 1; })
                                      .one_or_more()
                                      .consecutive()
                                      .next("large")
                                      .where([](const Payment& p) { return p.amount > 500; })
                                      .within(5min)
                                      .after_match(df::skip_past_last());
    env.from_collection(std::vector<Payment>{{"a", 0.5, 0s},
                                             {"b", 0.5, 10s},
                                             {"a", 0.7, 20s},
                                             {"b", 20, 30s},
                                             {"a", 900, 60s},
                                             {"b", 900, 61s},
                                             {"b", 1, 5s}})
        .event_time(&Payment::time)
        .key_by(&Payment::card)
        .pattern(small_then_large)
        .late_to([](df::Stream<Payment> late) { late.print().named("late"); })
        .select([](const df::Match<Payment>& m) {
          return Alert{m.last("large")->card, static_cast<std::int64_t>(m.count("small")), m.last("large")->amount};
        })
        .named("suspicious")
        .print()
        .named("alerts");
  });
  CHECK(outputs.json_of("alerts") == "{\"card\":\"a\",\"smalls\":2,\"amount\":900.0}\n");
  CHECK(outputs.json_of("late") == "{\"card\":\"b\",\"amount\":1.0,\"time\":\"1970-01-01T00:00:05Z\"}\n");
}

/// What is said of a job with this pattern over letters.
std::string mistake(const Pattern& pattern) {
  static std::optional<Pattern> chosen;
  chosen = pattern;
  try {
    df::testing::run([](df::Environment& env) {
      env.from_collection(std::vector<Letter>{})
          .event_time(&Letter::time)
          .pattern(*chosen)
          .select(names_of)
          .named("p")
          .print();
    });
  } catch (const df::testing::Failure& failure) {
    const std::string text = failure.what();
    const std::size_t place = text.find(".cpp:");
    return place == std::string::npos ? text : text.substr(text.find(": ", place) + 2);
  }
  return "";
}

TEST_CASE("a pattern that makes no sense is refused with the line that said it") {
  CHECK(mistake(begin("a").followed_by("b")) == "a match of this pattern may wait for ever: say .within(...)");
  CHECK(mistake(begin("a").next("b")) == "");
  CHECK(mistake(begin("a").optional().within(1s)) ==
        "the pattern matches without a record: one of its steps must be there");
  CHECK(mistake(begin("a").next("a")) == "two steps of the pattern are named \"a\"");
  CHECK(mistake(begin("a").next("b").until(is("c"))) ==
        "pattern \"b\": until ends one_or_more and times_or_more, and nothing else");
  CHECK(mistake(begin("a").not_next("b").one_or_more().within(1s)) ==
        "pattern \"b\": what must not be there is neither repeated nor optional");
  CHECK(mistake(begin("a").next("b").after_match(df::skip_to_last("c"))) == "the pattern has no step \"c\" to skip to");
  CHECK(mistake(begin("a").within(0s)) == "within is a time longer than nothing");
}

}  // namespace
