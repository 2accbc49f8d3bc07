"""Programs that have Zenoh's own package and docs/bridge.md, and nothing of this project."""

import sys

import hosts as lab
from conftest import SAMPLES_OF_A_WEEK, WEEKS, Bridge, same

UP, DOWN, ENDPOINT = "lab/up", "lab/down", "tcp/10.0.1.2:7447"


def test_a_program_that_has_only_the_facts_reads_the_payload(two, tool, node, tmp_path, year):
    a, b, _ = two
    at_b = node()
    Bridge(b, at_b, DOWN, UP, "-x", "--on-full", "wait", "--batch", "64", "--listen", ENDPOINT)
    b.start(tool, "pipe", "-s", "--linger", lab.DEADLINE, at_b, "grid", "-i", year)
    reader = a.start(sys.executable, lab.HERE / "reader.py", ENDPOINT, DOWN, WEEKS * SAMPLES_OF_A_WEEK)
    reader.ends(3 * lab.DEADLINE)
    same(a, tool, year, reader.out)


# As what comes from MQTT: without encoding and attachment. One message is JSON, one protobuf.
PUBLISH = """
import time, zenoh
config = '{mode: "client", connect: {endpoints: ["tcp/10.0.1.2:7447"], timeout_ms: -1}, scouting: {multicast: {enabled: false}}}'
with zenoh.open(zenoh.Config.from_json5(config)) as session:
    publisher = session.declare_publisher("lab/up")
    while not publisher.matching_status.matching:
        time.sleep(0.01)
    publisher.put(b'{"ts": {"origin": [1700000000, 5]}, "sequence": 1, "data": [1.5, -2.5]}')
    value = b"\\xa2\\x06\\x09\\x09"
    sample = b"\\x08\\x01\\x10\\x02" + value + b"\\0\\0\\0\\0\\0\\0\\x0c\\x40"
    publisher.put(b"\\x0a" + bytes([len(sample)]) + sample)
"""


def test_messages_without_encoding_and_attachment_are_read(two, tool, node):
    a, b, _ = two
    at_b = node()
    receiver = b.start(tool, "pipe", "-r", "-l", 2, at_b, "grid")
    bridge = Bridge(b, at_b, DOWN, UP, "-x", "--listen", ENDPOINT)
    a.start(sys.executable, "-c", PUBLISH).ends()
    receiver.ends()
    first, second = (line.split("\t") for line in receiver.lines if line[0] != "#")
    assert first[0].startswith("1700000000.000000005") and first[0].endswith("(1)") and first[1:] == ["1.5", "-2.5"]
    assert second[0].endswith("(2)") and second[1:] == ["3.5"]
    lab.eventually(lambda: bridge.stats() and bridge.stats()["in"]["foreign_messages"] == 2, "both are counted")
