#!/usr/bin/env python3
"""usage: completions.py bash|zsh|fish DIRECTORY (with its file)

Types the beginning of a command and the tab key into the shell, at a terminal, and waits for the
words that it offers."""

import os
import pty
import select
import subprocess
import sys
import tempfile
import time

SHELL, DIRECTORY = sys.argv[1], os.path.abspath(sys.argv[2])
# What is typed before the tab key, and what is offered.
CASES = [
    ("villas-shm co", ["compare", "convert"]),
    ("villas-shm ls --js", ["--json"]),
    ("villas-shm plot --format ar", ["arrow"]),
    ("villas-shm bridge --publ", ["--publish"]),
]
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], f"source '{DIRECTORY}/villas-shm'"),
    "zsh": (["zsh", "-f", "-i"], f"fpath=('{DIRECTORY}' $fpath); autoload -U compinit; compinit -D -u"),
}
SECONDS = 60


def fail(what):
    sys.exit(f"completions: {SHELL}: {what}")


class Terminal:
    """A shell at a terminal of its own."""

    def __init__(self, command, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", HOME=home, PS1="ready> ", INPUTRC="/dev/null", HISTFILE="/dev/null")
            os.execvp(command[0], command)
        self.seen = ""

    def type(self, text):
        self.seen = ""
        os.write(self.fd, text.encode())

    def wait_for(self, words):
        """Until all of them have been printed since the last key."""
        end = time.monotonic() + SECONDS
        while not all(word in self.seen for word in words):
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                fail(f"{words} did not come within {SECONDS} s; it printed {self.seen!r}")
            try:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:
                fail(f"it ended; it printed {self.seen!r}")

    def end(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def by_keys(home):
    command, setup = START[SHELL]
    shell = Terminal(command, home)
    # The echo of what is typed has a quote where the output has none.
    shell.type(f"{setup}; echo se't'up-done\n")
    shell.wait_for(["setup-done"])
    for typed, offered in CASES:
        # The second tab key lists what the first could not decide.
        shell.type(f"{typed}\t" + "\t" * (len(offered) > 1))
        shell.wait_for(offered)
        shell.type("\x15echo ne'x't-line\n")
        shell.wait_for(["next-line"])
    shell.end()


def by_fish(home):
    """fish lists by itself what the tab key would offer."""
    for typed, offered in CASES:
        script = f"source '{DIRECTORY}/villas-shm.fish'; complete -C '{typed}'"
        done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, env={**os.environ, "HOME": home}, check=False)
        words = [line.split("\t")[0] for line in done.stdout.splitlines()]
        if done.returncode or done.stderr or not set(offered) <= set(words):
            fail(f"after {typed!r} it offers {words}: {done.stderr}")


with tempfile.TemporaryDirectory() as home:
    by_fish(home) if SHELL == "fish" else by_keys(home)
print(f"completions: {SHELL} offers what it should in {len(CASES)} places")
