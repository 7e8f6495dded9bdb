"""Outputs that cannot be written: no half-written file is ever visible, and the next run works."""

import json
import resource
import signal
import subprocess
import unittest

from dfnode import DFNODE, DfnodeTest

JOB = """name = "numbers"
[sources.r]
type = "generate"
count = 300_000
fields = { id = "seq()", text = "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'" }
[sinks.out]
"""
FILES = JOB + 'type = "file"\npath = "out"\ninput = "r"\n'
PRINT = JOB + 'type = "print"\ninput = "r"\n'
ENDLESS_FILES = FILES.replace("count = 300_000", "rate_limit = 100_000") + 'roll_size = "64KiB"\n'


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


class OutputsTest(DfnodeTest):
    def visible(self):
        return sorted(p.name for p in (self.folder / "out").glob("*") if not p.name.startswith("."))

    def hidden(self):
        return [p for p in (self.folder / "out").glob(".*")]

    def lines(self):
        return sum((self.folder / "out" / name).read_text().count("\n") for name in self.visible())


class Disk(OutputsTest):
    def assert_fails_cleanly(self, process, reason):
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, stderr)
        summary = json.loads(stderr.splitlines()[-1])
        self.assertEqual(summary["state"], "FAILED")
        self.assertIn('"out"', summary["error"])
        self.assertIn(reason, summary["error"])
        self.assertEqual((self.visible(), self.hidden()), ([], []))

    def test_a_file_beyond_the_limit_is_an_error_and_no_signal(self):
        self.write("job.toml", FILES)
        process = self.start("run", "job.toml", "--json", preexec_fn=limit_file_size)
        self.assert_fails_cleanly(process, "File too large; raise the limit on file sizes")

    def test_a_full_disk_fails_a_bounded_job_soon_and_a_second_run_works(self):
        (self.folder / "out").mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", self.folder / "out"], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("needs the right to mount a small disk")
        self.addCleanup(subprocess.run, ["umount", self.folder / "out"])
        self.write("job.toml", FILES)
        process = self.start("run", "job.toml", "--json")
        self.assert_fails_cleanly(process, "No space left on device; free some space, or write to another folder")
        self.assert_exit(self.dfnode("run", "job.toml", "--set", "sources.r.count=1000"), 0)
        self.assertEqual(self.lines(), 1000)

    def test_a_file_in_place_of_the_folder(self):
        self.write("out", "not a folder")
        self.write("job.toml", FILES)
        result = self.dfnode("run", "job.toml", "--json")
        self.assert_exit(result, 1)
        self.assertIn("cannot make the folder", result.stderr)
        self.assertEqual((self.folder / "out").read_text(), "not a folder")


