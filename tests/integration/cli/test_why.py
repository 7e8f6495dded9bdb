"""dfnode why: who holds back time in a running job, and where records went."""

import json
import subprocess
import time
import unittest

from dfnode import DFNODE, HOT_JOB, READINGS, DfnodeTest

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

    def wait_until_waiting(self, job):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            result = self.dfnode("why", job, "--json")
            if result.returncode == 0:
                shown = json.loads(result.stdout)
                if shown["waiting"] and "watermark" in shown["waiting"][0]:
                    return shown
            time.sleep(0.05)
        self.fail(f"nothing waits: {result.stdout}{result.stderr}")

    def test_a_job_that_does_not_run_is_not_found(self):
        result = self.dfnode("why", "nobody", "--to", "127.0.0.1:1")
        self.assert_exit(result, 3)


if __name__ == "__main__":
    unittest.main()
