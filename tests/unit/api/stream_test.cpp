#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "libdataflow/runtime/local_executor.hpp"
#include "tests/support/temporary_folder.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using df::testing::Inputs;
using df::testing::run;
using df::testing_support::TemporaryFolder;

namespace {

enum class Kind { sale, refund };
DATAFLOW_ENUM(Kind, sale, refund)

struct Payment {
  std::string card;
  double amount = 0;
  df::Timestamp time;
  std::optional<std::string> note;
  Kind kind = Kind::sale;
  df::Decimal<10, 2> fee;
};
DATAFLOW_RECORD(Payment, card, amount, time, note, kind, fee)

struct Total {
  std::string card;
  double gross = 0;
};
DATAFLOW_RECORD(Total, card, gross)

struct Noted {
  std::string text;
  std::int32_t n = 0;
  std::optional<std::string> note;
};
DATAFLOW_RECORD(Noted, text, n, note)

struct NotedView {
  std::string_view text;
  std::int32_t n = 0;
  std::optional<std::string_view> note;
};
DATAFLOW_RECORD(NotedView, text, n, note)

std::vector<Payment> payments() {
  return {{"a", 10, 0s, "first", Kind::sale, df::Decimal<10, 2>{0.25}},
          {"b", 20, 30s, {}, Kind::refund, {}},
          {"a", 30, 61s, {}, Kind::sale, {}},
          {"a", 5, 10min, {}, Kind::sale, {}}};
}

/// More than a batch of texts, up and down in length.
std::vector<Noted> noted() {
  std::vector<Noted> records;
  for (std::int32_t n = 0; n < 6000; ++n) {
    const std::string text(static_cast<std::size_t>(n * 7 % 41), static_cast<char>('a' + n % 26));
    records.push_back({text, n, n % 3 == 0 ? std::nullopt : std::optional{text + "!"}});
  }
  return records;
}

std::string sorted(const std::string& lines) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = lines.find('\n', at);
    all.push_back(lines.substr(at, end - at + 1));
    at = end + 1;
  }
  std::sort(all.begin(), all.end());
  std::string joined;
  for (const std::string& line : all) joined += line;
  return joined;
}

TEST_CASE("records of every field type pass a job unchanged") {
  const auto outputs = run([](df::Environment& env) { env.from_collection(payments()).print().named("out"); });
  CHECK(outputs.json_of("out") ==
        R"({"card":"a","amount":10.0,"time":"1970-01-01T00:00:00Z","note":"first","kind":"sale","fee":0.25}
{"card":"b","amount":20.0,"time":"1970-01-01T00:00:30Z","note":null,"kind":"refund","fee":0.00}
{"card":"a","amount":30.0,"time":"1970-01-01T00:01:01Z","note":null,"kind":"sale","fee":0.00}
{"card":"a","amount":5.0,"time":"1970-01-01T00:10:00Z","note":null,"kind":"sale","fee":0.00}
)");
  const auto back = outputs.of<Payment>("out");
  CHECK(back[1].kind == Kind::refund);
  CHECK(back[0].fee.unscaled() == 25);
  CHECK(back[0].note == "first");
}

TEST_CASE("filters before a map become part of it, and named or shared ones do not") {
  df::Environment env;
  auto source = env.from_collection(payments());
  const auto big = [](const Payment& p) { return p.amount > 5; };
  const auto total = [](const Payment& p) { return Total{p.card, p.amount * 2}; };
  source.filter(big).filter([](const Payment& p) { return p.card == "a"; }).map(total).print();
  source.filter(big).named("big").map(total).discard();
  const auto graph = env.build("job");
  REQUIRE(graph);
  std::string names;
  for (const auto& node : graph->nodes) names += node.name + " ";
  CHECK(names == "collection map print big map_2 discard ");

  const auto outputs = run([](df::Environment& e) {
    e.from_collection(payments())
        .filter([](const Payment& p) { return p.amount > 5; })
        .filter([](const Payment& p) { return p.card == "a"; })
        .map([](const Payment& p) {
          return Total{p.card, p.amount * 2};
        })
        .filter([](const Total& t) { return t.gross > 20; })
        .print();
  });
  CHECK(outputs.json_of("print") == "{\"card\":\"a\",\"gross\":60.0}\n");
}

