"""From `dfnode submit`, start of the client included, to the first record out of a print sink, on a warm cluster."""

import subprocess
import time

from cluster_bench import main, median, row
from dfnode import DFNODE

JOB = """name = "first"
[sources.numbers]
type   = "generate"
fields = { id = "seq()" }
rate_limit = 1000

[sinks.out]
type  = "print"
input = "numbers"
"""


def first_record_ms(cluster, file):
    began = time.monotonic()
    client = subprocess.Popen([DFNODE, "submit", file, "--to", cluster.address, "--quiet", "--parallelism", "1"],
                              stdout=subprocess.PIPE, env=cluster.environment())
    assert client.stdout.readline(), "the job gave nothing"
    took = (time.monotonic() - began) * 1e3
    client.kill()
    client.communicate()
    return took


def measure(cluster, quick):
    cluster.cluster(nodes=2, slots=2)
    file = str(cluster.write("first.toml", JOB))
    times = []
    for _ in range(3 if quick else 20):
        # A spare worker waits on each node before and after.
        cluster.until("slots are free", lambda: all(node["used"] == 0 for node in cluster.ask("nodes")))
        times.append(first_record_ms(cluster, file))
        for job in cluster.ask("list"):
            if job["state"] == "RUNNING":
                cluster.tell("cancel", job["id"])
    return row("submit to first record, warm cluster", {"p50 ms": median(times), "max ms": max(times)},
               at_most={"p50 ms": 150})


main(measure)
