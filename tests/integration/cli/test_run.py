"""dfnode run: real jobs, their output, their summary and their exit codes."""

import json
import signal
import time
import unittest

from dfnode import HOT_JOB, READINGS, SOURCE_TABLE, DfnodeTest

ENDLESS_JOB = """name = "endless"
parallelism = 1
buffer_timeout = "0s"
[sources.ticks]
type = "generate"
fields = { id = "seq()" }
rate_limit = 200
[sinks.out]
type = "print"
input = "ticks"
"""


class Run(DfnodeTest):
    def test_rows_go_to_standard_output_and_the_summary_to_standard_error(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)
        result = self.dfnode("run", "job.toml")
        self.assert_exit(result, 0)
        self.assertEqual([row["temperature"] for row in self.rows(result)], [31.0, 24.5])
        self.assertIn("hot: FINISHED", result.stderr)
        self.assertIn("readings: 3 records read", result.stderr)
        self.assertIn("alerts: 2 records written", result.stderr)

    def test_quiet_leaves_standard_error_empty(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)
        result = self.dfnode("run", "job.toml", "--quiet")
        self.assert_exit(result, 0)
        self.assertEqual(len(self.rows(result)), 2)
        self.assertEqual(result.stderr, "")

    def test_json_gives_the_summary_as_one_object(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)
        result = self.dfnode("run", "job.toml", "--json")
        self.assert_exit(result, 0)
        summary = json.loads(result.stderr)
        self.assertEqual((summary["job"], summary["state"]), ("hot", "FINISHED"))
        self.assertEqual((summary["records_read"], summary["records_written"]), (3, 2))

    def test_the_summary_counts_every_record_of_a_run_of_several_subtasks(self):
        # Longer than the interval of reports, so that an old one may come behind the last.
        self.write("job.toml", """name = "counted"
parallelism = 2
[sources.numbers]
type = "generate"
count = 61
rate_limit = 40
fields = { x = "seq()" }
[sinks.out]
type = "print"
input = "numbers"
""")
        result = self.dfnode("run", "job.toml", "--json")
        self.assert_exit(result, 0)
        summary = json.loads(result.stderr)
        self.assertEqual(len(self.rows(result)), 61)
        self.assertEqual((summary["records_read"], summary["records_written"]), (61, 61))

    def test_more_cores_than_key_groups_are_no_mistake(self):
        self.write("job.toml", "max_parallelism = 1\n" + HOT_JOB)
        self.write("readings.csv", READINGS)
        for arguments in (("run", "job.toml"), ("check", "job.toml"), ("run", "job.toml", "--slots", "3")):
            self.assert_exit(self.dfnode(*arguments), 0)

    def test_wrong_arguments_are_named(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)
        for arguments, named in (
            (("--slots", "0"), '"0" is no whole number from 1'),
            (("--slots", "many"), '"many" is no whole number from 1'),
            (("--slots", "9999999999"), '"9999999999" is no whole number from 1'),
            (("more",), 'a topology takes no arguments, and "more" is one'),
            (("--set", "sources.readings.path"), "--set KEY=VALUE"),
            (("--fast",), "--fast"),
        ):
            with self.subTest(arguments):
                result = self.dfnode("run", "job.toml", *arguments)
                self.assert_exit(result, 2)
                self.assertEqual(result.stdout, "")
                self.assertIn(named, result.stderr)
                self.assertLess(len(result.stderr), 300)

    def test_the_same_rows_come_at_any_parallelism(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)
        for slots in ("1", "3"):
            result = self.dfnode("run", "job.toml", "--slots", slots)
            self.assert_exit(result, 0)
            self.assertEqual(sorted(row["temperature"] for row in self.rows(result)), [24.5, 31.0])

    def test_a_topology_with_mistakes_is_not_run(self):
        self.write("job.toml", HOT_JOB.replace("temperature > 23", "temprature > 23"))
        self.write("readings.csv", READINGS)
        result = self.dfnode("run", "job.toml")
        self.assert_exit(result, 2)
        self.assertEqual(result.stdout, "")
        self.assertIn("job.toml:11:10", result.stderr)

    def test_an_input_that_does_not_exist_fails_and_is_named(self):
        self.write("job.toml", HOT_JOB)
        result = self.dfnode("run", "job.toml")
        self.assertIn(result.returncode, (1, 2))
        self.assertIn("readings.csv", result.stderr)

    def test_a_malformed_record_fails_the_job_and_is_named(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS + "2010-01-01T04:00:00,Basel,warm\n")
        result = self.dfnode("run", "job.toml")
        self.assert_exit(result, 1)
        self.assertIn("readings.csv", result.stderr)
        self.assertIn("warm", result.stderr)

    def test_malformed_records_are_skipped_and_counted(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS + "2010-01-01T04:00:00,Basel,warm\n")
        result = self.dfnode("run", "job.toml", "--json", "--set", "sources.readings.on_error=skip")
        self.assert_exit(result, 0)
        self.assertEqual(json.loads(result.stderr)["errors"], 1)

    def test_malformed_records_go_to_the_side_output(self):
        job = SOURCE_TABLE + 'on_error = "side_output"\n[sinks.bad]\ntype = "print"\ninput = "readings.errors"\n'
        self.write("job.toml", job + '[sinks.good]\ntype = "discard"\ninput = "readings"\n')
        self.write("readings.csv", READINGS + "2010-01-01T04:00:00,Basel,warm\n")
        result = self.dfnode("run", "job.toml", "--quiet")
        self.assert_exit(result, 0)
        (row,) = self.rows(result)
        self.assertIn("warm", row["error"])
        self.assertIn("readings.csv", row["position"])

    def test_relative_paths_start_at_the_topology(self):
        (self.folder / "sub").mkdir()
        self.write("sub/job.toml", HOT_JOB)
        self.write("sub/readings.csv", READINGS)
        result = self.dfnode("run", "sub/job.toml", "--quiet")
        self.assert_exit(result, 0)
        self.assertEqual(len(self.rows(result)), 2)

    def test_values_from_the_environment_reach_the_job_and_show_nowhere(self):
        self.write("job.toml", HOT_JOB.replace("readings.csv", "${DATA_FOLDER}/readings.csv"))
        result = self.dfnode("run", "job.toml", env={"DATA_FOLDER": "hush-hush"})
        self.assertNotEqual(result.returncode, 0)
        self.assertNotIn("hush-hush", result.stderr)
        (self.folder / "hush-hush").mkdir()
        self.write("hush-hush/readings.csv", READINGS)
        for command in (("run",), ("plan",), ("plan", "--json")):
            result = self.dfnode(command[0], "job.toml", *command[1:], env={"DATA_FOLDER": "hush-hush"})
            self.assert_exit(result, 0)
            self.assertNotIn("hush-hush", result.stdout + result.stderr)

    def test_standard_input_is_a_source(self):
        job = HOT_JOB.replace('"file"\npath   = "readings.csv"', '"stdin"')
        self.write("job.toml", job)
        result = self.dfnode("run", "job.toml", "--quiet", stdin=READINGS)
        self.assert_exit(result, 0)
        self.assertEqual(len(self.rows(result)), 2)

    def test_a_plain_log_has_no_control_characters(self):
        self.write("job.toml", HOT_JOB)
        self.write("readings.csv", READINGS)
        self.assertNotRegex(self.dfnode("run", "job.toml").stderr, r"[\x1b\r]")


