"""dfnode plan, docs and completion."""

import difflib
import json
import re
import shutil
import subprocess
import tomllib
import unittest

from dfnode import HOT_JOB, SOURCE, DfnodeTest


class Plan(DfnodeTest):
    def test_text_shows_tasks_exchanges_and_schemas(self):
        self.write("job.toml", HOT_JOB)
        result = self.dfnode("plan", "job.toml", "--parallelism", "2")
        self.assert_exit(result, 0)
        self.assertIn("task 1, parallelism 2: readings -> hot -> alerts", result.stdout)
        self.assertIn("temperature > 23", result.stdout)
        self.assertIn("{ date timestamp, city string, temperature float64 }", result.stdout)

    def test_every_format_says_where_rows_are_taken_back(self):
        self.write("job.toml", HOT_JOB.replace("[sinks.alerts]", """[operators.hottest]
type     = "top"
input    = "readings"
key_by   = "city"
order_by = ["temperature DESC"]
limit    = 1

[sinks.best]
type  = "print"
input = "hottest"

[sinks.alerts]"""))
        plan = {name: self.dfnode("plan", "job.toml", "--format", name, "--parallelism", "2").stdout
                for name in ("text", "json", "mermaid", "dot")}
        self.assertEqual(re.findall(r"gives .*}(?:, (\w+))?", plan["text"]), ["", "", "retract"])
        nodes = json.loads(plan["json"])["nodes"]
        self.assertEqual({node["name"]: node["outputs"][0]["changelog"] for node in nodes if node["outputs"]},
                         {"readings": "append-only", "hot": "append-only", "hottest": "retract"})
        self.assertEqual(re.findall(r"(n\d) -->(.*) (n\d)", plan["mermaid"]),
                         [("n0", "", "n1"), ("n0", '|"hash(city)"|', "n2"), ("n2", '|"retract"|', "n3"), ("n1", "", "n4")])
        self.assertIn('n2 -> n3 [label="retract"];', plan["dot"])

    def test_json_is_json(self):
        self.write("job.toml", HOT_JOB)
        plan = json.loads(self.dfnode("plan", "job.toml", "--format", "json", "--parallelism", "2").stdout)
        self.assertEqual([node["name"] for node in plan["nodes"]], ["readings", "hot", "alerts"])
        self.assertEqual(plan["nodes"][1]["inputs"][0]["from"], "readings")
        self.assertEqual(plan["tasks"][0]["parallelism"], 2)

    def test_mermaid_and_dot_have_every_node_and_edge(self):
        self.write("job.toml", HOT_JOB)
        mermaid = self.dfnode("plan", "job.toml", "--format", "mermaid").stdout
        self.assertTrue(mermaid.startswith("flowchart LR\n"))
        self.assertIn("n0 --> n1", mermaid)
        dot = self.dfnode("plan", "job.toml", "--format", "dot").stdout
        self.assertIn("n1 -> n2;", dot)
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tsvg"], input=dot, text=True, check=True, capture_output=True)


