"""Savepoints that versions of this program have written, kept under tests/data/savepoints: each must load for ever, and the
job goes on from it to the same output. A new format version comes with a new folder there, made by

    python3 -B tests/integration/checkpoints/test_kept_savepoints.py --write NAME     (with DFNODE and PYTHONPATH)

and the old ones stay what they are.
"""

import json
import shutil
import sys
import time
import unittest

from checkpointing import lines_in
from dfnode import SOURCE, DfnodeTest

KEPT = SOURCE / "tests" / "data" / "savepoints"
SINKS = ("tumbling", "sliding", "sessions", "changed")

JOB = """name = "kept"

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


class KeptSavepoints(DfnodeTest):
    def test_each_of_them_loads_and_goes_on_to_the_same_output(self):
        kept = sorted(KEPT.iterdir())
        self.assertTrue(kept)
        for folder in kept:
            for parallelism in ("1", "3"):
                with self.subTest(folder=folder.name, parallelism=parallelism):
                    here = self.folder / f"{folder.name}-{parallelism}"
                    here.mkdir()
                    job = here / "job.toml"
                    shutil.copy(folder / "job.toml", job)
                    plan = self.dfnode("plan", str(job), "--from", str(folder / "savepoint"), "--json")
                    self.assert_exit(plan, 0)
                    outcomes = {state["outcome"] for state in json.loads(plan.stdout)["state"]}
                    self.assertEqual(outcomes, {"kept"})
                    run = self.dfnode("run", str(job), "--from", str(folder / "savepoint"), "--quiet",
                                      "--parallelism", parallelism, *storage(here))
                    self.assert_exit(run, 0)
                    for sink in SINKS:
                        self.assertEqual("".join(line + "\n" for line in lines_in(here / "out" / sink)[0]),
                                         (folder / f"{sink}.expected").read_text(), sink)

    def test_what_they_hold_is_shown(self):
        for folder in sorted(KEPT.iterdir()):
            listed = self.dfnode("state", "ls", str(folder / "savepoint"), "--json")
            self.assert_exit(listed, 0)
            self.assertEqual(json.loads(listed.stdout), json.loads((folder / "state.expected").read_text()))


def storage(folder):
    return "--set", f"checkpoint.storage=file://{folder}/checkpoints"


def write(name):
    """Stops a job half way, keeps the savepoint, and what the job writes from there on."""
    test = KeptSavepoints("test_what_they_hold_is_shown")
    test.setUp()
    try:
        target = KEPT / name
        target.mkdir(parents=True)
        job = test.write("job.toml", JOB)
        process = test.start("run", str(job), "--quiet", "--parallelism", "2", *storage(test.folder))
        while not list(test.folder.glob("out/sessions/part-*")):
            time.sleep(0.01)
        test.assert_exit(test.dfnode("send", "kept", "some", "set", '{"where": "n % 100 = 0"}'), 0)
        stopped = test.dfnode("stop", "kept", "--savepoint", "savepoints")
        test.assert_exit(stopped, 0)
        process.communicate(timeout=30)
        shutil.copytree(stopped.stdout.strip(), target / "savepoint")
        shutil.copy(job, target / "job.toml")
        shutil.rmtree(test.folder / "out")
        test.assert_exit(test.dfnode("run", str(job), "--from", str(target / "savepoint"), "--quiet",
                                     *storage(test.folder)), 0)
        for sink in SINKS:
            lines = lines_in(test.folder / "out" / sink)[0]
            (target / f"{sink}.expected").write_text("".join(line + "\n" for line in lines))
        listed = test.dfnode("state", "ls", str(target / "savepoint"), "--json")
        (target / "state.expected").write_text(listed.stdout)
    finally:
        test.doCleanups()


if __name__ == "__main__":
    if "--write" in sys.argv:
        write(sys.argv[2])
    else:
        unittest.main()
