"""What a program shows in a terminal, as SVG. Needs tmux, which reads the screen."""
import html
import os
import re
import subprocess
import time

CELL, LINE = 8.4, 18  # a cell, in pixels
COLOURS = ["#1c1f24", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"]
GREY = "#8b919d"
TMUX = ["tmux", "-L", f"villas-picture-{os.getpid()}", "-f", "/dev/null"]


def screen(command, columns, lines, seconds, keys=()):
    """The lines of a screen with the escapes of colours, so many seconds after the start and the
    keys."""
    subprocess.run(TMUX + ["new-session", "-d", "-x", str(columns), "-y", str(lines),
                           f"env TERM=xterm-256color sh -c '{command}'"], check=True)
    try:
        time.sleep(seconds)
        for key in keys:
            subprocess.run(TMUX + ["send-keys", key], check=True)
        time.sleep(0.5)
        shown = subprocess.run(TMUX + ["capture-pane", "-e", "-p"], check=True, capture_output=True)
        return shown.stdout.decode().rstrip("\n").split("\n")
    finally:
        subprocess.run(TMUX + ["kill-server"], check=False)


class Style:
    """What the escapes have set so far."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.front, self.back, self.bold, self.dim, self.reverse = None, None, False, False, False

    def take(self, codes):
        left = [int(code or 0) for code in codes.split(";")]
        while left:
            code = left.pop(0)
            if code in (38, 48) and left[:1] == [5]:  # one of 16 colours by its number
                colour = COLOURS[left[1] % 8] if left[1] != 8 else GREY
                self.front, self.back = (colour, self.back) if code == 38 else (self.front, colour)
                del left[:2]
            elif code == 0:
                self.reset()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.dim = True
            elif code == 7:
                self.reverse = True
            elif code == 27:
                self.reverse = False
            elif 30 <= code <= 37:
                self.front = COLOURS[code - 30]
            elif 90 <= code <= 97:
                self.front = COLOURS[code - 90] if code != 90 else GREY
            elif code == 39:
                self.front = None
            elif 40 <= code <= 47:
                self.back = COLOURS[code - 40]
            elif code == 49:
                self.back = None

    def colours(self):
        front, back = self.front or "#d7dae0", self.back
        return (back or COLOURS[0], front) if self.reverse else (front, back)


def drawing(lines, columns):
    """The SVG: a rectangle behind each run of cells that has a background, and its text."""
    width, height = columns * CELL + 24, len(lines) * LINE + 24
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
           f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">')
    yield f'<rect width="100%" height="100%" rx="8" fill="{COLOURS[0]}"/>'
    style = Style()
    for row, line in enumerate(lines):
        column, y = 0, 12 + row * LINE
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b"):
                style.take(part[2:-1])
                continue
            front, back = style.colours()
            x, long = 12 + column * CELL, len(part) * CELL
            column += len(part)
            if back and part:
                yield f'<rect x="{x:.1f}" y="{y}" width="{long:.1f}" height="{LINE}" fill="{back}"/>'
            if part.strip():
                extra = ' font-weight="bold"' * style.bold + ' opacity="0.6"' * style.dim
                yield (f'<text x="{x:.1f}" y="{y + 14}" textLength="{long:.1f}" fill="{front}"{extra} '
                       f'xml:space="preserve">{html.escape(part)}</text>')
    yield "</svg>"
