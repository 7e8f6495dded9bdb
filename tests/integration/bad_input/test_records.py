"""Records that are not what the source was told to expect: what is said, what goes on, what the exit code is."""

import base64
import gzip
import json
import subprocess
import unittest

from dfnode import DFNODE, DfnodeTest

HEADER = b"date,city,temperature\n"
GOOD = b"2010-01-01T01:00:00,Basel,4.5\n"
LAST = b"2010-01-01T02:00:00,Bern,5.5\n"
SCHEMA = '{ date = "timestamp", city = "string", temperature = "float64" }'


class RecordsTest(DfnodeTest):
    def job(self, file, on_error, schema=SCHEMA, more=""):
        kind = "json" if ".json" in file else "csv"
        text = (
            f'[sources.r]\ntype = "file"\npath = "{file}"\nformat = "{kind}"\non_error = "{on_error}"\n'
            f'schema = {schema}\n{more}\n[sinks.out]\ntype = "print"\ninput = "r"\n'
        )
        if on_error == "side_output":
            text += '[sinks.bad]\ntype = "file"\npath = "bad"\ninput = "r.errors"\n'
        self.write("job.toml", text)

    def run_job(self, file, data, on_error, *arguments, **options):
        self.write(file, data)
        self.job(file, on_error, **options)
        return self.dfnode("run", "job.toml", "--json", *arguments)

    def errors(self):
        return [json.loads(line) for part in (self.folder / "bad").glob("part-*") for line in part.read_text().splitlines()]

    def assert_every_policy(self, file, data, raw, reason, position, good, **options):
        """One bad record among `good` rows."""
        result = self.run_job(file, data, "fail", **options)
        self.assert_exit(result, 1)
        summary = json.loads(result.stderr)
        self.assertEqual((summary["state"], summary["restarts"]), ("FAILED", 0))
        for part in (f'"r"', f"{position}: ", reason, 'on_error = "skip" or "side_output"'):
            self.assertIn(part, summary["error"])

        result = self.run_job(file, data, "skip", **options)
        self.assert_exit(result, 0)
        self.assertEqual(len(self.rows(result)), good)
        summary = json.loads(result.stderr)
        self.assertEqual((summary["records_read"], summary["errors"]), (good + 1, 1))

        result = self.run_job(file, data, "side_output", **options)
        self.assert_exit(result, 0)
        self.assertEqual(len(self.rows(result)), good)
        summary = json.loads(result.stderr)
        self.assertEqual((summary["records_read"], summary["errors"]), (good + 1, 1))
        (error,) = self.errors()
        self.assertEqual(base64.b64decode(error["raw"]), raw)
        self.assertIn(reason, error["error"])
        self.assertEqual(error["position"], position)


