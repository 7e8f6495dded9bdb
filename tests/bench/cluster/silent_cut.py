"""From the SIGSTOP of a TaskManager and all below it, which sends no reset to anybody, to its node gone from `dfnode
nodes`: with the default silence timeout, and with the least."""

import signal
import time

from cluster_bench import main, row
from cluster_test import children_of


def noticed_s(cluster, silence):
    cluster.silence_seconds = silence
    cluster.address = None
    cluster.nodes = {}
    manager = cluster.job_manager(storage=f"jm{silence}")
    process = cluster.task_manager(2, f"tm{silence}")
    stopped = [process.pid, *(pid for pid, _ in children_of(process.pid))]
    began = time.monotonic()
    for pid in stopped:
        cluster.kill(pid, signal.SIGSTOP)
    cluster.until("it is missed", lambda: cluster.ask("nodes") == [])
    took = time.monotonic() - began
    for process in (process, manager):
        process.kill()
        process.wait()
    return took


def measure(cluster, quick):
    measured = {} if quick else {"default s": noticed_s(cluster, "8")}
    measured["at 1 s"] = noticed_s(cluster, "1")
    return row("SIGSTOP of a TaskManager to its loss", measured, at_most={"default s": 10, "at 1 s": 2})


main(measure)
