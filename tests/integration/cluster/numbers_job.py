"""A job whose output tells whether a row was lost or came twice, and the processes that run it."""

import os
import signal

from cluster_test import ClusterTest, children_of, is_alive
from small_jobs import file_sink, numbers

ROWS = 3000


class NumbersTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.stopped = []

    def write_numbers(self, rate):
        """ROWS of them, into the folder "out"."""
        return self.write("numbers.toml", numbers(rate=rate, count=ROWS, sink=file_sink("out", "csv")))

    def masters(self):
        return [pid for pid, command in children_of(self.manager.pid) if "job-master" in command]

    def workers(self, job):
        found = [self.worker_of(process, job) for process in self.nodes.values()]
        return [pid for pid in found if pid]

    def stop(self, pid):
        self.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)
        self.addCleanup(self.go_on)

    def go_on(self):
        for pid in self.stopped:
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)
        self.stopped.clear()

    def states(self, job):
        return {s["state"] for vertex in self.ask("show", job).get("vertices", []) for s in vertex["subtasks"]}

    def lines_out(self, folder):
        """Of the CSV files that are visible, without their headers."""
        parts = [p for p in (self.folder / folder).glob("*") if not p.name.startswith(".")]
        return [line for part in parts for line in part.read_text().splitlines()[1:]]

    def rows_out(self):
        return sorted(int(line) for line in self.lines_out("out"))
