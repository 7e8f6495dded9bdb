"""Several jobs, one output folder: none takes another's rows away, and the dead leave nothing."""

import json
import subprocess
import unittest

from dfnode import DfnodeTest

# Rows that say which run they are from; slow enough that two runs overlap, and rolled, so that both have hidden parts.
JOB = """name = "numbers"
[sources.r]
type = "generate"
count = 20_000
rate_limit = 40_000
fields = { id = "seq()", run = "'${RUN}'" }
[sinks.out]
type = "file"
path = "out"
input = "r"
roll_size = "16KiB"
on_existing = "append"
"""


class SharedFolder(DfnodeTest):
    def setUp(self):
        super().setUp()
        self.write("job.toml", JOB)

    def environment(self, **variables):
        return super().environment(RUN=self.run_name, **variables)

    run_name = "a"

    def started(self, run, *arguments):
        """A run that has hidden parts in the folder."""
        self.run_name = run
        before = set(self.hidden("part"))
        process = self.start("run", "job.toml", "--quiet", *arguments)
        for _ in range(600):
            if len(set(self.hidden("part")) - before) > 2:
                return process
            try:
                process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            self.fail(process.stderr.read())
        self.fail("nothing is written")

    def hidden(self, kind=""):
        return sorted(p.name for p in (self.folder / "out").glob(f".{kind}*"))

    def rows(self):
        files = (self.folder / "out").glob("part-*")
        return sorted((r["run"], r["id"]) for f in files for r in map(json.loads, f.read_text().splitlines()))

    def assert_ends(self, process):
        _, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, stderr)

    def test_two_runs_that_append_at_once_give_the_rows_of_both(self):
        first = self.started("a")
        second = self.started("b")
        self.assertIsNone(first.poll(), "the runs must overlap")
        self.assert_ends(first)
        self.assert_ends(second)
        self.assertEqual(self.rows(), [(run, i) for run in "ab" for i in range(20_000)])
        self.assertEqual(self.hidden(), [])

    def test_a_killed_run_beside_a_living_one_is_cleaned_up_alone(self):
        living = self.started("a", "--set", "sources.r.count=40000")
        killed = self.started("b")
        killed.kill()
        killed.wait(timeout=30)
        of_both = self.hidden("lock")
        self.assertEqual(len(of_both), 2)
        self.run_name = "c"
        self.assert_exit(self.dfnode("run", "job.toml", "--set", "sources.r.count=1000"), 0)
        self.assertIsNone(living.poll(), "the next run must overlap with the living one")
        self.assertEqual(len(self.hidden("lock")), 1)
        self.assert_ends(living)
        self.assertEqual(self.rows(), [("a", i) for i in range(40_000)] + [("c", i) for i in range(1000)])
        self.assertEqual(self.hidden(), [])

    def test_parts_of_a_killed_run_go_also_when_the_sink_has_another_name_since(self):
        killed = self.started("a")
        killed.kill()
        killed.wait(timeout=30)
        self.assertNotEqual(self.hidden(), [])
        self.write("job.toml", JOB.replace("sinks.out", "sinks.renamed"))
        self.assert_exit(self.dfnode("run", "job.toml", "--set", "sources.r.count=10"), 0)
        self.assertEqual((len(self.rows()), self.hidden()), (10, []))

    def test_a_run_that_wants_the_folder_for_itself_is_refused_beside_another(self):
        living = self.started("a")
        for on_existing in ("error", "replace"):
            result = self.dfnode("run", "job.toml", "--set", f"sinks.out.on_existing={on_existing}")
            self.assert_exit(result, 2)
            self.assertIn("is writing to the folder", result.stderr)
            self.assertIn('on_existing = "append"', result.stderr)
        self.assert_ends(living)
        self.assertEqual(len(self.rows()), 20_000)


if __name__ == "__main__":
    unittest.main()
