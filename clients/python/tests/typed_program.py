"""A small program, which mypy --strict checks: what the stubs say of the interface."""

import asyncio
from datetime import datetime

import numpy as np
import numpy.typing as npt
import villas_shm as vs


def work() -> float:
    with vs.create("typed", samplelen=8, write_signals=[("v_a", "V"), "plain", vs.Signal("n", "", "integer")]) as node:
        node.write([1.0, 2, True], origin=np.datetime64("2026-01-01"), sequence=1)
        node.write(np.zeros(3), origin=datetime(2026, 1, 1), timeout=0)
        node.write(node.alloc())
    total = 0.0
    with vs.open("typed", timeout=5) as ch:
        units: list[str] = [signal.unit for signal in ch.read_signals]
        buf = ch.batch(256)
        n: int = ch.read_into(buf, timeout=1.5)
        values: npt.NDArray[np.float64] = buf.values[:n]
        values *= 2
        buf["v_a"] = 3
        times: npt.NDArray[np.datetime64] = buf.origin
        ch.write_from(buf, n)
        for smp in ch:
            smp["v_a"] *= 2
            with smp.view() as a:
                total += float(a.sum())
            first: float = smp.values[0]
            total += first + len(units) + len(times)
            smp.origin = None
            if smp.flags & vs.Flags.REDELIVERED:
                smp.put()
            else:
                ch.write(smp)
    return total + ch.stats().written


async def main() -> None:
    async with vs.open_async("typed") as ch:
        async for batch in ch.batches(256):
            count: int = batch.count
            await ch.write_from(batch, count)
        async for smp in ch:
            await ch.write(smp)


def messages() -> int:
    with vs.Ring("typed", dtype=[("at", "M8[ns]"), ("v", "f8")], role="consumer", policy="spsc") as ring:
        room = np.empty(16, ring.dtype)
        n: int = ring.pop_many(room, timeout=1)
        for message in ring:
            n += message["v"] > 0
        producers: int = ring.stats().producers
    with vs.Endpoint("typed", side="a", dtype="f8", capacity=8) as end, vs.Segment("typed", 64, create=True) as seg:
        end.send(1.5, timeout=1)
        memoryview(seg)[8:16] = bytes(8)
        seg.event(0).signal()
        sizes = np.frombuffer(memoryview(seg), "u8")
    return n + producers + len(sizes) + sum(one.size for one in vs.ls() if one.kind == "ring" and one.holders)


def handle(error: vs.Error) -> str | None:
    if isinstance(error, vs.ClosedError | vs.StaleError):
        return error.strerror
    return None


if __name__ == "__main__":
    work()
    asyncio.run(main())
