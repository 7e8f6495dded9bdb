"""A job of 1000 subtasks (ten vertices, each joined with the next one all to all) on 10 TaskManagers with 100 slots."""

from cluster_bench import call_times, main, row, seconds, subtasks_of

WIDTH = 100
# Each step has a key of its own: by the key of the step before, records would stay where they are (decision 042).
STEP = """
[operators.step{number}]
type      = "window"
input     = "{before}"
key_by    = ["k{number}"]
window    = {{ count = 1 }}
aggregate = {{ k{after} = "max(k{number})" }}
"""


def topology():
    text = (f'name = "wide"\nparallelism = {WIDTH}\n[sources.numbers]\ntype = "generate"\n'
            'fields = { k0 = "seq() % 100000" }\nrate_limit = 1000\n')
    before = "numbers"
    for number in range(9):
        text += STEP.format(number=number, after=number + 1, before=before)
        before = f"step{number}"
    return text + f'[sinks.out]\ntype = "discard"\ninput = "{before}"\n'


def measure(cluster, quick):
    cluster.job_manager()
    for _ in range(10):
        cluster.task_manager(10)
    job = cluster.detach(cluster.write("wide.toml", topology()))
    subtasks = subtasks_of(cluster.until_running(job))
    assert len(subtasks) == 10 * WIDTH, len(subtasks)
    submitted = next(j["submitted"] for j in cluster.ask("list") if j["id"] == job)
    deployed = max(seconds(s["entered"]["RUNNING"]) for s in subtasks) - seconds(submitted)
    answers = call_times(cluster, 10 if quick else 200, "show", job)
    return row("1000 subtasks", {"deployed s": deployed, "control p50 ms": answers["p50_ms"],
                                 "control p99 ms": answers["p99_ms"]},
               at_most={"deployed s": 5, "control p99 ms": 100})


main(measure)
