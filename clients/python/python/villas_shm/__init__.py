"""Samples between processes of one Linux host through shared memory, into and out of numpy arrays.

    with vs.open("feeder", timeout=5) as ch:  # waits for the node for 5 s
        buf = ch.batch(256)                   # numpy arrays for up to 256 samples
        n = ch.read_into(buf)                 # waits for the first one, takes what is there
        buf.values[:n] *= 2
        ch.write_from(buf, n)
"""

from ._async import AsyncChannel, open_async
from ._errors import (
    BusyError,
    ClosedError,
    CorruptError,
    Error,
    ExistsError,
    FullError,
    InterruptedError,
    InvalidError,
    MismatchError,
    NotFoundError,
    PermissionError,
    StaleError,
    TimeoutError,
)
from ._ls import Holder, Object, Queue
from ._native import (
    Batch,
    Channel,
    Event,
    Ring,
    Sample,
    Segment,
    View,
    __version__,
    create,
    ls,
    open,
    open_wire,
    unlink,
)
from ._ring import Endpoint, RingStats
from ._segment import SegmentStat
from ._types import Flags, Signal, Stats

__all__ = [
    "AsyncChannel",
    "Batch",
    "BusyError",
    "Channel",
    "ClosedError",
    "CorruptError",
    "Endpoint",
    "Error",
    "Event",
    "ExistsError",
    "Flags",
    "FullError",
    "Holder",
    "InterruptedError",
    "InvalidError",
    "MismatchError",
    "NotFoundError",
    "Object",
    "PermissionError",
    "Queue",
    "Ring",
    "RingStats",
    "Sample",
    "Segment",
    "SegmentStat",
    "Signal",
    "StaleError",
    "Stats",
    "TimeoutError",
    "View",
    "__version__",
    "create",
    "ls",
    "open",
    "open_async",
    "open_wire",
    "unlink",
]
