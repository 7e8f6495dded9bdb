"""dfnode simulate: a job on a simulated cluster under faults."""

import json
import unittest

from dfnode import HOT_JOB, READINGS, DfnodeTest

CLOCK = """
[operators.stamped]
type  = "select"
input = "readings"
add   = { seen = "now()" }

[sinks.stamps]
type  = "print"
input = "stamped"
"""
ENDLESS = """
[sources.numbers]
type   = "generate"
fields = { id = "seq()" }

[sinks.out]
type  = "print"
input = "numbers"
"""


class Simulations(DfnodeTest):
    def setUp(self):
        super().setUp()
        self.write("readings.csv", READINGS)
        self.write("job.toml", HOT_JOB)

    def test_the_json_object_has_what_happened(self):
        result = self.dfnode("simulate", "job.toml", "--seeds", "1..20", "--json")
        self.assert_exit(result, 0)
        answer = json.loads(result.stdout)
        self.assertEqual(answer["runs"], 20)
        self.assertEqual(answer["failed_seeds"], [])
        self.assertGreater(sum(answer["faults"].values()), 0)
        self.assertGreater(answer["checkpoints_completed"], 0)
        self.assertIn("restarts", answer)

    def test_the_table_ends_with_the_failed_seeds(self):
        result = self.dfnode("simulate", "job.toml", "--seeds", "1..5")
        self.assert_exit(result, 0)
        self.assertRegex(result.stdout, r"(?m)^  runs +5$")
        self.assertRegex(result.stdout, r"(?m)^  failed seeds +0$")
        self.assertEqual(self.dfnode("simulate", "job.toml", "--seeds", "1..5", "--quiet").stdout, "")

    def test_two_traces_of_a_seed_are_the_same(self):
        one = self.dfnode("simulate", "job.toml", "--seed", "7", "--trace")
        other = self.dfnode("simulate", "job.toml", "--seed", "7", "--trace")
        self.assert_exit(one, 0)
        self.assertIn("FAULT", one.stdout)
        self.assertEqual(one.stdout, other.stdout)
        self.assertNotEqual(one.stdout, self.dfnode("simulate", "job.toml", "--seed", "8", "--trace").stdout)

    def test_only_the_kinds_that_are_named_happen(self):
        result = self.dfnode("simulate", "job.toml", "--seeds", "1..30", "--faults", "stop,slow", "--json")
        self.assert_exit(result, 0)
        self.assertEqual(set(json.loads(result.stdout)["faults"]), {"stop", "slow"})

    def test_an_operator_that_looks_at_the_clock_is_named(self):
        self.write("job.toml", HOT_JOB + CLOCK)
        result = self.dfnode("simulate", "job.toml")
        self.assert_exit(result, 1)
        self.assertIn('the output of "stamped" depends on more than its input', result.stdout)

    def test_what_cannot_be_run_exits_with_2(self):
        self.write("endless.toml", ENDLESS)
        endless = self.dfnode("simulate", "endless.toml")
        self.assert_exit(endless, 2)
        self.assertIn('"numbers" has no end', endless.stderr)
        self.assert_exit(self.dfnode("simulate", "endless.toml", "--set", "sources.numbers.count=50", "--seeds", "3"), 0)
        self.assert_exit(self.dfnode("simulate", "missing.toml"), 2)
        for wrong in (["--seeds", "5..1"], ["--seeds", "x"], ["--faults", "flood"], ["--time-limit", "soon"], ["--trace"]):
            self.assert_exit(self.dfnode("simulate", "job.toml", *wrong), 2)


if __name__ == "__main__":
    unittest.main()
