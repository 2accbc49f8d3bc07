"""What is in shared memory on this host."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

__all__ = ["Holder", "Object", "Queue"]


class Holder(NamedTuple):
    """A process that holds a place in a region, or has another object mapped."""

    role: str  #: node, program, writer, producer, consumer; "mapped": of an object without places
    pid: int  #: by its own pid namespace
    program: str  #: the program's name
    state: Literal["alive", "closed", "dead"]


class Queue(NamedTuple):
    """A queue of a channel, or that of a ring."""

    direction: str  #: from whom to whom; empty for a ring
    depth: int  #: samples or messages that wait
    capacity: int  #: how many fit


class Object(NamedTuple):
    """An object in shared memory, as `villas-shm ls` shows it."""

    name: str | None  #: `None`: a System V segment
    kind: Literal["channel", "wire", "ring", "posix", "sysv", "sem", "unknown"]
    state: Literal["live", "stale", "unused", "corrupt", "unknown"]
    size: int  #: bytes
    mode: int  #: permission bits
    uid: int  #: the owner
    key: int | None  #: System V; 0: private
    id: int | None  #: System V
    note: str | None  #: why, where the state does not say enough
    holders: tuple[Holder, ...]
    queues: tuple[Queue, ...]


def make(fields: tuple[Any, ...], holders: Iterable[tuple[Any, ...]], queues: Iterable[tuple[Any, ...]]) -> Object:
    """The object of what the compiled module has found."""
    return Object._make((*fields, tuple(Holder(*one) for one in holders), tuple(Queue(*one) for one in queues)))
