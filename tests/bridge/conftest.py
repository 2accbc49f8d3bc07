"""What the tests share: the built programs, the data, the hosts."""

import itertools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import hosts as lab
import pytest

ROOT = pathlib.Path(__file__).parents[2]
WEEK = ROOT / "examples" / "grid-week.dat"
WEEKS, SAMPLES_OF_A_WEEK, SECONDS_OF_A_WEEK = 53, 672, 7 * 24 * 3600


def pytest_report_header() -> str:
    return f"bridge lab: {os.environ['BRIDGE']}, {os.environ['LIB']}"


@pytest.fixture(scope="session")
def tool() -> pathlib.Path:
    return pathlib.Path(os.environ["LIB"]) / "villas-shm"


@pytest.fixture(scope="session")
def client() -> pathlib.Path:
    return pathlib.Path(os.environ["LIB"]) / "villas-shmem"


@pytest.fixture(scope="session")
def bridge() -> pathlib.Path:
    return pathlib.Path(os.environ["BRIDGE"])


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The week, 53 times, with timestamps and numbers that go on."""
    lines = WEEK.read_text().splitlines()
    file = tmp_path_factory.mktemp("data") / "year.dat"
    with file.open("w") as year:
        print(*(line for line in lines if line[0] == "#"), sep="\n", file=year)
        for week in range(WEEKS):
            for line in lines:
                if line[0] != "#":
                    head, values = line.split("\t", 1)
                    seconds, rest = head.split(".")
                    nanoseconds, number = rest.rstrip(")").split("(")
                    stamp = f"{int(seconds) + week * SECONDS_OF_A_WEEK}.{nanoseconds}"
                    print(f"{stamp}({int(number) + week * SAMPLES_OF_A_WEEK})\t{values}", file=year)
    return file


@pytest.fixture
def two(tmp_path: pathlib.Path) -> Iterator[tuple[lab.Host, lab.Host, lab.Link]]:
    """Hosts A (10.0.1.1) and B (10.0.1.2)."""
    with lab.hosts(tmp_path, "A", "B") as (a, b):
        yield a, b, lab.Link(a, b, 1)


WITHOUT_ZENOHD = "make bridge-mqtt builds zenohd and the MQTT plugin, and tests this"
# zenohd says so.
REACHED = "Zenoh can be reached at"
# How bridges on A and B reach the router between them.
CLIENTS = ("--mode", "client", "--connect", "tcp/10.0.1.2:7447"), ("--mode", "client", "--connect", "tcp/10.0.2.2:7447")


class Router:
    """Its command, and what it says when it can be reached."""

    def __init__(self, host: lab.Host, ready: str, *command: object) -> None:
        self.host, self.ready, self.command = host, ready, command
        self.start()

    def start(self) -> None:
        # zenohd writes its log to standard output; what is on standard error is shown after a failure.
        self.program = self.host.start("sh", "-c", 'exec "$0" "$@" >&2', *self.command)
        self.program.says(self.ready)


@pytest.fixture(scope="session")
def zenohd() -> pathlib.Path:
    """The directory that tests/zenohd.sh has filled."""
    if "ZENOHD" not in os.environ:
        pytest.skip(WITHOUT_ZENOHD)
    return pathlib.Path(os.environ["ZENOHD"])


@pytest.fixture
def three(tmp_path: pathlib.Path) -> Iterator[tuple[lab.Host, lab.Host, lab.Host]]:
    """Hosts A (10.0.1.1) and B (10.0.2.1), which reach only R (10.0.1.2 and 10.0.2.2)."""
    with lab.hosts(tmp_path, "A", "B", "R") as (a, b, r):
        lab.Link(a, r, 1)
        lab.Link(b, r, 2)
        yield a, b, r


@pytest.fixture(params=["python", "zenohd"])
def routed(request: pytest.FixtureRequest, three: tuple[lab.Host, lab.Host, lab.Host]) -> tuple[lab.Host, lab.Host, Router]:
    """The same, with a router on R: that of Zenoh's Python package, and zenohd."""
    a, b, r = three
    if request.param == "python":
        return a, b, Router(r, "ready", sys.executable, lab.HERE / "router.py", "tcp/0.0.0.0:7447")
    program = request.getfixturevalue("zenohd") / "bin" / "zenohd"
    return a, b, Router(r, REACHED, program, "--no-multicast-scouting", "--listen", "tcp/0.0.0.0:7447")


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Configurations, each with a node "grid" of 8 values, whose region has the name of the file."""
    numbers = itertools.count()

    def conf(more: str = "") -> pathlib.Path:
        file = tmp_path / f"lab-{os.getpid()}-{next(numbers)}.conf"
        file.write_text(f'nodes = {{ grid = {{ type = "shmem", name = "{file.stem}", samplelen = 8, {more} }} }}')
        return file

    return conf


class Bridge:
    """A running bridge of a node "grid"."""

    def __init__(self, host: lab.Host, conf: pathlib.Path, publish: str, subscribe: str, *options: object, **how) -> None:
        keys = "--publish", publish, "--subscribe", subscribe
        self.program = host.start(os.environ["BRIDGE"], conf, "grid", *keys, "--stats", "--json", *options, **how)

    def stats(self) -> dict:
        lines = self.program.lines
        return json.loads(lines[-1]) if lines else {}

    def dropped(self) -> int:
        """For want of room in the queue."""
        stats = self.stats()
        return stats["out"]["dropped"] if stats else 0


def block(which: str) -> str:
    """`NAME FILE`: the block of that name. tests/docs.py looks for these two words."""
    script = ROOT / "tests" / "block.sh"
    return subprocess.run([script, *which.split()], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def exchange(host: lab.Host, tool: pathlib.Path, conf: pathlib.Path, file: pathlib.Path, back: pathlib.Path) -> lab.Program:
    """The tool as a node: sends a file, writes what comes back, and ends when as much has."""
    return host.start(tool, "pipe", conf, "grid", "--linger", lab.DEADLINE, "-i", file, "-o", back)


def same(host: lab.Host, tool: pathlib.Path, one: pathlib.Path, other: pathlib.Path) -> None:
    """Bit for bit."""
    host.start(tool, "compare", "-e", "0", one, other).ends()
