"""The settings file: options of commands that the command line does not give."""

import json
import unittest

from dfnode import HOT_JOB, READINGS, DfnodeTest


class Settings(DfnodeTest):
    def setUp(self):
        super().setUp()
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)

    def assert_refused(self, text, *messages, command=("check", "job.toml")):
        self.write("dfnode.toml", text)
        result = self.dfnode(*command)
        self.assert_exit(result, 2)
        self.assertEqual(result.stdout, "")
        for message in messages:
            self.assertIn(message, result.stderr)

    def test_options_of_the_command_are_taken_and_those_of_others_left_alone(self):
        self.write("dfnode.toml", '[check]\nquiet = true\n[run]\nparallelism = 2\nset = ["name=\'other\'"]\n[submit]\nto = "host:1"\n')
        result = self.dfnode("check", "job.toml")
        self.assert_exit(result, 0)
        self.assertEqual(result.stdout, "")
        result = self.dfnode("run", "job.toml", "--json")
        self.assert_exit(result, 0)
        self.assertIn('"other"', result.stderr)

    def test_what_is_no_toml_is_refused(self):
        self.assert_refused("not toml at all {{{\n", "not valid TOML", "dfnode.toml:1:5")

    def test_an_option_that_does_not_exist_is_refused_with_the_nearest_that_does(self):
        self.assert_refused("[run]\nslot = 2\n", '`dfnode run` has no option "slot"', "dfnode.toml:2:1", 'did you mean "slots"?')
        self.assert_refused("[run]\nnope = 2\n", '`dfnode run` has no option "nope"', "`dfnode run --help` lists them")
        self.assert_refused("[run]\nhelp = true\n", '`dfnode run` has no option "help"')

    def test_a_command_that_does_not_exist_is_refused(self):
        self.assert_refused("[rnu]\nslots = 2\n", '"rnu" is no command of dfnode', 'did you mean "run"?')
        self.assert_refused("slots = 2\n", '"slots" is no command of dfnode', "options stand in the table of their command")
        self.assert_refused("run = 2\n", "takes a table of its options")
        self.assert_refused("[check]\nquiet = { a = 1 }\n", "an option takes a value")

    def test_all_mistakes_are_shown_before_what_follows_from_them(self):
        self.assert_refused("[list]\nt = 1\n[check]\nx = 1\n", 'no option "t"', 'no option "x"', command=("list",))

    def test_help_is_there_with_a_broken_file_too(self):
        self.write("dfnode.toml", "{{{\n")
        self.assert_exit(self.dfnode("run", "--help"), 0)

    def test_a_file_without_an_end_is_too_large(self):
        result = self.dfnode("--settings", "/dev/zero", "check", "job.toml")
        self.assert_exit(result, 2)
        self.assertIn("too large to be a settings file", result.stderr)

    def test_a_file_that_is_named_has_to_be_there(self):
        self.assert_exit(self.dfnode("--settings", "none.toml", "check", "job.toml"), 2)

    def test_a_mistake_of_the_command_line_is_json_when_that_is_wanted(self):
        for arguments in (("show", "--json"), ("nodes", "--json", "--nonsense"), ("shwo", "--json")):
            result = self.dfnode(*arguments)
            self.assert_exit(result, 2)
            self.assertEqual(json.loads(result.stderr)["code"], "invalid_argument")
        self.write("dfnode.toml", "[run]\nslot = 2\n")
        self.assertIn("no option", json.loads(self.dfnode("run", "job.toml", "--json").stderr)["error"])


if __name__ == "__main__":
    unittest.main()
