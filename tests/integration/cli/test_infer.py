"""dfnode infer: a source to paste, from data."""

import json
import tomllib
import unittest

from dfnode import READINGS, DfnodeTest


class Infer(DfnodeTest):
    def test_what_it_prints_is_a_source_that_runs(self):
        self.write("readings.csv", READINGS)
        result = self.dfnode("infer", "readings.csv")
        self.assert_exit(result, 0)
        source = tomllib.loads(result.stdout)["sources"]["data"]
        self.assertEqual(source["schema"], {"date": "timestamp", "city": "string", "temperature": "float64"})
        self.write("job.toml", result.stdout + '[sinks.out]\ntype = "print"\ninput = "data"\n')
        ran = self.dfnode("run", "job.toml", "--quiet")
        self.assert_exit(ran, 0)
        self.assertEqual([row["city"] for row in self.rows(ran)], ["Basel", "Basel", "Bern"])

    def test_names_that_need_quotes_get_them(self):
        self.write("odd.csv", "a b;c\"\n1;2\n")
        result = self.dfnode("infer", "odd.csv", "--quiet")
        if result.returncode == 0:  # the header is odd on purpose: either is fine, but TOML it must be
            tomllib.loads(result.stdout)
        self.write("spaces.csv", "a b,c\n1,2.5\n")
        result = self.dfnode("infer", "spaces.csv", "--quiet")
        self.assert_exit(result, 0)
        self.assertEqual(tomllib.loads(result.stdout)["sources"]["data"]["schema"], {"a b": "int64", "c": "float64"})

    def test_json_lines(self):
        self.write("events.jsonl", '{"id": 1, "time": "2010-01-01T00:00:00Z"}\n{"id": 2, "ok": true}\n')
        result = self.dfnode("infer", "events.jsonl", "--json")
        self.assert_exit(result, 0)
        answer = json.loads(result.stdout)
        self.assertEqual(answer["format"], "json")
        self.assertEqual(answer["schema"], {"id": "int64", "time": "timestamp", "ok": "bool"})

    def test_a_first_record_that_is_too_long_to_look_at_is_said_to_be(self):
        huge = "x" * (5 << 20)
        for name, text in (("huge.jsonl", '{"a": "' + huge + '"}\n{"a": "b"}\n'), ("huge.csv", f"a,b\n1,{huge}\n2,3\n")):
            self.write(name, text)
            result = self.dfnode("infer", name)
            self.assert_exit(result, 2)
            self.assertIn(f"{name}: the first record does not end within the first 4 MiB", result.stderr)

    def test_a_file_that_does_not_exist_exits_with_2(self):
        result = self.dfnode("infer", "nowhere.csv")
        self.assert_exit(result, 2)
        self.assertIn("nowhere.csv", result.stderr)
        as_json = self.dfnode("infer", "--json", "nowhere.csv")
        self.assert_exit(as_json, 2)
        self.assertIn("nowhere.csv", json.loads(as_json.stderr)["error"])
        self.assertEqual(as_json.stdout, "")

    def test_what_is_no_csv_and_no_json_lines_is_refused(self):
        for name, content, reason in (
            ("array.json", b'[\n  {"a": 1}\n]\n', "this is a JSON array"),
            ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "line 1 is not UTF-8"),
            ("utf16.csv", "a,b\n1,2\n".encode("utf-16-be"), "line 1 has a NUL byte"),
        ):
            self.write(name, content)
            result = self.dfnode("infer", name)
            self.assert_exit(result, 2)
            self.assertIn(f"error: {name}: {reason}", result.stderr)
            self.assertEqual(result.stdout, "")

    def test_a_field_of_mixed_values_is_proposed_as_a_string_and_read_as_one(self):
        self.write("mixed.jsonl", '{"a": "x", "t": "2010-01-01"}\n{"a": 1.50}\n{"a": true}\n{"a": [1]}\n{"a": null}\n')
        result = self.dfnode("infer", "mixed.jsonl")
        self.assert_exit(result, 0)
        self.write("job.toml", result.stdout + '[sinks.out]\ntype = "print"\ninput = "data"\n')
        ran = self.dfnode("run", "job.toml", "--quiet")
        self.assert_exit(ran, 0)
        self.assertEqual([row["a"] for row in self.rows(ran)], ["x", "1.50", "true", "[1]", None])


if __name__ == "__main__":
    unittest.main()
