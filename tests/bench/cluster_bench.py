"""What the benchmarks in cluster/ share. Each file there measures one thing on a cluster of real processes, and
`tools/bench cluster` shows each as one row: a file calls `main(measure)`, where `measure(cluster, quick)` gets a Cluster
that is not started yet and returns a Row.

    python3 -B tests/bench/cluster/submit.py [--quick]      # with DFNODE and PYTHONPATH as tools/bench sets them
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess

from cluster_test import ClusterTest
from dfnode import DFNODE


class Cluster(ClusterTest):
    """The cluster of the integration tests (start it with job_manager() and task_manager(), or cluster()), for as long
    as a `with` lasts."""

    def runTest(self):
        """unittest wants one."""

    def __enter__(self):
        self.setUp()
        return self

    def __exit__(self, *_):
        self.doCleanups()


def row(name, measured, at_most=None, at_least=None):
    """`measured`: {"p50 ms": 0.4, ...}; the limits name some of its keys."""
    return {"name": name, "measured": measured, "at_most": at_most or {}, "at_least": at_least or {}}


def percentile(values, share):
    """The least value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values):
    return statistics.median(values)


def bench_program(name):
    """One of the C++ programs of tests/bench, which stand beside dfnode."""
    return str(pathlib.Path(DFNODE).parent / name)


def call_times(cluster, count, *words):
    """{"p50_ms", "p99_ms", "max_ms"} of `count` calls to a job by a client that stays connected."""
    done = subprocess.run([bench_program("cluster_calls"), cluster.address, str(count), *words],
                          stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def subtasks_of(shown):
    return [subtask for vertex in shown["vertices"] for subtask in vertex["subtasks"]]


def seconds(time):
    """Of a time as `show` has it."""
    return datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def main(measure):
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="that it works, not how fast it is")
    quick = parser.parse_args().quick
    with Cluster() as cluster:
        print(json.dumps(measure(cluster, quick)))
