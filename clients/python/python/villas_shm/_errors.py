"""Exceptions: each is an OSError with `errno` and the library's sentence, and the builtin that fits."""

import builtins
import errno as _errno


class Error(OSError):
    """Any error of the library. `errno` is its code, `strerror` says what was wrong and what to do."""


class InvalidError(Error, ValueError):
    """A bad argument; nothing was changed. `EINVAL`."""


class FullError(Error, BlockingIOError):
    """No room, and the call was not to wait; or a wait cannot end, as this process holds all samples.
    `EAGAIN`."""


class TimeoutError(Error, builtins.TimeoutError):
    """The time is over. `ETIMEDOUT`."""


class InterruptedError(Error, builtins.InterruptedError):
    """`Channel.interrupt` ended the wait. `EINTR`."""


class BusyError(Error):
    """A live process holds the place or the name, or another thread uses the batch. `EBUSY`."""


class NotFoundError(Error, FileNotFoundError):
    """There is no such region. `ENOENT`."""


class ExistsError(Error, FileExistsError):
    """The object exists, or is open, already. `EEXIST`, `EALREADY`."""


class MismatchError(Error):
    """Another layout version, other parameters or signals, or another kind of object. `EPROTO`."""


class CorruptError(Error):
    """Not a region of this library, or damaged. `EBADMSG`."""


class ClosedError(Error, BrokenPipeError):
    """Closed here, or the peer is gone and everything that it wrote has been read. `EPIPE`."""


class StaleError(Error):
    """The region was replaced, or this side was taken over: open again. `ESTALE`."""


class PermissionError(Error, builtins.PermissionError):
    """Not allowed. `EACCES`, `EPERM`."""


_CLASSES: dict[int, type[Error]] = {
    _errno.EINVAL: InvalidError,
    _errno.EAGAIN: FullError,
    _errno.ETIMEDOUT: TimeoutError,
    _errno.EINTR: InterruptedError,
    _errno.EBUSY: BusyError,
    _errno.ENOENT: NotFoundError,
    _errno.EEXIST: ExistsError,
    _errno.EALREADY: ExistsError,
    _errno.EPROTO: MismatchError,
    _errno.EBADMSG: CorruptError,
    _errno.EPIPE: ClosedError,
    _errno.ESTALE: StaleError,
    _errno.EACCES: PermissionError,
    _errno.EPERM: PermissionError,
}


def of_errno(code: int, sentence: str) -> Error:
    """The exception for a code of `<errno.h>`."""
    return _CLASSES.get(code, Error)(code, sentence)
