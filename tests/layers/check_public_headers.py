#!/usr/bin/env python3
"""Fails when a public header drags in a library that users need not have: CAF, Cap'n Proto, RocksDB, abseil, ...

    check_public_headers.py COMPILER ROOT
"""
import pathlib
import re
import subprocess
import sys

# Folders under an include directory, or headers, that must not be among the dependencies.
BANNED = re.compile(r"/(caf|capnp|kj|rocksdb|absl|re2|toml\+\+|nlohmann|spdlog|fmt|simdjson\.h|toml\.hpp)(/|$)")


def dependencies(compiler, root, text):
    """Paths of all headers that a source file `text` includes, directly or not."""
    run = subprocess.run(
        [compiler, "-std=c++20", "-M", "-x", "c++", "-I", root, "-I", root / "libdataflow" / "include", "-"],
        input=text, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"does not compile: {text}{run.stderr}")
    return run.stdout.replace("\\\n", " ").split()[1:]


def main():
    compiler, root = sys.argv[1], pathlib.Path(sys.argv[2])
    if not any(BANNED.search(path) for path in dependencies(compiler, root, "#include <absl/base/config.h>\n")):
        sys.exit("this check is blind: it does not see abseil where it is included")
    public = root / "libdataflow" / "include"
    bad = 0
    for header in sorted(public.rglob("*.hpp")):
        for path in dependencies(compiler, root, f"#include <{header.relative_to(public)}>\n"):
            if BANNED.search(path):
                print(f"{header.relative_to(root)} drags in {path}")
                bad = 1
    sys.exit(bad)


main()
