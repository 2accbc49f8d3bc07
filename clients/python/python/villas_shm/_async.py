"""Channels in asyncio: the event loop polls their descriptors, so an idle reader costs nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any, Self

from . import _native
from ._errors import ClosedError, FullError, NotFoundError, TimeoutError
from ._types import Signal, Stats

# So often a task that always finds a sample, or room, lets other tasks run.
_TURNS = 64
# After so many seconds a task that waits asks whether it ever can go on.
_PATIENCE = 0.1


class _Poll:
    """The tasks that wait for one descriptor, which the loop watches while there are any."""

    def __init__(self, fileno: Callable[[], int], check: Callable[[], None]) -> None:
        self._fileno = fileno
        self._check = check
        self._waiters: set[asyncio.Future[None]] = set()
        self._turns = 0

    async def ready(self, start: float) -> None:
        """Waits until the descriptor is readable, for a call that waits since `start`. It may be so
        without a reason. FullError: it cannot go on, as this process holds all samples."""
        loop = asyncio.get_running_loop()
        descriptor = self._fileno()
        waiter = loop.create_future()
        if not self._waiters:
            loop.add_reader(descriptor, self._wake)
        self._waiters.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=_PATIENCE)
            if time.monotonic() - start >= _PATIENCE:
                self._check()
            await waiter
        finally:
            self._waiters.discard(waiter)
            if not self._waiters:
                loop.remove_reader(descriptor)

    async def turn(self) -> float:
        """Lets other tasks run now and then. Returns when the call began."""
        self._turns += 1
        if self._turns % _TURNS == 0:
            await asyncio.sleep(0)
        return time.monotonic()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class AsyncChannel:
    """A channel in an event loop. `open_async` opens one; `AsyncChannel(channel)` takes one over.

    Use `asyncio.timeout` to limit a wait. A cancelled read loses nothing: a sample is taken when the
    task that gets it runs. Errors as those of `Channel`. Of one thread, as the loop is.
    """

    def __init__(self, channel: _native.Channel) -> None:
        self.channel = channel
        self._input = _Poll(channel.fileno, lambda: channel._check_held(False))
        self._output = _Poll(channel.write_fileno, lambda: channel._check_held(True))

    @property
    def name(self) -> str:
        """As `Channel.name`."""
        return self.channel.name

    @property
    def closed(self) -> bool:
        """As `Channel.closed`."""
        return self.channel.closed

    @property
    def samplelen(self) -> int:
        """As `Channel.samplelen`."""
        return self.channel.samplelen

    @property
    def read_signals(self) -> tuple[Signal, ...]:
        """As `Channel.read_signals`."""
        return self.channel.read_signals

    @property
    def write_signals(self) -> tuple[Signal, ...]:
        """As `Channel.write_signals`."""
        return self.channel.write_signals

    @property
    def peer_alive(self) -> bool:
        """As `Channel.peer_alive`."""
        return self.channel.peer_alive

    @property
    def peer_died(self) -> bool:
        """As `Channel.peer_died`."""
        return self.channel.peer_died

    def stats(self) -> Stats:
        """As `Channel.stats`."""
        return self.channel.stats()

    def batch(self, capacity: int, *, write: bool = False, width: int | None = None) -> _native.Batch:
        """As `Channel.batch`."""
        return self.channel.batch(capacity, write=write, width=width)

    async def wait(self) -> None:
        """Waits until a live peer is attached, as `Channel.wait`. No descriptor tells of it, so it
        looks again and again, at least 20 times a second."""
        pause = 0.001
        while True:
            try:
                return self.channel.wait(0)
            except TimeoutError:
                await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    async def alloc(self, length: int | None = None) -> _native.Sample:
        """A new sample of zeros, as `Channel.alloc`: waits for a free block."""
        start = await self._output.turn()
        while True:
            try:
                return self.channel.alloc(length, timeout=0)
            except FullError:
                await self._output.ready(start)

    async def read(self) -> _native.Sample:
        """Reads one sample, as `Channel.read`."""
        start = await self._input.turn()
        while True:
            try:
                if (sample := self.channel.try_read()) is not None:
                    return sample
            except FullError:
                pass  # another task may release some
            await self._input.ready(start)

    async def read_into(self, batch: _native.Batch) -> int:
        """Reads what is there into a batch, at least one sample, as `Channel.read_into`."""
        start = await self._input.turn()
        while True:
            try:
                if (count := self.channel.read_into(batch, 0)) > 0:
                    return count
            except FullError:
                pass  # another task may release some
            await self._input.ready(start)

    async def batches(self, capacity: int, *, width: int | None = None) -> AsyncIterator[_native.Batch]:
        """Batches of up to `capacity` samples as they come: `batch.count` rows of the arrays are
        filled. It is the same batch each time, so copy what is to be kept. Ends when the peer has
        closed; ClosedError when it has died."""
        batch = self.batch(capacity, width=width)
        while True:
            try:
                await self.read_into(batch)
            except ClosedError:
                if self._has_ended():
                    return
                raise
            yield batch

    async def write(
        self,
        values: "_native.Sample | _native._Values",
        *,
        origin: "_native._Time | None" = None,
        sequence: int | None = None,
    ) -> None:
        """Writes one sample and waits for room, as `Channel.write`."""
        start = await self._output.turn()
        while True:
            try:
                return self.channel.write(values, origin=origin, sequence=sequence, timeout=0)
            except FullError:
                await self._output.ready(start)

    async def write_from(self, batch: _native.Batch, n: int | None = None) -> int:
        """Writes the first `n` rows of a batch and waits for room, as `Channel.write_from`."""
        start = await self._output.turn()
        end = batch.count if n is None else n
        written = self.channel.write_from(batch, end, timeout=0)
        while written < end:
            await self._output.ready(start)
            written += self.channel.write_from(batch, end, start=written, timeout=0)
        return written

    def close(self) -> None:
        """Closes the channel. Tasks that wait get ClosedError."""
        self.channel.close()

    def _has_ended(self) -> bool:
        return not self.channel.closed and not self.channel.peer_died

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _native.Sample:
        try:
            return await self.read()
        except ClosedError:
            if self._has_ended():
                raise StopAsyncIteration from None
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<villas_shm.AsyncChannel of {self.channel!r}>"


class _Opening:
    """What `open_async` gives: for `async with`, or to be awaited."""

    def __init__(self, name: str, timeout: float | None) -> None:
        self._name = name
        self._timeout = timeout
        self._opened: AsyncChannel | None = None

    async def _open(self) -> AsyncChannel:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        pause = 0.001
        while True:
            try:
                return AsyncChannel(_native.open(self._name, 0))
            except (NotFoundError, TimeoutError):
                if deadline is not None and time.monotonic() >= deadline:
                    # What `open` says when its time is over; 0 does not wait.
                    return AsyncChannel(_native.open(self._name, min(self._timeout or 0, 1e-6)))
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    def __await__(self) -> Generator[Any, None, AsyncChannel]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncChannel:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()


def open_async(name: str, timeout: float | None = None) -> _Opening:
    """Opens the region `name` in an event loop, and waits for the node to create it:
    `async with open_async(name) as ch:`, or `ch = await open_async(name)`.

    `timeout` in seconds: None waits without limit. Errors as `open`.
    """
    return _Opening(name, timeout)
