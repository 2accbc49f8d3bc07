"""Clients of MQTT, which know nothing of Zenoh, at the MQTT plugin of zenohd."""

import itertools
import json
import os
import signal
import struct
import subprocess

import hosts as lab
import pytest
from conftest import CLIENTS, REACHED, SAMPLES_OF_A_WEEK, WEEK, WEEKS, WITHOUT_ZENOHD, Bridge, Router, block, exchange, same
from payload import fields, line

if "ZENOHD" not in os.environ:
    pytest.skip(WITHOUT_ZENOHD, allow_module_level=True)

# The topics, which are the keys of the bridge on B.
UP, DOWN = "lab/up", "lab/down"
BROKER = "10.0.1.2"
AT_BROKER = "-h", BROKER, "-t"
WHOLE = "--format", "json", "--batch", "1"
VERSIONS = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])


class Broker(Router):
    """zenohd with the plugin, by the command of the page."""

    def __init__(self, host, place, clients):
        self.clients, self.place = clients, place
        super().__init__(host, REACHED, *self.with_options(""))

    def with_options(self, options):
        command = block("mqtt docs/bridge.md").strip()
        # Without RUST_LOG the plugin says nothing.
        return "sh", "-ec", f"cd {self.place}; PATH=bin:$PATH; export RUST_LOG=z=info; exec {command} {options}"

    def start(self):
        super().start()
        empty = self.clients.here("mosquitto_pub", *AT_BROKER, "lab/nothing", "-n")
        lab.eventually(lambda: subprocess.run(empty, capture_output=True).returncode == 0, "the broker answers")


@pytest.fixture
def brokered(three, zenohd):
    """Hosts A with the clients of MQTT, and B with the bridge; the broker."""
    a, b, r = three
    return a, b, Broker(r, zenohd, a)


class Subscriber:
    """mosquitto_sub, which tells the bytes of each message and what the message says of them."""

    def __init__(self, host, *options, topic=UP):
        form = "message %t %x content-type=%C properties=%P"
        self.program = host.start("stdbuf", "-oL", "mosquitto_sub", "-d", "-F", form, *AT_BROKER, topic, *options)

    def granted(self):
        """The quality of service that the broker has granted; None before it has answered."""
        answers = [text for text in self.program.lines if text.startswith("Subscribed")]
        return int(answers[-1].split()[-1]) if answers else None

    def messages(self):
        words = [text.split(" ", 3) for text in self.program.lines if text.startswith("message ")]
        assert all(topic == UP and about == "content-type= properties=" for _, topic, _, about in words)
        return [bytes.fromhex(content) for _, _, content, _ in words]


def publish(host, *options, payload=os.devnull):
    """mosquitto_pub, to the bridge. It waits for the broker's acknowledgements: of what is published
    without (-q 0), the broker loses the last when the client disconnects."""
    with open(payload, "rb") as stdin:
        host.start("mosquitto_pub", *AT_BROKER, DOWN, "-q", 1, *options, stdin=stdin).ends()


def encoded(text):
    """A line of villas.human as a protobuf message's sample, with what docs/bridge.md says of it."""

    def varint(number):
        return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)

    def contained(number, content):
        return varint(number << 3 | 2) + varint(len(content)) + content

    head, *values = text.split("\t")
    seconds, nanoseconds, sequence = map(int, head.rstrip(")").replace("(", ".").split("."))
    stamp = b"\x08" + varint(seconds) + b"\x10" + varint(nanoseconds)
    doubles = (contained(100, b"\x09" + struct.pack("<d", float(value))) for value in values)
    return contained(1, b"\x08\x01\x10" + varint(sequence) + contained(3, stamp) + b"".join(doubles))


def bridge_to_mqtt(b, conf, *options):
    """It never drops: with --on-full wait the program waits."""
    return Bridge(b, conf, UP, DOWN, "-x", "--on-full", "wait", *CLIENTS[1], *options)


def sent(b, tool, conf, file):
    return b.start(tool, "pipe", "-s", "--linger", lab.DEADLINE, conf, "grid", "-i", file)


