"""A power flow for each step of a load profile that comes through a channel.

power_flow.py PROFILE [STEPS]
The node sends the profile, a file of `villas.human` such as examples/grid-week.dat (SimBench; its
licence is in examples/README.md). The program runs pandapower's power flow, and the voltages of the
buses go back. It needs pandapower.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator

import numpy as np
import pandapower
import villas_shm as vs
from pandapower import networks

LOADS = [("load 0", "MW"), ("load 1", "MW"), ("pv 0", "MW"), ("pv 1", "MW")]


def profile(path: str) -> Iterator[tuple[np.datetime64, list[float]]]:
    """Times, and two loads and two PV plants of it, in per unit."""
    for line in open(path, encoding="utf-8"):
        if not line.startswith("#"):
            head, *values = line.split()
            at = np.datetime64(int(head.partition(".")[0]), "s")
            pv1, pv5, load0, load1 = (float(values[which]) for which in (0, 1, 5, 7))
            yield at, [load0, load1, pv1, pv5]


def solve(name: str) -> None:
    """Answers each sample with the voltages of the four buses, in per unit."""
    net = networks.simple_four_bus_system()
    with vs.open(name, timeout=60) as channel:
        for sample in channel:
            net.load.p_mw = [sample["load 0"], sample["load 1"]]
            net.load.q_mvar = 0.2 * net.load.p_mw
            net.sgen.p_mw = [sample["pv 0"], sample["pv 1"]]
            net.sgen.q_mvar = 0.0
            pandapower.runpp(net, numba=False)
            channel.write(net.res_bus.vm_pu.to_numpy(), origin=sample.origin, sequence=sample.sequence)


def main() -> None:
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 96
    name = f"power-flow-{os.getpid()}"
    buses = [(f"bus {at}", "pu") for at in range(4)]
    least, most = 2.0, 0.0
    with vs.create(name, samplelen=4, write_signals=LOADS, read_signals=buses) as node:
        process = multiprocessing.get_context("spawn").Process(target=solve, args=(name,))
        process.start()
        node.wait(timeout=60)
        scale = np.array([0.1, 0.1, 0.06, 0.06])  # MW for each unit
        for step, (at, values) in zip(range(steps), profile(sys.argv[1])):
            node.write(scale * values, origin=at, sequence=step)
            voltages = node.read(timeout=60)
            assert voltages.sequence == step and voltages.origin == at
            least, most = min(least, voltages.values.min()), max(most, voltages.values.max())
    process.join()
    vs.unlink(name)
    print(f"{steps} steps: bus voltages from {least:.3f} to {most:.3f} pu")


if __name__ == "__main__":
    main()
