"""Savepoints that versions of this program have written, kept under tests/data/savepoints: each must load for ever, and the
job goes on from it to the same output. A new format version, or another form of an operator's state, comes with a new
folder there, made by

    python3 -B tests/integration/checkpoints/test_kept_savepoints.py --write NAME JOB     (with DFNODE and PYTHONPATH)

and the old ones stay what they are. JOB is one of JOBS: windows, operators.
"""

import json
import shutil
import sys
import time
import unittest

from checkpointing import lines_in
from dfnode import SOURCE, DfnodeTest

KEPT = SOURCE / "tests" / "data" / "savepoints"
WINDOWS = """name = "kept"

[checkpoint]
interval = "50ms"
storage  = "file:///nowhere"

[sources.numbers]
type       = "generate"
count      = 20000
interval   = "1ms"
fields     = { n = "seq()", k = "seq() % 11", at = "time()" }
event_time = { field = "at" }
rate_limit = 10000

[operators.some]
type  = "filter"
input = "numbers"
where = "n % 50 = 0"

[operators.by_size]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = { tumbling = "3s" }
aggregate = { records = "count()", sum = "sum(n)", least = "min(n)", mean = "avg(n)", kinds = "count(distinct n)" }

[operators.by_slide]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = { sliding = "2s", every = "500ms" }
aggregate = { largest = "max(n)", least = "min(n)" }

[operators.by_gap]
type      = "window"
input     = "some"
key_by    = ["k"]
window    = { session = "300ms" }
aggregate = { records = "count()" }

[sinks.tumbling]
type  = "file"
input = "by_size"
path  = "out/tumbling"

[sinks.sliding]
type  = "file"
input = "by_slide"
path  = "out/sliding"

[sinks.sessions]
type  = "file"
input = "by_gap"
path  = "out/sessions"

[sinks.changed]
type  = "file"
input = "some"
path  = "out/changed"
"""

# Every operator with state that the windows above are not.
OPERATORS = """name = "kept"

[checkpoint]
interval = "50ms"
storage  = "file:///nowhere"

[sources.orders]
type       = "generate"
parallelism = 1
count      = 2000
seed       = 5
fields     = { id = "seq()", at = "time()", customer = "seq() * 7 % 11", amount = "floor(random() * 100)" }
start      = "2024-01-01T00:00:00"
interval   = "1s"
event_time = { field = "at" }
rate_limit = 2000

[sources.payments]
type       = "generate"
parallelism = 1
count      = 2000
seed       = 6
fields     = { order = "seq() * 7 % 2003", at = "time()", customer = "seq() * 5 % 11", paid = "floor(random() * 100)" }
start      = "2024-01-01T00:00:10"
interval   = "1s"
event_time = { field = "at" }
rate_limit = 2000

[operators.few]
type  = "filter"
input = "payments"
where = "order % 10 = 0"

[operators.near]
type    = "join"
kind    = "left"
left    = "orders"
right   = "payments"
on      = "orders.customer = payments.customer"
between = ["-9s", "5s"]
fields  = { id = "id", order = "order" }

[operators.same_minute]
type   = "join"
kind   = "full"
left   = "orders"
right  = "few"
on     = "orders.customer = few.customer AND amount > paid"
window = { tumbling = "1m" }
fields = { id = "id", order = "order" }

[operators.as_of]
type   = "join"
kind   = "left"
left   = "orders"
right  = "few"
on     = "orders.customer = few.customer"
as_of  = true
fields = { id = "id", paid = "paid" }

[operators.all_pairs]
type   = "join"
left   = "orders"
right  = "payments"
on     = "id = order"
fields = { id = "id", paid = "paid" }

[operators.once]
type   = "distinct"
input  = "payments"
key_by = ["paid", "customer"]

[operators.firsts]
type   = "select"
input  = "once"
fields = { order = "order", paid = "paid" }

[operators.counted]
type      = "window"
input     = "orders"
key_by    = ["customer"]
window    = { count = 70 }
aggregate = { n = "count()", first = "first(id)", last = "last(id)", spread = "stddev(amount)" }

[operators.steps]
type      = "window"
input     = "orders"
key_by    = ["customer"]
window    = { cumulate = "10m", every = "2m" }
aggregate = { n = "count()", about = "approx_count_distinct(amount)" }

[operators.best]
type     = "top"
input    = "steps"
key_by   = ["window_start", "window_end"]
order_by = ["n DESC", "customer"]
limit    = 3

[operators.rises]
type     = "pattern"
input    = "orders"
key_by   = ["customer"]
pattern  = "low+ high"
within   = "3m"
define   = { low = "amount < 40", high = "amount > 60 AND amount > sum(low.amount)" }
measures = { lows = "count(low.*)", id = "high.id" }

[operators.sums]
type      = "aggregate"
input     = "few"
key_by    = ["customer"]
aggregate = { n = "count()", total = "sum(paid)" }

[operators.largest]
type     = "top"
input    = "few"
key_by   = ["customer"]
order_by = ["paid DESC", "order"]
limit    = 2

[sinks.near_out]
type  = "file"
input = "near"
path  = "out/near"

[sinks.same_minute_out]
type  = "file"
input = "same_minute"
path  = "out/same_minute"

[sinks.as_of_out]
type  = "file"
input = "as_of"
path  = "out/as_of"

[sinks.all_pairs_out]
type  = "file"
input = "all_pairs"
path  = "out/all_pairs"

[sinks.firsts_out]
type  = "file"
input = "firsts"
path  = "out/firsts"

[sinks.counted_out]
type  = "file"
input = "counted"
path  = "out/counted"

[sinks.best_out]
type  = "file"
input = "best"
path  = "out/best"

[sinks.rises_out]
type  = "file"
input = "rises"
path  = "out/rises"

[sinks.sums_out]
type  = "print"
input = "sums"

[sinks.largest_out]
type  = "print"
input = "largest"
"""
JOBS = {"windows": WINDOWS, "operators": OPERATORS}


