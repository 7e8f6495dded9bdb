"""Batches with more keys than their memory has room for: the rows are those of all memory, the peak is not."""

import os
import resource
import signal
import subprocess
import time
import unittest

from checkpointing import lines_in
from dfnode import DFNODE, DfnodeTest, files_below

KEYS = 1_000_003
JOB = """name        = "keys"
mode        = "batch"
parallelism = 1

[state]
memory = "{memory}"

[sources.numbers]
type       = "generate"
count      = {count}
interval   = "1ms"
fields     = {{ k = "seq() * 7919 % {keys}", v = "seq() % 1000", at = "time()" }}
event_time = {{ field = "at" }}
{rate}

[operators.totals]
type      = "aggregate"
input     = "numbers"
key_by    = ["k"]
aggregate = {{ n = "count()", total = "sum(v)" }}

[operators.largest]
type     = "top"
input    = "numbers"
key_by   = ["k"]
order_by = ["v DESC"]
limit    = 1

[operators.once]
type   = "distinct"
input  = "numbers"
key_by = ["k"]
"""
SUMS = """
[operators.of_totals]
type      = "aggregate"
input     = "totals"
aggregate = { keys = "count()", records = "sum(n)", values = "sum(total)" }

[operators.of_largest]
type      = "aggregate"
input     = "largest"
aggregate = { keys = "count()", records = "count(k)", values = "sum(v)" }

[operators.of_once]
type      = "aggregate"
input     = "once"
aggregate = { keys = "count()", records = "count(k)", values = "sum(k)" }

[sinks.out_totals]
type  = "print"
input = "of_totals"

[sinks.out_largest]
type  = "print"
input = "of_largest"

[sinks.out_once]
type  = "print"
input = "of_once"
"""
PAIRS = """
[operators.pairs]
type     = "pattern"
input    = "numbers"
key_by   = ["k"]
pattern  = "early late"
define   = { early = "v >= 0", late = "v >= 0" }
within   = "1h"
measures = { early = "early.v", late = "late.v" }

[operators.of_pairs]
type      = "aggregate"
input     = "pairs"
aggregate = { keys = "count()", early = "sum(early)", late = "sum(late)" }

[sinks.out]
type  = "print"
input = "of_pairs"
"""
# Of which 16 MiB are the keys', and 40 MB the program and its buffers.
PEAK_KIB = 110 * 1024
CHECKPOINT = """
[checkpoint]
interval = "50ms"
storage  = "file://{folder}/checkpoints"
"""