TEST_CASE("texts of every length go through filter and map, as strings and as views, with NULLs among them") {
  std::string expected;
  for (const Noted& r : noted()) {
    if (r.n % 2 != 0) continue;
    expected += "{\"text\":\"" + r.text + "\",\"n\":" + std::to_string(r.n) + ",\"note\":";
    expected += r.note ? "\"" + *r.note + "\"}\n" : "null}\n";
  }
  const auto outputs = run([](df::Environment& env) {
    env.from_collection(noted())
        .filter([](const Noted& r) { return r.n % 2 == 0; })
        .map([](const Noted& r) { return r; })
        .print()
        .named("strings");
    env.from_collection(noted())
        .filter([](const Noted& r) { return r.n % 2 == 0; })
        .select<NotedView>({{"text", "text"}, {"n", "n"}, {"note", "note"}})
        .filter([](const NotedView& r) { return r.text.size() < 100; })
        .map([](const NotedView& r) { return r; })
        .print()
        .named("views");
  });
  CHECK(outputs.json_of("strings") == expected);
  CHECK(outputs.json_of("views") == expected);
}

TEST_CASE("conditions and selections of the expression language stand among lambdas") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection(payments())
        .where("amount > 5 AND note IS NULL")
        .select<Total>({{"gross", "amount * CAST(2 AS float64)"}, {"card", "upper(card)"}})
        .print();
  });
  CHECK(outputs.json_of("print") == "{\"card\":\"B\",\"gross\":40.0}\n{\"card\":\"A\",\"gross\":60.0}\n");
}

TEST_CASE("a flat map gives none, one or many records") {
  const auto outputs = run([](df::Environment& env) {
    auto source = env.generate(4, [](std::int64_t n) { return n; });
    source.flat_map([](std::int64_t n) { return std::vector<std::int64_t>(static_cast<std::size_t>(n), n); }).print();
    source
        .flat_map<Total>([](const std::int64_t& n, df::Output<Total>& out) {
          if (n % 2 == 1) out.emit({"odd", static_cast<double>(n)});
        })
        .print()
        .named("odd");
  });
  CHECK(outputs.of<std::int64_t>("print") == std::vector<std::int64_t>{1, 2, 2, 3, 3, 3});
  CHECK(outputs.of<Total>("odd").size() == 2);
}

