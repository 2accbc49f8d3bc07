"""What the tests share: regions with names of their own, child processes, deadlines."""

import itertools
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import villas_shm as vs

DEADLINE = 20.0
_numbers = itertools.count()


def eventually(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Waits for a condition, with a deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true within {DEADLINE:.0f} s"
        time.sleep(0.002)


@pytest.fixture
def name() -> Iterator[str]:
    """A region's name that nobody else uses; removed at the end."""
    name = f"py-{os.getpid()}-{next(_numbers)}"
    yield name
    try:
        vs.unlink(name)
    except vs.NotFoundError:
        pass


@pytest.fixture
def pair(name: str) -> Iterator[tuple[vs.Channel, vs.Channel]]:
    """A node and its program, with room for 8 values and 16 samples."""
    with vs.create(name, samplelen=8, queuelen=16, spare=16) as node, vs.open(name, 0) as program:
        yield node, program


class Child:
    """Another Python, which runs some lines of code and speaks by lines."""

    def __init__(self, code: str, *arguments: str) -> None:
        head = "import os, signal, sys, villas_shm as vs\nsay = lambda *words: print(*words, flush=True)\n"
        # A shell starts what runs in its background with SIGINT ignored.
        head += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", head + code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            pytest.fail(f"the child ended: {self.process.communicate(timeout=DEADLINE)}")
        return line

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def sleeps(self) -> bool:
        """Whether its main thread sleeps in the kernel."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "S"

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts children, and stops those that are left."""
    started: list[Child] = []

    def start(code: str, *arguments: str) -> Child:
        started.append(Child(code, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def built() -> pathlib.Path:
    """Where the tool and the C client are."""
    default = pathlib.Path(__file__).parents[3] / "target" / "release"
    folder = pathlib.Path(os.environ.get("VILLAS_SHM_LIB", default))
    if not (folder / "villas-shm").exists() or not (folder / "villas-shmem").exists():
        pytest.skip(f"skipped: no villas-shm and villas-shmem in {folder}: make build")
    return folder
