"""Installs the engine into a folder and builds a user's project against it, as a user does."""

import os
import pathlib
import subprocess

BUILD = pathlib.Path(os.environ["DFNODE"]).resolve().parent.parent


def run(command, folder, **options):
    return subprocess.run([str(c) for c in command], cwd=folder, capture_output=True, text=True, timeout=280, **options)


def install_and_build(folder):
    """Builds the project in `folder` into `folder`/build, against what it installs into `folder`/prefix. Gives dfnode there.

    Without optimisation, which would take most of the time of these tests."""
    prefix = folder / "prefix"
    flags = f"-O0 {os.environ.get('DATAFLOW_USER_FLAGS', '')}".strip()
    for command in (
        ["cmake", "--install", BUILD, "--prefix", prefix],
        ["cmake", "-S", ".", "-B", "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_FLAGS={flags}"],
        ["cmake", "--build", "build"],
    ):
        done = run(command, folder)
        if done.returncode != 0:
            raise AssertionError(f"{command}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}")
    return prefix / "bin" / "dfnode"