TEST_CASE("a flat map that gives more than an output takes goes on where it stopped") {
  const auto outputs = run([](df::Environment& env) {
    env.generate(300, [](std::int64_t n) { return n; })
        .flat_map([](std::int64_t n) { return std::vector<std::int64_t>(1000, n); })
        .print();
  });
  const auto all = outputs.of<std::int64_t>("print");
  REQUIRE(all.size() == 300'000);
  CHECK(std::is_sorted(all.begin(), all.end()));
}

TEST_CASE("a union has the records of all its streams") {
  const auto outputs = run([](df::Environment& env) {
    auto a = env.from_collection<Total>({{"a", 1}});
    auto b = env.from_collection<Total>({{"b", 2}});
    a.union_with(b, b.map([](const Total& t) { return Total{"c", t.gross}; })).print();
  });
  CHECK(sorted(outputs.json_of("print")) ==
        "{\"card\":\"a\",\"gross\":1.0}\n{\"card\":\"b\",\"gross\":2.0}\n{\"card\":\"c\",\"gross\":2.0}\n");
}

TEST_CASE("reduce gives the running value of each key") {
  for (const std::uint32_t parallelism : {1U, 3U}) {
    const auto outputs = run(
        [](df::Environment& env) {
          env.from_collection<Total>({{"a", 1}, {"b", 10}, {"a", 2}, {"b", 20}, {"a", 3}})
              .key_by(&Total::card)
              .reduce([](const Total& sum, const Total& t) {
                return Total{sum.card, sum.gross + t.gross};
              })
              .named("sums")
              .print();
        },
        {}, {.parallelism = parallelism});
    CHECK(sorted(outputs.json_of("sums")) ==
          "{\"card\":\"a\",\"gross\":1.0}\n{\"card\":\"a\",\"gross\":3.0}\n{\"card\":\"a\",\"gross\":6.0}\n"
          "{\"card\":\"b\",\"gross\":10.0}\n{\"card\":\"b\",\"gross\":30.0}\n");
  }
}

class Notes : public df::Process<Payment, Total> {
 public:
  void process(const Payment& p, Context& ctx, df::Output<Total>& out) override {
    out.emit({p.card, p.amount});
    if (p.note) ctx.emit("notes", *p.note);
  }
};

TEST_CASE("a side output of a process function is a stream, and dropped when nobody reads it") {
  const auto outputs = run([](df::Environment& env) {
    auto totals = env.from_collection(payments()).process<Notes>();
    totals.side_output<std::string>("notes").print().named("notes");
    totals.print();
  });
  CHECK(outputs.of<std::string>("notes") == std::vector<std::string>{"first"});
  CHECK(outputs.of<Total>("print").size() == 4);
}

TEST_CASE("a key that a lambda computes spreads and groups like a member") {
  const auto outputs = run(
      [](df::Environment& env) {
        env.from_collection(payments())
            .key_by([](const Payment& p) { return p.amount >= 20; })
            .reduce([](const Payment& a, const Payment& b) {
              Payment sum = a;
              sum.amount += b.amount;
              return sum;
            })
            .named("sums")
            .map([](const Payment& p) { return p.amount; })
            .print();
      },
      {}, {.parallelism = 2});
  CHECK(sorted(outputs.json_of("print")) == "{\"value\":10.0}\n{\"value\":15.0}\n{\"value\":20.0}\n{\"value\":50.0}\n");
}

TEST_CASE("inputs stand in for a job's sources") {
  const auto job = [](df::Environment& env) {
    env.read_csv<Total>("nowhere.csv").named("totals").filter([](const Total& t) { return t.gross > 1; }).print();
  };
  const std::vector<Total> totals{{"a", 1}, {"b", 2}};
  CHECK(run(job, Inputs{}.from("totals", totals)).of<Total>("print").size() == 1);
  CHECK_THROWS_WITH(run(job, Inputs{}.from("total", totals)), "the job has no source \"total\", but \"totals\"");
}

TEST_CASE("an exception in a lambda names the operator, the exception and the record") {
  CHECK_THROWS_WITH_AS(run([](df::Environment& env) {
                         env.from_collection<Total>({{"a", 1}, {"b", 2}})
                             .map([](const Total& t) {
                               if (t.card == "b") throw std::out_of_range("no such card");
                               return t;
                             })
                             .print();
                       }),
                       doctest::Contains("user code threw std::out_of_range: no such card, at record "
                                         "{\"card\":\"b\",\"gross\":2.0}"),
                       df::testing::Failure);
}

struct Strict {
  std::string note;
};
DATAFLOW_RECORD(Strict, note)
struct Loose {
  std::optional<std::string> note;
};
DATAFLOW_RECORD(Loose, note)

TEST_CASE("a NULL for a member that is not optional is an error that names the field") {
  CHECK_THROWS_WITH(run([](df::Environment& env) {
                      env.from_collection<Loose>({{"x"}, {}})
                          .select<Strict>({{"note", "note"}})
                          .filter([](const Strict&) { return true; })
                          .print();
                    }),
                    doctest::Contains("field \"note\" is NULL, but the member of Strict is not optional"));
}

TEST_CASE("mistakes in a plan are all told, each with its line") {
  df::Environment env;
  auto source = env.from_collection(payments());
  source.key_by(&Payment::card).reduce([](const Payment&, const Payment& p) { return p; });
  source.where("amuont > 5").print("yaml");
  source.parallelism(0).named("Not A Name");
  source.map([](const Payment& p) { return p.card; }).side_output<Total>("late");
  const auto graph = env.build("job");
  REQUIRE(!graph);
  const std::string& message = graph.error().message();
  CHECK(message.find("stream_test.cpp:") == 0);
  for (const char* part : {"amuont", "keeps state and needs a name", "not \"yaml\"", "parallelism is at least 1",
                           "\"Not A Name\" is no name", "a map has no side output \"late\""}) {
    CHECK_MESSAGE(message.find(part) != std::string::npos, part, " is not in:\n", message);
  }
}

TEST_CASE("a filter that has become part of a map is named where it throws") {
  CHECK_THROWS_WITH(run([](df::Environment& env) {
                      env.from_collection<Total>({{"a", 1}})
                          .filter([](const Total& t) -> bool { throw std::out_of_range("no such card: " + t.card); })
                          .map([](const Total& t) { return t; })
                          .named("copied")
                          .print();
                    }),
                    doctest::Contains("in the filter in front of it: user code threw std::out_of_range: no such card"));
}

TEST_CASE("an event time that drops good records, and a job without a name, are mistakes") {
  df::Environment env;
  env.from_collection(payments()).event_time(&Payment::time, df::out_of_orderness(-5s)).discard();
  env.from_collection(payments()).event_time(&Payment::time, {}, 0s).discard();
  const auto graph = env.build("");
  REQUIRE(!graph);
  const std::string& message = graph.error().message();
  for (const char* part : {"out_of_orderness is how far a record may be behind the newest one, and not less than 0s",
                           "idle_after must be more than 0s", "the job has no name"}) {
    CHECK_MESSAGE(message.find(part) != std::string::npos, part, " is not in:\n", message);
  }
}

/// Without key, but with state, or without both.
template <bool HasState>
class Numbering : public df::Process<Total, std::int64_t> {
 public:
  explicit Numbering(std::int64_t first) : next_{first} {}
  void process(const Total&, Context&, df::Output<std::int64_t>& out) override { out.emit(next_++); }

 private:
  struct WithState {
    explicit WithState(df::StateOwner* owner) : count{owner, "count"} {}
    df::ValueState<std::int64_t> count;
  };
  struct Without {
    explicit Without(df::StateOwner*) {}
  };
  std::int64_t next_;
  std::conditional_t<HasState, WithState, Without> state_{this};
};

TEST_CASE("a function without key that has state needs a name, and only such a one") {
  const auto plan = []<bool HasState>(std::bool_constant<HasState>) {
    df::Environment env;
    env.from_collection<Total>({}).process<Numbering<HasState>>(std::int64_t{1}).discard();
    const auto graph = env.build("job");
    return graph ? "" : graph.error().message();
  };
  CHECK(plan(std::false_type{}).empty());
  CHECK(plan(std::true_type{}).find("this process keeps state and needs a name") != std::string::npos);
}

class Six : public df::Process<Total, std::int64_t> {
 public:
  Six(int a, int b, int c, int d, int e, int f) : sum_{a + b + c + d + e + f} {}
  void process(const Total&, Context&, df::Output<std::int64_t>& out) override { out.emit(sum_); }

 private:
  std::int64_t sum_;
};

TEST_CASE("a process function's constructor takes up to six arguments") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection<Total>({{"a", 1}}).process<Six>(1, 2, 3, 4, 5, 6).print();
  });
  CHECK(outputs.of<std::int64_t>("print") == std::vector<std::int64_t>{21});
}

