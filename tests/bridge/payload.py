"""Reads the protobuf payload. It has what docs/bridge.md says of it; nothing of this project."""

import struct
from collections.abc import Iterator


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a protobuf message: number, and an integer or the bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        length = {1: 8, 5: 4}[key & 7] if key & 7 != 2 else varint()
        yield key >> 3, data[at : at + length]
        at += length


def value(data: bytes) -> str:
    [(number, content)] = fields(data)
    if number == 1:
        return f"{struct.unpack('<d', content)[0]:.17g}"
    if number == 2:
        return str(content - 2**64 if content >= 2**63 else content)
    if number == 3:
        return str(content)
    parts = dict(fields(content))
    real, imag = (struct.unpack("<f", parts[part])[0] for part in (1, 2))
    return f"{real:.9g}{imag:+.9g}i"


def line(sample: bytes) -> str:
    sequence, stamp, values = None, None, []
    for number, content in fields(sample):
        if number == 2:
            sequence = content
        elif number == 3:
            stamp = dict(fields(content))
        elif number == 100:
            values.append(value(content))
    return f"{stamp[1]}.{stamp[2]:09}({sequence})\t" + "\t".join(values)
