#!/usr/bin/env python3
"""Fails when a file includes what lies above its layer, or a library that its layer must not know.

The house is serialization <- libdataflow <- actors <- tools, apps. A build that merely links in the right order does
not notice an include that goes up; this reads every #include.

    check_layers.py ROOT
    check_layers.py --self-test     that each rule can fail
"""
import pathlib
import re
import sys
import tempfile

LAYERS = ["serialization", "libdataflow", "actors", "tools", "apps"]

# What a layer's files may not include: prefixes of the path between the quotes or brackets.
FORBIDDEN = {
    "serialization": ["libdataflow/", "dataflow/", "actors/", "tools/", "apps/", "caf/"],
    "libdataflow": ["actors/", "tools/", "apps/", "caf/", "capnp/", "kj/", "spdlog/"],
    "actors": ["tools/", "apps/"],
    "tools": ["apps/"],
    # A user's job has the public headers alone.
    "apps": ["serialization/", "libdataflow/", "actors/", "tools/", "caf/", "capnp/", "kj/"],
}

# Headers reach every file that includes them; these cost seconds each and belong into .cpp files.
FORBIDDEN_IN_HEADERS = {
    "serialization": ["capnp/", "kj/", "serialization/envelope.capnp.h"],
    "libdataflow": ["simdjson.h", "absl/", "re2/", "toml++/", "toml.hpp", "nlohmann/", "rocksdb/"],
    "actors": ["caf/all.hpp", "caf/io/all.hpp"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]')


def violations(root):
    """One line for each include that breaks a rule: file, line, what and why."""
    found = []
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*")):
            if path.suffix not in (".hpp", ".cpp", ".h") or not path.is_file():
                continue
            rules = [(p, f"{layer} lies below it") for p in FORBIDDEN[layer]]
            # A header private to one folder says so by its name's place: only .cpp files of that folder include it.
            if path.suffix != ".cpp" and not is_private(path):
                rules += [(p, "too heavy for a header; include it in a .cpp file") for p in
                          FORBIDDEN_IN_HEADERS.get(layer, [])]
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                include = INCLUDE.match(line)
                if include:
                    found += [f"{path.relative_to(root)}:{number}: includes {include[1]}: {why}"
                              for prefix, why in rules if include[1].startswith(prefix)]
    return found


def is_private(path):
    """A header that says of itself `// Private to this folder` may include what its .cpp files do."""
    return "// Private to this folder" in path.read_text(encoding="utf-8")[:400]


def self_test():
    cases = [
        ("serialization/a.hpp", '#include "libdataflow/task.hpp"', True),
        ("serialization/a.cpp", "#include <caf/actor.hpp>", True),
        ("serialization/a.hpp", "#include <capnp/message.h>", True),
        ("serialization/a.cpp", "#include <capnp/message.h>", False),
        ("libdataflow/deep/a.cpp", "  #  include <caf/actor.hpp>", True),
        ("libdataflow/a.cpp", '#include "actors/subtask.hpp"', True),
        ("libdataflow/a.cpp", "#include <kj/common.h>", True),
        ("libdataflow/a.cpp", "#include <absl/container/flat_hash_map.h>", False),
        ("libdataflow/a.hpp", "#include <absl/container/flat_hash_map.h>", True),
        ("libdataflow/a.hpp", "// Private to this folder\n#include <absl/container/flat_hash_map.h>", False),
        ("libdataflow/a.cpp", '// #include "actors/subtask.hpp"', False),
        ("libdataflow/a.cpp", '#include "serialization/batch.hpp"', False),
        ("actors/a.cpp", '#include "tools/dfnode/main.hpp"', True),
        ("actors/a.hpp", "#include <caf/all.hpp>", True),
        ("actors/a.cpp", '#include "libdataflow/graph/job_graph.hpp"', False),
        ("tools/a.cpp", '#include "actors/subtask.hpp"', False),
        ("apps/a/a.cpp", '#include "serialization/batch.hpp"', True),
        ("apps/a/a.cpp", "#include <dataflow/dataflow.hpp>", False),
    ]
    wrong = []
    for name, text, breaks in cases:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text + "\n", encoding="utf-8")
            if bool(violations(root)) != breaks:
                wrong.append(f"{name} with {text!r}: should {'fail' if breaks else 'pass'}")
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        found = self_test()
    else:
        root = pathlib.Path(sys.argv[1])
        if not (root / "serialization").is_dir():
            sys.exit(f"{root} has no folder serialization/: not the project's root")
        found = violations(root)
    print("\n".join(found) or "every include goes down")
    sys.exit(1 if found else 0)


main()
