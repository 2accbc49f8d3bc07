#!/usr/bin/env python3
"""Compares two images of VILLASnode's shmem regions, byte by byte.

usage: compare-images.py IMAGE OTHER       status 1 and a list when they differ
       compare-images.py --self-test IMAGE  shows that a change of any byte but the masked ones is found

Not compared, because they are addresses of code and of a constant in the process that made the region:

    at 0, 24, 32: Type.name, .alloc, .free    8 bytes each; must not be null

Compared as offsets, because they are addresses in the maker's mapping:

    at 40: Type._vd, which gives the mapping's address: it points to the Block at 48
    at 0 and 8 of each Block: .prev and .next, null stays null

All other bytes, padding too, are compared as they are: nothing else is masked.
"""
import struct
import sys

MASKED = (0, 24, 32)
FIRST = 40
TYPE_SIZE, BLOCK_SIZE, PAGE = 48, 32, 4096


def pointer(image, at):
    if at + 8 > len(image):
        raise ValueError(f"ends before the pointer at {at}")
    return struct.unpack_from("<Q", image, at)[0]


def normalised(image):
    """The image with each pointer replaced by 0 or an offset; ValueError when one is wrong."""
    result = bytearray(image)
    for at in MASKED:
        if pointer(image, at) == 0:
            raise ValueError(f"null at {at}")
        struct.pack_into("<Q", result, at, 0)
    base = pointer(image, FIRST) - TYPE_SIZE
    if base % PAGE != 0 or base <= 0:
        raise ValueError(f"_vd at {FIRST} does not point to offset {TYPE_SIZE} of a mapping")
    struct.pack_into("<Q", result, FIRST, TYPE_SIZE)
    before, block = 0, TYPE_SIZE
    while block:
        prev = pointer(image, block)
        if prev != (base + before if before else 0):
            raise ValueError(f"Block at {block}: prev leads to {prev - base}, not to {before}")
        following = pointer(image, block + 8)
        following = following - base if following else 0
        if following and not block + BLOCK_SIZE < following <= len(image) - BLOCK_SIZE:
            raise ValueError(f"Block at {block}: next leads to {following}")
        struct.pack_into("<QQ", result, block, before, following)
        before, block = block, following
    return bytes(result)


def differences(image, other):
    try:
        a, b = normalised(image), normalised(other)
    except ValueError as error:
        return [str(error)]
    found = [f"at {i}: {x:#04x}, not {y:#04x}" for i, (x, y) in enumerate(zip(b, a)) if x != y]
    if len(a) != len(b):
        found.insert(0, f"{len(b)} bytes, not {len(a)}")
    return found


def self_test(image):
    """Changes each byte in turn; only the masked pointers' bytes may go unnoticed."""
    allowed = {at + i for at in MASKED for i in range(8)}
    for i in range(len(image)):
        changed = bytearray(image)
        changed[i] ^= 0x10
        if bool(differences(image, changed)) == (i in allowed):
            return [f"a change at {i} is {'found' if i in allowed else 'not found'}"]
    if not differences(image, image[:-1]):
        return ["a missing byte is not found"]
    return []


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__)
    if arguments[0] == "--self-test":
        found = self_test(read(arguments[1]))
    else:
        found = differences(read(arguments[0]), read(arguments[1]))
    for line in found[:20]:
        print(f"{arguments[1]}: {line}", file=sys.stderr)
    if len(found) > 20:
        print(f"{arguments[1]}: {len(found) - 20} more differences", file=sys.stderr)
    sys.exit(1 if found else 0)


main(sys.argv[1:])
