"""Hosts, links between them, and the programs that run there. A host is a namespace of the network
and of mounts: two hosts do not share /dev/shm, by which Zenoh would send too."""

import contextlib
import ctypes
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

DEADLINE = 60.0
HERE = pathlib.Path(__file__).parent


def eventually(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Waits for a condition, with a deadline."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {deadline:.0f} s"
        time.sleep(0.02)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Program:
    """A running program. What it says is in files, so that it never waits for a reader."""

    def __init__(self, command: list[str], directory: pathlib.Path, stdin: object = subprocess.DEVNULL) -> None:
        number = len(list(directory.glob("*.err")))
        words = [pathlib.Path(word).name for word in command if "/" in word and "=" not in word]
        self.name = words[0] if words else command[0]
        self.out, self.err = (directory / f"{number:03}-{self.name}.{end}" for end in ("out", "err"))
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=err, preexec_fn=_die_with_parent)

    @property
    def said(self) -> str:
        return self.err.read_text(errors="replace")

    @property
    def lines(self) -> list[str]:
        """What it has printed; without a last line that is not whole."""
        return self.out.read_text(errors="replace").split("\n")[:-1]

    def alive(self) -> bool:
        return self.process.poll() is None

    def says(self, words: str, deadline: float = DEADLINE) -> None:
        eventually(lambda: words in self.said or not self.alive(), f"{self.name} says {words!r}", deadline)
        assert words in self.said, f"{self.name} did not say {words!r}: {self.said}"

    def ends(self, deadline: float = DEADLINE) -> None:
        """It ends by itself, and well."""
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended within {deadline:.0f} s: {self.said}") from None
        assert status == 0, f"{self.name} ended with {status}: {self.said}{self.out.read_text(errors='replace')[-1000:]}"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.ends()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Host:
    """Namespaces, which live as long as the process that holds them."""

    def __init__(self, name: str, directory: pathlib.Path) -> None:
        self.name, self.directory, self.programs = name, directory, []
        self.holder = subprocess.Popen(
            ["unshare", "-n", "-m", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm && echo && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        assert self.holder.stdout is not None and self.holder.stdout.readline() == b"\n", "no namespace"
        self.run("ip", "link", "set", "lo", "up")

    def here(self, *command: object) -> list[str]:
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--", *map(str, command)]

    def run(self, *command: object) -> str:
        done = subprocess.run(self.here(*command), capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, f"on {self.name}: {command} failed: {done.stderr}"
        return done.stdout

    def start(self, *command: object, stdin: object = subprocess.DEVNULL, cwd: pathlib.Path | None = None) -> Program:
        if cwd:  # the namespace of mounts has a working directory of its own
            command = ("sh", "-c", 'cd "$0" && exec "$@"', cwd, *command)
        program = Program(self.here(*command), self.directory, stdin)
        self.programs.append(program)
        return program

    def close(self) -> None:
        namespace = os.stat(f"/proc/{self.holder.pid}/ns/net").st_ino
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            # Also what a shell has started.
            with contextlib.suppress(OSError):
                if os.stat(process / "ns/net").st_ino == namespace and process.name != str(self.holder.pid):
                    os.kill(int(process.name), signal.SIGKILL)
        for program in self.programs:
            program.process.wait()
        assert self.holder.stdin is not None and self.holder.stdout is not None
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()


class Link:
    """A cable between two hosts: 10.0.NETWORK.1 and 10.0.NETWORK.2."""

    _numbers = itertools.count()

    def __init__(self, one: Host, other: Host, network: int) -> None:
        self.one, self.other = one, other
        number = next(Link._numbers)
        self.names = f"v{number}a", f"v{number}b"
        subprocess.run(
            ["ip", "link", "add", self.names[0], "type", "veth", "peer", "name", self.names[1]], check=True, timeout=DEADLINE
        )
        for host, name, last in zip((one, other), self.names, (1, 2)):
            subprocess.run(["ip", "link", "set", name, "netns", str(host.holder.pid)], check=True, timeout=DEADLINE)
            host.run("ip", "address", "add", f"10.0.{network}.{last}/24", "dev", name)
            host.run("ip", "link", "set", name, "up")

    def set(self, state: str) -> None:
        self.one.run("ip", "link", "set", self.names[0], state)

    def worsen(self, *how: str) -> bool:
        """In both directions, by netem. False: this kernel has none."""
        return all(
            subprocess.run(host.here("tc", "qdisc", "add", "dev", name, "root", "netem", *how), capture_output=True).returncode == 0
            for host, name in zip((self.one, self.other), self.names)
        )


class LossyLink:
    """The same by lossy_link.py, which says at its end what it has dropped."""

    def __init__(self, one: Host, other: Host, delay_ms: float, loss: float, seed: int) -> None:
        self.program = Program(
            [sys.executable, str(HERE / "lossy_link.py"), *map(str, (one.holder.pid, other.holder.pid, delay_ms, loss, seed))],
            one.directory,
        )
        one.programs.append(self.program)
        self.program.says("ready")
        for host, last in ((one, 1), (other, 2)):
            host.run("ip", "address", "add", f"10.0.1.{last}/24", "dev", "lossy")
            host.run("ip", "link", "set", "lossy", "up")

    def counts(self) -> tuple[int, int]:
        """Packets forwarded and dropped; the link ends."""
        self.program.stop()
        words = self.program.lines[-1].split()
        return int(words[1]), int(words[3])


@contextlib.contextmanager
def hosts(directory: pathlib.Path, *names: str) -> Iterator[list[Host]]:
    """At the end, what the programs said is printed: pytest shows it where a test has failed."""
    made: list[Host] = []
    try:
        made.extend(Host(name, directory) for name in names)
        yield made
    finally:
        for host in made:
            host.close()
        for file in sorted(directory.glob("*.err")):
            text = file.read_text(errors="replace")
            if text:
                print(f"---- {file.name}\n{text[-3000:]}")


def without_tun() -> str | None:
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun: {error.strerror}"
    return None
