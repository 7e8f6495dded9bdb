"""What print sinks write reaches the client that follows the job, whatever else of the job fails meanwhile."""

import json
import pathlib
import unittest

from cluster_test import ClusterTest
from dfnode import DFNODE

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("misbehaving.so")
ROWS = 40000

# Two regions. Each prints more than may be under way to the client at once; the second one fails once, in the midst.
JOB = f"""name = "both"
parallelism = 1

[sources.steady]
type   = "generate"
count  = {ROWS}
fields = {{ id = "seq()", text = "'{'x' * 60}'" }}
rate_limit = 20000

[sinks.steady_out]
type  = "print"
input = "steady"

[sources.numbers]
type   = "generate"
count  = {ROWS}
fields = {{ id = "-1 - seq()" }}
rate_limit = 20000

[operators.bad]
type     = "process"
input    = "numbers"
library  = "{LIBRARY}"
function = "misbehave"
how      = "throw once"
after    = {ROWS // 2}

[sinks.bad_out]
type  = "print"
input = "bad"

[restart]
strategy = "fixed"
attempts = 3
delay    = "10ms"
"""


class Print(ClusterTest):
    def test_a_region_that_fails_takes_nothing_of_what_another_one_prints(self):
        self.cluster(nodes=1, slots=1)
        result = self.submit(self.write("both.toml", JOB), "--json")
        self.assert_exit(result, 0)
        shown = json.loads(result.stderr.splitlines()[-1])
        self.assertEqual((shown["state"], shown["restarts"]), ("FINISHED", 1))
        attempts = {vertex["name"].split(" ")[0]: vertex["subtasks"][0]["attempt"] for vertex in shown["vertices"]}
        self.assertEqual(attempts, {"steady": 0, "numbers": 1})
        rows = [row["id"] for row in self.rows(result)]
        self.assertEqual([row for row in rows if row >= 0], list(range(ROWS)))
        # Print is at least once: what the failed attempt has printed comes again.
        self.assertEqual(sorted({-1 - row for row in rows if row < 0}), list(range(ROWS)))


if __name__ == "__main__":
    unittest.main()
