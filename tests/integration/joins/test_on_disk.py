"""Joins whose rows do not fit into what [state] gives them, as real processes: with RocksDB they give what they give on
the heap.
"""

import unittest

from dfnode import DfnodeTest

JOB = """
parallelism = 2

[sources.l]
type       = "generate"
count      = 40000
event_time = {{ field = "at", out_of_orderness = "10s" }}
fields     = {{ at = "time()", k = "seq() * 7919 % 40000", p = "concat('left ', md5(CAST(seq() AS string)))" }}

[sources.r]
type       = "generate"
count      = 40000
event_time = {{ field = "at", out_of_orderness = "10s" }}
fields     = {{ at = "time()", k = "seq() * 7907 % 40000", q = "concat('right ', md5(CAST(seq() AS string)))" }}

[operators.j]
type   = "join"
left   = "l"
right  = "r"
on     = "l.k = r.k"
kind   = "{kind}"
{bounds}
fields = {{ k = "l.k", p = "p", q = "q" }}

[sinks.out]
type  = "print"
input = "j"

[state]
backend = "{backend}"
{memory}
"""
MEMORY = 'memory = "16MiB"'


class JoinsOnDisk(DfnodeTest):
    def output(self, kind, bounds, backend):
        memory = MEMORY if backend == "rocksdb" else ""
        job = self.write(f"{backend}.toml", JOB.format(kind=kind, bounds=bounds, backend=backend, memory=memory))
        result = self.dfnode("run", "--quiet", job)
        self.assert_exit(result, 0)
        return sorted(result.stdout.splitlines())

    def check(self, kind, bounds):
        on_heap = self.output(kind, bounds, "heap")
        self.assertGreater(len(on_heap), 1000)
        self.assertEqual(self.output(kind, bounds, "rocksdb"), on_heap)

    def test_within_an_interval(self):
        self.check("full", 'between = ["-15s", "15s"]')

    def test_as_of_a_time(self):
        self.check("left", "as_of = true")

    def test_in_a_window(self):
        self.check("full", 'window = { tumbling = "30s" }')

    def test_in_a_session(self):
        self.check("full", 'window = { session = "12s" }')

    def test_without_bounds(self):
        self.check("inner", "")


if __name__ == "__main__":
    unittest.main()
