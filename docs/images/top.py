#!/usr/bin/env python3
"""usage: docs/images/top.py DIRECTORY (of the built programs)

Writes docs/images/top.svg: what `villas-shm top grid` shows in a terminal of 84 x 19 cells beside
real traffic. Needs tmux, which reads the screen.
"""
import os
import subprocess
import sys
import tempfile
import time

from screen import drawing, screen

COLUMNS, LINES = 84, 19


def traffic(tools, here, running):
    """A busy channel, one whose node was killed, a full ring, two regions of VILLASnode's layout."""

    def start(command):
        running.append(subprocess.Popen(["sh", "-c", command], cwd=here, start_new_session=True,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def node(name, *settings):
        with open(f"{here}/{name}.conf", "w", encoding="utf-8") as file:
            file.write(f'nodes = {{ {name} = {{ type = "shmem", {", ".join(settings)} }} }}\n')

    echo = f"{tools}/villas-shmem"
    node("busy", 'name = "grid-busy"', "queuelen = 64", "samplelen = 8",
         f'exec = [ "{echo}", "-w", "5", "grid-busy" ]')
    node("dead", 'name = "grid-dead"', "queuelen = 64", "samplelen = 8")
    node("wire", 'in = { name = "grid-wire-in" }', 'out = { name = "grid-wire-out" }',
         "queuelen = 512", "samplelen = 8", f'exec = [ "{echo}", "grid-wire-in", "grid-wire-out" ]')
    shm = f"{tools}/villas-shm"
    start(f"{shm} signal mixed -v 8 -r 20000 | {shm} pipe busy.conf busy")
    start(f"{shm} signal mixed -v 8 -r 500 | {shm} pipe wire.conf wire")
    start(f"{shm} signal sine -l 9 -n | timeout -s KILL 1 {shm} pipe dead.conf dead")
    start(f"exec {tools}/ring-producer grid-ring 1000000000000")
    start(f"{tools}/ring-consumer grid-ring 1000000000000 | "
          "while sleep 0.1; do head -c 400000 >/dev/null; done")


def main():
    tools = os.path.abspath(sys.argv[1])
    running = []
    with tempfile.TemporaryDirectory() as here:
        try:
            traffic(tools, here, running)
            time.sleep(2)
            lines = screen(f"{tools}/villas-shm top grid", COLUMNS, LINES, 4)
        finally:
            for process in running:
                os.killpg(process.pid, 15)
            time.sleep(1)
            for name in ["grid-busy", "grid-dead", "grid-ring", "grid-wire-in", "grid-wire-out"]:
                subprocess.run([f"{tools}/villas-shm", "rm", "--force", name], check=False,
                               stderr=subprocess.DEVNULL)
    with open("docs/images/top.svg", "w", encoding="utf-8") as file:
        file.write("\n".join(drawing(lines, COLUMNS)) + "\n")


main()
