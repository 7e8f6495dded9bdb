"""dfnode why: who holds back time in a running job, and where records went."""

import json
import pathlib
import subprocess
import time
import unittest

from dfnode import DFNODE, HOT_JOB, READINGS, SOURCE_TABLE, DfnodeTest

WAITING = pathlib.Path(DFNODE).resolve().with_name("waiting.so")

WINDOWS = """
name = "readings"
parallelism = 1
[sources.readings]
type   = "stdin"
format = "csv"
schema = { date = "timestamp", city = "string", temperature = "float64" }
event_time = { field = "date", out_of_orderness = "1h" }
[operators.daily]
type      = "window"
input     = "readings"
window    = { tumbling = "1d" }
aggregate = { n = "count()" }
[sinks.days]
type  = "print"
input = "daily"
"""

# Two readings of a city that the table has, one of a city that it does not have, and one of none.
JOINS = (
    'name = "joins"\nparallelism = 1\n'
    + SOURCE_TABLE
    + """
[sources.cities]
type = "collection"
schema = { name = "string", height = "int64" }
rows = [ { name = "Basel", height = 260 } ]
[operators.looked_up]
type   = "lookup"
input  = "readings"
table  = "cities"
on     = "readings.city = cities.name"
fields = { city = "city", height = "height" }
[operators.joined]
type   = "join"
left   = "readings"
right  = "cities"
on     = "readings.city = cities.name"
fields = { city = "city", height = "height" }
[operators.counted]
type      = "window"
input     = "readings"
window    = { count = 1 }
aggregate = { high = "max(temperature)" }
having    = "high > 23"
[sinks.looked_up_rows]
type  = "discard"
input = "looked_up"
[sinks.joined_rows]
type  = "discard"
input = "joined"
[sinks.counted_rows]
type  = "discard"
input = "counted"
"""
)

# The slow side of a join comes by standard input, through a filter.
JOIN_THAT_WAITS = """
name = "pairs"
parallelism = 1
[sources.readings]
type   = "stdin"
format = "csv"
schema = { date = "timestamp", city = "string", temperature = "float64" }
event_time = { field = "date" }
[sources.ticks]
type       = "generate"
count      = 10
fields     = { date = "timestamp '2010-01-03T00:00:00Z'", city = "'Basel'" }
event_time = { field = "date" }
[operators.warm]
type  = "filter"
input = "readings"
where = "temperature > 20"
[operators.pairs]
type   = "join"
left   = "ticks"
right  = "warm"
on     = "ticks.city = warm.city"
window = { tumbling = "1d" }
fields = { city = "ticks.city" }
[sinks.out]
type  = "print"
input = "pairs"
"""


