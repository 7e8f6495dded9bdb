"""A keyed job (10 thousand keys) over two TaskManagers with a slot each, beside the same job on one with two slots."""

from cluster_bench import Cluster, main, median, row, seconds, subtasks_of

JOB = """name = "keyed"
parallelism = 2

[sources.numbers]
type   = "generate"
count  = {count}
fields = {{ id = "seq()", k = "hash(seq()) % 10000" }}

[operators.per_key]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = {{ count = 1000 }}
aggregate = {{ n = "count()", total = "sum(id)" }}

[sinks.out]
type  = "discard"
input = "per_key"
"""


def running_seconds(cluster, count):
    job = cluster.detach(cluster.write("keyed.toml", JOB.format(count=count)))
    subtasks = subtasks_of(cluster.until_state(job, "FINISHED"))
    began = max(seconds(s["entered"]["RUNNING"]) for s in subtasks)
    return max(seconds(s["entered"]["PREPARED"]) for s in subtasks) - began


def measure(one, quick):
    count = 500_000 if quick else 20_000_000
    with Cluster() as two:
        one.cluster(nodes=1, slots=2)
        two.cluster(nodes=2, slots=1)
        in_one, in_two = [], []
        for _ in range(1 if quick else 5):
            in_one.append(running_seconds(one, count))
            in_two.append(running_seconds(two, count))
        return row("10 thousand keys, 2 nodes x 1 slot beside 1 x 2",
                   {"of its speed": median(in_one) / median(in_two),
                    "million records a second": count / 1e6 / median(in_two)},
                   at_least={"of its speed": 0.7})


main(measure)
