"""Jobs whose state lies in RocksDB, as real processes: a process function with sums in a map, timers and values, and a
distinct. They are killed, go on from the files of the same node and of another, with another parallelism and with
another backend; the process function's output is that of a window, and each key is out once.
"""

import json
import pathlib
import signal
import tempfile
import unittest

from checkpointed_cluster import CHECKPOINT, CheckpointedCluster
from checkpointing import JOB, lines_in
from dfnode import DFNODE, files_below

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("stateful.so")
WINDOW = """type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = {{ tumbling = "10s" }}
aggregate = {{ records = "count()", sum = "sum(n)", largest = "max(n)" }}
"""
PROCESS = f"""type     = "process"
input    = "numbers"
key_by   = ["k"]
library  = "{LIBRARY}"
function = "totals"
"""
KEYS = """
[operators.first_of_key]
type   = "distinct"
input  = "numbers"
key_by = ["k"]

[operators.keys]
type   = "select"
input  = "first_of_key"
fields = {{ k = "k" }}

[sinks.keys_out]
type  = "file"
input = "keys"
path  = "{folder}/keys"
"""
# So little that most of what a key has is in the store and not in a cache.
STATE = """
[state]
backend = "{backend}"
"""
OUTPUTS = ("rows", "totals", "keys")


class RocksDb(CheckpointedCluster):
    def write_job(self, name, folder, rate, settings, parallelism=2, backend="rocksdb"):
        self.assertIn(WINDOW, JOB)
        text = JOB if backend == "window" else JOB.replace(WINDOW, PROCESS)
        state = "" if backend == "window" else STATE.format(backend=backend)
        text = text.replace("[sinks.rows]", KEYS.replace("\n[op", "[op", 1) + "\n[sinks.rows]")
        text = text.format(rate=f"rate_limit = {rate}" if rate else "", folder=folder, checkpoint=settings)
        memory = '\nmemory = "16MiB"\n' if backend == "rocksdb" else "\n"
        return self.write(name, f"parallelism = {parallelism}\n" + text + state.rstrip("\n") + memory)

    def reference(self):
        job = self.write_job("reference.toml", "expected", None, "", backend="window")
        self.assert_exit(self.dfnode("run", str(job), "--quiet"), 0)

    def begin(self, rate=40000, **options):
        self.reference()
        self.job = self.detach(self.write_job("job.toml", "out", rate, CHECKPOINT.format(folder=self.folder),
                                              **options))
        self.until("checkpoints are taken", lambda: self.latest() >= 2)

    def assert_output(self):
        for name in OUTPUTS:
            expected, _ = lines_in(self.folder / "expected" / name)
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertTrue(expected)
            self.assertEqual(actual, expected)
            self.assertEqual(hidden, [])

    def assert_exact(self):
        self.until("the job is at its end", lambda: self.state_of_job() in ("FINISHED", "FAILED", "CANCELED"))
        shown = self.ask("show", self.job)
        self.assertEqual(shown["state"], "FINISHED", f"{shown.get('error')}\n{self.logs()}")
        self.assert_output()

    def stores(self):
        return files_below(self.folder / "checkpoints", "*.sst")

    # ---- On one machine

    def test_a_killed_process_goes_on_from_its_files(self):
        self.reference()
        job = str(self.write_job("job.toml", "out", 60000, CHECKPOINT.format(folder=self.folder)))
        for resume in ((), ("--resume",), ("--resume",)):
            before = self.latest()
            process = self.start("run", job, *resume, "--quiet")
            self.until("checkpoints are taken", lambda: self.latest() >= before + 2 or process.poll() is not None)
            self.assertIsNone(process.poll(), process.stderr.read() if process.poll() is not None else "")
            self.assertTrue(self.stores(), "state is not in stores")
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.assert_exit(self.dfnode("run", job, "--resume", "--quiet"), 0)
        self.assert_output()

    def stop_with_savepoint(self, *arguments):
        process = self.start("run", *arguments, "--quiet")
        self.until("a checkpoint is taken", lambda: self.latest() >= 1 or process.poll() is not None)
        stopped = self.dfnode("stop", "totals", "--savepoint", "savepoints", "--json")
        self.assert_exit(stopped, 0)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        return json.loads(stopped.stdout)["path"]

    def test_state_moves_between_backends_and_parallelisms_by_savepoints(self):
        self.reference()
        savepoint = ()
        for number, (backend, parallelism) in enumerate((("heap", 2), ("rocksdb", 3), ("rocksdb", 1), ("heap", 2)), 1):
            job = str(self.write_job(f"{number}.toml", "out", 100000, CHECKPOINT.format(folder=self.folder),
                                     parallelism=parallelism, backend=backend))
            run = self.folder / "checkpoints" / "totals" / f"run-{number:06}"
            self.run_folder = lambda run=run: run
            if number == 4:
                self.assert_exit(self.dfnode("run", job, *savepoint, "--quiet"), 0)
            else:
                savepoint = ("--from", self.stop_with_savepoint(job, *savepoint))
        self.assert_output()

    def test_values_and_rows_of_a_savepoint_are_shown(self):
        job = str(self.write_job("job.toml", "out", 60000, CHECKPOINT.format(folder=self.folder)))
        savepoint = self.stop_with_savepoint(job)

        def shown(operator, key):
            return self.rows(self.dfnode("state", "show", savepoint, "--operator", operator, "--state", "values",
                                         "--key", key))
        value, = shown("totals", "3")
        self.assertGreater(value["state:seen"], 0)
        self.assertEqual(int(value["state:newest"]) % 2003, 3)
        for _, sums in value["state:windows"]:
            self.assertGreater(sums["records"], 0)
        row, = shown("first_of_key", "3")
        self.assertEqual(row["key1"], 3)
        self.assertIn("row:distinct.event_time", row)

    # ---- In a cluster

    def test_a_killed_worker_is_replaced_on_its_node(self):
        self.cluster(nodes=1, slots=2)
        self.begin()
        node = list(self.nodes.values())[0]
        for moment in self.moments():
            worker = self.until("a worker", lambda: self.worker_of(node, self.job))
            moment()
            self.kill(worker)
            self.until_more()
        self.assertTrue(self.stores(), "state is not in stores")
        self.assert_exact()
        self.assertGreaterEqual(self.ask("show", self.job)["restarts"], 2)

    def test_a_killed_worker_goes_on_from_the_copies_of_its_node(self):
        elsewhere = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(dir="/dev/shm")))
        self.assertNotEqual(elsewhere.stat().st_dev, self.folder.stat().st_dev, "links to the storage would do")
        (self.folder / "checkpoints").symlink_to(elsewhere)
        self.cluster(nodes=1, slots=2)
        self.begin()
        node = list(self.nodes.values())[0]
        copies = self.folder / "tm0" / "state" / f"copies-{self.job}"

        def stop_and_change(files, change):
            """What a worker goes on from, while it takes no more checkpoints; then it is killed."""
            worker = self.until("a worker", lambda: self.worker_of(node, self.job))
            self.kill(worker, signal.SIGSTOP)
            for file in files():
                change(file)
            self.kill(worker)
            self.until_more()

        # Nothing but the copies has them.
        self.assertTrue(self.stores(), "state is not in stores")
        stop_and_change(self.stores, pathlib.Path.unlink)
        restarts = self.ask("show", self.job)["restarts"]
        self.assertEqual(restarts, 1)

        # What is damaged is none, and neither is what is gone.
        def damage(file):
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.unlink()
            file.write_bytes(content)
        self.assertTrue(files_below(copies, "*.sst"))
        stop_and_change(lambda: files_below(copies, "*.sst"), damage)
        stop_and_change(lambda: files_below(copies, "*.sst")[:1], pathlib.Path.unlink)
        self.assert_exact()
        self.assertEqual(self.ask("show", self.job)["restarts"], 3)
        self.until("the copies of a job that has ended are gone", lambda: not copies.exists())

    def test_a_killed_node_is_replaced_by_another(self):
        self.cluster(nodes=2, slots=2)
        self.begin()
        for number, moment in enumerate(self.moments()):
            name, process = next(iter(self.nodes.items()))
            moment()
            self.kill(process.pid)
            process.wait()
            del self.nodes[name]
            self.task_manager(slots=2, name=f"again{number}")
            self.until_more()
        self.assert_exact()

    def test_two_then_three_then_one_by_savepoints_with_kills_between(self):
        self.cluster(nodes=2, slots=2)
        self.begin(rate=60000)
        self.rescale_with_kills(3, 1)
        self.assert_exact()


if __name__ == "__main__":
    unittest.main()
