"""The processes that the benchmark compares: `contenders.py NAME WHAT SIDE REGION`.

`stream`: the driver sends batches of 64 samples of 8 values out of a numpy array, the other
receives them into one. `trip`: one sample of 8 values goes to the other and back. Each contender
gives what a side does once; the driver repeats it for the seconds that it reads, and prints how
often per second.
"""

import contextlib
import ctypes
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

VALUES, BATCH, CHUNK = 8, 64, 8
# What a sample has beside its values, for those that send plain arrays: a number and a time.
WIDTH = VALUES + 2
Step = Callable[[], object]


def villas(what: str, side: str, region: str) -> Step:
    """This package."""
    import villas_shm as vs

    is_stream = what == "stream"
    channel = vs.open(region) if side == "driver" else vs.create(region, samplelen=VALUES, polling=not is_stream)
    if is_stream:
        batch = channel.batch(BATCH, write=side == "driver")
        if side == "driver":
            return lambda: channel.write_from(batch, BATCH)
        return lambda: channel.read_into(batch)
    read, write = channel.read, channel.write
    if side == "driver":
        write(np.zeros(VALUES))
    return lambda: write(read())


class _Header(ctypes.Structure):
    """struct sample, without its values, which follow."""

    sequence: int
    length: int
    capacity: int
    flags: int
    origin: "ctypes.Array[ctypes.c_long]"
    received: "ctypes.Array[ctypes.c_long]"
    _fields_ = [
        ("sequence", ctypes.c_uint64),
        ("length", ctypes.c_uint),
        ("capacity", ctypes.c_uint),
        ("flags", ctypes.c_int),
        ("_private", ctypes.c_uint64 * 4),
        ("origin", ctypes.c_long * 2),
        ("received", ctypes.c_long * 2),
    ]


def by_ctypes(what: str, side: str, region: str) -> Step:
    """The C interface by ctypes."""
    import villas_shm as vs

    library = ctypes.CDLL(os.path.join(os.environ["VILLAS_SHM_BENCH_LIB"], "libvillas_shm.so"))
    library.shmem_shared_timed_open.restype = ctypes.c_void_p
    is_stream = what == "stream"
    if side == "other":  # the other end is this package's: the regions are the same
        return villas(what, side, region)
    shm = ctypes.c_void_p(library.shmem_shared_timed_open(region.encode(), None, None))
    pointers = (ctypes.POINTER(_Header) * BATCH)()
    rows = np.zeros((BATCH, VALUES))
    start, size = rows.ctypes.data, ctypes.sizeof(_Header)

    def send(count: int = BATCH) -> None:
        got = library.shmem_shared_timed_alloc(shm, pointers, count, None)
        for at in range(got):
            header = pointers[at].contents
            header.length, header.sequence, header.flags = VALUES, at, vs.Flags.HAS_DATA | vs.Flags.HAS_SEQUENCE
            ctypes.memmove(ctypes.addressof(header) + size, start + 8 * VALUES * at, 8 * VALUES)
        library.shmem_shared_timed_write(shm, pointers, got, None)

    def go_round() -> None:
        while (got := library.shmem_shared_read(shm, pointers, 1)) == 0:
            pass
        if got != 1 or library.shmem_shared_write(shm, pointers, 1) != 1:
            raise BrokenPipeError

    if is_stream:
        return send
    send(1)
    return go_round


# A queue that goes takes its semaphores along, also before the process has found them.
_KEPT: list[object] = []


