"""The stubs, by mypy, and what they promise, by the module."""

import pathlib
import subprocess
import sys

import pytest
import villas_shm as vs

pytest.importorskip("mypy")
HERE = pathlib.Path(__file__).parent


def mypy(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_passes_mypy():
    mypy("mypy", "--strict", "--no-incremental", "typed_program.py")


def test_the_package_passes_mypy():
    mypy("mypy", "--strict", "--no-incremental", "-p", "villas_shm")


def test_the_stubs_say_what_the_module_has():
    # Before Python 3.12, classes do not show their buffer protocol, of which mypy must know.
    mypy("mypy.stubtest", "villas_shm", "--concise", "--allowlist", "stubtest.txt", "--ignore-unused-allowlist")


def test_everything_is_documented():
    public = [getattr(vs, name) for name in vs.__all__ if not name.startswith("__")]
    members = [member for one in public if isinstance(one, type) for name, member in vars(one).items() if name[0] != "_"]
    methods = [member for member in members if callable(member) or isinstance(member, property)]
    assert not [one for one in public + methods if not getattr(one, "__doc__", None)]