class StandardOutput(OutputsTest):
    def test_a_reader_that_leaves_ends_the_job_soon_and_quietly(self):
        endless = PRINT.replace("count = 300_000\n", "")
        self.write("job.toml", endless)
        process = self.start("run", "job.toml")
        first = process.stdout.readline()
        self.assertIn("id", json.loads(first))
        process.stdout.close()
        process.wait(timeout=30)
        self.assertEqual((process.returncode, process.stderr.read()), (141, ""))

    def test_a_reader_that_leaves_lets_no_file_become_visible(self):
        self.write("job.toml", ENDLESS_FILES + '[sinks.shown]\ntype = "print"\ninput = "r"\n')
        process = self.start("run", "job.toml", "--quiet")
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=30)
        self.assertEqual((process.returncode, self.visible(), self.hidden()), (141, [], []))

    def test_a_full_disk_behind_standard_output(self):
        self.write("job.toml", PRINT)
        for arguments in (["run", "job.toml"], ["plan", "job.toml"], ["docs", "--markdown"], ["--help"]):
            with self.subTest(arguments), open("/dev/full", "w") as full:
                result = subprocess.run(
                    [DFNODE, *arguments], cwd=self.folder, env=self.environment(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
                )
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("cannot write to standard output", result.stderr)

    def test_rows_never_end_in_a_file_that_got_the_number_of_a_closed_standard_output(self):
        self.write("job.toml", PRINT + '[sinks.file]\ntype = "file"\npath = "out"\ninput = "r"\n')
        result = subprocess.run(
            ["sh", "-c", 'exec "$0" run job.toml >&-', DFNODE], cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=60
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot write to standard output: Bad file descriptor", result.stderr)
        self.assertEqual(self.visible(), [])


class Ends(OutputsTest):
    def started(self, *arguments):
        process = self.start("run", "job.toml", "--json", *arguments)
        for _ in range(600):
            if len(self.hidden()) > 2:
                return process
            try:
                process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
            self.fail(process.stderr.read())
        self.fail("nothing is written")

    def test_a_killed_run_leaves_nothing_visible_and_the_next_one_removes_what_it_left(self):
        self.write("job.toml", ENDLESS_FILES)
        process = self.started()
        process.kill()
        process.wait(timeout=30)
        self.assertEqual(self.visible(), [])
        self.assertNotEqual(self.hidden(), [])
        self.assert_exit(self.dfnode("run", "job.toml", "--set", "sources.r.count=1000"), 0)
        self.assertEqual((self.lines(), self.hidden()), (1000, []))

    def test_a_run_that_is_interrupted_commits_what_it_has_read(self):
        for end in (signal.SIGINT, signal.SIGTERM):
            self.write("job.toml", ENDLESS_FILES)
            process = self.started("--set", "sinks.out.on_existing=replace")
            process.send_signal(end)
            stdout, stderr = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 130, stderr)
            summary = json.loads(stderr.splitlines()[-1])
            self.assertEqual((summary["state"], self.hidden()), ("FINISHED", []))
            self.assertEqual((self.lines(), summary["records_read"]), (summary["records_written"],) * 2)

    def test_an_interrupt_ends_a_job_that_waits_for_its_restart(self):
        # One part fits below the limit, a stream that is never rolled does not.
        self.write("job.toml", ENDLESS_FILES.replace("64KiB", "1GiB") + '[restart]\nstrategy = "fixed"\ndelay = "1h"\n')
        process = self.start("run", "job.toml", preexec_fn=limit_file_size)
        self.assertIn("attempt 1 failed", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, stderr)
        self.assertIn("numbers: CANCELED", stderr)
        self.assertEqual((self.visible(), self.hidden()), ([], []))

    def test_a_second_run_does_with_what_is_there_what_on_existing_says(self):
        self.write("job.toml", FILES)
        self.assert_exit(self.dfnode("run", "job.toml", "--set", "sources.r.count=1000"), 0)
        before = self.visible()
        result = self.dfnode("run", "job.toml", "--set", "sources.r.count=10")
        self.assert_exit(result, 2)
        for part in (before[0], 'on_existing = "append"', '"replace"'):
            self.assertIn(part, result.stderr)
        self.assertEqual((self.visible(), self.lines()), (before, 1000))
        append = ("--set", "sources.r.count=10", "--set", "sinks.out.on_existing=append")
        self.assert_exit(self.dfnode("run", "job.toml", *append), 0)
        self.assertEqual(self.lines(), 1010)
        replace = ("--set", "sources.r.count=10", "--set", "sinks.out.on_existing=replace")
        self.assert_exit(self.dfnode("run", "job.toml", *replace), 0)
        self.assertEqual(self.lines(), 10)

    def test_a_run_that_fails_replaces_nothing(self):
        self.write("job.toml", FILES)
        self.assert_exit(self.dfnode("run", "job.toml", "--set", "sources.r.count=1000"), 0)
        broken = FILES.replace('"seq()"', '"1 / (5000 - seq())"')
        self.write("job.toml", broken)
        self.assert_exit(self.dfnode("run", "job.toml", "--set", "sinks.out.on_existing=replace"), 1)
        self.assertEqual((self.lines(), self.hidden()), (1000, []))


if __name__ == "__main__":
    unittest.main()
