"""dfnode test: the tests written in a topology."""

import json
import unittest

from dfnode import HOT_JOB, DfnodeTest

GOOD = """
[[tests]]
name = "a hot reading is flagged, a cold one is not"
given.readings = [ { date = "2010-07-01T12:00:00", temperature = 31.0 }, { temperature = 12.0 } ]
expect.hot     = [ { temperature = 31.0 } ]
"""
BAD = """
[[tests]]
name = "cold is hot"
given.readings = [ { city = "Bern", temperature = 31.0 } ]
expect.hot     = [ { temperature = 12.0 } ]
"""


class Tests(DfnodeTest):
    def test_passing_tests_exit_with_0(self):
        self.write("job.toml", HOT_JOB + GOOD)  # readings.csv does not exist: it is not read
        result = self.dfnode("test", "job.toml")
        self.assert_exit(result, 0)
        self.assertEqual(result.stdout, "ok    a hot reading is flagged, a cold one is not\n1 passed, 0 failed\n")

    def test_a_failing_test_shows_the_rows_and_exits_with_1(self):
        self.write("job.toml", HOT_JOB + GOOD + BAD)
        result = self.dfnode("test", "job.toml")
        self.assert_exit(result, 1)
        self.assertEqual(
            result.stdout,
            "ok    a hot reading is flagged, a cold one is not\n"
            "FAIL  cold is hot  (job.toml:22)\n"
            "  hot: expected 1 row, got 1\n"
            '    - {"temperature":12.0}   (expected, did not come)\n'
            '    + {"date":null,"city":"Bern","temperature":31.0}   (came, not expected)\n'
            "1 passed, 1 failed\n",
        )

    def test_a_big_test_that_fails_shows_the_first_rows_of_each_kind_and_json_has_all(self):
        given = ", ".join(f'{{ city = "c{i}", temperature = 31.0 }}' for i in range(1000))
        expected = ", ".join(f'{{ city = "d{i}" }}' for i in range(500))
        self.write("job.toml", f'{HOT_JOB}[[tests]]\nname = "big"\ngiven.readings = [ {given} ]\nexpect.hot = [ {expected} ]\n')
        result = self.dfnode("test", "job.toml")
        self.assert_exit(result, 1)
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), 2 + 2 * 21 + 1)
        self.assertEqual(lines[2], '    - {"city":"d0"}   (expected, did not come)')
        self.assertEqual(lines[22], "    - and 480 more   (expected, did not come)")
        self.assertEqual(lines[43], "    + and 980 more   (came, not expected)")
        (test,) = json.loads(self.dfnode("test", "job.toml", "--json").stdout)["tests"]
        self.assertEqual((len(test["expect"][0]["missing"]), len(test["expect"][0]["unexpected"])), (500, 1000))

    def test_one_test_can_be_chosen(self):
        self.write("job.toml", HOT_JOB + GOOD + BAD)
        self.assert_exit(self.dfnode("test", "job.toml", "--only", "flagged"), 0)
        self.assert_exit(self.dfnode("test", "job.toml", "--only", "cold is"), 1)
        self.assert_exit(self.dfnode("test", "job.toml", "--only", "no such test"), 2)

    def test_json(self):
        self.write("job.toml", HOT_JOB + GOOD + BAD)
        result = self.dfnode("test", "job.toml", "--json")
        self.assert_exit(result, 1)
        answer = json.loads(result.stdout)
        self.assertEqual([t["passed"] for t in answer["tests"]], [True, False])
        self.assertEqual(answer["tests"][1]["expect"][0]["missing"], [{"temperature": 12.0}])

    def test_an_expression_that_fails_fails_its_test(self):
        self.write("job.toml", HOT_JOB.replace("temperature > 23", "1 / (CAST(temperature AS int64) - 31) > 0") + GOOD)
        result = self.dfnode("test", "job.toml")
        self.assert_exit(result, 1)
        self.assertIn("zero", result.stdout)

    def test_a_topology_without_tests_says_so(self):
        self.write("job.toml", HOT_JOB)
        result = self.dfnode("test", "job.toml")
        self.assert_exit(result, 0)
        self.assertIn("no [[tests]]", result.stderr)

    def test_mistakes_in_tests_exit_with_2(self):
        self.write("job.toml", HOT_JOB + GOOD.replace("given.readings", "given.reading"))
        result = self.dfnode("test", "job.toml")
        self.assert_exit(result, 2)
        self.assertIn('did you mean "readings"?', result.stderr)


if __name__ == "__main__":
    unittest.main()
