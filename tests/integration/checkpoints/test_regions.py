"""A job of two pipelines that nothing joins: what fails in one of them goes on from the checkpoint, and the other one runs on
as if nothing had been. What both have written is exact."""

import json
import pathlib
import unittest

from checkpointing import lines_in
from cluster_test import ClusterTest
from dfnode import DFNODE

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("misbehaving.so")
ROWS = 40000

JOB = """name = "two"
parallelism = 2

[sources.steady]
type   = "generate"
count  = {rows}
fields = {{ id = "seq()", k = "seq() % 7" }}
{rate}

[operators.steady_sums]
type      = "window"
input     = "steady"
key_by    = ["k"]
window    = {{ global = true }}
aggregate = {{ n = "count()", sum = "sum(id)" }}

[sinks.steady_out]
type  = "file"
input = "steady_sums"
path  = "{folder}/steady"

[sources.numbers]
type   = "generate"
count  = {rows}
fields = {{ id = "seq()" }}
{rate}

[operators.bad]
type        = "process"
input       = "numbers"
library     = "{library}"
function    = "misbehave"
how         = "{how}"
after       = {after}

[operators.bad_sums]
type      = "window"
input     = "bad"
window    = {{ global = true }}
aggregate = {{ n = "count()", sum = "sum(id)" }}

[sinks.bad_out]
type  = "file"
input = "bad_sums"
path  = "{folder}/bad"

[sinks.bad_rows]
type  = "file"
input = "bad"
path  = "{folder}/bad_rows"
{settings}
"""
SETTINGS = """[checkpoint]
interval = "100ms"
storage  = "file://{folder}/checkpoints"

[restart]
strategy = "fixed"
attempts = 5
delay    = "10ms"
"""
OUTPUTS = ("steady", "bad", "bad_rows")


class Regions(ClusterTest):
    def job(self, name, folder, how, rate, settings):
        return self.write(name, JOB.format(rows=ROWS, rate=f"rate_limit = {rate}" if rate else "", library=LIBRARY,
                                           how=how, after=ROWS // 4, folder=folder, settings=settings))

    def test_a_region_goes_on_from_the_checkpoint_and_the_other_one_runs_on(self):
        self.assert_exit(self.dfnode("run", str(self.job("good.toml", "expected", "nothing", 0, "")), "--quiet"), 0)
        self.cluster(nodes=1, slots=2)
        result = self.submit(self.job("two.toml", "out", "throw once", 20000, SETTINGS.format(folder=self.folder)), "--json")
        self.assert_exit(result, 0)
        shown = json.loads(result.stderr.splitlines()[-1])
        self.assertEqual((shown["state"], shown["restarts"]), ("FINISHED", 1))
        read = {vertex["name"].split(" ")[0]: sum(subtask["records_out"] for subtask in vertex["subtasks"])
                for vertex in shown["vertices"]}
        self.assertEqual(read["steady"], ROWS)
        self.assertLess(read["numbers"], ROWS, "it has begun anew and not from a checkpoint")
        for vertex in shown["vertices"]:
            failed = vertex["name"].split(" ")[0] in ("numbers", "bad", "bad_sums")
            self.assertEqual({subtask["attempt"] for subtask in vertex["subtasks"]}, {1 if failed else 0}, vertex["name"])
        for name in OUTPUTS:
            expected, _ = lines_in(self.folder / "expected" / name)
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertTrue(expected)
            self.assertEqual((actual, hidden), (expected, []), name)


if __name__ == "__main__":
    unittest.main()
