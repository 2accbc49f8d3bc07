"""Endpoints, and what is known of rings."""

from typing import Any, Literal, NamedTuple, Self

import numpy.typing as npt

from . import _errors, _native

__all__ = ["Endpoint", "RingStats"]


class RingStats(NamedTuple):
    """What is known of a ring at one moment. Events count since the ring was made."""

    pending: int  #: messages that can be taken
    available: int  #: messages that fit
    skipped: int  #: claims of producers that died before they published the message
    lost: int  #: messages that consumers had claimed when they died
    waits: int  #: sleeps of all
    wakeups: int  #: wake-ups that all have sent
    producers: int  #: live producers; 0: none has come yet, or all are gone
    consumers: int  #: live consumers
    region_size: int  #: bytes


class Endpoint:
    """One side of a duplex connection: two rings, `NAME_AB` and `NAME_BA`.

    `outgoing` and `incoming` are the rings, for what is not here: `push_many`, `pop_many`,
    `stats`, iteration. All who open it agree on the bytes of a message, capacity and policy.
    """

    def __init__(
        self,
        name: str,
        *,
        side: Literal["a", "b"],
        dtype: npt.DTypeLike,
        capacity: int = 144,
        policy: Literal["spsc", "mpsc", "mpmc"] = "spsc",
    ) -> None:
        self.name = name
        self.side = side
        self.outgoing, self.incoming = _native.open_endpoint(name, side, dtype, capacity, policy)

    def send(self, message: Any, timeout: float | None = None) -> None:
        """Sends a message, as `Ring.push`."""
        self.outgoing.push(message, timeout)

    def receive(self, timeout: float | None = None) -> Any:
        """Receives a message, as `Ring.pop`."""
        return self.incoming.pop(timeout)

    @property
    def closed(self) -> bool:
        """Whether both rings are closed."""
        return self.outgoing.closed and self.incoming.closed

    def fileno(self) -> int:
        """The descriptor of the incoming ring."""
        return self.incoming.fileno()

    def interrupt(self) -> None:
        """Ends the waits in both directions."""
        self.outgoing.interrupt()
        self.incoming.interrupt()

    def close(self) -> None:
        """Closes both rings, which stay with their messages until they are unlinked."""
        self.outgoing.close()
        self.incoming.close()

    def unlink(self) -> None:
        """Removes the names of both rings, those that are there."""
        for ring in (self.outgoing, self.incoming):
            try:
                _native.unlink(ring.name)
            except _errors.NotFoundError:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<villas_shm.Endpoint {self.name!r}, side {self.side}: {self.outgoing!r}, {self.incoming!r}>"
