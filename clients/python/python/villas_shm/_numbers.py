"""What numpy would convert without a word although the numbers would change."""

from typing import Any

import numpy as np


def assign(array: Any, values: Any, name: str) -> None:
    """Assigns to all elements of `array`, which are those of `name`, as numpy does, but keeps what
    the numbers are: a float becomes an integer only if it is whole."""
    given = np.asarray(values)
    if array.dtype == bool and given.dtype.kind in "biuf":
        given = given.astype(bool)
    elif array.dtype.kind == "i" and given.dtype.kind == "f":
        if not np.all(given == np.trunc(given)) or np.any(np.abs(given) >= 2.0**63):
            raise ValueError(f"{name}: {np.array2string(given, threshold=6)} is not an integer, or too large")
        given = given.astype(np.int64)
    elif given.dtype.kind == "u" and array.dtype.kind == "i" or given.dtype.kind == "i" and array.dtype.kind == "u":
        if np.any(given.astype(array.dtype) != given) or np.any((given < 0) != (given.astype(array.dtype) < 0)):
            raise OverflowError(f"{name}: {np.array2string(given, threshold=6)} does not fit {array.dtype}")
        given = given.astype(array.dtype)
    try:
        np.copyto(array, given, casting="same_kind")
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def fill(message: Any, value: Any) -> None:
    """Makes `value` the message in an array of one, where numpy would guess: None, text, one number
    for all, a fraction cut off."""
    dtype, shape = message.dtype, message.shape
    if dtype.names is not None:
        fields = value if isinstance(value, tuple) else None
        if not shape and fields is None and getattr(getattr(value, "dtype", None), "names", None) is None:
            raise TypeError(f"a message is a tuple or a record of {', '.join(dtype.names)}, not {value!r}")
        for name, field in zip(dtype.names, fields or ()):
            if field is None and dtype[name].kind not in "mM":
                raise TypeError(f"{name}, {dtype[name]}, cannot be None")
    given = None
    if shape or dtype.kind in "biufc":
        given = np.asarray(value, dtype=dtype if dtype.names is not None else None)
        if given.shape != shape:
            raise ValueError(f"a message of {dtype} has the shape {shape}, not {given.shape} as {value!r}")
    if given is not None and dtype.kind in "biufc":
        if given.dtype.kind not in "biufc" or given.dtype.kind == "c" and dtype.kind != "c":
            raise TypeError(f"a message is of {dtype}, and {value!r} is not")
    elif value is None and dtype.kind not in "mM":
        raise TypeError(f"a message is of {dtype}, and cannot be None")
    message[...] = value
    if dtype.kind in "biu" and not np.array_equal(message, value):
        raise ValueError(f"{value!r} does not fit {dtype}")
