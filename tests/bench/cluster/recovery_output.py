"""From the SIGKILL of a TaskManager with all below it to the first rows that were written after it and are visible: a
checkpoint is taken every second, and one as soon as all subtasks run again; state is small."""

import os
import time

from cluster_bench import main, median, row, subtasks_of

JOB = """name = "endless"
parallelism = 2

[sources.numbers]
type       = "generate"
fields     = {{ id = "seq()", k = "seq() % 100" }}
rate_limit = 2000

[operators.per_key]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = {{ count = 10 }}
aggregate = {{ n = "count()" }}

[sinks.out]
type  = "file"
input = "per_key"
path  = "{folder}/out"

[checkpoint]
interval = "1s"
storage  = "file://{folder}/checkpoints"

[restart]
strategy = "fixed"
attempts = 1000
delay    = "0s"
"""
LIMIT_MS = 2000


def visible_since(folder, moment):
    """Whether a part is visible whose rows were written after that. What an earlier attempt had prepared was written
    before; parts that are being removed are no concern here."""
    try:
        return any(part.name.startswith("part-") and part.stat().st_mtime > moment for part in os.scandir(folder))
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("nothing was committed for a minute")
        time.sleep(0.002)


def measure(cluster, quick):
    cluster.job_manager()
    folders = {}

    def start_node(folder):
        cluster.task_manager(2, folder)
        folders[list(cluster.nodes)[-1]] = folder

    for number in range(3):
        start_node(f"tm{number}")
    job = cluster.detach(cluster.write("endless.toml", JOB.format(folder=cluster.folder)))
    out = cluster.folder / "out"
    times = []
    for number in range(3 if quick else 50):
        shown = cluster.until_running(job)
        cluster.until("spare workers", lambda: all(cluster.spares(p) for p in cluster.nodes.values()))
        moment = time.time()
        wait_for(lambda: visible_since(out, moment))  # a checkpoint has just been completed
        time.sleep(number % 10 / 10)                  # at any moment between two of them
        node = sorted({subtask["node"] for subtask in subtasks_of(shown)})[0]
        process, folder = cluster.nodes.pop(node), folders.pop(node)
        began, moment = time.monotonic(), time.time()
        cluster.kill(process.pid)
        wait_for(lambda: visible_since(out, moment))
        times.append((time.monotonic() - began) * 1e3)
        process.wait()
        start_node(folder)
    return row("SIGKILL of a node to new committed output, a checkpoint a second",
               {"p50 ms": median(times), "max ms": max(times), "within 2 s": sum(t < LIMIT_MS for t in times)},
               at_most={"max ms": LIMIT_MS}, at_least={"within 2 s": len(times)})


main(measure)
