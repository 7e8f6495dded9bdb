"""Each kind of process is killed at each stage of a job's life; what comes out is what would have come without it.

A stage is not waited for by time: who would go on to the next one is stopped, and the states are looked at.
"""

import time
import unittest

from numbers_job import ROWS, NumbersTest


class Kills(NumbersTest):
    def start(self):
        self.cluster(nodes=2, slots=2)
        self.until("spare workers", lambda: all(self.spares(p) for p in self.nodes.values()))

    # ---- Stages: each returns the job's id when it is there, and stays there

    def submit_stage(self):
        """The master process is there and has not built the graph."""
        def stopped_early():
            client = self.start_submit()
            master = self.until("a master", self.masters)[0]
            self.stop(master)
            listed = next(job for job in self.ask("list") if job["state"] != "CANCELED")
            job = listed["id"]
            if listed["slots"] == 0:  # they are known once the graph is built
                return job
            self.go_on()  # it was quicker
            client.wait()
            self.end(job)
            return None
        return self.until("a master that was caught early", stopped_early)

    def deploy_stage(self):
        """The workers have been given slots, and offer nothing yet."""
        def stopped_in_time():
            for process in self.nodes.values():
                for spare in self.spares(process):
                    self.stop(spare)
            job = self.submit_numbers()
            self.until("it is deployed", lambda: self.states(job) == {"SCHEDULED"})
            # A spare that was stopped before it had said to its TaskManager that it is up is given no job.
            end = time.monotonic() + 2
            while time.monotonic() < end:
                if self.workers(job):
                    return job
                time.sleep(0.02)
            self.go_on()
            self.end(job)
            return None
        return self.until("spares that were stopped once they were up", stopped_in_time)

    def run_stage(self):
        job = self.submit_numbers()
        self.until_running(job)
        return job

    def cancel_stage(self):
        job = self.run_stage()
        self.stop(self.workers(job)[0])
        self.tell("cancel", job)
        self.until_state(job, "CANCELLING")
        return job

    def finish_stage(self):
        """One subtask has pre-committed, and the other is not through."""
        job = self.run_stage()
        self.stop(self.workers(job)[0])
        self.until("one is through", lambda: "PREPARED" in self.states(job))
        return job

    def end(self, job):
        self.tell("cancel", job)
        self.until_state(job, "CANCELED")
        self.until("its master is gone", lambda: not self.masters())  # or the next try would find it

    def start_submit(self):
        file = self.write_numbers(ROWS)
        return self.spawn("submit", str(file), "--to", self.address, "--detach")

    def submit_numbers(self):
        return self.detach(self.write_numbers(ROWS))

    # ---- Victims

    def kill_job_manager(self, job):
        self.kill(self.manager.pid)
        self.manager.wait()
        self.job_manager()

    def kill_job_master(self, job):
        self.kill(self.masters()[0])

    def kill_task_manager(self, job):
        name, process = next(iter(self.nodes.items()))
        self.kill(process.pid)
        process.wait()
        del self.nodes[name]
        self.task_manager(2, "tm0")

    def kill_worker(self, job):
        process = next(iter(self.nodes.values()))
        self.kill((self.workers(job) or self.spares(process))[0])

    # ---- What comes of it

    def check(self, stage, victim):
        self.start()
        job = getattr(self, stage)()
        getattr(self, victim)(job)
        self.go_on()
        shown = self.until_state(job, "FINISHED", "FAILED", "CANCELED")
        if stage == "cancel_stage":
            self.assertEqual(shown["state"], "CANCELED", shown)
            self.assertEqual(self.rows_out(), [])
        else:
            self.assertEqual(shown["state"], "FINISHED", shown)
            self.assertEqual(self.rows_out(), list(range(ROWS)))
        self.until("all slots are free", lambda: all(node["used"] == 0 for node in self.ask("nodes")))

def add_cases():
    for stage in ("submit", "deploy", "run", "cancel", "finish"):
        for victim in ("job_manager", "job_master", "task_manager", "worker"):
            def case(self, stage=stage, victim=victim):
                self.check(f"{stage}_stage", f"kill_{victim}")
            setattr(Kills, f"test_{victim}_at_{stage}", case)


add_cases()

if __name__ == "__main__":
    unittest.main()