class Csv(RecordsTest):
    def test_a_value_of_the_wrong_type(self):
        bad = b"2010-01-01T01:00:00,Basel,warm"
        data = HEADER + GOOD + bad + b"\n" + LAST
        self.assert_every_policy("r.csv", data, bad, '"warm" is not a float64', "r.csv, line 3", 2)

    def test_a_row_with_too_few_fields(self):
        bad = b"2010-01-01T01:00:00,Basel"
        data = HEADER + GOOD + bad + b"\n" + LAST
        self.assert_every_policy("r.csv", data, bad, "2 fields where the header has 3", "r.csv, line 3", 2)

    def test_a_row_with_too_many_fields(self):
        bad = b"2010-01-01T01:00:00,Basel,4.5,more"
        data = HEADER + bad + b"\n" + GOOD
        self.assert_every_policy("r.csv", data, bad, "4 fields where the header has 3", "r.csv, line 2", 1)

    def test_text_that_is_not_utf8(self):
        bad = b"2010-01-01T01:00:00,Z\xfcrich,4.5"
        data = HEADER + bad + b"\n" + GOOD
        self.assert_every_policy("r.csv", data, bad, "not valid UTF-8", "r.csv, line 2", 1)

    def test_an_integer_that_does_not_fit(self):
        self.assert_every_policy(
            "r.csv", b"n\n1\n9223372036854775808\n", b"9223372036854775808", "int64", "r.csv, line 3", 1, schema='{ n = "int64" }'
        )

    def test_a_file_that_ends_in_a_record(self):
        bad = b"2010-01-01T01:00:00,Ba"
        self.assert_every_policy("r.csv", HEADER + GOOD + bad, bad, "2 fields", "r.csv, line 3", 1)

    def test_a_file_that_ends_in_a_quote(self):
        bad = b'2010-01-01T01:00:00,"Ba'
        self.assert_every_policy("r.csv", HEADER + GOOD + bad, bad, "a quote is opened and not closed", "r.csv, line 3", 1)

    def test_text_behind_a_closing_quote(self):
        bad = b'2010-01-01T01:00:00,"Ba"x,1'
        data = HEADER + bad + b"\n" + GOOD
        self.assert_every_policy("r.csv", data, bad, "behind its closing quote", "r.csv, line 2", 1)

    def test_an_event_time_that_is_missing(self):
        data = HEADER + GOOD + b",Bern,1.0\n" + LAST
        self.write("r.csv", data)
        self.job("r.csv", "side_output", more='event_time = { field = "date" }')
        result = self.dfnode("run", "job.toml", "--quiet")
        self.assert_exit(result, 0)
        self.assertEqual(len(self.rows(result)), 2)
        (error,) = self.errors()
        self.assertEqual(base64.b64decode(error["raw"]), b",Bern,1.0")
        self.assertEqual(error["position"], "r.csv, line 3")
        self.assertIn('"date" is NULL', error["error"])

    def test_a_byte_order_mark_crlf_and_newlines_in_quotes_are_no_mistakes(self):
        data = b'\xef\xbb\xbfdate,city,temperature\r\n2010-01-01T01:00:00,"Ba\r\nsel ""1""",4.5\r\n' + LAST
        result = self.run_job("r.csv", data, "fail")
        self.assert_exit(result, 0)
        self.assertEqual([row["city"] for row in self.rows(result)], ['Ba\r\nsel "1"', "Bern"])

    def test_files_without_records_are_no_mistakes(self):
        for data in (b"", HEADER, HEADER.rstrip(), b"\xef\xbb\xbf"):
            with self.subTest(data=data):
                result = self.run_job("r.csv", data, "fail")
                self.assert_exit(result, 0)
                self.assertEqual(result.stdout, "")

    def test_a_header_that_lacks_a_column_is_a_mistake_under_every_policy_and_not_tried_again(self):
        for on_error in ("fail", "skip", "side_output"):
            result = self.run_job("r.csv", b"date,town,temperature\n" + GOOD, on_error)
            self.assert_exit(result, 1)
            summary = json.loads(result.stderr)
            self.assertEqual(summary["restarts"], 0)
            self.assertIn('r.csv: the header has no column "city"; it has: date, town, temperature', summary["error"])

    def test_a_record_of_100_mb(self):
        for name, long in (("line", b"x" * 100_000_000), ("quoted", b'"' + b"x" * 100_000_000 + b'"')):
            data = HEADER + b"2010-01-01T01:00:00," + long + b",1\n" + LAST
            with self.subTest(name):
                self.assert_too_long("r.csv", data)

    def assert_too_long(self, file, data, **options):
        result = self.run_job(file, data, "fail", **options)
        self.assert_exit(result, 1)
        self.assertIn("longer than max_record_size (67108864 bytes); raise max_record_size", result.stderr)
        result = self.run_job(file, data, "skip", **options)
        self.assert_exit(result, 0)
        self.assertEqual(len(self.rows(result)), 1)
        self.assertEqual(json.loads(result.stderr)["errors"], 1)


