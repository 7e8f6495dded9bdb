"""From the SIGKILL of a worker, or of a TaskManager with all below it, to every subtask RUNNING in its next attempt, as
`dfnode show` tells it, while there are free slots."""

import time

from cluster_bench import main, median, row

JOB = """name = "endless"
parallelism = 2

[sources.numbers]
type   = "generate"
fields = { id = "seq()", k = "seq() % 100" }
rate_limit = 2000

[operators.per_key]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = { count = 10 }
aggregate = { n = "count()" }

[sinks.out]
type  = "discard"
input = "per_key"

[restart]
strategy  = "fixed"
attempts  = 1000
delay     = "0s"
"""


def attempt_of(shown):
    return max(s["attempt"] for vertex in shown["vertices"] for s in vertex["subtasks"])


def nodes_of(shown):
    return {s["node"] for vertex in shown["vertices"] for s in vertex["subtasks"]}


def back_ms(cluster, job, kill):
    """`kill` gets what `show` says, and kills."""
    shown = cluster.until_running(job)
    cluster.until("spare workers", lambda: all(cluster.spares(p) for p in cluster.nodes.values()))
    began = time.monotonic()
    kill(shown)
    cluster.until_running(job, attempt_of(shown) + 1)
    return (time.monotonic() - began) * 1e3


def measure(cluster, quick):
    cluster.job_manager()
    folders = {}

    def start_node(folder):
        cluster.task_manager(2, folder)
        folders[list(cluster.nodes)[-1]] = folder

    def kill_worker(shown):
        node = sorted(nodes_of(shown))[0]
        cluster.kill(cluster.worker_of(cluster.nodes[node], job))

    def kill_node(shown):
        node = sorted(nodes_of(shown))[0]
        killed.append((cluster.nodes.pop(node), folders.pop(node)))
        cluster.kill(killed[-1][0].pid)

    for number in range(3):
        start_node(f"tm{number}")
    job = cluster.detach(cluster.write("endless.toml", JOB))
    killed = []
    of_workers, of_nodes = [], []
    for _ in range(2 if quick else 25):
        of_workers.append(back_ms(cluster, job, kill_worker))
        of_nodes.append(back_ms(cluster, job, kill_node))
        process, folder = killed.pop()
        process.wait()
        start_node(folder)
    return row("SIGKILL to RUNNING again", {"worker p50 ms": median(of_workers), "worker max ms": max(of_workers),
                                            "TaskManager p50 ms": median(of_nodes), "TaskManager max ms": max(of_nodes)},
               at_most={"worker max ms": 1000, "TaskManager max ms": 1000})


main(measure)
