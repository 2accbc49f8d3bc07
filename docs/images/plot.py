#!/usr/bin/env python3
"""usage: docs/images/plot.py DIRECTORY (of the built programs)

Writes docs/images/plot.svg, curves of a week of a grid, docs/images/live.svg: live curves in a
terminal of 84 x 22 cells, and docs/images/watch.svg: those of a running channel. Needs tmux, which
reads the screen.
"""
import os
import subprocess
import sys
import tempfile

from screen import drawing, screen

COLUMNS, LINES = 84, 22


def main():
    tool = os.path.abspath(sys.argv[1]) + "/villas-shm"
    subprocess.run([tool, "plot", "examples/grid-week.dat", "--signals", "WP1,PV5,BL-H_pload",
                    "--size", "860x340", "-o", "docs/images/plot.svg"], check=True)
    live = f"{tool} signal mixed -v 4 -r 500 -F 0.2 | {tool} plot --live"
    with open("docs/images/live.svg", "w", encoding="utf-8") as file:
        lines = screen(live, COLUMNS, LINES, 11, keys=["Down", "Down", "Enter", "Up"])
        file.write("\n".join(drawing(lines, COLUMNS)) + "\n")
    with open("docs/images/watch.svg", "w", encoding="utf-8") as file:
        file.write("\n".join(drawing(watch(os.path.dirname(tool)), COLUMNS)) + "\n")


def watch(tools):
    """Curves of a channel whose program sends everything back."""
    def signals(*names):
        listed = ", ".join(f'{{ name = "{name}", unit = "{unit}" }}' for name, unit in names)
        return f"{{ signals = ( {listed} ) }}"

    name = "grid-feeder"
    with tempfile.TemporaryDirectory() as here:
        with open(f"{here}/grid.conf", "w", encoding="utf-8") as file:
            file.write(
                f'nodes = {{ grid = {{ type = "shmem", name = "{name}", samplelen = 3, '
                f'exec = [ "{tools}/villas-shmem", "-w", "5", "{name}" ], '
                f'out = {signals(("load", "kV"), ("u_a", "V"), ("switch", ""))}, '
                f'in = {signals(("load_back", "kV"), ("u_back", "V"), ("switch_back", ""))} }} }}')
        command = (f"{tools}/villas-shm signal mixed -v 3 -r 500 -F 0.3 | "
                   f"{tools}/villas-shm pipe {here}/grid.conf grid")
        with subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL,
                              start_new_session=True) as traffic:
            try:
                chosen = "load,u_a,switch,u_back"
                return screen(f"sleep 1; {tools}/villas-shm watch {name} --plot --signals {chosen}",
                              COLUMNS, LINES, 12)
            finally:
                os.killpg(traffic.pid, 15)


main()