struct TotalView {
  std::string_view card;
  double gross = 0;
};
DATAFLOW_RECORD(TotalView, card, gross)

class KeysOfViews : public df::KeyedProcess<std::string, TotalView, std::string> {
 public:
  void process(const TotalView&, Context& ctx, df::Output<std::string>& out) override { out.emit(ctx.key()); }
};

TEST_CASE("the key of a member that is a view owns its bytes") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection<TotalView>({{"a", 1}, {"b", 2}})
        .key_by(&TotalView::card)
        .process<KeysOfViews>()
        .named("k")
        .print();
    env.from_collection<TotalView>({{"c", 1}})
        .key_by([](const TotalView& t) { return t.card; })
        .process<KeysOfViews>()
        .named("l")
        .print();
  });
  CHECK(outputs.of<std::string>("k") == std::vector<std::string>{"a", "b"});
  CHECK(outputs.of<std::string>("l") == std::vector<std::string>{"c"});
}

/// A source whose reader() throws, or gives none.
template <bool Throws>
class Readerless : public df::Source<Total> {
 public:
  [[nodiscard]] std::unique_ptr<df::SplitReader<Total>> reader() const override {
    if constexpr (Throws) throw std::runtime_error("no connection");
    return nullptr;
  }
};

TEST_CASE("a source that has no reader is an error that names it") {
  const auto with = []<class Source>(const Source&) {
    return [](df::Environment& env) { env.from_source<Total>(std::make_shared<Source>()).named("totals").discard(); };
  };
  CHECK_THROWS_WITH(
      run(with(Readerless<true>{})),
      "\"totals\", before the first split: user code threw std::runtime_error: no connection, in reader()");
  CHECK_THROWS_WITH(
      run(with(Readerless<false>{})),
      "\"totals\", before the first split: the source's reader() gave a null pointer instead of a reader");
  df::Environment env;
  env.from_source<Total>(nullptr).discard();
  CHECK(!env.build("job"));
}

