"""A message to an operator is in the checkpoints after it, and comes again to whoever starts from one before it."""

import signal
import time
import unittest

from checkpointing import JOB, committed, lines_in
from dfnode import DfnodeTest, files_below


class Messages(DfnodeTest):
    def job(self, interval):
        text = JOB.format(rate="rate_limit = 150000", folder="out",
                          checkpoint=f'[checkpoint]\ninterval = "{interval}"\n'
                                     f'storage = "file://{self.folder}/checkpoints"\n')
        return str(self.write(f"{interval}.toml", text))

    def until(self, what, condition):
        deadline = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"not in time: {what}")
            time.sleep(0.01)

    def messages(self):
        return sorted(path.name for path in files_below(self.folder / "checkpoints", "message-*"))

    def newest(self):
        names = [path.name for path in files_below(self.folder / "checkpoints", "latest-*")]
        return max((int(name.split("-")[1]) for name in names), default=0)

    def kill(self, process):
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def start_and_send(self, job):
        process = self.start("run", job, "--quiet")
        self.until("the job listens", lambda: list(self.folder.glob("dataflow/totals-*.sock")))
        # Every fiftieth record goes to this sink; from now on none that does not end in 00 either.
        self.until("the filter takes it",
                   lambda: self.dfnode("send", "totals", "small", "set", '{"where": "n % 100 = 0"}').returncode == 0)
        return process

    def odd_fifties(self):
        return [row for row in lines_in(self.folder / "out" / "rows")[0] if not row.split(":")[1].split(",")[0].
                endswith("00") and not row.startswith('{"n":0,')]

    def test_a_message_is_in_the_checkpoint_after_it(self):
        job = self.job("50ms")
        process = self.start_and_send(job)
        self.until("a checkpoint contains it", lambda: not self.messages())
        # What came before it is committed with the one after that.
        number = self.newest()
        self.until("two more are complete", lambda: self.newest() >= number + 2)
        self.kill(process)
        before = self.odd_fifties()
        last = self.dfnode("run", job, "--resume", "--quiet")
        self.assert_exit(last, 0)
        self.assertEqual(self.odd_fifties(), before)
        self.assertIn("299900", "".join(lines_in(self.folder / "out" / "rows")[0]))

    def test_a_message_that_no_checkpoint_contains_comes_again(self):
        process = self.start_and_send(self.job("1h"))
        self.assertEqual(self.messages(), ["message-0000000001"])
        self.kill(process)
        last = self.dfnode("run", self.job("50ms"), "--resume", "--quiet")
        self.assert_exit(last, 0)
        # The job began from nothing, but with the message.
        self.assertEqual(self.odd_fifties(), [])
        self.assertEqual(len(lines_in(self.folder / "out" / "rows")[0]), 3000)
        self.assertEqual(self.messages(), [])

    def test_a_message_that_the_operator_refuses_is_not_kept(self):
        process = self.start("run", self.job("1h"), "--quiet")
        self.until("the job listens", lambda: list(self.folder.glob("dataflow/totals-*.sock")))
        self.until("it runs", lambda: "nonsense" in self.dfnode("send", "totals", "small", "set",
                                                                '{"where": "nonsense"}').stderr)
        self.until("it is forgotten", lambda: not self.messages())
        self.kill(process)


if __name__ == "__main__":
    unittest.main()
