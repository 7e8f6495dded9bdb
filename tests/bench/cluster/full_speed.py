"""Calls to a job that runs as fast as two workers can, over the network between them: to its master (the control round
trip), and to the subtask that has a key."""

import pathlib

from cluster_bench import call_times, main, row
from dfnode import DFNODE

FRAUD = pathlib.Path(DFNODE).resolve().with_name("fraud.so")


def measure(cluster, quick):
    cluster.cluster(nodes=2, slots=1)
    job = cluster.detach(FRAUD, "--", "--payments=-1")
    # Its generator is one split, which one of the two subtasks has: from there half of the records go to the other node.
    cluster.until("both workers have records",
                  lambda: all(s.get("records_in", 0) > 0 for s in cluster.ask("show", job).get("vertices", [{}])[-1]
                              .get("subtasks", [{}])))
    count = 20 if quick else 1000
    control = call_times(cluster, count, "show", job)
    asked = call_times(cluster, count, "ask", job, "small_then_large", "small", '"card-7"')
    told = call_times(cluster, count, "send", job, "small_then_large", "set_limit", '{"value": 900}')
    return row("job at full speed over two workers",
               {"control p50 ms": control["p50_ms"], "control p99 ms": control["p99_ms"], "ask p99 ms": asked["p99_ms"],
                "send to all p99 ms": told["p99_ms"]},
               at_most={"control p99 ms": 5, "ask p99 ms": 50, "send to all p99 ms": 50})


main(measure)
