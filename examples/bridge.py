#!/usr/bin/env python3
"""usage: bridge.py REGION PUBLISH SUBSCRIBE connect|listen ENDPOINT...

The job of villas-shm-bridge, to begin a bridge of your own: as the program of a channel, it
publishes what it reads under one key of Zenoh, and writes what arrives under the other. It waits
while nobody subscribes. docs/bridge.md tells the payload. Packages: villas-shm, eclipse-zenoh,
protobuf.
"""
import itertools, json, secrets, struct, sys, threading, time
import villas_shm, zenoh
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DOUBLE, FLOAT, INT64, UINT64, BOOL, UINT32, OPTIONAL, REQUIRED, REPEATED = 1, 2, 3, 4, 8, 13, 1, 2, 3
FACTS = {  # of each message, the names, numbers and types of its fields
    "Timestamp": [("sec", 1, UINT32, REQUIRED), ("nsec", 2, UINT32, REQUIRED)],
    "Complex": [("real", 1, FLOAT, REQUIRED), ("imag", 2, FLOAT, REQUIRED)],
    "Value": [("f", 1, DOUBLE, OPTIONAL), ("i", 2, INT64, OPTIONAL), ("b", 3, BOOL, OPTIONAL), ("z", 4, ".Complex", OPTIONAL)],
    "Sample": [("type", 1, UINT32, REQUIRED), ("sequence", 2, UINT64, OPTIONAL),
               ("ts_origin", 3, ".Timestamp", OPTIONAL), ("values", 100, ".Value", REPEATED)],
    "Message": [("samples", 1, ".Sample", REPEATED)],
}
file = descriptor_pb2.FileDescriptorProto(name="villas.proto")
for message, fields in FACTS.items():
    into = file.message_type.add(name=message)
    for name, number, kind, label in fields:
        into.field.add(name=name, number=number, label=label, **{"type_name" if isinstance(kind, str) else "type": kind})
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Message = message_factory.GetMessageClass(pool.FindMessageTypeByName("Message"))


def pack(smp, sample):
    sample.type = 1  # data
    if smp.flags & villas_shm.Flags.HAS_SEQUENCE:
        sample.sequence = smp.sequence
    if smp.flags & villas_shm.Flags.HAS_TS_ORIGIN:
        sample.ts_origin.sec, sample.ts_origin.nsec = divmod(int(smp.origin.astype("int64")), 10**9)
    for number in smp.tolist():
        value = sample.values.add()
        if isinstance(number, complex):
            value.z.real, value.z.imag = number.real, number.imag
        else:
            setattr(value, {float: "f", int: "i", bool: "b"}[type(number)], number)


def unpack(value):
    [(field, number)] = value.ListFields()
    return complex(number.real, number.imag) if field.name == "z" else number


def receive(subscriber, channel):
    expected = {}  # of each incarnation of a publisher, the number of its next sample
    for arrived in subscriber:
        message = Message.FromString(arrived.payload.to_bytes())
        if arrived.attachment:
            version, incarnation, first, at = struct.unpack_from("<4Q", arrived.attachment.to_bytes())
            if first != expected.get(incarnation, first):
                print(f"expected sample {expected[incarnation]}, sample {first} came", file=sys.stderr)
            expected[incarnation] = first + len(message.samples)
        for sample in message.samples:
            stamp = sample.ts_origin
            channel.write([unpack(value) for value in sample.values],
                          sequence=sample.sequence if sample.HasField("sequence") else None,
                          origin=stamp.sec * 10**9 + stamp.nsec if sample.HasField("ts_origin") else None)


region, publish, subscribe, how, *endpoints = sys.argv[1:]
config = {"mode": "client" if how == "connect" else "peer", how: {"endpoints": endpoints, "timeout_ms": -1},
          "scouting": {"multicast": {"enabled": False}}}
with villas_shm.open(region, timeout=10) as channel, zenoh.open(zenoh.Config.from_json5(json.dumps(config))) as session:
    threading.Thread(target=receive, args=(session.declare_subscriber(subscribe), channel), daemon=True).start()
    publisher = session.declare_publisher(publish, encoding="application/protobuf",
                                          congestion_control=zenoh.CongestionControl.BLOCK)
    signals = json.dumps([{"name": name, "unit": unit, "type": kind} for name, unit, kind in channel.read_signals])
    session.declare_queryable(publish + "/@signals", lambda query: query.reply(query.key_expr, signals, encoding="application/json"))
    incarnation, counter = secrets.randbits(63) + 1, 0
    for first in channel:  # until the node closes
        message = Message()
        for smp in itertools.chain([first], itertools.islice(iter(channel.try_read, None), 63)):
            pack(smp, message.samples.add())
        while not publisher.matching_status.matching:
            time.sleep(0.01)
        publisher.put(message.SerializeToString(), attachment=struct.pack("<4Q", 1, incarnation, counter, time.time_ns()))
        counter += len(message.samples)
