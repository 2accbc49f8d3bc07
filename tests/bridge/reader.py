"""usage: reader.py ENDPOINT KEY COUNT

Prints COUNT samples that are published under KEY, in the format villas.human. It has Zenoh's own
package and what docs/bridge.md says of the payload; nothing of this project.
"""

import json
import struct
import sys

import zenoh
from payload import fields, line

endpoint, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = {"mode": "client", "connect": {"endpoints": [endpoint]}, "scouting": {"multicast": {"enabled": False}}}
with zenoh.open(zenoh.Config.from_json5(json.dumps(config))) as session:
    counter, subscriber = None, session.declare_subscriber(key)
    for arrived in subscriber:
        assert str(arrived.encoding) == "application/protobuf", arrived.encoding
        samples = [content for number, content in fields(arrived.payload.to_bytes()) if number == 1]
        version, incarnation, first, published = struct.unpack_from("<4Q", arrived.attachment.to_bytes())
        assert (version, first) == (1, first if counter is None else counter), f"{first} came, {counter} was expected"
        counter = first + len(samples)
        print(*map(line, samples), sep="\n", flush=True)
        count -= len(samples)
        if count <= 0:
            break
