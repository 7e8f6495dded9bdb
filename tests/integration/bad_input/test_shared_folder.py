"""Several jobs, one output folder: none takes another's rows away, and the dead leave nothing."""

import collections
import json
import subprocess
import time
import unittest

from dfnode import DfnodeTest

SINK = """[sinks.out]
type = "file"
path = "out"
input = "r"
roll_size = "16KiB"
on_existing = "append"
"""
# Its rows say which run they are from. It lives until its input is closed.
FED_JOB = (
    """name = "numbers"
[sources.r]
type = "stdin"
format = "json"
schema = { id = "int64", run = "string" }
"""
    + SINK
)
GENERATED_JOB = (
    """name = "numbers"
[sources.r]
type = "generate"
count = 1000
fields = { id = "seq()", run = "'c'" }
"""
    + SINK
)


class SharedFolder(DfnodeTest):
    def setUp(self):
        super().setUp()
        self.fed = collections.Counter()
        self.write("fed.toml", FED_JOB)
        self.write("generated.toml", GENERATED_JOB)

    def started(self, run):
        """A run that has hidden parts in the folder, and waits for more input."""
        before = set(self.hidden("part"))
        process = self.start("run", "fed.toml", "--quiet", stdin=subprocess.PIPE)
        self.addCleanup(process.stdin.close)
        deadline = time.monotonic() + 30
        while len(set(self.hidden("part")) - before) < 3:
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), deadline, "nothing is written")
            first = self.fed[run]
            self.fed[run] += 100
            process.stdin.writelines(f'{{"id": {i}, "run": "{run}"}}\n' for i in range(first, self.fed[run]))
            process.stdin.flush()
            time.sleep(0.01)
        return process

    def fed_rows(self, run):
        return [(run, i) for i in range(self.fed[run])]

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
        self.assert_ends(first)
        self.assert_ends(second)
        self.assertEqual(self.rows(), self.fed_rows("a") + self.fed_rows("b"))
        self.assertEqual(self.hidden(), [])

    def test_a_killed_run_beside_a_living_one_is_cleaned_up_alone(self):
        living = self.started("a")
        killed = self.started("b")
        killed.kill()
        killed.wait(timeout=30)
        self.assertEqual(len(self.hidden("lock")), 2)
        self.assert_exit(self.dfnode("run", "generated.toml"), 0)
        self.assertEqual(len(self.hidden("lock")), 1)
        self.assert_ends(living)
        self.assertEqual(self.rows(), self.fed_rows("a") + [("c", i) for i in range(1000)])
        self.assertEqual(self.hidden(), [])

    def test_parts_of_a_killed_run_go_also_when_the_sink_has_another_name_since(self):
        killed = self.started("a")
        killed.kill()
        killed.wait(timeout=30)
        self.assertNotEqual(self.hidden(), [])
        self.write("generated.toml", GENERATED_JOB.replace("sinks.out", "sinks.renamed"))
        self.assert_exit(self.dfnode("run", "generated.toml"), 0)
        self.assertEqual((len(self.rows()), self.hidden()), (1000, []))

    def test_a_run_that_wants_the_folder_for_itself_is_refused_beside_another(self):
        living = self.started("a")
        for on_existing in ("error", "replace"):
            result = self.dfnode("run", "generated.toml", "--set", f"sinks.out.on_existing={on_existing}")
            self.assert_exit(result, 1)
            self.assertIn("is writing to the folder", result.stderr)
            self.assertIn('on_existing = "append"', result.stderr)
        self.assert_ends(living)
        self.assertEqual(self.rows(), self.fed_rows("a"))


if __name__ == "__main__":
    unittest.main()
