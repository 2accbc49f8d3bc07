"""Samples between processes of one Linux host through shared memory, into and out of numpy arrays."""

from . import _errors, _types
from ._errors import *  # noqa: F403
from ._native import Batch, Channel, Sample, View, __version__, create, open, open_wire, unlink
from ._types import Flags, Signal, Stats

__all__ = [
    *_errors.__all__, *_types.__all__,
    "Batch", "Channel", "Sample", "View", "__version__", "create", "open", "open_wire", "unlink",
]
