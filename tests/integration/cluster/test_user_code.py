"""Code of a job that goes wrong ends that job and nothing else, and says where it was."""

import json
import os
import pathlib
import shutil
import unittest

from cluster_test import ClusterTest, is_alive
from dfnode import DFNODE

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("misbehaving.so")

JOB = """name = "{name}"
parallelism = 1

[sources.numbers]
type   = "generate"
{count}
fields = {{ id = "seq()" }}
rate_limit = 2000

[operators.bad]
type     = "process"
input    = "numbers"
library  = "{library}"
function = "misbehave"
how      = "{how}"
after    = {after}

[sinks.out]
type  = "discard"
input = "bad"

[restart]
strategy = "{restart}"
{attempts}
"""


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class BesideAnotherJob(ClusterTest):
    """Beside each job that goes wrong, on the same node, one that does not."""

    node_options = ()

    def setUp(self):
        super().setUp()
        self.job_manager("--cancel-timeout", "1")
        self.task_manager(2, options=self.node_options)
        self.node = list(self.nodes.values())[0]
        self.other = self.detach(self.job("good", "not at all"))
        self.until_running(self.other)
        self.untouched = self.worker_of(self.node, self.other)

    def tearDown(self):
        self.assertTrue(is_alive(self.untouched), "the other job's worker is gone")
        shown = self.ask("show", self.other)
        self.assertEqual((shown["state"], shown["restarts"], shown["failures"]), ("RUNNING", 0, []))
        before = shown["vertices"][0]["subtasks"][0]["records_out"]
        self.until("the other job goes on", lambda: self.ask("show", self.other)["vertices"][0]["subtasks"][0]
                   ["records_out"] > before)
        super().tearDown()

    def job(self, name, how, after=100, restart="none", attempts="", count="", library=LIBRARY):
        return self.write(f"{name}.toml", JOB.format(name=name, how=how, after=after, restart=restart,
                                                     attempts=attempts, count=count, library=library))

    def failed(self, how, **options):
        return self.until_state(self.detach(self.job("bad_job", how, **options)), "FAILED")

    def check_crash(self, how, signal_name, function):
        shown = self.failed(how)
        self.assertIn(f"killed by {signal_name}", shown["error"])
        self.assertIn('in "bad" (subtask 1 of 1, attempt 0) after', shown["error"])
        failure = shown["failures"][-1]
        self.assertIn(signal_name, failure["reason"])
        found = [frame for frame in failure["backtrace"] if function in frame]
        self.assertTrue(found and found[0].endswith("(misbehaving.so)"), failure)
        text = self.dfnode("show", shown["id"], "--to", self.address).stdout
        self.assertIn(function, text)
        return shown


class UserCode(BesideAnotherJob):
    def test_a_segmentation_fault(self):
        self.check_crash("segfault", "SIGSEGV at 0x0", "follow_null_pointer")

    def test_an_abort(self):
        self.check_crash("abort", "SIGABRT", "call_abort")

    def test_a_stack_that_overflows(self):
        self.check_crash("overflow", "SIGSEGV", "recurse_without_end")

    def test_an_exception_that_nobody_catches(self):
        shown = self.check_crash("terminate", "SIGABRT", "throw_where_nobody_may")
        self.assertIn("thrown where nobody may", shown["error"])

    def test_an_exception_of_process_names_the_operator_and_where_it_was(self):
        shown = self.failed("throw")
        self.assertIn('"bad"', shown["error"])
        self.assertIn("thrown on purpose", shown["error"])

    def test_an_exception_of_open(self):
        self.assertIn("no good morning", self.failed("throw in open")["error"])

    def test_an_exception_of_close(self):
        self.assertIn("no good night", self.failed("throw in close", count="count = 50")["error"])

    def test_a_job_that_crashes_is_restarted_by_its_strategy(self):
        shown = self.failed("segfault", restart="fixed", attempts='attempts = 2\ndelay = "10ms"')
        self.assertEqual(shown["restarts"], 2)
        self.assertEqual([failure["attempt"] for failure in shown["failures"]], [0, 1, 2])
        self.assertIn("attempt 2", shown["error"])

    def test_an_endless_loop_is_killed_after_the_cancel_deadline(self):
        job = self.detach(self.job("stuck", "loop"))
        self.until_running(job)
        worker = self.worker_of(self.node, job)
        self.until("it spins", lambda: cpu_seconds(worker) > 0.5)
        self.until("the step that does not end counts as busy",
                   lambda: self.ask("show", job)["vertices"][0]["subtasks"][0]["busy"] == 1)
        self.tell("cancel", job)
        shown = self.until_state(job, "CANCELED")
        self.assertIn("did not end within 1s", shown["failures"][0]["reason"])
        self.until("its worker is gone", lambda: not is_alive(worker))
        failures = self.until("it is said where it was",
                              lambda: (f := self.ask("show", job)["failures"]) and len(f) == 2 and f)
        self.assertRegex(failures[1]["reason"], r'stuck and ended by SIGABRT in "bad" \(subtask 1 of 1, attempt 0\)')
        self.assertTrue(any(frame.endswith("(misbehaving.so)") for frame in failures[1]["backtrace"]), failures[1])

    def test_the_backtrace_is_in_the_logs_too(self):
        shown = self.failed("segfault")
        logs = self.dfnode("logs", shown["id"], "--to", self.address).stdout
        self.assertIn("follow_null_pointer", logs)
        self.assertIn('attempt 0 subtask "numbers -> bad -> out" 1/1: running', logs)
        self.assertIn("is FAILED", logs)