class KeptSavepoints(DfnodeTest):
    def test_each_of_them_loads_and_goes_on_to_the_same_output(self):
        kept = sorted(KEPT.iterdir())
        self.assertTrue(kept)
        for folder in kept:
            for parallelism, backend in (("1", "heap"), ("3", "heap"), ("2", "rocksdb")):
                with self.subTest(folder=folder.name, parallelism=parallelism, backend=backend):
                    here = self.folder / f"{folder.name}-{parallelism}"
                    here.mkdir()
                    job = here / "job.toml"
                    shutil.copy(folder / "job.toml", job)
                    plan = self.dfnode("plan", str(job), "--from", str(folder / "savepoint"), "--json")
                    self.assert_exit(plan, 0)
                    outcomes = {state["outcome"] for state in json.loads(plan.stdout)["state"]}
                    self.assertEqual(outcomes, {"kept"})
                    run = self.dfnode("run", str(job), "--from", str(folder / "savepoint"), "--quiet",
                                      "--parallelism", parallelism, "--set", f"state.backend={backend}",
                                      *storage(here))
                    self.assert_exit(run, 0)
                    for sink in sinks_of(here):
                        self.assertEqual(output_of(here, sink), (folder / f"{sink}.expected").read_text(), sink)
                    printed = folder / "printed.expected"
                    self.assertEqual(sorted_lines(run.stdout), printed.read_text() if printed.exists() else "")

    def test_what_they_hold_is_shown(self):
        for folder in sorted(KEPT.iterdir()):
            listed = self.dfnode("state", "ls", str(folder / "savepoint"), "--json")
            self.assert_exit(listed, 0)
            self.assertEqual(json.loads(listed.stdout), json.loads((folder / "state.expected").read_text()))


def storage(folder):
    return "--set", f"checkpoint.storage=file://{folder}/checkpoints"


def sinks_of(folder):
    return sorted(path.name for path in (folder / "out").iterdir())


def output_of(folder, sink):
    return "".join(line + "\n" for line in lines_in(folder / "out" / sink)[0])


def sorted_lines(text):
    return "".join(sorted(text.splitlines(keepends=True)))


def write(name, kind):
    """Stops a job half way, keeps the savepoint, and what the job writes from there on."""
    test = KeptSavepoints("test_what_they_hold_is_shown")
    test.setUp()
    try:
        target = KEPT / name
        target.mkdir(parents=True)
        job = test.write("job.toml", JOBS[kind])
        process = test.start("run", str(job), "--quiet", "--parallelism", "2", *storage(test.folder))
        while not list(test.folder.glob("out/*/part-*")):
            time.sleep(0.01)
        if kind == "windows":
            test.assert_exit(test.dfnode("send", "kept", "some", "set", '{"where": "n % 100 = 0"}'), 0)
        else:
            time.sleep(0.4)  # so that something is in the midst of everything
        stopped = test.dfnode("stop", "kept", "--savepoint", "savepoints")
        test.assert_exit(stopped, 0)
        process.communicate(timeout=30)
        shutil.copytree(stopped.stdout.strip(), target / "savepoint")
        shutil.copy(job, target / "job.toml")
        shutil.rmtree(test.folder / "out")
        run = test.dfnode("run", str(job), "--from", str(target / "savepoint"), "--quiet", *storage(test.folder))
        test.assert_exit(run, 0)
        for sink in sinks_of(test.folder):
            (target / f"{sink}.expected").write_text(output_of(test.folder, sink))
        if run.stdout:
            (target / "printed.expected").write_text(sorted_lines(run.stdout))
        listed = test.dfnode("state", "ls", str(target / "savepoint"), "--json")
        (target / "state.expected").write_text(listed.stdout)
    finally:
        test.doCleanups()


if __name__ == "__main__":
    if "--write" in sys.argv:
        write(*sys.argv[2:4])
    else:
        unittest.main()
