"""Mistakes that the compiler finds in a job are said in words, as its first error."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[3]
COMPILER = os.environ.get("CXX", "c++")

HEAD = """#include <dataflow/dataflow.hpp>
namespace df = dataflow;
struct Payment { std::string card; double amount; df::Timestamp time; };
DATAFLOW_RECORD(Payment, card, amount, time)
struct Undeclared { int x; };
class Keyed : public df::KeyedProcess<std::string, Payment, Payment> {
 public:
  void process(const Payment&, Context&, df::Output<Payment>&) override {}
};
class OfNumbers : public df::KeyedProcess<std::int64_t, Payment, Payment> {
 public:
  void process(const Payment&, Context&, df::Output<Payment>&) override {}
};
"""


class CompileErrors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """The header is compiled once; what is left of the prelude is small."""
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dataflow-errors-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "prelude.hpp").write_text(HEAD)
        done = cls.compile("-x", "c++-header", cls.folder / "prelude.hpp", "-o", cls.folder / "prelude.hpp.gch")
        assert done.returncode == 0, done.stderr

    @staticmethod
    def compile(*arguments, **options):
        return subprocess.run([COMPILER, "-std=c++20", f"-I{SOURCE}", f"-I{SOURCE}/libdataflow/include", *arguments],
                              capture_output=True, text=True, timeout=120, **options)

    def first_error(self, source):
        done = self.compile("-fsyntax-only", "-include", self.folder / "prelude.hpp", "-x", "c++", "-", input=source)
        errors = re.findall(r"error: (.*)", done.stderr)
        return errors[0] if errors else ""

    def job(self, body):
        return self.first_error("void job(df::Environment& env) { auto payments = env.read_csv<Payment>(\"p.csv\"); %s }" % body)

    def test_two_streams_that_do_not_fit(self):
        both = "payments.key_by(&Payment::card).{}(payments.key_by(&Payment::amount)){};"
        self.assertIn("the keys of streams that are joined have the same type", self.job(both.format("join", ".as_of()")))
        self.assertIn("the keys of streams that are connected have the same type", self.job(both.format("connect", "")))
        self.assertIn("both streams that are connected have a key, or neither has",
                      self.job("payments.connect(payments.key_by(&Payment::card));"))
        self.assertIn("the function takes one stream: derive it from KeyedCoProcess",
                      self.job("auto keyed = payments.key_by(&Payment::card); keyed.connect(keyed).process<Keyed>();"))
        self.assertIn("apply takes a function of (const A&, const B&); of a side that may be missing",
                      self.job("auto keyed = payments.key_by(&Payment::card); keyed.left_join(keyed).as_of()"
                               ".apply([](const Payment& a, const Payment&) { return a; });"))

    def test_a_co_group_that_does_not_fit(self):
        self.assertIn("the keys of streams in a co_group have the same type",
                      self.job("payments.key_by(&Payment::card).co_group(payments.key_by(&Payment::amount));"))
        window = "auto keyed = payments.key_by(&Payment::card); keyed.co_group(keyed).window(df::tumbling(df::Duration{1}))"
        self.assertIn("the function of a co_group derives from CoGroupProcess", self.job(window + ".process<Keyed>();"))
        self.assertIn("apply<R> takes a function of (std::span<const df::Timed<A>>, std::span<const df::Timed<B>>, df::Output<R>&)",
                      self.job(window + ".apply<Payment>([](const Payment& a, const Payment&) { return a; });"))
        self.assertIn("a window keeps the records of both streams: their members own their bytes", self.first_error(
            "struct View { std::string_view card; df::Timestamp time; };\nDATAFLOW_RECORD(View, card, time)\n"
            "void job(df::Environment& env) { auto views = env.read_csv<View>(\"p.csv\").key_by(&View::card);"
            " views.co_group(views).window(df::global_window()); }"))

    def test_windows_that_do_not_fit(self):
        window = "payments.key_by(&Payment::card).window(df::global_window())"
        self.assertIn("the function of a window derives from WindowProcess", self.job(window + ".process<Keyed>();"))
        self.assertIn("ready-made pieces know no trigger but df::early",
                      self.job(window + ".trigger(df::on_count(3)).aggregate<Payment>();"))

    def test_a_call_that_gives_no_future(self):
        self.assertIn("the function of async_map returns a std::future",
                      self.job("payments.async_map([](const Payment& p) { return p; });"))

    def test_the_header_itself_compiles(self):
        self.assertEqual(self.job("payments.key_by(&Payment::card).process<Keyed>().named(\"keyed\").discard();"), "")

    def test_a_member_of_an_unknown_type(self):
        for type_name in ("float", "std::vector<int>", "void*", "std::optional<std::optional<bool>>", "unsigned char"):
            error = self.first_error(f"struct Bad {{ {type_name} member; }};\nDATAFLOW_RECORD(Bad, member)")
            self.assertIn("the type of Bad::member cannot be a field of a record. Fields are bool, int32_t", error)

    def test_a_mistake_in_a_record_is_shown_without_the_macros_that_it_has_gone_through(self):
        for members, part in (("card, amuont", "‘amuont’ is not a member of ‘Bad’"),
                              ("card, amount", "the type of Bad::amount cannot be a field")):
            done = self.compile("-fsyntax-only", "-include", self.folder / "prelude.hpp", "-x", "c++", "-",
                                input=f"struct Bad {{ std::string card; float amount; }};\nDATAFLOW_RECORD(Bad, {members})",
                                env={**os.environ, "LC_ALL": "C.UTF-8"})
            self.assertIn(part, done.stderr)
            self.assertLess(len(done.stderr.splitlines()), 60, done.stderr)

    def test_records_that_were_not_declared(self):
        self.assertIn("the records of a stream are structs declared with DATAFLOW_RECORD",
                      self.job("payments.map([](const Payment&) { return Undeclared{}; });"))

    def test_state_that_would_not_own_its_bytes(self):
        self.assertIn("state must own its bytes", self.first_error(
            "class Bad : public Keyed { df::ValueState<std::string_view> state_{this, \"state\"}; };\nBad bad;"))

    def test_records_that_look_into_their_batch_where_they_are_kept(self):
        view = "struct View { std::string_view card; double amount; df::Timestamp time; };\nDATAFLOW_RECORD(View, card, amount, time)\n"
        for state in ("ValueState<View>", "ListState<View>", "MapState<std::string, View>", "ReducingState<View>"):
            self.assertIn("state must own its bytes", self.first_error(
                view + f"class Bad : public Keyed {{ df::{state} state_{{this, \"state\"}}; }};\nBad bad;"))
        job = view + "void job(df::Environment& env) { auto views = env.read_csv<View>(\"p.csv\").event_time(&View::time); %s }"
        first = "[](const View& a, const View&) { return a; }"
        self.assertIn("reduce keeps a record for each key: its members own their bytes",
                      self.first_error(job % f"views.key_by(&View::card).reduce({first}).named(\"r\").discard();"))
        self.assertIn("reduce keeps a record for each window: its members own their bytes",
                      self.first_error(job % f"views.window(df::count_of(2)).reduce({first}).named(\"r\").discard();"))
        self.assertIn("an aggregator outlives the records that it is given and owns its bytes", self.first_error(
            view + "struct Last { std::string_view card; void add(const View& v) { card = v.card; }"
            " double result() const { return 0; } };\nDATAFLOW_RECORD(Last, card)\n"
            + job[len(view):] % "views.window(df::count_of(2)).aggregate<Last>().named(\"l\").discard();"))

    def test_messages_and_settings_that_would_not_own_their_bytes(self):
        view = "struct View { std::string_view card; };\nDATAFLOW_RECORD(View, card)\n"
        self.assertIn("what is read from JSON (a message, or its answer) owns its bytes", self.first_error(
            view + "void receive(df::Receiver& on) { on(\"view\", [](const View&) {}); }"))
        self.assertIn("a function's settings own their bytes", self.first_error(
            view + "class Bad : public Keyed { public: using settings_type = View; explicit Bad(const View&) {} };\n"
            "DATAFLOW_FUNCTION(\"bad\", Bad)"))

    def test_a_key_that_would_not_own_its_bytes(self):
        self.assertIn("a key outlives its records and owns its bytes: std::string, not std::string_view", self.first_error(
            "class Bad : public df::KeyedProcess<std::string_view, Payment, Payment> {\n"
            " void process(const Payment&, Context&, df::Output<Payment>&) override {}\n};\nBad bad;"))

    def test_more_arguments_than_process_takes(self):
        self.assertIn("process takes at most six arguments for the function's constructor",
                      self.job("payments.key_by(&Payment::card).process<Keyed>(1, 2, 3, 4, 5, 6, 7);"))

    def test_process_functions_that_do_not_fit_their_stream(self):
        self.assertIn("a KeyedProcess needs a key: call key_by before process", self.job("payments.process<Keyed>();"))
        self.assertIn("the function's key has another type than the stream's",
                      self.job("payments.key_by(&Payment::card).process<OfNumbers>();"))
        self.assertIn("the process function takes other records than the stream",
                      self.job("payments.map([](const Payment& p) { return p.card; })"
                               ".key_by([](const std::string& s) { return s; }).process<Keyed>();"))

    def test_a_filter_that_gives_no_bool(self):
        self.assertIn("a filter takes (const T&) and returns bool",
                      self.job("payments.filter([](const Payment& p) { return p.card; });"))

    def test_event_time_of_something_else(self):
        self.assertIn("event time is a member of type dataflow::Timestamp",
                      self.job("payments.event_time(&Payment::amount);"))


if __name__ == "__main__":
    unittest.main()