class LittleMemory(BesideAnotherJob):
    node_options = ("--worker-memory", "256MiB")

    def test_memory_that_runs_out(self):
        shown = self.check_crash("memory", "SIGABRT", "take_all_memory")
        self.assertIn("memory ran out: a worker of this node may have 256 MiB", shown["error"])


class ShippedLibraries(ClusterTest):
    def test_the_library_of_a_function_travels_with_the_job(self):
        self.job_manager()
        self.task_manager(1)
        client = self.folder / "client"
        client.mkdir()
        shutil.copy(LIBRARY, client / "mine.so")
        job = self.write("client/job.toml", JOB.format(name="shipped", how="not at all", after=0,
                                                       restart="fixed", attempts="", count="", library="mine.so"))
        shipped = self.detach(job)
        shutil.rmtree(client)
        self.assert_built_elsewhere(shipped)

    def test_a_topology_that_a_cpp_job_embeds_travels_with_it_and_so_does_its_library(self):
        self.job_manager()
        self.task_manager(1)
        shutil.copy(LIBRARY, self.folder / "mine.so")
        part = self.write("part.toml", JOB.format(name="part", how="not at all", after=0, restart="fixed", attempts="",
                                                  count="", library="mine.so"))
        shipped = self.detach(LIBRARY.with_name("embeds.so"))
        part.unlink()
        (self.folder / "mine.so").unlink()
        self.assert_built_elsewhere(shipped)

    def test_what_an_embedded_topology_takes_from_the_environment_is_the_clients(self):
        self.job_manager()
        self.task_manager(1)
        self.write("part.toml", '''
[sources.numbers]
type   = "generate"
count  = 1
fields = { who = "'${WHO}'", how = "'${HOW:-well}'", city = "'${CITY:-Basel}'" }

[sinks.out]
type   = "print"
input  = "numbers"
format = "json"
''')
        library = LIBRARY.with_name("embeds.so")
        result = self.submit(library, "--quiet", env={"WHO": "client-zero", "HOW": "two\nlines = 1"})
        self.assert_exit(result, 0)
        self.assertEqual(json.loads(result.stdout), {"who": "client-zero", "how": "two\nlines = 1", "city": "Basel"})
        self.assertNotIn("client-zero", self.logs())
        self.assertNotIn("client-zero", json.dumps(self.ask("show", "embeds")))
        unset = self.submit(library)
        self.assert_exit(unset, 2)
        self.assertIn("the environment variable WHO is not set", unset.stderr)

    def test_standard_input_is_the_clients_and_refused(self):
        self.job_manager()
        text = '[sources.in]\ntype = "stdin"\nformat = "lines"\n\n[sinks.out]\ntype = "print"\ninput = "in"\n'
        refused = self.submit(self.write("part.toml", text), stdin="a line\n")
        self.assert_exit(refused, 2)
        self.assertIn('"in" reads standard input', refused.stderr)
        self.assertIn("part.toml:2:8", refused.stderr)
        self.assertIn("^^^^^^^", refused.stderr)
        embedded = self.submit(LIBRARY.with_name("embeds.so"), stdin="a line\n")
        self.assert_exit(embedded, 2)
        self.assertIn('"in" reads standard input', embedded.stderr)

    def test_a_cpp_job_whose_topology_is_not_there_is_refused_and_says_which(self):
        self.job_manager()
        self.task_manager(1)
        result = self.submit(LIBRARY.with_name("embeds.so"), "--", "--part=nowhere.toml")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("nowhere.toml", result.stderr)

    def assert_built_elsewhere(self, shipped):
        self.until_running(shipped)
        # A node that joins when the client's files are gone builds the job, too.
        self.task_manager(1)
        self.kill(list(self.nodes.values())[0].pid)
        shown = self.until_running(shipped, attempt=1)
        self.assertEqual(shown["vertices"][0]["subtasks"][0]["node"], list(self.nodes)[1])


if __name__ == "__main__":
    unittest.main()
