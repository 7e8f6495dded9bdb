"""What docs/cpp-guide.md shows compiles and runs as it stands there, in a project made of nothing else."""

import json
import pathlib
import re
import shutil
import tempfile
import unittest

from dfnode import SOURCE
from installed_package import install_and_build, run

GUIDE = (SOURCE / "docs" / "cpp-guide.md").read_text()

# What the page leaves to the reader: the records it names, and where a statement of it stands.
RECORDS = """
struct Alert { std::string card; double small; double large; };
DATAFLOW_RECORD(Alert, card, small, large)
struct Total { std::string card; double gross; };
DATAFLOW_RECORD(Total, card, gross)
struct CardStats { std::string card; df::Timestamp until; std::int64_t n; double total; };
DATAFLOW_RECORD(CardStats, card, until, n, total)
struct SetLimit { double value; };
DATAFLOW_RECORD(SetLimit, value)
"""

# What the page says in sentences.
CONNECTED = """
void connected(df::Environment& env) {
  auto payments = env.read_csv<Payment>("payments.csv").event_time(&Payment::time, df::out_of_orderness(30s));
  auto refunds = env.read_csv<Refund>("refunds.csv").event_time(&Refund::time, df::out_of_orderness(30s));
  auto rules = env.read_csv<Rule>("rules.csv");
  payments.key_by(&Payment::card).connect(refunds.key_by(&Refund::card)).process<Balance>().named("balance").print();
  payments.key_by(&Payment::card).connect(rules.broadcast()).process<AboveRule>().named("above_rule").discard();
}
DATAFLOW_JOB("connected", connected)
"""

PAYMENTS = """card,amount,time,note
c,0.5,2024-01-01T00:00:10,
c,900,2024-01-01T00:01:10,after a minute
"""


