"""A cluster of real processes on this machine for each test: a JobManager, TaskManagers, and the client's commands.

Nothing here sleeps to let something happen: states are looked at until they are as wanted, or the deadline is over.
"""

import json
import os
import re
import signal
import subprocess
import time

from dfnode import DFNODE, DfnodeTest

DEADLINE_SECONDS = 60


def children_of(pid):
    """The processes that `pid` has started: (pid, command line) of each."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{entry}/cmdline", "rb") as line:
                command = line.read().decode().split("\0")
        except OSError:
            continue
        if parent == pid:
            found.append((int(entry), command))
    return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class ClusterTest(DfnodeTest):
    """Tests start what they need with job_manager() and task_manager()."""

    silence_seconds = "8"

    def setUp(self):
        super().setUp()
        self.address = None
        self.manager = None
        self.nodes = {}
        self.started = 0

    # ---- Processes

    def command(self, *arguments):
        return [DFNODE, *arguments]

    def spawn(self, *arguments):
        self.started += 1
        log = open(self.folder / f"process-{self.started}.log", "w", encoding="utf-8")
        self.addCleanup(log.close)
        process = subprocess.Popen(self.command(*arguments), cwd=self.folder, env=self.environment(),
                                   stdout=subprocess.PIPE, stderr=log, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def ready_line(self, process):
        line = process.stdout.readline()
        self.assertTrue(line, f"it ended instead of getting ready: {self.logs()}")
        return line

    def job_manager(self, *options, listen=None, storage="jm"):
        self.manager = self.spawn("jobmanager", "--listen", listen or self.address or "127.0.0.1:0", "--storage", storage,
                                  "--silence-timeout", self.silence_seconds, *options)
        self.address = re.search(r"JobManager at (\S+)", self.ready_line(self.manager))[1]
        return self.manager

    def task_manager(self, slots=2, name="", wait=True, options=()):
        name = name or f"tm{len(self.nodes)}"
        process = self.spawn("taskmanager", "--join", self.address, "--slots", str(slots), "--work-dir", name,
                             *options)
        if wait:
            self.nodes[re.search(r"TaskManager (\S+) with", self.ready_line(process))[1]] = process
        return process

    def cluster(self, nodes=2, slots=2):
        self.job_manager()
        for _ in range(nodes):
            self.task_manager(slots)

    def worker_of(self, process, job):
        """The process that works for the job on the node of `process`, if there is one."""
        for pid, command in children_of(process.pid):
            if "worker" in command and self.works_for(pid, job):
                return pid
        return None

    def worker_processes(self, process):
        return [pid for pid, command in children_of(process.pid) if "worker" in command]

    def spares(self, process):
        """The workers on the node of `process` that have no job yet."""
        return [pid for pid in self.worker_processes(process)
                if not list(self.folder.glob(f"*/logs/*-{pid}.log"))]

    def works_for(self, pid, job):
        return any(self.folder.glob(f"*/logs/{job}-{pid}.log"))

    def logs(self):
        texts = []
        for path in (*self.folder.glob("*.log"), *self.folder.glob("*/logs/*")):
            try:
                texts.append(path.read_text(encoding="utf-8", errors="replace")[-3000:])
            except FileNotFoundError:
                pass  # a spare worker's has just become a job's
        return "\n----\n".join(texts)

    # ---- Commands

    def ask(self, command, *arguments):
        result = self.dfnode(command, *arguments, "--to", self.address, "--json")
        self.assert_exit(result, 0)
        return json.loads(result.stdout)

    def tell(self, command, *arguments):
        self.assert_exit(self.dfnode(command, *arguments, "--to", self.address), 0)

    def submit(self, file, *options, **kwargs):
        return self.dfnode("submit", str(file), "--to", self.address, *options, **kwargs)

    def detach(self, file, *options):
        result = self.submit(file, "--detach", *options)
        if result.returncode != 0:
            self.fail(f"{result.stderr}\n{self.logs()}")
        return result.stdout.strip()

    # ---- States

    def until(self, what, condition):
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.05)  # a condition often starts a dfnode, which is work for the machine
        return self.fail(f"not in time: {what}\n{self.logs()}")

    def state(self, job):
        return self.ask("show", job)["state"]

    def all_running(self, job, attempt=None):
        shown = self.ask("show", job)
        subtasks = [s for vertex in shown.get("vertices", []) for s in vertex["subtasks"]]
        return (subtasks and all(s["state"] == "RUNNING" for s in subtasks)
                and (attempt is None or all(s["attempt"] >= attempt for s in subtasks)) and shown)

    def until_running(self, job, attempt=None):
        return self.until(f"{job} runs", lambda: self.all_running(job, attempt))

    def until_state(self, job, *states):
        return self.until(f"{job} is {states}", lambda: self.state(job) in states and self.ask("show", job))

    def kill(self, pid, number=signal.SIGKILL):
        os.kill(pid, number)
