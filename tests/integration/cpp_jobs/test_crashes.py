"""User code that brings down the process of a local run says so, and where it was, before the signal ends it."""

import pathlib
import signal
import unittest

from dfnode import DFNODE, DfnodeTest

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("misbehaving.so")

JOB = """name = "bad_job"
parallelism = 1

[sources.numbers]
type   = "generate"
count  = 1000
fields = {{ id = "seq()" }}

[operators.bad]
type     = "process"
input    = "numbers"
library  = "{library}"
function = "misbehave"
how      = "{how}"
after    = 100

[sinks.out]
type  = "discard"
input = "bad"
"""


class Crashes(DfnodeTest):
    def run_job(self, how):
        self.write("bad.toml", JOB.format(library=LIBRARY, how=how))
        return self.dfnode("run", "bad.toml", "--quiet")

    def check(self, how, number, *parts):
        done = self.run_job(how)
        self.assert_exit(done, -number)
        self.assertIn(f"error: the job crashed: {number.name}", done.stderr)
        self.assertIn('in "bad" (subtask 1 of 1, attempt 0)', done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertEqual(done.stderr.count("the job crashed"), 1)

    def test_a_segmentation_fault(self):
        self.check("segfault", signal.SIGSEGV, " at 0x0 in ", "follow_null_pointer")

    def test_an_abort(self):
        self.check("abort", signal.SIGABRT, "call_abort")

    def test_endless_recursion(self):
        self.check("overflow", signal.SIGSEGV, "recurse_without_end")

    def test_an_exception_where_none_may_be_thrown(self):
        self.check("terminate", signal.SIGABRT, "an exception that nobody catches: thrown where nobody may")

    def test_an_exit(self):
        done = self.run_job("exit")
        self.assert_exit(done, 3)
        self.assertIn('error: the process ends: exit() was called in "bad" (subtask 1 of 1, attempt 0)', done.stderr)


if __name__ == "__main__":
    unittest.main()
