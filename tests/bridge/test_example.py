"""examples/bridge.py against itself and against the bridge."""

import sys

from conftest import ROOT, WEEK, Bridge, exchange, same

EXAMPLE = ROOT / "examples" / "bridge.py"
UP, DOWN, ENDPOINT = "lab/up", "lab/down", "tcp/10.0.1.2:7447"


def example(host, conf, *arguments):
    return host.start(sys.executable, EXAMPLE, conf.stem, *arguments)


def test_two_examples_exchange_the_week_both_ways(two, tool, node, tmp_path):
    a, b, _ = two
    at_a, at_b = node(), node()
    pipes = exchange(a, tool, at_a, WEEK, tmp_path / "A"), exchange(b, tool, at_b, WEEK, tmp_path / "B")
    example(a, at_a, UP, DOWN, "connect", ENDPOINT)
    example(b, at_b, DOWN, UP, "listen", ENDPOINT)
    for pipe in pipes:
        pipe.ends()
    same(a, tool, WEEK, tmp_path / "A")
    same(b, tool, WEEK, tmp_path / "B")


def test_the_example_and_the_bridge_exchange_the_week_both_ways(two, tool, node, tmp_path):
    a, b, _ = two
    at_a, at_b = node(), node()
    pipes = exchange(a, tool, at_a, WEEK, tmp_path / "A"), exchange(b, tool, at_b, WEEK, tmp_path / "B")
    example(a, at_a, UP, DOWN, "connect", ENDPOINT)
    Bridge(b, at_b, DOWN, UP, "-x", "--listen", ENDPOINT, "--on-full", "wait")
    for pipe in pipes:
        pipe.ends()
    same(a, tool, WEEK, tmp_path / "A")
    same(b, tool, WEEK, tmp_path / "B")
