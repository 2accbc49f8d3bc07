"""What calls give and take: signals, flags, counters, times."""

import datetime
import enum
from typing import Literal, NamedTuple

import numpy as np


class Signal(NamedTuple):
    """What a value of a sample is."""

    name: str
    unit: str = ""
    type: Literal["float", "integer", "boolean", "complex"] = "float"


class Flags(enum.IntFlag):
    """What a sample's header says. The bits are VILLASnode's."""

    HAS_TS_ORIGIN = 1
    HAS_TS_RECEIVED = 2
    HAS_OFFSET = 4
    HAS_SEQUENCE = 8
    HAS_DATA = 16
    NEW_FRAME = 1 << 16
    NEW_SIMULATION = 1 << 17
    #: A predecessor of this process had taken the sample and died before it put it.
    REDELIVERED = 1 << 24


class Stats(NamedTuple):
    """Counters and fill levels of a channel, since the region was created."""

    written: int  #: samples that this side has written
    read: int  #: samples that this side has taken
    queued_in: int  #: samples that this side has still to take
    queued_out: int  #: samples of this side that the peer has still to take
    redelivered: int  #: samples that a dead predecessor held and this process got
    waits: int  #: sleeps of this side
    wakeups: int  #: wake-ups that this side has sent
    blocks: int  #: blocks of both sides
    blocks_free: int  #: free blocks of this side
    held: int  #: blocks to which this process holds references
    region_size: int  #: bytes


_NANOSECONDS = np.dtype("M8[ns]")


def datetime64(time: object) -> np.datetime64:
    """A time as numpy has it, in UTC and in whatever unit fits."""
    if hasattr(time, "to_datetime64"):
        time = time.to_datetime64()  # pandas's, which has nanoseconds
    elif isinstance(time, datetime.datetime):
        if time.tzinfo is not None:
            time = time.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        time = np.datetime64(time)
    if not isinstance(time, np.datetime64):
        raise TypeError(f"a time is a datetime64, a datetime, or an integer of nanoseconds since 1970, not {time!r}")
    return time


def nanoseconds(time: object) -> int:
    """A time as nanoseconds since 1970, UTC; that of "not a time" for NaT."""
    if type(time) is np.datetime64 and time.dtype == _NANOSECONDS:
        return int(time.astype(np.int64))
    if isinstance(time, int):
        raise OverflowError(f"{time} does not fit datetime64[ns], which reaches from 1678 to 2262")
    given = datetime64(time)
    made = given.astype(_NANOSECONDS)
    # What does not fit is wrapped around; days are few enough to tell.
    if not np.isnat(given) and made.astype("M8[D]") != given.astype("M8[D]"):
        raise OverflowError(f"{time!r} does not fit datetime64[ns], which reaches from 1678 to 2262")
    return int(made.astype(np.int64))
