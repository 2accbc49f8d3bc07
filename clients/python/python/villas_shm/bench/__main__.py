"""Compares channels from Python with the same in C, and with what else Python has.

In one run, in turns: each contender has two processes of its own, which are stopped (SIGSTOP) except
in their slices. Figures are medians, ratios those of the slices of one round. The others send a
number and a time with each sample as well: two more values. C is measured where a
compiler and the library are: `--lib` and `--include`, or pkg-config.
"""

import argparse
import contextlib
import importlib.util
import os
import pathlib
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from .. import NotFoundError, __version__, unlink
from .contenders import BATCH, CONTENDERS, VALUES

PEER = pathlib.Path(__file__).with_name("peer.c")
NEEDS = {"pyzmq, ipc": ("zmq", "pyzmq"), "iceoryx2": ("iceoryx2", "iceoryx2")}
TITLES = {
    "stream": f"Batches of {BATCH} samples of {VALUES} values, from numpy array to numpy array",
    "trip": f"One sample of {VALUES} values there and back; channels in polling mode",
}
UNITS = {"stream": ("samples/s", BATCH / 1e6, "million"), "trip": ("µs", 1e6, "")}


def pkg_config(option: str) -> list[str]:
    tool = shutil.which("pkg-config")
    done = tool and subprocess.run([tool, option, "villas_shm"], capture_output=True, text=True)
    return done.stdout.split() if done and done.returncode == 0 else []


def compiled(folder: str, lib: str | None, include: str | None) -> list[str] | str:
    """The yardstick's command; else why there is none."""
    cc = shutil.which(os.environ.get("CC", "cc"))
    if not cc:
        return "C: no compiler (cc, or CC in the environment)"
    options = [f"-I{include}", f"-L{lib}", "-lvillas_shm"] if lib and include else pkg_config("--cflags") + pkg_config("--libs")
    if not options:
        return "C: the library is not installed (--lib and --include say where it is, else pkg-config)"
    rpath = [f"-Wl,-rpath,{option[2:]}" for option in options if option.startswith("-L")]
    program = os.path.join(folder, "peer")
    command = [cc, "-O2", "-std=c11", "-D_GNU_SOURCE", str(PEER), *options, *rpath, "-o", program]
    done = subprocess.run(command, capture_output=True, text=True)
    return [program] if done.returncode == 0 else f"C: {done.stderr.strip()}"


class Pair:
    """The two processes of a contender, in a process group of their own."""

    def __init__(self, name: str, command: list[str], what: str, has_other: bool) -> None:
        self.name = name
        self.rates: list[float] = []
        self.region = f"bench-{os.getpid()}-{what}-{abs(hash(name)) % 10**8}"
        self.group = 0
        self.processes: list[subprocess.Popen[str]] = []
        for side in ["other", "driver"] if has_other else ["driver"]:
            process = subprocess.Popen(
                [*command, what, side, self.region],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                process_group=self.group,
            )
            self.group = self.group or process.pid
            self.processes.append(process)
            if process.stdout is None or process.stdout.readline() != "ready\n":
                self.end()
                raise RuntimeError(f"{name} did not start")
        self.driver = self.processes[-1]
        os.killpg(self.group, signal.SIGSTOP)

    def measure(self, seconds: float) -> None:
        to, back = self.driver.stdin, self.driver.stdout
        assert to is not None and back is not None
        os.killpg(self.group, signal.SIGCONT)
        print(seconds, file=to, flush=True)
        if not select.select([back], [], [], seconds + 20)[0]:
            raise RuntimeError(f"{self.name} does not go on")
        self.rates.append(float(back.readline() or "nan"))
        os.killpg(self.group, signal.SIGSTOP)

    def end(self) -> None:
        # In peace, then by force: some contenders leave files behind when they are killed.
        for number in (signal.SIGCONT, signal.SIGINT):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.group, number)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        for process in self.processes:
            process.wait()
            for end in (process.stdin, process.stdout):
                if end is not None:
                    end.close()
        with contextlib.suppress(NotFoundError):
            unlink(self.region)


def pairs(what: str, c: list[str] | str, lib: str | None, missing: set[str]) -> Iterator[Pair]:
    if isinstance(c, str):
        missing.add(c)
    else:
        yield Pair("C", c, what, True)
    for name in CONTENDERS:
        module, package = NEEDS.get(name, ("villas_shm", ""))
        if importlib.util.find_spec(module) is None:
            missing.add(f"{name}: pip install {package}")
        elif name == "ctypes" and not lib:
            missing.add("ctypes: --lib says where libvillas_shm.so is")
        else:
            command = [sys.executable, "-m", "villas_shm.bench.contenders", name]
            try:
                yield Pair(name, command, what, name != "multiprocessing.Queue")
            except RuntimeError as error:
                missing.add(str(error))


def ratio(one: Pair, other: Pair) -> float:
    return statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=True))


def table(what: str, running: list[Pair]) -> None:
    unit, factor, prefix = UNITS[what]
    ours = next(pair for pair in running if pair.name == "villas_shm")
    c = next((pair for pair in running if pair.name == "C"), None)
    print(f"\n{TITLES[what]}:\n\n| | {prefix} {unit} | villas_shm beside it |\n|---|--:|--:|")
    for pair in running:
        rate = statistics.median(pair.rates)
        figure = rate * factor if what == "stream" else factor / rate
        beside = "" if pair is ours else f"{ratio(ours, pair):.2f} × as fast"
        print(f"| {pair.name} | {figure:.3g} | {beside} |")
    if c:
        reached = ratio(ours, c)
        goal = f"{reached:.2f} × C's rate; goal 0.5" if what == "stream" else f"{1 / reached:.1f} × C's time; goal 6"
        print(f"\n{goal}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m villas_shm.bench", description=__doc__)
    parser.add_argument("--lib", help="the folder of libvillas_shm.so")
    parser.add_argument("--include", help="the folder of villas/shmem.h")
    parser.add_argument("--rounds", type=int, default=15, help="slices of each contender (15)")
    parser.add_argument("--slice", type=float, default=0.2, help="seconds of a slice (0.2)")
    options = parser.parse_args()
    lib = options.lib and os.path.abspath(options.lib)
    if lib:
        os.environ["VILLAS_SHM_BENCH_LIB"] = lib
    missing: set[str] = set()
    cpus, version = len(os.sched_getaffinity(0)), sys.version.split()[0]
    print(f"villas_shm {__version__}, Python {version}, {cpus} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        c = compiled(folder, lib, options.include)
        for what in TITLES:
            running: list[Pair] = []
            try:
                running.extend(pairs(what, c, lib, missing))
                for _ in range(options.rounds + 1):
                    for pair in running:
                        pair.measure(options.slice)
                for pair in running:
                    del pair.rates[0]  # warms up
                table(what, running)
            finally:
                for pair in running:
                    pair.end()
    region = f"bench-{os.getpid()}-idle"
    try:
        command = [sys.executable, "-m", "villas_shm.bench.contenders", "idle", "idle", "driver", region]
        used = float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        print(f"\nAn asyncio reader to which nothing comes: {100 * used:.2f} % of a processor; goal 0.5 %")
    finally:
        with contextlib.suppress(NotFoundError):
            unlink(region)
    for what in sorted(missing):
        print(f"\nNot measured: {what}")


if __name__ == "__main__":
    main()
