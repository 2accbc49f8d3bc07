"""A PI controller in the loop with a plant behind the tool: pi_controller.py [STEPS]

The plant is a program that knows only text: it prints its speed and reads the torque, line by line.
`villas-shm pipe` makes a node of it, as it does of any such program:

    villas-shm pipe plant.conf plant  <-->  pi_controller.py plant STEPS

Both go step by step, so the result is the same on each machine, however fast it is.
"""

import os
import shutil
import subprocess
import sys
import tempfile

import villas_shm as vs

PERIOD = 0.01  # s, of simulated time


def plant(steps: int) -> None:
    """A first-order lag: inertia 0.5 kg m², friction 0.1 N m s, a load of 2 N m from half the time on."""
    speed = 0.0
    for step in range(steps):
        print(f"{step // 100}.{step % 100 * 10_000_000:09}({step})\t{speed!r}", flush=True)
        line = sys.stdin.readline()
        while line.startswith("#"):  # names of the columns
            line = sys.stdin.readline()
        torque = float(line.split("\t")[1])
        load = 2.0 if step >= steps // 2 else 0.0
        speed += PERIOD * (torque - load - 0.1 * speed) / 0.5


def node(name: str, steps: int, folder: str) -> list[subprocess.Popen[bytes]]:
    """Starts the plant and the tool, each with the other one's output as its input."""
    config = os.path.join(folder, "plant.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(
            f"""nodes = {{ plant = {{
                type = "shmem", name = "{name}", samplelen = 1
                out = {{ signals = ( {{ name = "speed", unit = "rad/s" }} ) }}
                in = {{ signals = ( {{ name = "torque", unit = "N*m" }} ) }}
            }} }}"""
        )
    torques, speeds = os.pipe(), os.pipe()
    try:
        model = subprocess.Popen([sys.executable, __file__, "plant", str(steps)], stdin=torques[0], stdout=speeds[1])
        tool = subprocess.Popen(["villas-shm", "pipe", "--linger", "0", config, "plant"], stdin=speeds[0], stdout=torques[1])
    finally:
        for end in torques + speeds:
            os.close(end)
    return [model, tool]


def control(name: str, target: float, proportional: float = 2.0, integral: float = 4.0) -> list[float]:
    """Follows the target until the plant ends; the speeds."""
    speeds, total = [], 0.0
    with vs.open(name, timeout=10) as channel:
        for sample in channel:
            speeds.append(sample["speed"])
            error = target - speeds[-1]
            total += PERIOD * error
            channel.write({"torque": proportional * error + integral * total}, sequence=sample.sequence)
    return speeds


def main() -> None:
    if sys.argv[1:2] == ["plant"]:
        return plant(int(sys.argv[2]))
    if not shutil.which("villas-shm"):
        sys.exit("villas-shm is not in PATH: make install, or PATH=target/release:$PATH after make build")
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    name = f"pi-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        processes = node(name, steps, folder)
        speeds = control(name, target=10.0)
        for process in processes:
            if process.wait() != 0:
                sys.exit("the plant or the tool did not end well")
    settled = speeds[steps // 2 - 1]
    print(f"{len(speeds)} steps: {settled:.3f} rad/s before the load, {min(speeds[steps // 2:]):.3f} at worst, {speeds[-1]:.3f} at the end")


if __name__ == "__main__":
    main()
