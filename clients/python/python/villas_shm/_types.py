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


def nanoseconds(time: object) -> int:
    """A time as nanoseconds since 1970, UTC; that of "not a time" for NaT."""
    given = time
    if hasattr(time, "to_datetime64"):
        time = time.to_datetime64()  # pandas's, which has nanoseconds
    elif isinstance(time, datetime.datetime):
        if time.tzinfo is not None:
            time = time.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        time = np.datetime64(time)
    if isinstance(time, int | np.integer) and not isinstance(time, bool):
        all, fits = int(time), -(2**63) < time < 2**63
    elif isinstance(time, np.datetime64):
        made = time.astype("M8[ns]")
        # What does not fit is wrapped around; days are few enough to tell.
        all, fits = int(made.astype(np.int64)), np.isnat(time) or bool(made.astype("M8[D]") == time.astype("M8[D]"))
    else:
        raise TypeError(f"a time is a datetime64, a datetime, or an integer of nanoseconds since 1970, not {given!r}")
    if not fits:
        raise OverflowError(f"{given!r} does not fit datetime64[ns], which reaches from 1678 to 2262")
    return all
