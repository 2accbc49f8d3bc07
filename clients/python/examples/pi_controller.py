"""A PI controller in the loop with a plant in another process: pi_controller.py [STEPS]

The plant is the node: a first-order lag, which sends its speed and waits for the torque. Both go
step by step, so the result is the same on each machine, however fast it is.
"""

import multiprocessing
import os
import sys

import villas_shm as vs

PERIOD = 0.01  # s, of simulated time
SPEED, TORQUE = [("speed", "rad/s")], [("torque", "N*m")]


def plant(name: str, steps: int) -> None:
    """Inertia 0.5 kg m², friction 0.1 N m s, and a load of 2 N m from half the time on."""
    with vs.create(name, samplelen=1, write_signals=SPEED, read_signals=TORQUE) as node:
        speed = 0.0
        for step in range(steps):
            node.write([speed], sequence=step)
            torque = node.read(timeout=10)["torque"]
            load = 2.0 if step >= steps // 2 else 0.0
            speed += PERIOD * (torque - load - 0.1 * speed) / 0.5
    vs.unlink(name)


def control(name: str, target: float, proportional: float = 2.0, integral: float = 4.0) -> list[float]:
    """Follows the target until the plant ends; the speeds."""
    speeds, total = [], 0.0
    with vs.open(name, timeout=10) as channel:
        for sample in channel:
            speeds.append(sample["speed"])
            error = target - speeds[-1]
            total += PERIOD * error
            channel.write([proportional * error + integral * total], sequence=sample.sequence)
    return speeds


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    name = f"pi-{os.getpid()}"
    process = multiprocessing.get_context("spawn").Process(target=plant, args=(name, steps))
    process.start()
    speeds = control(name, target=10.0)
    process.join()
    settled = speeds[steps // 2 - 1]
    print(f"{len(speeds)} steps: {settled:.3f} rad/s before the load, {min(speeds[steps // 2:]):.3f} at worst, {speeds[-1]:.3f} at the end")


if __name__ == "__main__":
    main()
