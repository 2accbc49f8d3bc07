"""What the system knows of a segment."""

from typing import NamedTuple

import numpy as np

__all__ = ["SegmentStat"]


class SegmentStat(NamedTuple):
    """What the system knows of a segment. `None`: it does not say."""

    size: int  #: bytes
    permissions: int  #: nine bits
    uid: int  #: the owner
    gid: int  #: the owner's group
    removed: bool  #: its name or key is gone; its memory goes with its last user
    changed_at: np.datetime64  #: owner, permissions or size
    id: int | None  #: System V; `None`: a POSIX object
    key: int | None  #: System V; 0: private, or removed
    attached: int | None  #: attachments in all processes; System V
    creator_pid: int | None  #: System V
    last_pid: int | None  #: the process that attached or detached it last; System V
