"""A slow sink holds back what is before it, over the network, and nothing piles up anywhere."""

import pathlib
import time
import unittest

from cluster_test import ClusterTest
from dfnode import DFNODE

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("misbehaving.so")

# The source gives what it can, records of 100 bytes; half of them go to the other node.
JOB = f"""name = "slow"
parallelism = 2

[sources.numbers]
type   = "generate"
fields = {{ id = "seq()", a = "seq() * 3", b = "seq() * 5", c = "seq() * 7", text = "'" + "x" * 60 + "'" }}

[operators.even]
type   = "select"
input  = "numbers"
add    = {{ k = "id % 1000" }}

[operators.spread]
type      = "window"
input     = "even"
key_by    = ["k"]
window    = {{ count = 1 }}
aggregate = {{ id = "max(id)", text = "max(text)" }}

[operators.slow]
type     = "process"
input    = "spread"
library  = "{LIBRARY}"
function = "misbehave"
how      = "slow"
after    = 0

[sinks.out]
type  = "discard"
input = "slow"
"""


def anonymous_mib(pid):
    """What the process has taken, without the files that it maps."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:")) / 1024


class BackPressure(ClusterTest):
    measured_seconds = 12
    allowed_growth_mib = 12

    def numbers(self, job):
        shown = self.ask("show", job)
        subtasks = {vertex["name"]: vertex["subtasks"] for vertex in shown["vertices"]}
        first, last = list(subtasks.values())[0], list(subtasks.values())[-1]
        return (sum(s.get("records_in", 0) for s in first), sum(s.get("records_out", 0) for s in last), first)

    def test_a_sink_of_a_thousand_records_a_second_holds_the_source_back(self):
        self.cluster(nodes=2, slots=1)
        job = self.detach(self.write("slow.toml", JOB.replace("\"'\" + \"x\" * 60 + \"'\"", f"\"'{'x' * 60}'\"")))
        self.until_running(job)
        workers = [self.worker_of(process, job) for process in self.nodes.values()]
        # The sink's two subtasks take 500 each, and report when they have taken a batch.
        self.until("the sink has begun", lambda: self.numbers(job)[1] > 0)
        self.until("the source is held back", lambda: all(s["back_pressured"] > 0.9 for s in self.numbers(job)[2]))
        read_before, written_before, _ = self.numbers(job)
        memory_before = [anonymous_mib(pid) for pid in workers]
        began = time.monotonic()
        # Not to let something happen, but to see that nothing does.
        worst = list(memory_before)
        while time.monotonic() - began < self.measured_seconds:
            worst = [max(a, anonymous_mib(pid)) for a, pid in zip(worst, workers)]
            time.sleep(0.1)
        took = time.monotonic() - began
        read, written, _ = self.numbers(job)
        for before, most in zip(memory_before, worst):
            self.assertLess(most - before, self.allowed_growth_mib)
        # Reported batch by batch, of 8192 rows at most: each subtask may have one that was almost through before, and one
        # that was given on with it. Twelve seconds are long enough for that.
        self.assertLess((written - written_before) / took, 4000)
        self.assertLess((read - read_before) / took, 8000)


if __name__ == "__main__":
    unittest.main()
