"""From source to sink through two workers: 1000 records a second, partial batches leave after 1 ms. Every record says
when it was made; those that the other worker's subtask takes, which is every second one, are counted."""

import json
import time

from cluster_bench import main, percentile, row, seconds

JOB = """name = "latency"
buffer_timeout = "1ms"

[sources.stamps]
type   = "generate"
fields = { id = "seq()", sent = "now()" }
rate_limit  = 1000
parallelism = 1

[operators.arrived]
type  = "select"
input = "stamps"
add   = { arrived = "now()" }
parallelism = 2

[sinks.out]
type   = "file"
input  = "arrived"
path   = "out"
format = "json"
parallelism = 2
"""


def measure(cluster, quick):
    cluster.cluster(nodes=2, slots=1)
    job = cluster.detach(cluster.write("latency.toml", JOB))
    cluster.until_running(job)
    time.sleep(2 if quick else 20)
    shown = cluster.ask("show", job)
    source = shown["vertices"][0]["subtasks"][0]["node"]
    far = [s["subtask"] for s in shown["vertices"][-1]["subtasks"] if s["node"] != source]
    assert far == [1], shown
    cluster.tell("stop", job)
    cluster.until_state(job, "FINISHED")
    parts = [part.read_text() for part in (cluster.folder / "out").glob("part-1-*")]
    rows = [json.loads(line) for part in parts for line in part.splitlines()]
    assert rows, list((cluster.folder / "out").glob("*"))
    # Those of the first second find cold caches; a stream runs for longer.
    times = [(seconds(r["arrived"]) - seconds(r["sent"])) * 1e3 for r in rows if r["id"] > 1000]
    return row("source to sink through two workers",
               {"p50 ms": percentile(times, 0.5), "p99.9 ms": percentile(times, 0.999), "records": len(times)},
               at_most={"p50 ms": 2, "p99.9 ms": 20})


main(measure)
