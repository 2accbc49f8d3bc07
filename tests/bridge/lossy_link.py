"""usage: lossy_link.py PID PID DELAY_MS LOSS SEED

Joins the network namespaces of two processes by a device "lossy" in each. Each packet is handed
over DELAY_MS later, but for the share LOSS of them. Of packets that come at the same rate the same
ones are dropped with the same SEED. At SIGINT it prints how many were handed over and dropped.

It stands in for tc's netem, which many kernels do not have.
"""

import collections
import ctypes
import fcntl
import os
import random
import selectors
import signal
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
MOST = 1000  # packets on their way in one direction, as netem has


def device(pid: int) -> int:
    """A TUN device in the process' namespace; a descriptor of it goes on from everywhere."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"lossy", IFF_TUN | IFF_NO_PI))
    return tun


def main() -> None:
    one, other, delay, loss, seed = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000, float(sys.argv[4]), int(sys.argv[5])
    tuns = device(one), device(other)
    to = dict(zip(tuns, reversed(tuns)))
    chance = {tun: random.Random(f"{seed} {index}") for index, tun in enumerate(tuns)}
    underway: collections.deque[tuple[float, int, bytes]] = collections.deque()
    waiting = collections.Counter[int]()
    forwarded = dropped = 0
    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
    selector = selectors.DefaultSelector()
    for tun in tuns:
        selector.register(tun, selectors.EVENT_READ)
    print("ready", file=sys.stderr, flush=True)
    while not stopped:
        timeout = max(0.0, underway[0][0] - time.monotonic()) if underway else 0.2
        for key, _ in selector.select(min(timeout, 0.2)):
            try:
                for _ in range(64):
                    packet = os.read(key.fd, 65536)
                    if chance[key.fd].random() < loss or waiting[key.fd] == MOST:
                        dropped += 1
                    else:
                        underway.append((time.monotonic() + delay, key.fd, packet))
                        waiting[key.fd] += 1
            except OSError:  # no more, or the device is not up
                pass
        while underway and underway[0][0] <= time.monotonic():
            _, came_from, packet = underway.popleft()
            waiting[came_from] -= 1
            try:
                os.write(to[came_from], packet)
                forwarded += 1
            except OSError:
                dropped += 1
    print(f"forwarded {forwarded} dropped {dropped}", flush=True)


main()