class Interrupt(DfnodeTest):
    def started(self):
        self.write("job.toml", ENDLESS_JOB)
        process = self.start("run", "job.toml", "--json")
        first = process.stdout.readline()  # it runs
        self.assertEqual(json.loads(first)["id"], 0)
        return process

    def test_ctrl_c_ends_the_job_cleanly_with_130(self):
        process = self.started()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, stderr)
        ids = [json.loads(line)["id"] for line in stdout.splitlines()]
        self.assertEqual(ids, list(range(1, len(ids) + 1)))  # none lost, none cut in two
        self.assertEqual(json.loads(stderr.splitlines()[-1])["records_written"], len(ids) + 1)

    def test_an_interrupt_told_twice_is_one(self):
        # `timeout -s INT` signals its child, and then the child's group.
        process = self.started()
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(json.loads(stderr.splitlines()[-1])["state"], "FINISHED")

    def test_a_second_ctrl_c_ends_at_once(self):
        # The reader of its rows has stopped reading: the clean end cannot come.
        self.write("job.toml", ENDLESS_JOB.replace("rate_limit = 200\n", ""))
        process = self.start("run", "job.toml")
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        self.assertIn("stopping", process.stderr.readline())
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=10), 130)

    def test_a_running_job_can_be_spoken_to(self):
        process = self.started()
        result = self.dfnode("send", "endless", "out", "no_such_message", "{}")
        self.assert_exit(result, 2)
        self.assertIn("no_such_message", result.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        result = self.dfnode("ask", "endless", "out", "x", "--key", "1")
        self.assert_exit(result, 3)
        self.assertIn("endless", result.stderr)

    def test_a_job_that_was_killed_is_not_said_to_run(self):
        process = self.started()
        process.kill()
        process.wait(timeout=30)
        result = self.dfnode("ask", "other", "out", "x", "--key", "1")
        self.assert_exit(result, 3)
        self.assertNotIn("endless", result.stderr)


if __name__ == "__main__":
    unittest.main()
