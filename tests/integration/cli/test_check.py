"""dfnode check: all mistakes at once, each at its place; exit 2 and nothing run."""

import json
import os
import pathlib
import shutil
import unittest

from dfnode import HOT_JOB, READINGS, DfnodeTest


class Mistakes(DfnodeTest):
    """Each mistakes/NAME.toml is checked, and what is said about it is in NAME.expected.

    DATAFLOW_UPDATE_EXPECTED=1 writes what dfnode says now; look at the difference before committing it.
    """

    def test_every_topology_with_mistakes_gets_the_expected_diagnostics(self):
        topologies = sorted((pathlib.Path(__file__).resolve().parent / "mistakes").glob("*.toml"))
        self.assertGreater(len(topologies), 10)
        for topology in topologies:
            with self.subTest(topology=topology.name):
                shutil.copy(topology, self.folder / topology.name)
                result = self.dfnode("check", topology.name, env={"SECRET": "hush-hush"})
                expected = topology.with_suffix(".expected")
                if os.environ.get("DATAFLOW_UPDATE_EXPECTED"):
                    expected.write_text(result.stderr)
                self.assert_exit(result, 2)
                self.assertEqual(result.stdout, "")
                self.assertEqual(result.stderr, expected.read_text())
                self.assertNotIn("hush-hush", result.stderr)


