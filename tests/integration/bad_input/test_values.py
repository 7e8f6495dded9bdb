"""Values that an expression or an aggregate cannot take: an error, never a wrong number."""

import base64
import json
import unittest

from dfnode import DfnodeTest

# The first record overflows a + b, the third divides by zero in a / (b - 1); both do in one or the other.
ROWS = [(9223372036854775807, 1), (10, 5), (3, 1)]
SOURCE = (
    '[sources.r]\ntype = "collection"\nschema = { a = "int64", b = "int64", t = "timestamp" }\nevent_time = { field = "t" }\n'
    "rows = ["
    + ", ".join(f'{{ a = {a}, b = {b}, t = "2010-01-01T00:00:0{i}" }}' for i, (a, b) in enumerate(ROWS))
    + "]\n"
)
OPERATORS = {
    "filter": ('type = "filter"\nwhere = "a / (b - 1) > 1 AND a + b > 1"', ['"p"']),
    "select": ('type = "select"\nfields = { sum = "a + b", ratio = "a / (b - 1)" }', ['"p"']),
    "route": ('type = "route"\nroutes = { big = "a / (b - 1) > 1", low = "a + b < 0" }', ['"p.big"', '"p.low"', '"p.default"']),
}
WINDOWS = (
    '{ tumbling = "1h" }',
    '{ sliding = "1h", every = "30m" }',
    '{ cumulate = "1h", every = "30m" }',
    '{ session = "1h" }',
    "{ count = 3 }",
    "{ global = true }",
    '{ tumbling = "1h", time = "processing" }',
)


class Expressions(DfnodeTest):
    def run_job(self, kind, on_error):
        settings, inputs = OPERATORS[kind]
        text = SOURCE + f'[operators.p]\ninput = "r"\non_error = "{on_error}"\n{settings}\n'
        text += f'[sinks.out]\ntype = "print"\ninput = [{", ".join(inputs)}]\n'
        if on_error == "side_output":
            text += f'[sinks.bad]\ntype = "file"\npath = "{kind}-bad"\ninput = "p.errors"\n'
        self.write("job.toml", text)
        return self.dfnode("run", "job.toml", "--json", "--slots", "1")

    def test_a_failed_expression_fails_the_job_at_once_and_names_the_record(self):
        for kind in OPERATORS:
            with self.subTest(kind):
                result = self.run_job(kind, "fail")
                self.assert_exit(result, 1)
                self.assertEqual(result.stdout, "")
                summary = json.loads(result.stderr)
                self.assertEqual(summary["restarts"], 0)
                self.assertRegex(summary["error"], r'"p", before row 4: (division by zero|.* is beyond int64)')
                self.assertIn('in record {"a":9223372036854775807,"b":1', summary["error"])

    def test_a_failed_record_is_skipped_and_counted(self):
        for kind in OPERATORS:
            with self.subTest(kind):
                result = self.run_job(kind, "skip")
                self.assert_exit(result, 0)
                self.assertEqual(len(self.rows(result)), 1)
                self.assertEqual(json.loads(result.stderr)["errors"], 2)

    def test_a_failed_record_goes_to_the_side_output_whole(self):
        for kind in OPERATORS:
            with self.subTest(kind):
                result = self.run_job(kind, "side_output")
                self.assert_exit(result, 0)
                self.assertEqual(len(self.rows(result)), 1)
                (part,) = (self.folder / f"{kind}-bad").glob("part-*")
                errors = [json.loads(line) for line in part.read_text().splitlines()]
                self.assertEqual([json.loads(base64.b64decode(e["raw"]))["a"] for e in errors], [ROWS[0][0], ROWS[2][0]])
                self.assertTrue(all("division by zero" in e["error"] or "int64" in e["error"] for e in errors), errors)


class Windows(DfnodeTest):
    def run_window(self, window, aggregate, more=""):
        text = SOURCE + f'[operators.w]\ntype = "window"\ninput = "r"\nwindow = {window}\naggregate = {{ v = "{aggregate}" }}\n' + more
        self.write("job.toml", text + '[sinks.out]\ntype = "print"\ninput = "w"\n')
        return self.dfnode("run", "job.toml", "--json")

    def test_a_sum_beyond_its_type_fails_the_job(self):
        for window in WINDOWS:
            with self.subTest(window):
                result = self.run_window(window, "sum(a)")
                self.assert_exit(result, 1)
                self.assertEqual(result.stdout, "")
                summary = json.loads(result.stderr)
                self.assertIn("sum(a) overflows int64; cast its argument to float64", summary["error"])
                self.assertEqual(summary["restarts"], 0)

    def test_an_argument_or_a_filter_that_fails_fails_the_job(self):
        for window in WINDOWS:
            for aggregate in ("sum(a / (b - 1))", "count() FILTER (WHERE a / (b - 1) > 1)", "max(a + b)"):
                with self.subTest(window=window, aggregate=aggregate):
                    result = self.run_window(window, aggregate)
                    self.assert_exit(result, 1)
                    self.assertEqual(result.stdout, "")
                    error = json.loads(result.stderr)["error"]
                    self.assertIn('"w"', error)
                    self.assertIn(aggregate + ": ", error)
                    self.assertRegex(error, "division by zero|is beyond int64")
                    self.assertIn('in record {"a":9223372036854775807,"b":1', error)

    def test_records_that_cannot_be_aggregated_are_skipped_and_counted(self):
        for window in WINDOWS:
            with self.subTest(window):
                result = self.run_window(window, "sum(a / (b - 1))", 'on_error = "skip"\n')
                self.assert_exit(result, 0)
                self.assertEqual(self.rows(result)[-1]["v"], 2)
                self.assertEqual(json.loads(result.stderr)["errors"], 2)

    def test_records_that_cannot_be_aggregated_go_to_the_side_output_whole(self):
        bad = 'on_error = "side_output"\n[sinks.bad]\ntype = "file"\npath = "bad"\ninput = "w.errors"\n'
        result = self.run_window('{ tumbling = "1h" }', "count(a / (b - 1))", bad)
        self.assert_exit(result, 0)
        self.assertEqual([row["v"] for row in self.rows(result)], [1])
        (part,) = (self.folder / "bad").glob("part-*")
        errors = [json.loads(line) for line in part.read_text().splitlines()]
        self.assertEqual([json.loads(base64.b64decode(e["raw"]))["a"] for e in errors], [ROWS[0][0], ROWS[2][0]])
        self.assertTrue(all(e["error"].startswith("count(a / (b - 1)): division by zero") for e in errors), errors)

    def test_an_argument_that_fails_where_its_filter_drops_the_record_is_no_error(self):
        for window in WINDOWS:
            with self.subTest(window):
                result = self.run_window(window, "sum(a / (b - 1)) FILTER (WHERE b > 1)")
                self.assert_exit(result, 0)
                self.assertEqual(self.rows(result)[-1]["v"], 2)

    def test_averages_of_large_values_do_not_overflow(self):
        for window in WINDOWS:
            with self.subTest(window):
                result = self.run_window(window, "avg(a)")
                self.assert_exit(result, 0)
                self.assertAlmostEqual(self.rows(result)[-1]["v"] / (sum(a for a, _ in ROWS) / 3), 1)


if __name__ == "__main__":
    unittest.main()
