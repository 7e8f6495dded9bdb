"""Savepoints of a job on this machine: taken, looked at, and gone on from, by the same job and by others."""

import json
import pathlib
import shutil
import signal
import time
import unittest

from checkpointing import JOB, committed, lines_in
from dfnode import DfnodeTest


class Savepoints(DfnodeTest):
    def job(self, name, folder, rate=None, change=lambda text: text):
        text = JOB.format(rate=f"rate_limit = {rate}" if rate else "", folder=folder,
                          checkpoint=f'[checkpoint]\ninterval = "50ms"\nstorage = "file://{self.folder}/checkpoints"\n')
        return str(self.write(name, change(text)))

    def reference(self):
        run = self.dfnode("run", self.job("reference.toml", "expected"), "--quiet")
        self.assert_exit(run, 0)
        return [lines_in(self.folder / "expected" / name)[0] for name in ("rows", "totals")]

    def until(self, what, condition):
        deadline = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"not in time: {what}")
            time.sleep(0.01)

    def start_job(self, *arguments):
        process = self.start("run", *arguments, "--quiet")
        self.until("rows are visible",
                   lambda: process.poll() is not None or committed(self.folder / "out" / "rows"))
        self.assertIsNone(process.poll(), "the job ended too early")
        return process

    def stop_with_savepoint(self, *job):
        process = self.start_job(*job)
        stopped = self.dfnode("stop", "totals", "--savepoint", "savepoints", "--json")
        self.assert_exit(stopped, 0)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        return json.loads(stopped.stdout)["path"]

    def assert_output(self, expected):
        for name, rows in zip(("rows", "totals"), expected):
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertEqual(actual, rows)
            self.assertEqual(hidden, [])

    def test_a_job_that_is_stopped_with_a_savepoint_goes_on_from_it_with_another_parallelism(self):
        expected = self.reference()
        job = self.job("job.toml", "out", rate=150000)
        savepoint = self.stop_with_savepoint(job, "--parallelism", "2")
        self.assertLess(len(lines_in(self.folder / "out" / "rows")[0]), len(expected[0]))
        # It is a folder of its own: the checkpoints are not needed any more, and it may be moved.
        shutil.rmtree(self.folder / "checkpoints")
        shutil.move(savepoint, self.folder / "moved")
        run = self.dfnode("run", job, "--from", "moved", "--parallelism", "3", "--json")
        self.assert_exit(run, 0)
        self.assertGreater(json.loads(run.stderr)["checkpoints"]["resumed_from"], 0)
        self.assert_output(expected)

    def test_a_savepoint_of_a_running_job_leaves_it_running(self):
        expected = self.reference()
        job = self.job("job.toml", "out", rate=150000)
        process = self.start_job(job)
        taken = self.dfnode("savepoint", "totals", "--dir", "savepoints")
        self.assert_exit(taken, 0)
        path = pathlib.Path(taken.stdout.strip())
        self.assertTrue((path / "_metadata").is_file(), taken.stdout)
        self.assertIsNone(process.poll())
        shown = json.loads(self.dfnode("checkpoints", "totals", "--json").stdout)
        self.assertEqual(shown["savepoints"][0]["path"], str(path))
        self.assertGreater(shown["completed"], 0)
        newest = [one for one in shown["newest"] if one["state"] == "completed"][-1]
        self.assertGreater(newest["bytes"], 0)
        self.assertIn(" of ", newest["slowest"])
        text = self.dfnode("checkpoints", "totals").stdout
        self.assertIn("SLOWEST", text)
        self.assertIn(str(path), text)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assert_output(expected)

    def test_a_job_killed_before_its_first_checkpoint_still_starts_from_its_savepoint(self):
        expected = self.reference()
        job = self.job("job.toml", "out", rate=150000)
        savepoint = self.stop_with_savepoint(job)
        slow = self.job("slow.toml", "out", rate=150000,
                        change=lambda text: text.replace('interval = "50ms"', 'interval = "1h"'))
        process = self.start("run", slow, "--from", savepoint, "--quiet")
        runs = self.folder / "checkpoints" / "totals"
        self.until("the second run has begun", lambda: (runs / "run-000002" / "epoch-000001").exists())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        run = self.dfnode("run", job, "--resume", "--quiet")
        self.assert_exit(run, 0)
        self.assert_output(expected)

    def test_what_a_savepoint_holds_is_shown(self):
        savepoint = self.stop_with_savepoint(self.job("job.toml", "out", rate=150000))
        listed = self.dfnode("state", "ls", "savepoints", "--json")
        self.assert_exit(listed, 0)
        operators = {one["operator"]: one for one in json.loads(listed.stdout)["operators"]}
        self.assertTrue(operators["numbers"]["source_position"])
        groups = {state["name"]: state for state in operators["totals"]["states"]}["groups"]
        self.assertEqual(groups["kind"], "keyed")
        self.assertGreater(groups["rows"], 0)
        self.assertIn("k", groups["schema"])
        self.assertIn("totals", self.dfnode("state", "ls", savepoint).stdout)
        rows = self.rows(self.dfnode("state", "show", savepoint, "--operator", "totals", "--state", "groups",
                                     "--key", "3"))
        self.assertTrue(rows)
        self.assertEqual({next(iter(row.values())) for row in rows}, {3})
        for row in rows:
            self.assertGreaterEqual(row["agg:count()"], 1)
            self.assertEqual(row["agg:max(n)"] % 2003, 3)
        wrong = self.dfnode("state", "show", savepoint, "--operator", "total", "--state", "groups")
        self.assert_exit(wrong, 2)
        self.assertIn("totals", wrong.stderr)

    def test_a_plan_says_what_becomes_of_the_state(self):
        savepoint = self.stop_with_savepoint(self.job("job.toml", "out", rate=150000))

        def outcomes(job, code, *options):
            result = self.dfnode("plan", job, "--from", savepoint, "--json", *options)
            self.assert_exit(result, code)
            return {(one["operator"], one.get("state", "")): one for one in json.loads(result.stdout)["state"]}

        same = outcomes(self.job("same.toml", "out"), 0)
        self.assertEqual(same[("totals", "groups")]["outcome"], "kept")
        self.assertEqual(same[("numbers", "position")]["outcome"], "kept")

        more = self.job("more.toml", "out", change=lambda text: text.replace('sum = "sum(n)", ', 'least = "min(n)", '))
        converted = outcomes(more, 0)[("totals", "groups")]
        self.assertEqual(converted["outcome"], "converted")
        self.assertTrue(converted["detail"])

        other = self.job("other.toml", "out",
                         change=lambda text: text.replace('tumbling = "10s"', 'tumbling = "20s"'))
        unfit = [one for one in outcomes(other, 2).values() if one["outcome"] == "does not fit"]
        self.assertEqual([one["operator"] for one in unfit], ["totals"])
        self.assertIn("another kind or size", unfit[0]["detail"])

        renamed = self.job("renamed.toml", "out",
                           change=lambda text: text.replace("operators.totals", "operators.sums").replace(
                               'input = "totals"', 'input = "sums"'))
        dropped = outcomes(renamed, 2)
        self.assertEqual(dropped[("totals", "groups")]["outcome"], "dropped")
        self.assertIn("--allow-dropped-state", dropped[("totals", "groups")]["detail"])
        self.assertEqual(dropped[("sums", "")]["outcome"], "new")
        outcomes(renamed, 0, "--allow-dropped-state")
        refused = self.dfnode("run", renamed, "--from", savepoint, "--quiet")
        self.assert_exit(refused, 2)
        self.assertIn("totals", refused.stderr)
        self.assertIn("--allow-dropped-state", refused.stderr)
        allowed = self.dfnode("run", renamed, "--from", savepoint, "--allow-dropped-state", "--quiet")
        self.assert_exit(allowed, 0)

    def test_a_savepoint_that_cannot_be_written_stops_nothing(self):
        process = self.start_job(self.job("job.toml", "out", rate=100000))
        self.write("file", "no folder")
        refused = self.dfnode("stop", "totals", "--savepoint", "file/below")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("file", refused.stderr)
        for command in (("stop", "totals", "--savepoint"), ("savepoint", "totals", "--dir")):
            nowhere = self.dfnode(*command, "/proc/nowhere")
            self.assertIn("/proc/nowhere", nowhere.stderr)  # and not that there is no cluster
        self.assertIsNone(process.poll())

    def test_a_damaged_savepoint_is_named(self):
        job = self.job("job.toml", "out", rate=150000)
        savepoint = pathlib.Path(self.stop_with_savepoint(job))
        whole = (savepoint / "_metadata").read_bytes()
        for damaged in (whole[: len(whole) // 2], bytes([*whole[:200], whole[200] ^ 4, *whole[201:]])):
            (savepoint / "_metadata").write_bytes(damaged)
            for command in (("run", job, "--from", str(savepoint)), ("state", "ls", str(savepoint)),
                            ("plan", job, "--from", str(savepoint))):
                result = self.dfnode(*command)
                self.assertIn(result.returncode, (1, 2))
                self.assertIn(str(savepoint / "_metadata"), result.stderr)

    def test_where_there_is_no_savepoint_is_said(self):
        result = self.dfnode("run", self.job("job.toml", "out"), "--from", "nowhere")
        self.assertIn(result.returncode, (1, 2))
        self.assertIn("there is no savepoint at", result.stderr)

    def test_a_job_without_checkpoints_has_no_savepoints(self):
        text = JOB.format(rate="rate_limit = 1000", folder="out", checkpoint="")
        process = self.start("run", str(self.write("job.toml", text)), "--quiet")
        self.until("it listens", lambda: list(self.folder.glob("dataflow/totals-*.sock")))
        result = self.dfnode("savepoint", "totals", "--dir", "savepoints")
        self.assert_exit(result, 2)
        self.assertIn("[checkpoint]", result.stderr)
        process.kill()


if __name__ == "__main__":
    unittest.main()