class Json(RecordsTest):
    SCHEMA = '{ id = "int64", name = "string" }'

    def test_lines_that_are_no_objects_of_the_schema(self):
        for bad, reason in (
            (b"id: 1", "not a JSON object"),
            (b"[1,2]", "not a JSON object"),
            (b'"text"', "not a JSON object"),
            (b"null", "not a JSON object"),
            (b'{"id":2,', "not closed on its line"),
            (b'{"id":"three"}', '"three" is not an int64'),
            (b'{"id":4.5}', '"4.5" is not an int64'),
            (b'{"id":9223372036854775808}', '"9223372036854775808" is not an int64'),
            (b'{"id":8} more', "text behind the object"),
            (b'{"id":9}{"id":10}', "text behind the object"),
            (b'{"id":1,"id":2}', '"id" is there twice'),
            (b'{"id":1,"name":"Z\xfc"}', "not valid UTF-8"),
        ):
            with self.subTest(bad):
                data = b'{"id":1}\n' + bad + b'\n{"id":3}\n'
                self.assert_every_policy("r.json", data, bad, reason, "r.json, line 2", 2, schema=self.SCHEMA)
                for part in (self.folder / "bad").iterdir():
                    part.unlink()

    def test_a_file_that_ends_in_a_record(self):
        bad = b'{"id":2,"name":"cu'
        self.assert_every_policy("r.json", b'{"id":1}\n' + bad, bad, "not close", "r.json, line 2", 1, schema=self.SCHEMA)

    def test_what_the_schema_does_not_name_is_no_mistake(self):
        data = b'\xef\xbb\xbf{"id":1,"more":[1,{"a":2}]}\r\n\r\n{"name":"x"}\n{"id":null}\n'
        result = self.run_job("r.json", data, "fail", schema=self.SCHEMA)
        self.assert_exit(result, 0)
        self.assertEqual([row["id"] for row in self.rows(result)], [1, None, None])

    def test_deep_nesting_does_not_end_the_process(self):
        deep = b"[" * 100_000 + b"]" * 100_000
        data = b'{"id":1,"more":' + deep + b'}\n{"id":2,"name":' + deep + b'}\n{"id":3,"name":' + deep[:-1] + b'}\n{"id":4}\n'
        result = self.run_job("r.json", data, "skip", schema=self.SCHEMA)
        self.assert_exit(result, 0)
        self.assertEqual([row["id"] for row in self.rows(result)][-1], 4)

    def test_a_line_of_100_mb(self):
        data = b'{"id":1,"name":"' + b"x" * 100_000_000 + b'"}\n{"id":2}\n'
        Csv.assert_too_long(self, "r.json", data, schema=self.SCHEMA)


class Compressed(RecordsTest):
    DATA = HEADER + GOOD * 20_000

    def assert_broken(self, name, data, reason):
        # A part of the file is missing: on_error is for records, and cannot make this good.
        for on_error in ("fail", "skip"):
            result = self.run_job(name, data, on_error)
            self.assert_exit(result, 1)
            summary = json.loads(result.stderr)
            self.assertIn(name + ", line ", summary["error"])
            self.assertIn(reason, summary["error"])
            self.assertEqual(summary["restarts"], 0)

    def test_gzip_that_is_cut_off(self):
        self.assert_broken("r.csv.gz", gzip.compress(self.DATA)[:-20], "the gzip data is cut off")

    def test_gzip_that_is_none(self):
        self.assert_broken("r.csv.gz", self.DATA, "the gzip data is damaged")

    def test_zstd_that_is_cut_off(self):
        whole = subprocess.run(["zstd", "-qc"], input=self.DATA, capture_output=True, check=True).stdout
        self.assert_broken("r.csv.zst", whole[:-10], "the zstd data is cut off")
        result = self.run_job("r.csv.zst", whole, "fail")
        self.assert_exit(result, 0)

    def test_zstd_that_is_none(self):
        self.assert_broken("r.csv.zst", self.DATA, "the zstd data is damaged")


class Files(RecordsTest):
    def assert_refused(self, path, reason):
        self.job(path, "skip")
        result = self.dfnode("run", "job.toml", "--json")
        self.assert_exit(result, 1)
        self.assertIn(reason, json.loads(result.stderr)["error"])

    def test_a_file_that_does_not_exist(self):
        self.assert_refused("none.csv", "none.csv does not exist; check the path")

    def test_a_pattern_that_matches_nothing(self):
        self.assert_refused("none-*.csv", "no file matches")

    def test_a_folder_without_files(self):
        (self.folder / "r.csv").mkdir()
        self.assert_refused("r.csv", "has no files")

    def test_a_file_without_permission(self):
        path = self.write("r.csv", HEADER + GOOD)
        self.job("r.csv", "skip")
        path.chmod(0)
        nobody = []
        try:
            path.read_bytes()
            self.folder.chmod(0o755)
            nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]  # root may read everything
        except PermissionError:
            pass
        result = self.program([*nobody, DFNODE, "run", "job.toml", "--json"])
        self.assert_exit(result, 1)
        self.assertIn("no permission to read", result.stderr)
        self.assertIn("r.csv; allow it with chmod", result.stderr)


if __name__ == "__main__":
    unittest.main()
