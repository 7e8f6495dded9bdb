"""Running operators are spoken to across nodes, by key and all of them, while the job runs as fast as it can."""

import json
import pathlib
import unittest

from dfnode import DFNODE
from numbers_job import NumbersTest

FRAUD = pathlib.Path(DFNODE).resolve().with_name("fraud.so")
OPERATOR = ("fraud", "small_then_large")
LIMIT = '{"value": 900}'


class Speaking(NumbersTest):
    silence_seconds = "30"

    def setUp(self):
        super().setUp()
        self.cluster(nodes=2, slots=1)
        self.job = self.detach(FRAUD, "--parallelism", "2", "--", "--payments=-1")
        self.until("it runs on both nodes", lambda: len(self.nodes_of_operator()) == 2)

    def tearDown(self):
        shown = self.ask("show", self.job)
        self.assertEqual((shown["state"], shown["restarts"], shown["failures"]), ("RUNNING", 0, []))
        super().tearDown()

    def nodes_of_operator(self):
        """Its source has one split, so that one of the source's subtasks is through at once."""
        vertices = [v for v in self.ask("show", self.job).get("vertices", []) if OPERATOR[1] in v["name"]]
        return {s["node"] for v in vertices for s in v["subtasks"] if s["state"] == "RUNNING"}

    def speak(self, command, *arguments):
        return self.dfnode(command, *OPERATOR, *arguments, "--to", self.address)

    def test_a_message_reaches_the_subtasks_on_all_nodes_and_one_with_a_key_its_owner(self):
        all_of_them = self.speak("send", "set_limit", LIMIT)
        self.assert_exit(all_of_them, 0)
        self.assertEqual(json.loads(all_of_them.stdout), [{"value": 900.0}, {"value": 900.0}])
        owner = self.speak("send", "set_limit", LIMIT, "--key", '"card-7"')
        self.assertEqual(json.loads(owner.stdout), [{"value": 900.0}])
        # Keys of both nodes have a state, or none, and no error.
        for card in range(8):
            self.assert_exit(self.speak("ask", "small", "--key", f'"card-{card}"'), 0)

    def test_what_is_wrong_is_told_with_the_operators_name(self):
        refused = self.speak("send", "set_limits", LIMIT)
        self.assert_exit(refused, 2)
        self.assertIn('"small_then_large": the operator takes no message "set_limits", but "set_limit"', refused.stderr)
        unknown = self.dfnode("ask", "fraud", "small", "limit", "--to", self.address)
        self.assert_exit(unknown, 2)
        self.assertIn('no operator "small"', unknown.stderr)

    def test_an_operator_that_does_not_answer_in_time_is_an_error_with_its_name(self):
        self.stop(self.workers(self.job)[0])
        late = self.speak("send", "set_limit", LIMIT)
        self.assert_exit(late, 1)
        self.assertIn('"small_then_large" did not answer in time', late.stderr)
        self.go_on()
        self.until("it answers again", lambda: self.speak("send", "set_limit", LIMIT).returncode == 0)


if __name__ == "__main__":
    unittest.main()