class Docs(DfnodeTest):
    def types(self):
        return json.loads(self.dfnode("docs", "--json").stdout)["types"]

    def test_every_type_is_listed_and_explained(self):
        overview = self.dfnode("docs").stdout
        for node_type in self.types():
            self.assertIn(f"  {node_type['name']} ", overview)
            page = self.dfnode("docs", node_type["name"])
            self.assert_exit(page, 0)
            for option in node_type["options"]:
                self.assertIn(option["name"], page.stdout)

    def test_every_example_is_toml_of_its_type(self):
        for node_type in self.types():
            with self.subTest(type=node_type["name"]):
                section = tomllib.loads(node_type["example"])[node_type["section"]]
                (node,) = section.values()
                self.assertEqual(node["type"], node_type["name"])
                known = {option["name"] for option in node_type["options"]}
                for option in node_type["options"]:
                    if option.get("required"):
                        self.assertIn(option["name"], node)
                    if option.get("example"):
                        tomllib.loads(f"x = {option['example']}")
                common = {"type", "input", "parallelism", "uid", "schema", "event_time", "on_error", "rate_limit"}
                if node_type["name"] != "process":
                    self.assertLessEqual(set(node), known | common)

    def test_a_part_of_the_page_is_what_the_page_says(self):
        page = self.dfnode("docs", "--markdown").stdout
        for name in ("window", "substring", "job", "functions"):
            part = self.dfnode("docs", name, "--markdown")
            self.assert_exit(part, 0)
            self.assertIn(name if name not in ("job", "functions") else "|", part.stdout)
            for line in part.stdout.splitlines():
                self.assertIn(line, page)
            self.assertLess(len(part.stdout), len(page) / 2)
        self.assert_exit(self.dfnode("docs", "windw", "--markdown"), 2)

    def test_a_part_of_the_json_is_what_the_whole_says(self):
        whole = json.loads(self.dfnode("docs", "--json").stdout)
        window = json.loads(self.dfnode("docs", "window", "--json").stdout)
        self.assertEqual(window["types"], [one for one in whole["types"] if one["name"] == "window"])
        self.assertEqual(window["common"], {"operators": whole["common"]["operators"]})
        files = json.loads(self.dfnode("docs", "file", "--json").stdout)
        self.assertEqual([one["section"] for one in files["types"]], ["sources", "sinks"])
        self.assertEqual(json.loads(self.dfnode("docs", "job", "--json").stdout), {"job": whole["job"]})
        self.assertEqual(json.loads(self.dfnode("docs", "functions", "--json").stdout), {"functions": whole["functions"]})
        (substring,) = json.loads(self.dfnode("docs", "substring", "--json").stdout)["functions"]
        self.assertIn(substring, whole["functions"])
        self.assert_exit(self.dfnode("docs", "windw", "--json"), 2)

    def test_the_json_schema_takes_the_types_of_fields_that_check_takes(self):
        schema = json.loads(self.dfnode("docs", "--json-schema").stdout)
        sources = schema["properties"]["sources"]["additionalProperties"]["allOf"]
        (source,) = [one["then"] for one in sources if one["then"]["title"] == "file"]
        pattern = source["properties"]["schema"]["additionalProperties"]["pattern"]
        for name in (
            *("bool", "int32", "int64", "float64", "string", "bytes", "timestamp", "timestamp_s", "timestamp_ms"),
            *("timestamp_us", "decimal(5,2)", "decimal(5)", " decimal ( 5 , 2 ) ", " int32 ", "INT32", "Timestamp_ms"),
            *("timestamp_s ", "decimal", "int", "int322", "array<string>", ""),
        ):
            with self.subTest(type=name):
                self.write("job.toml", HOT_JOB.replace('city = "string"', f'city = "{name}"'))
                good = self.dfnode("check", "job.toml").returncode == 0
                self.assertEqual(re.search(pattern, name) is not None, good)
        self.assertTrue(re.search(pattern, "${TYPE}"))

    def test_functions_are_explained(self):
        self.assertIn("substring", self.dfnode("docs", "functions").stdout)
        self.assert_exit(self.dfnode("docs", "substring"), 0)
        unknown = self.dfnode("docs", "substrin")
        self.assert_exit(unknown, 2)
        self.assertIn('did you mean "substring"?', unknown.stderr)

    def test_the_json_schema_knows_every_type(self):
        schema = json.loads(self.dfnode("docs", "--json-schema").stdout)
        self.assertEqual(schema["$schema"], "http://json-schema.org/draft-07/schema#")
        for node_type in self.types():
            nodes = schema["properties"][node_type["section"]]["additionalProperties"]
            self.assertIn(node_type["name"], nodes["properties"]["type"]["enum"])

    def test_the_reference_page_is_up_to_date(self):
        page = (SOURCE / "docs" / "topology.md").read_text().splitlines()
        current = self.dfnode("docs", "--markdown").stdout.splitlines()
        difference = "\n".join(difflib.unified_diff(page, current, "docs/topology.md", "declared", n=0, lineterm=""))
        self.assertEqual(difference, "", "it is old: dfnode docs --markdown > docs/topology.md")


class Completion(DfnodeTest):
    def test_the_scripts_are_what_their_shells_accept(self):
        for shell in ("bash", "zsh", "fish"):
            result = self.dfnode("completion", shell)
            self.assert_exit(result, 0)
            if shutil.which(shell):
                check = [shell, "--no-execute"] if shell == "fish" else [shell, "-n"]
                subprocess.run(check, input=result.stdout, text=True, check=True, timeout=30)

    def test_bash_completes_commands_options_and_types(self):
        script = self.dfnode("completion", "bash").stdout
        for words, expected in (("dfnode infe", "infer"), ("dfnode state ls --js", "--json"), ("dfnode run --qu", "--quiet"), ("dfnode docs sel", "select"), ("dfnode plan --format me", "mermaid")):
            typed = words.split()
            completed = subprocess.run(
                ["bash", "-c", f"{script}\nCOMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _dfnode; echo ${{COMPREPLY[@]}}"],
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual(completed.stdout.split(), [expected])


if __name__ == "__main__":
    unittest.main()
