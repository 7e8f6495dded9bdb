#!/usr/bin/env python3
"""Runs the commands that a page shows and compares what they print with what it shows.

    check_page.py ROOT BUILD PAGE
    check_page.py --self-test

In a block fenced as ```console, a line that starts with `$ ` is a command (a backslash at its end continues it), and
what follows is its output, standard error included; a line `...` there stands for any number of lines. A command must
succeed, unless the next one is `echo $?`. A block fenced as ```toml NAME (or any other language) is written to the
file NAME first, so that a page can say "save this as". Every page runs in a folder of its own, where the repository's
folders are found under their names and build/release is the build under test.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(\S*)[ \t]*(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "@@ end of command"


def commands_of(block):
    """[(command, expected lines)] of a console block."""
    found = []
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command = command[:-1] + next(lines, "")
            found.append((command, []))
        elif found:
            found[-1][1].append(line)
    return found


def matches(expected, actual):
    """Whether `actual` lines are as `expected`, in which `...` stands for any number of lines."""
    if not expected:
        return not actual
    if expected[0].strip() == "...":
        return any(matches(expected[1:], actual[i:]) for i in range(len(actual) + 1))
    return bool(actual) and expected[0].rstrip() == actual[0].rstrip() and matches(expected[1:], actual[1:])


def run_block(block, folder):
    """What is wrong with a console block run in `folder`, as lines for a person; empty when nothing is."""
    commands = commands_of(block)
    # One shell for the block, so that variables and $? go on from command to command.
    script = "".join(f"{command}\n__s=$?; echo '{MARK}' $__s; (exit $__s)\n" for command, _ in commands)
    run = subprocess.run(["bash", "-c", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         stdin=subprocess.DEVNULL, text=True, errors="replace")
    lines = iter(run.stdout.splitlines())
    wrong = []
    for i, (command, expected) in enumerate(commands):
        actual, status = [], None
        for line in lines:
            before, mark, after = line.partition(MARK)
            if mark:
                actual += [before] if before else []
                status = int(after)
                break
            actual.append(line)
        status_is_shown = i + 1 < len(commands) and commands[i + 1][0].strip() == "echo $?"
        if status != 0 and not status_is_shown:
            wrong.append(f"$ {command}\nends with {status}")
        while expected and not expected[-1].strip():
            expected = expected[:-1]
        while actual and not actual[-1].strip():
            actual = actual[:-1]
        if not matches(expected, actual):
            shown = "\n".join(expected)
            wrong.append(f"$ {command}\nthe page shows:\n{shown}\nit prints:\n" + "\n".join(actual[:80]))
    return wrong


def check_page(text, folder):
    wrong = []
    for language, name, block in FENCE.findall(text):
        if language == "console":
            wrong += run_block(block, folder)
        elif name:
            (folder / name).write_text(block, encoding="utf-8")
    return wrong


def lay_out(folder, root, build):
    """Names in `folder` for everything in the repository, with `build` as build/release."""
    for entry in root.iterdir():
        if entry.name not in ("build", ".git"):
            (folder / entry.name).symlink_to(entry)
    (folder / "build").mkdir()
    (folder / "build" / "release").symlink_to(build)


def self_test():
    cases = [
        ("```console\n$ echo a; echo b\na\nb\n```\n", True),
        ("```console\n$ echo a; echo b\na\n```\n", False),
        ("```console\n$ seq 9\n1\n...\n9\n```\n", True),
        ("```console\n$ seq 9\n1\n...\n8\n```\n", False),
        ("```console\n$ false\n```\n", False),
        ("```console\n$ (exit 2)\n$ echo $?\n2\n```\n", True),
        ("```console\n$ (exit 2)\n$ echo $?\n1\n```\n", False),
        ("```console\n$ echo one \\\n  two\none two\n```\n", True),
        ("```toml part.toml\na = 1\n```\ntext\n```console\n$ cat part.toml\na = 1\n```\n", True),
        ("```sh\n$ false\n```\n", True),
    ]
    wrong = []
    for page, passes in cases:
        with tempfile.TemporaryDirectory() as folder:
            if (not check_page(page, pathlib.Path(folder))) != passes:
                wrong.append(f"should {'pass' if passes else 'fail'}: {page!r}")
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        wrong = self_test()
    else:
        root, build, page = map(pathlib.Path, sys.argv[1:])
        with tempfile.TemporaryDirectory() as folder:
            lay_out(pathlib.Path(folder), root, build)
            wrong = check_page(page.read_text(encoding="utf-8"), pathlib.Path(folder))
    print("\n\n".join(wrong) or "as shown")
    sys.exit(1 if wrong else 0)


main()