/// Cannot be made.
class Unmakable : public df::Process<Total, Total> {
 public:
  Unmakable() { throw std::runtime_error("not made"); }
  void process(const Total&, Context&, df::Output<Total>&) override {}
};

TEST_CASE("what fails before a source's first record is said to be between its splits") {
  const TemporaryFolder folder;
  static std::string file;
  file = (folder.path() / "totals.csv").string();
  std::ofstream{file} << "card,gross\na,1\n";
  CHECK_THROWS_WITH(
      run([](df::Environment& env) { env.read_csv<Total>(file).process<Unmakable>().named("p").discard(); }),
      "\"p\", between splits: user code threw std::runtime_error: not made, in its constructor");
}

TEST_CASE("a job whose source is always ready is stopped at its time, and time passes on the way") {
  const auto outputs = run(
      [](df::Environment& env) {
        env.generate(-1, [](std::int64_t i) { return i; })
            .window(df::in_processing_time(df::tumbling(1min)))
            .reduce([](std::int64_t a, std::int64_t) { return a; })
            .named("firsts")
            .print();
      },
      {}, {.until = df::Timestamp{10min}});
  CHECK(outputs.of<std::int64_t>("firsts").size() >= 10);
}

TEST_CASE("records that do not decode are left out or read from a side output where the job says so") {
  const TemporaryFolder folder;
  static std::string file;
  file = (folder.path() / "totals.csv").string();
  std::ofstream{file} << "card,gross\na,1\nb,many\nc,3\n";
  CHECK_THROWS_WITH(run([](df::Environment& env) { env.read_csv<Total>(file).print(); }), doctest::Contains("many"));
  const auto skipped =
      run([](df::Environment& env) { env.read_csv<Total>(file, {.on_error = df::ErrorPolicy::skip}).print(); });
  CHECK(skipped.of<Total>("print").size() == 2);
  const auto aside = run([](df::Environment& env) {
    auto totals = env.read_csv<Total>(file, {.on_error = df::ErrorPolicy::side_output});
    totals.side_output<df::RejectedRecord>("errors").print().named("errors");
    totals.print();
  });
  REQUIRE(aside.of<df::RejectedRecord>("errors").size() == 1);
  CHECK(aside.of<df::RejectedRecord>("errors")[0].raw.data == "b,many");
  CHECK(aside.of<Total>("print").size() == 2);
}

TEST_CASE("an argument is found by its name") {
  const df::Arguments args{{"--city=Basel", "--verbose", "--n=17", "--x=1.5", "rest"}};
  CHECK(args.get("city", "Bern") == "Basel");
  CHECK(args.get("town", "Bern") == "Bern");
  CHECK(args.has("verbose"));
  CHECK(!args.has("verb"));
  CHECK(args.get_integer("n", 0) == 17);
  CHECK_THROWS_WITH(static_cast<void>(args.get_integer("x", 0)), "--x takes a whole number, not \"1.5\"");
}

class CollectingSink : public df::TwoPhaseSink<Total> {
 public:
  static std::vector<std::string>& log() {
    static std::vector<std::string> entries;
    return entries;
  }
  void begin(std::string_view t) override { log().push_back("begin " + std::string{t}); }
  void write(const Total& t) override { log().push_back("write " + t.card); }
  void pre_commit(std::string_view) override { log().push_back("pre_commit"); }
  void commit(std::string_view) override { log().push_back("commit"); }
  void abort(std::string_view) override { log().push_back("abort"); }
};

TEST_CASE("a two-phase sink writes into a named transaction and commits it at the end") {
  CollectingSink::log().clear();
  df::Environment env;
  env.from_collection<Total>({{"a", 1}, {"b", 2}}).to(CollectingSink{}).named("bank");
  auto graph = env.build("job");
  REQUIRE(graph);
  auto executor = df::LocalExecutor::create(std::move(*graph));
  REQUIRE(executor);
  REQUIRE((*executor)->run());
  REQUIRE(CollectingSink::log().size() == 5);
  CHECK(CollectingSink::log()[0].find("-bank-0-1") != std::string::npos);
  CHECK(CollectingSink::log()[2] == "write b");
  CHECK(CollectingSink::log()[3] == "pre_commit");
  CHECK(CollectingSink::log()[4] == "commit");
}

}  // namespace
