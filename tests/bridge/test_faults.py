"""Links, routers and bridges fail in the middle. Samples go on by themselves, in order and none
twice, and each one that is missing has been counted.

taken from the channel = published + dropped; published on A - received on B = gaps counted on B,
apart from what A had published before B heard of it.
"""

import re
import threading
import time

import hosts as lab
import pytest
from conftest import CLIENTS, Bridge

UP, DOWN = "lab/up", "lab/down"
RATE = 2000


class Flow:
    """Numbered samples from a node on A to one on B, about RATE a second, until they are to end."""

    def __init__(self, a, b, tool, node, to_b, to_a):
        self.a, self.b, self.to_b, self.to_a = a, b, to_b, to_a
        self.at_a, self.at_b = node(), node()
        self.sender = a.start(tool, "pipe", "-s", "--linger", lab.DEADLINE, self.at_a, "grid", stdin=-1)
        self.receiver = b.start(tool, "pipe", "-r", self.at_b, "grid")
        self.start_a()
        self.start_b()
        self.sent, self.ended = 0, threading.Event()
        self.feeder = threading.Thread(target=self.feed)
        self.feeder.start()

    def start_a(self):
        self.bridge_a = Bridge(self.a, self.at_a, UP, DOWN, "-x", *self.to_b)

    def start_b(self):
        self.bridge_b = Bridge(self.b, self.at_b, DOWN, UP, "-x", *self.to_a)

    def feed(self):
        with self.sender.process.stdin as pipe:
            while not self.ended.wait(0.05):
                for _ in range(RATE // 20):
                    pipe.write(b"1700000000.000000000(%d)\t%d\n" % (self.sent, self.sent))
                    self.sent += 1
                pipe.flush()

    def received(self):
        return [int(number) for number in re.findall(r"\((\d+)\)", "\n".join(self.receiver.lines))]

    def flows(self):
        """What is sent only now arrives."""
        first = self.sent
        lab.eventually(lambda: (self.received() or [-1])[-1] >= first, "what is sent arrives")

    def end(self):
        """Ends the flow, when it goes on again. The statistics of both bridges."""
        self.flows()
        self.ended.set()
        self.feeder.join()
        self.sender.ends()
        lab.eventually(lambda: self.received()[-1] == self.sent - 1, "the last sample arrives")
        self.bridge_a.program.stop()
        self.bridge_b.program.stop()
        self.receiver.stop()
        numbers = self.received()
        assert numbers == sorted(set(numbers)), "out of order, or twice"
        return self.bridge_a.stats()["out"], self.bridge_b.stats()["in"]

    def end_with_all_counted(self):
        at_a, at_b = self.end()
        assert at_a["taken"] == self.sent == at_a["published"] + at_a["dropped"]
        assert at_b["received"] == len(self.received()) == at_a["published"] - at_b["gaps"] - at_b["before"]
        print(f"sent {self.sent}, dropped {at_a['dropped']}, missing {at_b['gaps']}, received {at_b['received']}")
        return at_a, at_b


@pytest.fixture
def zenoh_with_a_short_lease(tmp_path):
    """A link that is silent for a second is given up. Zenoh's default is ten."""
    file = tmp_path / "lease.json5"
    file.write_text("{transport: {link: {tx: {lease: 1000}}}}")
    return "--zenoh-config", file


def down_for_3_seconds(two, tool, node, *more):
    a, b, link = two
    endpoint = "tcp/10.0.1.2:7447"
    flow = Flow(a, b, tool, node, ("--connect", endpoint, *more), ("--listen", endpoint, *more))
    flow.flows()
    link.set("down")
    time.sleep(3)
    link.set("up")
    return flow.end_with_all_counted()


def test_a_link_is_down_for_3_seconds(two, tool, node):
    down_for_3_seconds(two, tool, node)


def test_a_link_is_down_for_longer_than_zenoh_waits(two, tool, node, zenoh_with_a_short_lease):
    _, at_b = down_for_3_seconds(two, tool, node, *zenoh_with_a_short_lease)
    assert at_b["gaps"] > 0, "the link was not given up"


def test_a_link_is_down_and_the_sender_waits(two, tool, node, zenoh_with_a_short_lease):
    at_a, _ = down_for_3_seconds(two, tool, node, *zenoh_with_a_short_lease, "--on-full", "wait")
    assert at_a["dropped"] == 0


def test_the_router_is_killed_and_comes_again(routed, tool, node):
    a, b, router = routed
    flow = Flow(a, b, tool, node, *CLIENTS)
    flow.flows()
    router.program.kill()
    lab.eventually(lambda: flow.bridge_a.dropped(), "the queue is full")
    router.start()
    at_a, _ = flow.end_with_all_counted()
    assert at_a["dropped"] > 0


def test_the_receiving_bridge_is_killed_and_comes_again(two, tool, node):
    a, b, _ = two
    endpoint = "tcp/10.0.1.2:7447"
    flow = Flow(a, b, tool, node, ("--connect", endpoint), ("--listen", endpoint))
    flow.flows()
    flow.bridge_b.program.kill()
    lab.eventually(lambda: flow.bridge_a.dropped(), "the queue is full")
    flow.start_b()
    at_a, _ = flow.end()
    assert at_a["taken"] == flow.sent == at_a["published"] + at_a["dropped"]


def test_the_sending_bridge_is_killed_and_comes_again(two, tool, node):
    a, b, _ = two
    endpoint = "tcp/10.0.1.2:7447"
    flow = Flow(a, b, tool, node, ("--connect", endpoint), ("--listen", endpoint))
    flow.flows()
    flow.bridge_a.program.kill()
    flow.start_a()
    flow.end()
