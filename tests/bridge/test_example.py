"""examples/bridge.py against itself and against the bridge."""

import sys

from conftest import ROOT, WEEK

EXAMPLE = ROOT / "examples" / "bridge.py"


def example(host, conf, *arguments):
    return host.start(sys.executable, EXAMPLE, conf.stem, *arguments)


def compare(host, tool, one, other):
    host.start(tool, "compare", "-e", "0", one, other).ends()


def test_two_examples_exchange_the_week_both_ways(two, tool, node, tmp_path):
    a, b, _ = two
    pipes = []
    for host, conf, arguments in (
        (a, node(), ("lab/a", "lab/b", "listen", "tcp/10.0.1.1:7447")),
        (b, node(), ("lab/b", "lab/a", "connect", "tcp/10.0.1.1:7447")),
    ):
        pipes.append(host.start(tool, "pipe", conf, "grid", "--linger", "30", "-i", WEEK, "-o", tmp_path / host.name))
        example(host, conf, *arguments)
    for pipe in pipes:
        pipe.ends()
    compare(a, tool, WEEK, tmp_path / "A")
    compare(b, tool, WEEK, tmp_path / "B")