def block(beginning):
    """The page's one block of code that begins so."""
    found = [code for code in re.findall(r"^```(?:cpp|cmake|toml)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
             if code.lstrip().startswith(beginning)]
    assert len(found) == 1, f"docs/cpp-guide.md has {len(found)} blocks that begin with {beginning!r}"
    return found[0]


class Guide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dataflow-guide-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        start = "#include <dataflow/dataflow.hpp>\nnamespace df = dataflow;\nusing namespace std::chrono_literals;\n"
        function = start + block("struct Payment") + RECORDS + block("class SmallThenLarge")
        parts = {
            "function.hpp": "#pragma once\n" + function,
            "fraud.cpp": '#include "function.hpp"\n' + block("void fraud"),
            "settings.cpp": '#include "function.hpp"\nvoid settings(df::Environment& env) {\n' + block("env.settings()") + "}\n",
            "patterns.cpp": '#include "function.hpp"\nvoid patterns(df::Environment& env) {\n  auto payments = env.read_csv<Payment>'
                            '("payments.csv").event_time(&Payment::time, df::out_of_orderness(30s));\n'
                            + block("const auto small_then_large") + "}\n",
            "speaking.cpp": '#include "function.hpp"\nclass Limited : public SmallThenLarge {\n using SmallThenLarge::SmallThenLarge;\n'
                            + block("void receives") + "  double limit_ = 500;\n};\nvoid speak() {\n  Limited limited{5min};\n"
                            + block("df::ActorRef") + "}\n",
            "limits.cpp": '#include "function.hpp"\n' + block("enum class Kind") + block("class FirstOfBatch") + block("struct Limits")
                          + "void first(df::Environment& env) {\n  env.read_csv<Payment>(\"payments.csv\")"
                          ".operate<FirstOfBatch, Payment>().print();\n}\nDATAFLOW_JOB(\"first\", first)\n",
            "windows.cpp": "#include <algorithm>\n#include \"function.hpp\"\n" + block("struct Typical")
                           + 'DATAFLOW_JOB("medians", medians)\n',
            "joins.cpp": '#include "function.hpp"\n' + block("struct Refund") + 'DATAFLOW_JOB("refunded", refunded)\n',
            "groups.cpp": '#include "function.hpp"\n' + block("struct Refund") + block("struct Settled")
                          + 'DATAFLOW_JOB("settled", settled)\n',
            "connected.cpp": '#include "function.hpp"\n' + block("struct Refund") + block("class Balance") + block("struct Rule")
                             + CONNECTED,
            "async.cpp": '#include "function.hpp"\n' + block("std::future<Total>") + 'DATAFLOW_JOB("taxed", taxed)\n',
            "refunds.csv": "card,amount,time\nc,400,2024-01-01T00:02:00\n",
            "rules.csv": "note,most\nafter a minute,500\n",
            "fraud_test.cpp": "#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest/doctest.h>\n#include \"function.hpp\"\n"
                              + block("#include <dataflow/testing.hpp>") + "void fraud(df::Environment& env);\n"
                              + block('TEST_CASE("alerts are exact'),
            "limits.toml": "[sources.payments]\ntype = \"file\"\npath = \"payments.csv\"\nformat = \"csv\"\n"
                           "schema = { card = \"string\", amount = \"float64\", time = \"timestamp\", note = \"string\" }\n"
                           + block("[operators.checked]") + "[sinks.out]\ntype = \"print\"\ninput = \"checked\"\n"
                           "[sinks.large]\ntype = \"print\"\ninput = \"checked.too_large\"\n",
            "CMakeLists.txt": block("cmake_minimum_required") + """
dataflow_add_library(limits limits.cpp)
dataflow_add_library(windows windows.cpp)
dataflow_add_library(joins joins.cpp)
dataflow_add_library(groups groups.cpp)
dataflow_add_library(connected connected.cpp)
dataflow_add_library(async async.cpp)
add_library(parts OBJECT settings.cpp patterns.cpp speaking.cpp)
target_link_libraries(parts PRIVATE dataflow::dataflow)
find_package(doctest REQUIRED)
add_executable(fraud_test fraud_test.cpp fraud.cpp)
target_link_libraries(fraud_test PRIVATE dataflow::dataflow doctest::doctest)
""",
            "payments.csv": PAYMENTS,
        }
        for name, text in parts.items():
            (cls.folder / name).write_text(text)
        cls.dfnode = install_and_build(cls.folder)

    def test_every_block_is_here(self):
        self.assertEqual(len(re.findall(r"^```(?:cpp|cmake|toml)$", GUIDE, re.MULTILINE)), 20)

    def test_a_library_of_a_function_and_an_operator(self):
        done = run([self.dfnode, "run", "limits.toml", "--quiet"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(json.loads(line).get("gross", 0) for line in done.stdout.splitlines()), [0, 0.5])
        (self.folder / "short.toml").write_text((self.folder / "limits.toml").read_text().replace("limit    =", "#"))
        done = run([self.dfnode, "check", "short.toml"], self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn('"limit" is missing: Limits must have it', done.stderr)
        done = run([self.dfnode, "run", "build/limits.so", "--quiet"], self.folder)
        self.assertEqual((done.returncode, done.stdout.count("\n")), (0, 1), done.stderr)

    def test_the_job_runs_as_both(self):
        for command in (["build/fraud"], [self.dfnode, "run", "build/fraud.so"]):
            shutil.rmtree(self.folder / "alerts", ignore_errors=True)
            done = run([*command, "--quiet"], self.folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn({"card": "c", "until": "2024-01-01T00:06:00Z", "n": 1, "total": 900 * 1.19},
                          [json.loads(line) for line in done.stdout.splitlines()])
            alerts = [part.read_text() for part in (self.folder / "alerts").iterdir() if not part.name.startswith(".")]
            self.assertEqual([json.loads(line) for line in "".join(alerts).splitlines()],
                             [{"card": "c", "small": 0.5, "large": 900.0}])

    def rows_of(self, library):
        done = run([self.dfnode, "run", f"build/{library}.so", "--quiet"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return sorted((json.loads(line) for line in done.stdout.splitlines()), key=json.dumps)

    def test_a_function_over_windows(self):
        self.assertEqual(self.rows_of("windows"), [{"card": "c", "median": 0.5, "result": 1},
                                                   {"card": "c", "median": 900, "result": 2}])

    def test_a_join(self):
        self.assertEqual(self.rows_of("joins"), [{"card": "c", "gross": -399.5}, {"card": "c", "gross": 500}])

    def test_a_co_group(self):
        self.assertEqual(self.rows_of("groups"), [{"card": "c", "paid": 900.5, "returned": 400}])

    def test_connected_streams(self):
        rows = self.rows_of("connected")
        self.assertEqual(len(rows), 3)
        self.assertIn({"card": "c", "gross": 500.5}, rows)

    def test_asynchronous_calls(self):
        self.assertEqual(self.rows_of("async"), [{"card": "c", "gross": 0.5 * 1.19}, {"card": "c", "gross": 900 * 1.19}])

    def test_its_test_passes(self):
        done = run(["build/fraud_test"], self.folder)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
