"""A year of data goes from a program on host A to one on host B and back, bit for bit."""

import hosts as lab
import pytest
from conftest import CLIENTS, WEEK, Bridge, exchange, same

UP, DOWN = "lab/up", "lab/down"
WHOLE = "--on-full", "wait", "--batch", "64"


def there_and_back(a, b, tool, client, node, tmp_path, data, to_b, to_a):
    """The options of the bridges on A and B say how they reach each other."""
    at_a, at_b = node(), node()
    bridges = Bridge(a, at_a, UP, DOWN, "-x", *WHOLE, *to_b), Bridge(b, at_b, DOWN, UP, *WHOLE, *to_a)
    b.start(client, "-w", lab.DEADLINE, at_b.stem, "64")
    exchange(a, tool, at_a, data, tmp_path / "back").ends(3 * lab.DEADLINE)
    same(a, tool, data, tmp_path / "back")
    return bridges


def test_peer_to_peer(two, tool, client, node, tmp_path, year):
    a, b, _ = two
    endpoint = "tcp/10.0.1.2:7447"
    there_and_back(a, b, tool, client, node, tmp_path, year, ("--connect", endpoint), ("--listen", endpoint))


def test_through_a_router(routed, tool, client, node, tmp_path, year):
    a, b, _ = routed
    there_and_back(a, b, tool, client, node, tmp_path, year, *CLIENTS)


def test_peer_to_peer_as_json(two, tool, client, node, tmp_path):
    a, b, _ = two
    endpoint = "tcp/10.0.1.2:7447"
    ways = ("--format", "json", "--connect", endpoint), ("--format", "json", "--listen", endpoint)
    there_and_back(a, b, tool, client, node, tmp_path, WEEK, *ways)


def over_a_bad_link(a, b, tool, client, node, tmp_path, year):
    endpoint = "tcp/10.0.1.2:7447"
    there_and_back(a, b, tool, client, node, tmp_path, year, ("--connect", endpoint), ("--listen", endpoint))


def test_over_a_link_of_20_ms_that_loses_a_hundredth(tmp_path, tool, client, node, year):
    missing = lab.without_tun()
    if missing:
        pytest.skip(missing)
    with lab.hosts(tmp_path, "A", "B") as (a, b):
        link = lab.LossyLink(a, b, delay_ms=20, loss=0.01, seed=1)
        over_a_bad_link(a, b, tool, client, node, tmp_path, year)
        forwarded, dropped = link.counts()
        print(f"the link handed over {forwarded} packets and dropped {dropped}")
        assert dropped > 0


def test_over_netem_of_20_ms_that_loses_a_hundredth(two, tool, client, node, tmp_path, year):
    a, b, link = two
    if not link.worsen("delay", "20ms", "loss", "1%"):
        pytest.skip("this kernel has no netem (CONFIG_NET_SCH_NETEM); the same is tested by lossy_link.py")
    over_a_bad_link(a, b, tool, client, node, tmp_path, year)


def test_twenty_channels_through_one_router(routed, tool, client, node, tmp_path):
    a, b, _ = routed
    pipes = []
    for number in range(20):
        at_a, at_b, back = node(), node(), tmp_path / f"back-{number}"
        Bridge(a, at_a, f"lab/{number}/up", f"lab/{number}/down", "-x", *WHOLE, *CLIENTS[0])
        Bridge(b, at_b, f"lab/{number}/down", f"lab/{number}/up", *WHOLE, *CLIENTS[1])
        b.start(client, "-w", lab.DEADLINE, at_b.stem, "64")
        pipes.append((exchange(a, tool, at_a, WEEK, back), back))
    for pipe, back in pipes:
        pipe.ends(3 * lab.DEADLINE)
        same(a, tool, WEEK, back)
