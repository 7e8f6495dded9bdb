"""A C++ job that runs without end is spoken to from other processes while it is busy."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

DFNODE = os.environ["DFNODE"]
FRAUD = pathlib.Path(DFNODE).resolve().with_name("fraud.so")


class RunningJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="dataflow-running-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        # Sockets of running jobs stay inside of the test's folder.
        cls.environment = {**os.environ, "XDG_RUNTIME_DIR": str(cls.folder)}
        # Payments are generated without end, as fast as two subtasks take them.
        cls.job = subprocess.Popen([DFNODE, "run", FRAUD, "--quiet", "--slots", "2", "--", "--payments=-1"],
                                   env=cls.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.job.stderr.close)
        cls.addClassCleanup(cls.job.wait)
        cls.addClassCleanup(cls.job.kill)
        deadline = time.monotonic() + 60
        while cls.dfnode("ask", "fraud", "small_then_large", "small", "--key", '"card-7"').returncode != 0:
            if time.monotonic() > deadline or cls.job.poll() is not None:
                raise AssertionError("the job does not answer")

    @classmethod
    def dfnode(cls, *arguments):
        return subprocess.run([DFNODE, *arguments], env=cls.environment, capture_output=True, text=True, timeout=60)

    def speak(self, *arguments):
        done = self.dfnode(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, code, part, *arguments):
        done = self.dfnode(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(part, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertIsNone(self.job.poll(), "the job ended")

    def test_a_message_reaches_every_subtask(self):
        answers = self.speak("send", "fraud", "small_then_large", "set_limit", '{"value": 900}')
        self.assertEqual(answers, [{"value": 900.0}, {"value": 900.0}])

    def test_a_message_with_a_key_reaches_its_owner_alone(self):
        answers = self.speak("send", "fraud", "small_then_large", "set_limit", '{"value": 800}', "--key", '"card-7"')
        self.assertEqual(answers, [{"value": 800.0}])

    def test_the_state_of_a_key_is_told(self):
        # Card 7 is stolen: a fifth of its payments are small ones, so that soon one is remembered.
        deadline = time.monotonic() + 60
        small = None
        while small is None:
            self.assertLess(time.monotonic(), deadline)
            small = self.speak("ask", "fraud", "small_then_large", "small", "--key", '"card-7"')
        self.assertEqual((small["card"], small["amount"]), ("card-7", 0.25))
        self.assertIsNone(self.speak("ask", "fraud", "small_then_large", "small", "--key", '"no such card"'))

    def test_what_the_job_does_not_have_is_said_with_what_it_has(self):
        limit = '{"value": 900}'
        self.refused(3, 'no job "fruad"', "send", "fruad", "small_then_large", "set_limit", limit)
        self.refused(2, 'no operator "small"', "send", "fraud", "small", "set_limit", limit)
        self.refused(2, 'no message "limit", but "set_limit"', "send", "fraud", "small_then_large", "limit", limit)
        self.refused(2, 'no state "large", but "small"', "ask", "fraud", "small_then_large", "large", "--key", '"x"')

    def test_a_message_or_key_of_another_shape_is_refused(self):
        for json_text, part in (('{"value": "much"}', "value"), ("{", "JSON"), ('{"valeu": 1}', "valeu"),
                                ("{}", '"value" is missing: SetLimit must have it'), ('{"value": null}', "not null")):
            self.refused(2, part, "send", "fraud", "small_then_large", "set_limit", json_text)
        self.refused(2, "the key", "ask", "fraud", "small_then_large", "small", "--key", "17")
        self.refused(2, "kept for each key; say which with --key", "ask", "fraud", "small_then_large", "small")
        self.refused(2, "has no key", "send", "fraud", "payments", "x", "{}", "--key", "17")

    def test_zz_an_interrupt_ends_the_job_and_its_answers(self):
        self.job.send_signal(signal.SIGINT)
        self.assertEqual(self.job.wait(timeout=60), 130)
        done = self.dfnode("ask", "fraud", "small_then_large", "small", "--key", '"card-7"')
        self.assertEqual(done.returncode, 3)


if __name__ == "__main__":
    unittest.main()
