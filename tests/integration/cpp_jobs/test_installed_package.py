"""A user's project of its own, built against the installed package: jobs as programs and as libraries."""

import json
import pathlib
import shutil
import signal
import tempfile
import unittest

from installed_package import install_and_build, run

PROJECT = pathlib.Path(__file__).resolve().parent / "project"

PAYMENTS = """card,amount,time,note
c,0.5,2024-01-01T00:00:10,
c,900,2024-01-01T00:01:10,after a minute
d,0.5,2024-01-01T00:02:00,
d,400,2024-01-01T00:09:00,not large
,700,2024-01-01T00:09:30,nobody's
"""

TOPOLOGY = """name = "enriching"
[sources.payments]
type   = "file"
path   = "payments.csv"
format = "csv"
schema = { card = "string", amount = "float64", time = "timestamp" }

[operators.known]
type  = "filter"
input = "payments"
where = "card IS NOT NULL"

[operators.enriched]
type     = "process"
input    = "known"
library  = "build/functions.so"
function = "enrich"
key_by   = ["card"]
limit    = 100
label    = "x"

[sinks.out]
type  = "print"
input = "enriched"
"""


class InstalledPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dataflow-user-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        shutil.copytree(PROJECT, cls.folder, dirs_exist_ok=True)
        (cls.folder / "payments.csv").write_text(PAYMENTS)
        cls.dfnode = install_and_build(cls.folder)

    def setUp(self):
        shutil.rmtree(self.folder / "alerts", ignore_errors=True)

    def check_fraud(self, command):
        done = run(command, self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        stats = [json.loads(line) for line in done.stdout.splitlines()]
        last = max((s for s in stats if s["card"] == "c"), key=lambda s: s["until"])
        self.assertEqual((last["until"], last["n"]), ("2024-01-01T00:06:00Z", 1))
        self.assertAlmostEqual(last["total"], 900 * 1.19)
        rows = [json.loads(line) for part in sorted((self.folder / "alerts").iterdir())
                if not part.name.startswith(".") for line in part.read_text().splitlines()]
        self.assertEqual(rows, [{"card": "c", "small": 0.5, "large": 900.0}])

    def test_the_job_runs_as_a_program(self):
        (self.folder / "payments.csv").write_text(PAYMENTS.replace(",700", "e,700"))
        self.check_fraud(["build/fraud", "--quiet"])

    def test_the_job_runs_as_a_library(self):
        (self.folder / "payments.csv").write_text(PAYMENTS.replace(",700", "e,700"))
        self.check_fraud([self.dfnode, "run", "build/fraud.so", "--quiet"])

    def test_a_null_in_a_member_that_is_not_optional_fails_the_job(self):
        (self.folder / "payments.csv").write_text(PAYMENTS)
        done = run(["build/fraud", "--quiet"], self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn('field "card" is NULL, but the member of Payment is not optional', done.stderr)

    def test_the_users_own_tests_pass(self):
        done = run(["build/fraud_test"], self.folder)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_library_of_another_version_is_refused_with_both_stamps(self):
        library = (self.folder / "build" / "fraud.so").read_bytes()
        self.assertIn(b"dataflow 0.1.0, ", library)
        (self.folder / "old.so").write_bytes(library.replace(b"dataflow 0.1.0, ", b"dataflow 0.0.9, "))
        done = run([self.dfnode, "run", "old.so"], self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("was built for another engine", done.stderr)
        self.assertIn("dataflow 0.0.9, ", done.stderr)
        self.assertIn("dataflow 0.1.0, ", done.stderr)

    def test_what_is_no_job_is_refused(self):
        (self.folder / "text.so").write_text("no library")
        done = run([self.dfnode, "run", "text.so"], self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("text.so cannot be loaded", done.stderr)
        done = run([self.dfnode, "run", "build/functions.so"], self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("has no job: a job's source ends with DATAFLOW_JOB", done.stderr)

    def test_an_exception_names_the_operator_and_where_it_was_thrown(self):
        for at, parts in {
            "constructor": ["user code threw std::runtime_error: thrown in constructor, in its constructor"],
            "open": ["user code threw std::runtime_error: thrown in open, in open()"],
            "process": ["user code threw std::runtime_error: thrown in process, at record", '"card":"d"',
                        "(event time 1970-01-01T00:00:01Z)"],
            "on_timer": ["thrown in on_timer, in on_timer() at 1970-01-01T00:00:0"],
            "close": ["thrown in close, in close()"],
        }.items():
            for command in (["build/throwing", "--quiet", f"--at={at}"],
                            [self.dfnode, "run", "build/throwing.so", "--quiet", "--", f"--at={at}"]):
                done = run(command, self.folder)
                self.assertEqual(done.returncode, 1, (at, done.stderr))
                self.assertTrue(done.stderr.startswith("error: throwing: "), done.stderr)
                for part in ["throwing"] + parts:
                    self.assertIn(part, done.stderr)
        self.assertEqual(run(["build/throwing", "--quiet"], self.folder).returncode, 0)

    def test_a_crash_of_the_job_says_where_it_was(self):
        for command in (["build/throwing", "--quiet", "--at=crash"],
                        [self.dfnode, "run", "build/throwing.so", "--quiet", "--", "--at=crash"]):
            done = run(command, self.folder)
            self.assertEqual(done.returncode, -signal.SIGABRT, done.stderr)
            self.assertIn('error: the job crashed: SIGABRT in "throwing" (subtask ', done.stderr)

    def test_a_crash_while_the_job_is_put_together_is_said_too(self):
        for command in (["build/throwing", "--at=plan_crash"],
                        [self.dfnode, "run", "build/throwing.so", "--", "--at=plan_crash"]):
            done = run(command, self.folder)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("crashed while its job was being declared: SIGABRT", done.stderr)

    def test_arguments_of_a_job_in_a_main_of_its_own_are_those_that_are_none_of_run(self):
        done = run(["build/own_main", "--quiet", "--slots", "2", "--city=Basel", "rest"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), ['{"value":"--city=Basel"}', '{"value":"rest"}'])
        done = run(["build/own_main", "--slots=many"], self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--slots", done.stderr)

    def test_what_reaches_no_sink_is_a_warning(self):
        for command in ("check", "run"):
            done = run([self.dfnode, command, "build/throwing.so", "--", "--at=unread"], self.folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('"map" reaches no sink: what it gives is thrown away', done.stderr)
            self.assertIn("throwing.cpp:", done.stderr)
        self.assertNotIn("reaches no sink", run([self.dfnode, "check", "build/throwing.so"], self.folder).stderr)

    def test_a_job_that_throws_or_errs_while_it_is_put_together_is_refused(self):
        done = run([self.dfnode, "check", "build/throwing.so", "--", "--at=plan"], self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("user code threw std::runtime_error: thrown in plan", done.stderr)
        self.assertEqual(run(["build/throwing", "--at=plan"], self.folder).returncode, 2)
        done = run([self.dfnode, "run", "build/throwing.so", "--", "--at=mistake"], self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("throwing.cpp:38: this reduce keeps state and needs a name", done.stderr)

    def test_a_topology_calls_a_function_of_a_library(self):
        (self.folder / "payments.csv").write_text(PAYMENTS)
        topology = self.folder / "job.toml"
        topology.write_text(TOPOLOGY)
        done = run([self.dfnode, "run", topology, "--quiet"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()), [
            '{"card":"c","amount":0.5,"n":1,"label":"x"}',
            '{"card":"d","amount":0.5,"n":1,"label":"x"}'])
        for wrong, right, message in (
            ('"enrich"', '"enrihc"', 'has no function "enrihc", but "enrich"'),
            ("amount = ", "amuont = ", '"amount" of In is not in the stream'),
            ('["card"]', '["amount"]', '"amount" is float64, but the key of "enrich" is string'),
            ("limit    = 100", "limti    = 100", "limti"),
            ("limit    = 100", "", '"limit" is missing: Limits must have it'),
        ):
            topology.write_text(TOPOLOGY.replace(wrong, right))
            done = run([self.dfnode, "check", topology], self.folder)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    unittest.main()
