"""Runs the real dfnode for the tests in the folders beside this file, each test in a folder of its own.

Tests find this module by PYTHONPATH, and the program by DFNODE; ctest sets both.
"""

import fnmatch
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

DFNODE = os.environ["DFNODE"]
# tools/test sets it to 1 with --long, and else to 0.
LONG = os.environ.get("DATAFLOW_LONG_TESTS") == "1"
SOURCE = pathlib.Path(__file__).resolve().parents[2]

# A bounded job over three readings, the ground of most tests.
READINGS = """date,city,temperature
2010-01-01T01:00:00,Basel,4.0
2010-01-01T02:00:00,Basel,31.0
2010-01-01T03:00:00,Bern,24.5
"""
SOURCE_TABLE = """[sources.readings]
type   = "file"
path   = "readings.csv"
format = "csv"
schema = { date = "timestamp", city = "string", temperature = "float64" }
"""
HOT_JOB = (
    'name = "hot"\n'
    + SOURCE_TABLE
    + """
[operators.hot]
type  = "filter"
input = "readings"
where = "temperature > 23"

[sinks.alerts]
type  = "print"
input = "hot"
"""
)


def files_below(folder, pattern="*"):
    """The files below `folder` whose names match, while a job adds and deletes there (pathlib's rglob raises then)."""
    return sorted(
        pathlib.Path(where, name)
        for where, _, names in os.walk(folder)
        for name in fnmatch.filter(names, pattern)
    )


class DfnodeTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dfnode-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def environment(self, **variables):
        # Sockets of running jobs stay inside of the test's folder.
        return {**os.environ, "XDG_RUNTIME_DIR": str(self.folder), **variables}

    def dfnode(self, *arguments, **options):
        return self.program([DFNODE, *arguments], **options)

    def program(self, command, env=None, stdin=None, timeout=60):
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**(env or {})),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments, **options):
        process = subprocess.Popen(
            [DFNODE, *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def rows(self, result):
        return [json.loads(line) for line in result.stdout.splitlines()]

    def assert_exit(self, result, code):
        self.assertEqual(result.returncode, code, f"stdout: {result.stdout}\nstderr: {result.stderr}")