class Batch(DfnodeTest):
    def environment(self, **variables):
        return super().environment(DATAFLOW_STATE_DIR=str(self.folder / "state"), **variables)

    def job(self, name, rest, count, memory="16MiB", rate="", keys=KEYS):
        return str(self.write(name, JOB.format(count=count, memory=memory, rate=rate, keys=keys) + rest))

    def assert_no_state(self):
        self.assertEqual(list((self.folder / "state").iterdir()), [])

    def rows_of_little_memory(self, job):
        process = subprocess.Popen([DFNODE, "run", job, "--quiet"], cwd=self.folder, env=self.environment(),
                                   stdout=subprocess.PIPE)
        rows = set(process.stdout.read().decode().splitlines())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        self.assertEqual(process.returncode, 0)
        self.assertLess(usage.ru_maxrss, PEAK_KIB)
        self.assert_no_state()
        return rows

    def test_two_million_keys_pass_through_little_memory(self):
        rows = self.rows_of_little_memory(self.job("job.toml", SUMS, 2 * KEYS))
        # Each key comes twice: as the i-th record, and KEYS records later.
        pairs = [(i % 1000, (i + KEYS) % 1000) for i in range(KEYS)]
        self.assertEqual(rows, {
            f'{{"keys":{KEYS},"records":{2 * KEYS},"values":{sum(a + b for a, b in pairs)}}}',
            f'{{"keys":{KEYS},"records":{KEYS},"values":{sum(max(pair) for pair in pairs)}}}',
            f'{{"keys":{KEYS},"records":{KEYS},"values":{KEYS * (KEYS - 1) // 2}}}',
        })

    def test_a_pattern_of_a_million_keys_passes_through_little_memory(self):
        text = JOB.format(count=2 * KEYS, memory="16MiB", rate="", keys=KEYS)
        job = self.write("job.toml", text[:text.index("[operators.totals]")] + PAIRS)
        early, late = sum(i % 1000 for i in range(KEYS)), sum((i + KEYS) % 1000 for i in range(KEYS))
        self.assertEqual(self.rows_of_little_memory(str(job)), {f'{{"keys":{KEYS},"early":{early},"late":{late}}}'})

    def sinks(self, folder):
        return "".join(f'\n[sinks.{name}_out]\ntype = "file"\ninput = "{name}"\npath = "{folder}/{name}"\n'
                       for name in ("totals", "largest", "once"))

    def until_put_aside(self, process):
        """Rows lie on disk, and in a checkpoint."""
        deadline = time.monotonic() + 240
        since = set(files_below(self.folder / "checkpoints", "latest-*"))
        while len(set(files_below(self.folder / "checkpoints", "latest-*")) - since) < 2 or not any(
                path.stat().st_size > 0 for path in files_below(self.folder / "state", "[0-9]*")):
            self.assertIsNone(process.poll(), process.stderr.read() if process.poll() is not None else "")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_a_killed_batch_goes_on_with_what_it_had_put_aside(self):
        count, keys = 600_000, 200_003
        whole = self.job("whole.toml", self.sinks("expected"), count, "1GiB", keys=keys)
        self.assert_exit(self.dfnode("run", whole, "--quiet", timeout=300), 0)
        job = self.job("job.toml", self.sinks("out") + CHECKPOINT.format(folder=self.folder), count,
                       rate="rate_limit = 100000", keys=keys)
        for resume in ((), ("--resume",)):
            process = self.start("run", job, *resume, "--quiet")
            self.until_put_aside(process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.assert_exit(self.dfnode("run", job, "--resume", "--quiet", timeout=300), 0)
        for name in ("totals", "largest", "once"):
            expected, _ = lines_in(self.folder / "expected" / name)
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertEqual(len(expected), keys)
            self.assertEqual(actual, expected)
            self.assertEqual(hidden, [])
        self.assert_no_state()  # what the killed ones left is gone, too

    def test_a_stream_does_not_go_on_from_rows_that_a_batch_has_put_aside(self):
        text = JOB.format(count=600_000, memory="16MiB", rate="rate_limit = 200000", keys=300_007)
        text = text[:text.index("[operators.totals]")] + text[text.index("[operators.largest]"):]
        text += '[sinks.out]\ntype = "print"\ninput = "largest"\n' + CHECKPOINT.format(folder=self.folder)
        process = self.start("run", str(self.write("job.toml", text)), "--quiet")
        self.until_put_aside(process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        stream = text.replace('"batch"', '"streaming"').replace('memory = "16MiB"', "")
        again = self.dfnode("run", str(self.write("job.toml", stream + '[restart]\nstrategy = "none"\n')), "--resume",
                            "--quiet", timeout=120)
        self.assert_exit(again, 2)
        self.assertIn("rows that wait for the end of a batch", again.stderr)

    def test_a_disk_that_is_full_is_named(self):
        job = self.job("job.toml", SUMS + '\n[restart]\nstrategy = "none"\n', KEYS)
        run = subprocess.run([DFNODE, "run", job, "--quiet"], cwd=self.folder, env=self.environment(),
                             capture_output=True, text=True, timeout=300, preexec_fn=lambda: (
                                 signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                 resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))))
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn(f"cannot write {self.folder}/state/", run.stderr)
        self.assert_no_state()


if __name__ == "__main__":
    unittest.main()