def hears(a, bridge):
    """The bridge hears of what is published by MQTT. It is asked with messages that it does not forward."""

    def garbage():
        publish(a, "-m", "x")
        return bridge.stats() and bridge.stats()["in"]["bad_messages"].get("garbage", 0)

    lab.eventually(garbage, "a message arrives from MQTT")


def out(bridge):
    stats = bridge.stats()
    return stats["out"] if stats else {"matched": None, "published": 0}


@VERSIONS
def test_a_client_reads_the_week_as_json(brokered, tool, node, tmp_path, version):
    (a, b, _), at_b = brokered, node()
    bridge_to_mqtt(b, at_b, *WHOLE)
    sent(b, tool, at_b, WEEK)
    reader = Subscriber(a, "-V", version, "-C", SAMPLES_OF_A_WEEK)
    reader.program.ends()
    assert all(list(json.loads(message)) == ["ts", "sequence", "data"] for message in reader.messages())
    (tmp_path / "read.json").write_bytes(b"".join(reader.messages()))
    same(a, tool, WEEK, tmp_path / "read.json")


@VERSIONS
@pytest.mark.parametrize("batch", [1, SAMPLES_OF_A_WEEK])
def test_a_client_that_has_only_the_facts_reads_the_week_as_protobuf(brokered, tool, node, tmp_path, version, batch):
    (a, b, _), at_b = brokered, node()
    bridge_to_mqtt(b, at_b, "--batch", batch, "--max-delay", "60s")
    sent(b, tool, at_b, WEEK)
    reader = Subscriber(a, "-V", version, "-C", SAMPLES_OF_A_WEEK // batch)
    reader.program.ends()
    samples = [content for message in reader.messages() for _, content in fields(message)]
    (tmp_path / "read.dat").write_text("".join(line(sample) + "\n" for sample in samples))
    same(a, tool, WEEK, tmp_path / "read.dat")


def forwarded(brokered, tool, node, tmp_path, messages, *options, **payload):
    """What an MQTT client publishes, the week in so many messages, arrives in the channel on B."""
    (a, b, _), at_b = brokered, node()
    receiver = b.start(tool, "pipe", "-r", "-l", SAMPLES_OF_A_WEEK, at_b, "grid", "-o", tmp_path / "back")
    bridge = Bridge(b, at_b, UP, DOWN, "-x", *CLIENTS[1])
    hears(a, bridge)
    publish(a, *options, **payload)
    receiver.ends()
    same(a, tool, WEEK, tmp_path / "back")
    lab.eventually(lambda: bridge.stats()["in"]["forwarded"] == SAMPLES_OF_A_WEEK, "all are counted")
    counts = bridge.stats()["in"]
    assert counts["foreign_messages"] == messages
    assert counts["gaps"] == counts["before"] == counts["late"] == 0 and not counts["bad_samples"]


@VERSIONS
def test_the_json_of_a_client_is_forwarded_and_counted_as_foreign(brokered, tool, node, tmp_path, version):
    week = tmp_path / "week.json"
    brokered[0].start(tool, "convert", WEEK, week).ends()
    forwarded(brokered, tool, node, tmp_path, SAMPLES_OF_A_WEEK, "-V", version, "-l", payload=week)


def test_what_a_client_says_of_its_messages_does_not_arrive(brokered, tool, node, tmp_path):
    """Else the bridge would say that it does not know this encoding."""
    week = tmp_path / "week.json"
    brokered[0].start(tool, "convert", WEEK, week).ends()
    says = "-V", "mqttv5", "-D", "publish", "content-type", "text/plain", "-D", "publish", "user-property", "a", "b"
    forwarded(brokered, tool, node, tmp_path, SAMPLES_OF_A_WEEK, *says, "-l", payload=week)


@VERSIONS
def test_the_protobuf_of_a_client_is_forwarded_and_counted_as_foreign(brokered, tool, node, tmp_path, version):
    message = tmp_path / "message"
    message.write_bytes(b"".join(encoded(text) for text in WEEK.read_text().splitlines() if text[0] != "#"))
    forwarded(brokered, tool, node, tmp_path, 1, "-V", version, "-f", message)


@VERSIONS
def test_the_broker_grants_quality_of_service_0_and_takes_1_but_not_2(brokered, version):
    a, _, broker = brokered
    reader = Subscriber(a, "-V", version, "-q", 2)
    lab.eventually(lambda: reader.granted() is not None, "it subscribes")
    assert reader.granted() == 0
    for service in (0, 1):
        writer = a.start("mosquitto_pub", *AT_BROKER, UP, "-V", version, "-q", service, "-l", stdin=-1)
        with writer.process.stdin as lines:
            lines.write(b"%d\n" % service)
            lines.flush()
            lab.eventually(lambda: len(reader.messages()) == service + 1, "it arrives")
        writer.ends()
    assert reader.messages() == [b"0", b"1"]
    refused = a.start("mosquitto_pub", *AT_BROKER, UP, "-V", version, "-q", 2, "-m", 2)
    if version == "mqttv5":
        refused.says("QoS not supported")
    else:
        broker.program.says("PUBLISH with QoS 2 is not supported")
        refused.says("connection was lost")
    assert reader.messages() == [b"0", b"1"]


@VERSIONS
def test_the_broker_retains_no_message(brokered, version):
    a, _, _ = brokered
    a.start("mosquitto_pub", *AT_BROKER, UP, "-V", version, "-q", 1, "-r", "-m", "retained").ends()
    reader = Subscriber(a, "-V", version, "-C", 1)
    lab.eventually(lambda: reader.granted() is not None, "it subscribes")
    a.start("mosquitto_pub", *AT_BROKER, UP, "-q", 1, "-m", "later").ends()
    reader.program.ends()
    assert reader.messages() == [b"later"]


@VERSIONS
def test_the_broker_keeps_nothing_for_a_client_that_is_away(brokered, version):
    a, _, _ = brokered
    session = "-V", version, "-q", 1, "-c", "-i", "the-client", *(("-x", 600) if version == "mqttv5" else ())
    away = Subscriber(a, *session)
    lab.eventually(lambda: away.granted() is not None, "it subscribes")
    away.program.kill()
    a.start("mosquitto_pub", *AT_BROKER, UP, "-q", 1, "-m", "missed").ends()
    reader = Subscriber(a, *session, "-C", 1)
    lab.eventually(lambda: reader.granted() is not None, "it subscribes again")
    a.start("mosquitto_pub", *AT_BROKER, UP, "-q", 1, "-m", "later").ends()
    reader.program.ends()
    assert reader.messages() == [b"later"]


def test_clients_see_what_is_published_and_not_the_signals_of_a_bridge(brokered, tool, node):
    (a, b, _), at_b = brokered, node()
    bridge_to_mqtt(b, at_b, *WHOLE)
    at_signals = Subscriber(a, topic=f"{UP}/@signals")
    lab.eventually(lambda: at_signals.granted() is not None, "it subscribes")
    sent(b, tool, at_b, WEEK)
    of_all = Subscriber(a, "-C", SAMPLES_OF_A_WEEK, topic="#")
    of_all.program.ends()
    assert len(of_all.messages()) == SAMPLES_OF_A_WEEK and not at_signals.messages()


def test_a_bridge_that_has_no_signals_waits_for_them_and_one_that_has_does_not(brokered, tool, node):
    (a, b, _), silent, told = brokered, node(), node('out = { signals = "8f" }')
    waiting = Bridge(b, silent, UP, DOWN, *CLIENTS[1])
    waiting.program.says('waiting for the other side to tell its signals at "lab/down/@signals"')
    bridge = Bridge(b, told, UP, DOWN, *CLIENTS[1])
    receiver = b.start(tool, "pipe", "-x", "-r", "-l", 1, told, "grid")
    hears(a, bridge)
    publish(a, "-m", '{"sequence": 1, "data": [1.5]}')
    receiver.ends()
    assert waiting.program.alive()


def test_a_client_comes_and_goes(brokered, tool, node):
    """One ends, another is killed, and one is silent for longer than its keep-alive."""
    (a, b, _), at_b = brokered, node()
    bridge = bridge_to_mqtt(b, at_b, *WHOLE)
    sent(b, tool, at_b, WEEK)
    for number, end in enumerate([signal.SIGINT, signal.SIGKILL, signal.SIGSTOP], 1):
        lab.eventually(lambda: out(bridge)["matched"] is False, "nobody subscribes")
        reader = Subscriber(a, "-k", 5)
        lab.eventually(lambda: out(bridge)["matched"], "a client subscribes")
        bridge.program.says('"lab/up" has a subscriber')
        if number == 1:
            lab.eventually(lambda: len(reader.messages()) == SAMPLES_OF_A_WEEK, "what has waited arrives")
        reader.program.process.send_signal(end)
    lab.eventually(lambda: out(bridge)["matched"] is False, "nobody subscribes")
    reader.program.process.send_signal(signal.SIGCONT)
    lab.eventually(lambda: out(bridge)["matched"], "the client is there again")


def test_the_broker_is_killed_and_comes_again(brokered, tool, node, tmp_path):
    """The bridge and the clients go on by themselves; what comes meanwhile waits in the bridge."""
    (a, b, broker), at_b = brokered, node()
    bridge = bridge_to_mqtt(b, at_b, *WHOLE)
    reader = Subscriber(a)
    lab.eventually(lambda: out(bridge)["matched"], "the client subscribes")
    broker.program.kill()
    lab.eventually(lambda: bridge.stats()["routers"] == 0 and not out(bridge)["matched"], "the bridge is alone")
    exchange(b, tool, at_b, WEEK, tmp_path / "back")
    lab.eventually(lambda: out(bridge)["queued"] == SAMPLES_OF_A_WEEK, "the week waits")
    broker.start()
    lab.eventually(lambda: len(reader.messages()) == SAMPLES_OF_A_WEEK, "the week arrives")
    (tmp_path / "read.json").write_bytes(b"".join(reader.messages()))
    same(a, tool, WEEK, tmp_path / "read.json")
    hears(a, bridge)


def test_a_client_that_takes_nothing_delays_neither_the_bridge_nor_another(brokered, tool, node, year):
    """The broker keeps what it does not take, and hands it over later."""
    (a, b, _), at_b, count = brokered, node(), WEEKS * SAMPLES_OF_A_WEEK
    bridge = bridge_to_mqtt(b, at_b, *WHOLE)
    stopped = Subscriber(a, "-k", 600, "-C", count)
    lab.eventually(lambda: out(bridge)["matched"], "it subscribes")
    stopped.program.process.send_signal(signal.SIGSTOP)
    other = Subscriber(a, "-C", count)
    lab.eventually(lambda: other.granted() is not None, "the other subscribes")
    sent(b, tool, at_b, year)
    other.program.ends()
    lab.eventually(lambda: out(bridge)["published"] == count, "all is published")
    assert len(other.messages()) == count and len(stopped.messages()) < count
    stopped.program.process.send_signal(signal.SIGCONT)
    stopped.program.ends()
    assert stopped.messages() == other.messages()


def test_the_broker_drops_what_finds_no_room_and_only_its_log_tells_it(brokered, tool, node, year):
    (a, b, broker), at_b, count = brokered, node(), WEEKS * SAMPLES_OF_A_WEEK
    broker.program.kill()
    broker.command = broker.with_options("--cfg plugins/mqtt/tx_channel_size:1")
    broker.start()
    bridge = bridge_to_mqtt(b, at_b, *WHOLE)
    reader = Subscriber(a)
    sent(b, tool, at_b, year)
    lab.eventually(lambda: out(bridge)["published"] == count, "all is published")

    def said():
        return broker.program.said.count("sending on a full channel")

    lab.eventually(lambda: said() + len(reader.messages()) == count, "each sample has arrived or was dropped")
    assert said() > 0
    numbers = [json.loads(message)["sequence"] for message in reader.messages()]
    assert all(before < after for before, after in itertools.pairwise(numbers)), "out of order, or twice"
    assert out(bridge)["dropped"] == 0