def by_queue(what: str, side: str, region: str) -> Step:
    """multiprocessing.Queue. The driver makes the other process."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    there, back = context.Queue(8), context.Queue(8)
    process = context.Process(target=_serve, args=(what, there, back), daemon=True)
    process.start()
    _KEPT.extend((process, there, back))
    if what == "stream":
        rows = np.zeros((BATCH, WIDTH))
        return lambda: there.put(rows)
    there.put(np.zeros(WIDTH))
    return lambda: there.put(back.get())


def _serve(what: str, there: Any, back: Any) -> None:
    rows = np.zeros((BATCH, WIDTH))
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            if what == "stream":
                rows[:] = there.get()
            else:
                back.put(there.get())


def by_zmq(what: str, side: str, region: str) -> Step:
    """pyzmq over ipc."""
    zmq: Any = importlib.import_module("zmq")
    kinds = {"stream": (zmq.PUSH, zmq.PULL), "trip": (zmq.PAIR, zmq.PAIR)}[what]
    socket: Any = zmq.Context().socket(kinds[side == "other"])
    address = f"ipc:///dev/shm/{region}"
    socket.bind(address) if side == "other" else socket.connect(address)
    if what == "stream":
        rows = np.zeros((BATCH, WIDTH))
        flat = rows.reshape(-1)

        def receive() -> None:
            flat[:] = np.frombuffer(socket.recv())

        return receive if side == "other" else lambda: socket.send(rows)
    if side == "driver":
        socket.send(np.zeros(WIDTH))
    return lambda: socket.send(socket.recv())


def by_iceoryx2(what: str, side: str, region: str) -> Step:
    """iceoryx2's package. Its subscribers poll."""
    iceoryx2: Any = importlib.import_module("iceoryx2")
    iceoryx2.set_log_level(iceoryx2.LogLevel.Fatal)
    # Python's own handler of signals stays.
    builder = iceoryx2.NodeBuilder.new().signal_handling_mode(iceoryx2.SignalHandlingMode.Disabled)
    node = builder.create(iceoryx2.ServiceType.Ipc)
    count = WIDTH * (BATCH if what == "stream" else 1)

    def service(name: str) -> Any:
        builder = node.service_builder(iceoryx2.ServiceName.new(f"{region}/{name}"))
        made = builder.publish_subscribe(iceoryx2.Slice[ctypes.c_double])
        return made.enable_safe_overflow(False).subscriber_max_buffer_size(8).open_or_create()

    services = [service("there"), service("back")]
    out, back = services if side == "driver" else services[::-1]
    publisher = (
        out.publisher_builder()
        .initial_max_slice_len(count)
        .backpressure_strategy(iceoryx2.BackpressureStrategy.RetryUntilDelivered)
        .create()
    )
    subscriber = back.subscriber_builder().create()
    rows = np.zeros(count)

    def receive() -> None:
        while (sample := subscriber.receive()) is None:
            pass
        ctypes.memmove(rows.ctypes.data, sample.payload_ptr, rows.nbytes)
        sample.delete()

    def send() -> None:
        loan = publisher.loan_slice_uninit(count)
        ctypes.memmove(loan.payload_ptr, rows.ctypes.data, rows.nbytes)
        loan.assume_init().send()

    def go_round() -> None:
        receive()
        send()

    if what == "stream":
        return send if side == "driver" else receive
    if side == "driver":
        while out.dynamic_config.number_of_subscribers == 0:
            time.sleep(0.01)
        send()
    return go_round


def idle(what: str, side: str, region: str) -> Step:
    """An asyncio reader to which nothing comes: the processor's time that it takes, of all."""
    import asyncio

    import villas_shm as vs

    async def wait(seconds: float) -> float:
        with vs.create(region, samplelen=VALUES):
            async with vs.open_async(region) as channel:
                reader = asyncio.create_task(channel.read())
                await asyncio.sleep(0.2)
                before = time.process_time()
                await asyncio.sleep(seconds)
                used = time.process_time() - before
                reader.cancel()
        return used / seconds

    return lambda: asyncio.run(wait(3.0))


CONTENDERS: dict[str, Callable[[str, str, str], Step]] = {
    "villas_shm": villas,
    "ctypes": by_ctypes,
    "multiprocessing.Queue": by_queue,
    "pyzmq, ipc": by_zmq,
    "iceoryx2": by_iceoryx2,
}


def main() -> None:
    name, what, side, region = sys.argv[1:]
    if name == "idle":
        return print(idle(what, side, region)())
    step = CONTENDERS[name](what, side, region)
    print("ready", flush=True)
    while side == "other":
        step()
    for line in sys.stdin:
        seconds = float(line)
        begin = at = time.perf_counter()
        times = []
        while at < begin + seconds:
            before = at
            for _ in range(CHUNK):
                step()
            at = time.perf_counter()
            times.append(at - before)
        # Of round trips the median: a slice that the system takes away is not theirs.
        rate = len(times) * CHUNK / (at - begin) if what == "stream" else CHUNK / statistics.median(times)
        print(rate, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, OSError):  # the end, or that of the other
        main()