class Check(DfnodeTest):
    def test_a_good_topology_is_ok(self):
        self.write("job.toml", HOT_JOB)
        result = self.dfnode("check", "job.toml")
        self.assert_exit(result, 0)
        self.assertEqual(result.stdout, "job.toml: ok (3 nodes)\n")
        self.assertEqual(result.stderr, "")

    def test_a_topology_may_come_through_a_pipe(self):
        result = self.dfnode("check", "/dev/stdin", stdin=HOT_JOB)
        self.assert_exit(result, 0)
        self.assertEqual(result.stdout, "/dev/stdin: ok (3 nodes)\n")

    def test_files_that_cannot_be_read_or_have_no_end_are_mistakes(self):
        for file, message in (
            ("/proc/self/mem", "cannot read the topology file: Input/output error"),
            ("/dev/zero", "too large to be a topology file"),
            ("none.toml", "cannot read the topology file: No such file or directory"),
            (".", "this is a folder, not a topology file"),
        ):
            with self.subTest(file):
                result = self.dfnode("check", file)
                self.assert_exit(result, 2)
                self.assertIn(f"error: {message}\n  --> {file}\n", result.stderr)

    def test_an_empty_name_of_a_file_is_said_to_be_one(self):
        result = self.dfnode("check", "")
        self.assert_exit(result, 2)
        self.assertTrue(result.stderr.startswith("dfnode: FILE: it is empty\n"), result.stderr)

    def test_a_timeout_that_is_none_is_refused_in_words(self):
        for seconds in ("-1", "0", "nan", "1e300", "ten"):
            result = self.dfnode("ask", "job", "op", "state", f"--timeout={seconds}")
            self.assert_exit(result, 2)
            self.assertIn(f'--timeout: "{seconds}" is no number of seconds, more than 0 and at most 1000000000\n', result.stderr)

    def test_a_key_of_thousands_of_parts_is_a_mistake(self):
        self.write("job.toml", HOT_JOB)
        deep = "a." * 20_000 + "a=1"
        self.write("deep.toml", deep)
        for arguments in (("deep.toml",), ("job.toml", "--set", deep)):
            result = self.dfnode("check", *arguments)
            self.assert_exit(result, 2)
            self.assertIn("error: a key of more than 64 parts\n", result.stderr)

    def test_quiet_says_nothing_about_a_good_topology(self):
        self.write("job.toml", HOT_JOB)
        result = self.dfnode("check", "job.toml", "--quiet")
        self.assert_exit(result, 0)
        self.assertEqual(result.stdout + result.stderr, "")

    def test_json_has_the_places(self):
        self.write("job.toml", HOT_JOB.replace("temperature > 23", "temprature > 23"))
        result = self.dfnode("check", "job.toml", "--json")
        self.assert_exit(result, 2)
        answer = json.loads(result.stdout)
        self.assertFalse(answer["ok"])
        (mistake,) = answer["diagnostics"]
        self.assertEqual((mistake["file"], mistake["line"], mistake["column"], mistake["length"]), ("job.toml", 11, 10, 10))
        self.assertEqual(mistake["suggestion"], 'did you mean "temperature"?')

    def test_every_command_shows_mistakes_as_the_same_json(self):
        self.write("job.toml", HOT_JOB.replace("temperature > 23", "temprature > 23"))
        checked = json.loads(self.dfnode("check", "job.toml", "--json").stdout)
        for command in (["plan", "--json"], ["plan", "--format", "json"], ["run", "--json"], ["test", "--json"]):
            result = self.dfnode(*command, "job.toml")
            self.assert_exit(result, 2)
            self.assertEqual(json.loads(result.stderr), checked)
            self.assertEqual(result.stdout, "")
        # What only shows when the job starts.
        self.write("job.toml", HOT_JOB)
        answer = json.loads(self.dfnode("run", "--from", "nowhere", "--json", "job.toml").stderr)
        self.assertFalse(answer["ok"])
        self.assertIn("nothing to go on from", answer["diagnostics"][0]["message"])

    def test_warnings_as_json_say_that_the_job_is_fine(self):
        self.write("job.toml", HOT_JOB.replace('input = "hot"', 'input = "readings"'))
        answer = json.loads(self.dfnode("plan", "--json", "job.toml").stderr)
        self.assertTrue(answer["ok"])
        self.assertEqual([one["severity"] for one in answer["diagnostics"]], ["warning"])

    def test_a_library_that_is_missing_is_marked_where_it_is_named(self):
        process = '[operators.p]\ntype = "process"\ninput = "readings"\nlibrary = "nowhere.so"\nfunction = "enrich"\n'
        self.write("job.toml", HOT_JOB + process + '[sinks.o]\ntype = "print"\ninput = "p"\n')
        result = self.dfnode("check", "job.toml", "--json")
        self.assert_exit(result, 2)
        (mistake,) = json.loads(result.stdout)["diagnostics"]
        self.assertIn("nowhere.so: no such file", mistake["message"])
        line = (self.folder / "job.toml").read_text().splitlines()[mistake["line"] - 1]
        self.assertEqual(line, 'library = "nowhere.so"')

    def test_a_warning_is_no_error(self):
        self.write("job.toml", HOT_JOB.replace("[sinks.alerts]", "[sinks.alerts]\nparallelism = 1\n").replace('input = "hot"', 'input = "readings"'))
        result = self.dfnode("check", "job.toml")
        self.assert_exit(result, 0)
        self.assertIn('warning: "hot" reaches no sink', result.stderr)

    def test_a_missing_file_and_a_folder_are_refused(self):
        for name, reason in (("nowhere.toml", "No such file"), (".", "folder")):
            result = self.dfnode("check", name)
            self.assert_exit(result, 2)
            self.assertIn(reason, result.stderr)

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_a_file_without_permission_is_refused(self):
        self.write("job.toml", HOT_JOB).chmod(0)
        result = self.dfnode("check", "job.toml")
        self.assert_exit(result, 2)
        self.assertIn("Permission denied", result.stderr)

    def test_set_changes_one_key(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)
        self.assert_exit(self.dfnode("check", "job.toml", "--set", "operators.hot.where=temperature > 30"), 0)
        result = self.dfnode("check", "--set", 'operators.hot.where="temprature > 30"', "job.toml")
        self.assert_exit(result, 2)
        self.assertIn("--set:1:22", result.stderr)
        self.assertIn('did you mean "temperature"?', result.stderr)

    def test_a_parallelism_beyond_the_key_groups_is_refused(self):
        self.write("job.toml", HOT_JOB.replace("[operators.hot]", "[operators.hot]\nparallelism = 500"))
        result = self.dfnode("check", "job.toml")
        self.assert_exit(result, 2)
        self.assertIn('error: "parallelism" must be from 1 to 128 (max_parallelism)\n --> job.toml:9:15\n', result.stderr)


class CommandLine(DfnodeTest):
    def test_mistakes_on_the_command_line_exit_with_2(self):
        for arguments in (["chek", "x.toml"], [], ["check"], ["check", "a", "--no-such-option"], ["plan", "a", "--format", "png"]):
            with self.subTest(arguments=arguments):
                result = self.dfnode(*arguments)
                self.assert_exit(result, 2)
                self.assertIn("dfnode", result.stderr)
        self.assertIn('did you mean "check"?', self.dfnode("chek").stderr)

    def test_every_command_has_help_with_an_example(self):
        overview = self.dfnode("--help")
        self.assert_exit(overview, 0)
        for command in ("run", "check", "plan", "test", "infer", "docs", "send", "ask", "completion"):
            self.assertIn(f"  {command} ", overview.stdout)
            result = self.dfnode(command, "--help")
            self.assert_exit(result, 0)
            self.assertIn("Example", result.stdout)

    def test_version(self):
        self.assertRegex(self.dfnode("--version").stdout, r"^dfnode \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main()
