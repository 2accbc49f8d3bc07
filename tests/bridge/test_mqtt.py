"""Clients of MQTT, which know nothing of Zenoh, at the MQTT plugin of zenohd."""

import json
import os
import subprocess

import hosts as lab
import pytest
from conftest import CLIENTS, REACHED, SAMPLES_OF_A_WEEK, WEEK, Bridge, Router, block, same
from payload import fields, line

# The topics, which are the keys of the bridge on B.
UP, DOWN = "lab/up", "lab/down"
BROKER = "10.0.1.2"
TO_MQTT, TO_B = ("-h", BROKER, "-t", UP), ("-h", BROKER, "-t", DOWN)
VERSIONS = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])


class Broker(Router):
    """zenohd with the plugin, by the command of the page."""

    def __init__(self, host, place, clients):
        self.clients = clients
        super().__init__(host, REACHED, "sh", "-ec", f"cd {place} && PATH=bin:$PATH; exec " + block("mqtt docs/bridge.md"))

    def start(self):
        super().start()
        empty = self.clients.here("mosquitto_pub", "-h", BROKER, "-t", "lab/empty", "-n")
        lab.eventually(lambda: subprocess.run(empty, capture_output=True).returncode == 0, "the broker answers")


@pytest.fixture
def brokered(three, zenohd):
    """Hosts A with the clients of MQTT, and B with the bridge; the broker."""
    a, b, r = three
    return a, b, Broker(r, zenohd, a)


class Subscriber:
    """mosquitto_sub, which tells the bytes of each message."""

    def __init__(self, host, *options):
        self.program = host.start("mosquitto_sub", "-d", "-F", "message %x", *TO_MQTT, *options)

    def granted(self):
        """The quality of service that the broker has granted; None as long as it has not answered."""
        answers = [text for text in self.program.lines if text.startswith("Subscribed")]
        return int(answers[-1].split()[-1]) if answers else None

    def messages(self):
        return [bytes.fromhex(text.split()[1]) for text in self.program.lines if text.startswith("message ")]


def publish(host, *options, payload=None):
    """mosquitto_pub, to the bridge; with a file, or a message for each line of it."""
    with open(payload or os.devnull, "rb") as stdin:
        host.start("mosquitto_pub", *TO_B, *options, stdin=stdin).ends()


def bridge_to_mqtt(b, tool, conf, file, *options):
    b.start(tool, "pipe", "-s", "--linger", lab.DEADLINE, conf, "grid", "-i", file)
    return Bridge(b, conf, UP, DOWN, "-x", "--on-full", "wait", *CLIENTS[1], *options)


def heard(a, bridge):
    """The bridge hears of what is published by MQTT. It is asked with messages that it does not forward."""

    def hears():
        publish(a, "-m", "x")
        return bridge.stats() and bridge.stats()["in"]["bad_messages"].get("garbage", 0)

    lab.eventually(hears, "a message arrives from MQTT")


@VERSIONS
def test_a_client_reads_the_week_as_json(brokered, tool, node, tmp_path, version):
    a, b, _ = brokered
    bridge_to_mqtt(b, tool, node(), WEEK, "--format", "json", "--batch", "1")
    reader = Subscriber(a, "-V", version, "-C", SAMPLES_OF_A_WEEK)
    reader.program.ends()
    assert all(list(json.loads(message)) == ["ts", "sequence", "data"] for message in reader.messages())
    (tmp_path / "read.json").write_bytes(b"".join(reader.messages()))
    same(a, tool, WEEK, tmp_path / "read.json")


@VERSIONS
def test_a_client_that_has_only_the_facts_reads_the_week_as_protobuf(brokered, tool, node, tmp_path, version):
    a, b, _ = brokered
    bridge_to_mqtt(b, tool, node(), WEEK, "--batch", "16")
    reader = Subscriber(a, "-V", version, "-C", SAMPLES_OF_A_WEEK // 16)
    reader.program.ends()
    samples = [content for message in reader.messages() for _, content in fields(message)]
    (tmp_path / "read.dat").write_text("".join(line(sample) + "\n" for sample in samples))
    same(a, tool, WEEK, tmp_path / "read.dat")


@pytest.mark.parametrize("service", [0, 1, 2])
@VERSIONS
def test_the_bridge_forwards_the_json_of_a_client(brokered, tool, node, tmp_path, version, service):
    a, b, _ = brokered
    a.start(tool, "convert", WEEK, tmp_path / "week.json").ends()
    at_b = node()
    receiver = b.start(tool, "pipe", "-r", "-l", SAMPLES_OF_A_WEEK, at_b, "grid", "-o", tmp_path / "back")
    bridge = Bridge(b, at_b, UP, DOWN, "-x", *CLIENTS[1])
    heard(a, bridge)
    publish(a, "-V", version, "-q", service, "-l", payload=tmp_path / "week.json")
    receiver.ends()
    same(a, tool, WEEK, tmp_path / "back")
    lab.eventually(lambda: bridge.stats()["in"]["forwarded"] == SAMPLES_OF_A_WEEK, "all are counted")
    assert bridge.stats()["in"]["foreign_messages"] == SAMPLES_OF_A_WEEK and bridge.stats()["in"]["gaps"] == 0
