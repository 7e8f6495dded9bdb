"""Files that are no job, or not one of this engine: refused with the reason, and exit code 2."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

DFNODE = os.environ["DFNODE"]
COMPILER = os.environ.get("CXX", "c++")

DESCRIPTOR = """
struct Descriptor { const char* stamp; const char* name; void (*function)(void*); };
extern "C" { extern const Descriptor dataflow_job_v1; const Descriptor dataflow_job_v1{"%s", "job", nullptr}; }
"""


class WrongLibraries(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dataflow-wrong-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def compile(self, name, source):
        (self.folder / "source.cpp").write_text(source)
        subprocess.run([COMPILER, "-shared", "-fPIC", "-o", self.folder / name, self.folder / "source.cpp"], check=True)

    def refused(self, library, *parts):
        for command in ("run", "check", "plan"):
            done = subprocess.run([DFNODE, command, library], cwd=self.folder, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, (command, done.stderr))
            for part in (library, *parts):
                self.assertIn(part, done.stderr)

    def test_a_file_that_is_not_there(self):
        self.refused("nowhere.so", "no such file")

    def test_a_file_that_is_no_library(self):
        (self.folder / "text.so").write_text("no library")
        self.refused("text.so", "cannot be loaded")
        (self.folder / "empty.so").write_bytes(b"")
        self.refused("empty.so", "cannot be loaded")
        (self.folder / "folder.so").mkdir()
        self.refused("folder.so", "cannot be loaded")

    def test_a_library_that_is_cut_off(self):
        self.compile("whole.so", "int x;")
        # The tables that the loader reads first are there, what they speak of is not.
        (self.folder / "cut.so").write_bytes((self.folder / "whole.so").read_bytes()[:2000])
        self.refused("cut.so", "cannot be loaded", "cut off after 2000 bytes")

    def test_a_library_without_a_job(self):
        self.compile("jobless.so", "int x;")
        self.refused("jobless.so", "has no job", "DATAFLOW_JOB")

    def test_a_library_that_needs_what_nobody_has(self):
        self.compile("undefined.so", "void missing_function(); void f() { missing_function(); }" + DESCRIPTOR % "x")
        self.refused("undefined.so", "undefined symbol", "missing_function", "another version")

    def test_a_library_that_throws_or_crashes_while_it_is_loaded(self):
        for name, body, part in (
            ("throws.so", 'throw std::runtime_error("no licence");', "threw std::runtime_error: no licence, in a static initialiser"),
            ("crashes.so", "std::raise(SIGSEGV);", "crashed while it was being loaded: SIGSEGV"),
            ("aborts.so", "std::abort();", "crashed while it was being loaded: SIGABRT"),
            ("exits.so", "std::_Exit(7);", "ended the process while it was being loaded, with exit code 7"),
        ):
            with self.subTest(name):
                headers = "#include <csignal>\n#include <cstdlib>\n#include <stdexcept>\n"
                self.compile(name, headers + "int start() { " + body + " return 1; }\nint started = start();\n")
                self.refused(name, part)

    def test_a_job_that_crashes_while_it_is_declared(self):
        self.compile("old.so", DESCRIPTOR % "x")
        done = subprocess.run([DFNODE, "check", "old.so"], cwd=self.folder, capture_output=True, text=True, timeout=60)
        (stamp,) = [line.split(": ", 1)[1] for line in done.stderr.splitlines() if "this program: " in line]
        for name, body, signal in (
            ("segfault.so", "*reinterpret_cast<volatile int*>(8) = 1;", "SIGSEGV"),
            ("recursion.so", "volatile char room[4096]; room[0] = 1; job(nullptr); room[1] = room[0];", "SIGSEGV"),
            ("aborts.so", "__builtin_trap();", "SIGILL"),
        ):
            with self.subTest(name):
                self.compile(name, "void job(void*) { " + body + " }\n" + (DESCRIPTOR % stamp).replace("nullptr", "job"))
                self.refused(name, f"crashed while its job was being declared: {signal}")

    def test_what_a_library_prints_while_it_is_loaded_comes_once(self):
        self.compile("talks.so", '#include <cstdio>\nint started = std::puts("loaded");\n')
        done = subprocess.run([DFNODE, "plan", "talks.so"], cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (2, "loaded\n"))

    def test_a_library_of_another_version(self):
        self.compile("old.so", DESCRIPTOR % "dataflow 0.0.9, g++ 11, libstdc++ 11, cxx11 abi 1")
        self.refused("old.so", "was built for another engine", "the library: dataflow 0.0.9, g++ 11",
                     "this program: dataflow ")


if __name__ == "__main__":
    unittest.main()