class Why(DfnodeTest):
    def test_of_a_file_it_says_where_records_went(self):
        self.write("readings.csv", READINGS)
        job = self.write("job.toml", HOT_JOB.replace("temperature > 23", "temperature > 50"))
        result = self.dfnode("why", str(job))
        self.assert_exit(result, 0)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "hot: FINISHED",
                "  node      records in  records out  of these",
                "  readings              3",
                "  hot       3           0            3 did not meet the condition: gives nothing",
                "  alerts    0",
            ],
        )

    def test_of_a_running_job_it_says_who_holds_back_time(self):
        process = self.start("run", str(self.write("job.toml", WINDOWS)), "--quiet", stdin=subprocess.PIPE)
        process.stdin.write(READINGS)
        process.stdin.flush()
        shown = self.wait_until_waiting("readings")
        self.assertEqual(
            shown["waiting"],
            [
                {
                    "name": "daily",
                    "subtask": 0,
                    "waits_for": "2010-01-01T23:59:59.999999Z",
                    "watermark": "2010-01-01T01:59:59.999999Z",
                    "behind": "22h",
                    "held_by": {
                        "source": "readings",
                        "subtask": 0,
                        "split": "stdin",
                        "newest": "2010-01-01T03:00:00Z",
                        "out_of_orderness": "1h",
                    },
                    "advice": "a record of 2010-01-02T01:00:00Z or later releases it; early in the window, e.g. "
                    '"10s", gives results before it ends',
                }
            ],
        )
        text = self.dfnode("why", "readings").stdout
        self.assertIn("daily waits for 2010-01-01T23:59:59.999999Z; its time is 2010-01-01T01:59:59.999999Z, 22h", text)
        self.assertIn("held back by readings, subtask 0, in stdin: its newest record is of 2010-01-01T03", text)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=30), 0)
        self.assertEqual(json.loads(process.stdout.read())["n"], 3)

    def test_records_that_came_too_late_are_counted(self):
        # Those of the first batches are behind time before the last one is read.
        self.write("readings.csv", READINGS + READINGS.partition("\n")[2] * 10000 + "2009-12-01T00:00:00,Bern,1\n")
        windows = WINDOWS.replace('type   = "stdin"', 'type = "file"\npath = "readings.csv"')
        job = self.write("job.toml", windows)
        self.assertEqual(self.finished(job)["nodes"]["daily"]["late"], 1)
        self.assertIn("  1 came too late\n", self.dfnode("why", str(job)).stdout)

    def test_rows_without_key_or_match_and_results_that_do_not_meet_having_are_counted(self):
        self.write("readings.csv", READINGS + "2010-01-01T04:00:00,,1\n")
        job = self.write("job.toml", JOINS)
        nodes = self.finished(job)["nodes"]
        self.assertEqual(nodes["looked_up"]["without_match"], 2)
        self.assertEqual(nodes["joined"]["without_key"], 1)
        self.assertEqual(nodes["counted"]["having"], 2)
        lines = self.dfnode("why", str(job)).stdout.splitlines()
        told = {line.split()[0]: line for line in lines if line.startswith("  ")}
        self.assertTrue(told["looked_up"].endswith("  2 had no match"), told["looked_up"])
        self.assertTrue(told["joined"].endswith("  1 had no key"), told["joined"])
        self.assertTrue(told["counted"].endswith("  2 did not meet having"), told["counted"])

    def test_of_a_job_in_cpp_late_records_are_counted(self):
        result = self.dfnode("why", str(WAITING), "--", "--ends")
        self.assert_exit(result, 0)
        self.assertIn("1 came too late", result.stdout)

    def test_calls_without_an_answer_in_time_are_counted(self):
        result = self.dfnode("why", str(WAITING), "--", "--ends", "--asks")
        self.assert_exit(result, 0)
        told = {line.split()[0]: line for line in result.stdout.splitlines() if line.startswith("  ")}
        self.assertTrue(told["asked"].endswith("  2 had no answer in time"), told["asked"])

    def test_of_a_window_in_cpp_it_says_who_holds_back_time(self):
        self.start("run", str(WAITING), "--quiet")
        shown = self.wait_until_waiting("waiting")
        self.assertEqual(
            shown["waiting"],
            [
                {
                    "name": "daily",
                    "subtask": 0,
                    "waits_for": "1970-01-02T23:59:59.999999Z",
                    "watermark": "1970-01-02T13:59:59.999999Z",
                    "behind": "10h",
                    "held_by": {
                        "source": "payments",
                        "subtask": 0,
                        "split": "all",
                        "newest": "1970-01-02T15:00:00Z",
                        "out_of_orderness": "1h",
                    },
                    "advice": "a record of 1970-01-03T01:00:00Z or later releases it; .trigger(df::early(10s)) gives "
                    "results before it ends",
                }
            ],
        )

    def test_an_operator_with_calls_under_way_is_named(self):
        self.start("run", str(WAITING), "--quiet", "--", "--asks")
        shown = self.wait_until_waiting("waiting", lambda held: "operator" in held["held_by"])
        self.assertEqual(shown["waiting"][0]["held_by"]["operator"], "asked")
        self.assertIn("held back by asked, subtask ", self.dfnode("why", "waiting").stdout)

    def test_of_a_join_the_input_that_is_behind_is_named(self):
        process = self.start("run", str(self.write("job.toml", JOIN_THAT_WAITS)), "--quiet", stdin=subprocess.PIPE)
        process.stdin.write(READINGS)
        process.stdin.flush()
        shown = self.wait_until_waiting("pairs")
        held = shown["waiting"][0]["held_by"]
        self.assertEqual((held["input"], held["source"]), ("warm", "readings"))
        self.assertIn("held back by its input warm, which comes from readings, subtask 0, in stdin",
                      self.dfnode("why", "pairs").stdout)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=30), 0)

    def finished(self, job):
        """What is said of a job that ends; `nodes` by their names."""
        result = self.dfnode("why", str(job), "--json")
        self.assert_exit(result, 0)
        shown = json.loads(result.stdout)
        self.assertEqual(shown["state"], "FINISHED")
        shown["nodes"] = {node["name"]: node for node in shown["nodes"]}
        return shown

    def wait_until_waiting(self, job, wanted=lambda held: True):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            result = self.dfnode("why", job, "--json")
            if result.returncode == 0:
                shown = json.loads(result.stdout)
                if any("watermark" in held and wanted(held) for held in shown["waiting"]):
                    return shown
            time.sleep(0.05)
        self.fail(f"nothing waits: {result.stdout}{result.stderr}")

    def test_a_job_that_does_not_run_is_not_found(self):
        result = self.dfnode("why", "nobody", "--to", "127.0.0.1:1")
        self.assert_exit(result, 3)


if __name__ == "__main__":
    unittest.main()
