#!/usr/bin/env python3
"""usage: docs/images/plot.py DIRECTORY (of the built programs)

Writes docs/images/plot.svg, curves of a week of a grid, and docs/images/live.svg: live curves in a
terminal of 84 x 22 cells. Needs tmux, which reads the screen.
"""
import os
import subprocess
import sys

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


main()
