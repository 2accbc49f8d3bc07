"""Numbers and times that programs give, where numpy would convert without a word although the values
would change."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._types import datetime64

_KINDS = {"b": "b", "i": "biuf", "u": "biuf", "f": "biuf", "c": "biufc", "M": "Miu", "m": "miu", "S": "SU", "U": "SU"}


def array(values: Any, dtype: Any, name: str) -> Any:
    """The values as an array, each as it is: not of a set, which has no order, nor a masked one."""
    if dtype.kind == "M" and isinstance(values, list | tuple):
        # An array of all would have one unit, in which some might not fit.
        return np.array(values, dtype=object)
    if type(values) is list or type(values) is np.ndarray:
        return np.asarray(values)
    if isinstance(values, set | frozenset):
        raise TypeError(f"{name}: a {type(values).__name__} has no order: give a list")
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name}: a masked array has values that are none: give a.filled(…)")
    return np.asarray(values)


def fit(given: Any, dtype: Any, name: str) -> Any:
    """An array of such numbers as `dtype`, where each keeps its value: floats become integers only if
    they are whole, and booleans only if they are 0 or 1. A float may lose digits."""
    if given.dtype == dtype:
        return given
    if given.dtype.kind == "O":
        given = _of_objects(given, dtype, name)

    def refuse(why: str) -> str:
        return f"{name}: {np.array2string(given, threshold=6)} {why} {dtype}"

    # Bytes for a void, which says nothing of their meaning.
    if dtype.kind == "V" and given.dtype.kind in "SV" and given.dtype.itemsize <= dtype.itemsize:
        return given.astype(dtype)
    if dtype.kind == "b" and given.dtype.kind in "iuf":
        if np.all((given == 0) | (given == 1)):
            return given.astype(dtype)
        raise ValueError(refuse("must be True, False, 0 or 1 for"))
    if given.dtype.kind not in _KINDS.get(dtype.kind, ""):
        raise TypeError(refuse(f"is {given.dtype}, not"))
    if dtype.kind not in "Mm" and np.can_cast(given.dtype, dtype):
        return given.astype(dtype)
    with np.errstate(all="ignore"):
        try:
            made = given.astype(dtype)
        except UnicodeError:
            raise ValueError(refuse("has other than ASCII characters, unlike")) from None
        if dtype.kind in "iu" and given.dtype.kind == "f":
            if not np.all(given == np.trunc(given)):
                raise ValueError(refuse("is not an integer, but must be one for"))
            limits = np.iinfo(dtype)
            fits = (given >= float(limits.min)) & (given < float(limits.max // 2 + 1) * 2)
        elif dtype.kind in "fc":
            fits = np.isfinite(made) | ~np.isfinite(given)
        elif dtype.kind in "Mm":
            # In days, which neither can exceed.
            days = f"{dtype.kind}8[D]"
            same = made.astype("i8") == given if given.dtype.kind in "iu" else made.astype(days) == given.astype(days)
            fits = same | np.isnat(made) & (given.dtype.kind == dtype.kind)
            if dtype.kind == "M" and not np.all(fits):
                raise OverflowError(refuse("does not fit (of nanoseconds, from 1678 to 2262)"))
        elif dtype.kind in "iu":
            fits = (made == given) & ((made < 0) == (given < 0))
        else:
            fits = made.astype(given.dtype) == given
    if not np.all(fits):
        raise OverflowError(refuse("does not fit"))
    return made


def _time(given: Any) -> Any:
    if given is None:
        return np.datetime64("NaT")
    if not isinstance(given, int):
        return datetime64(given)
    if not -(2**63) < given < 2**63:
        raise OverflowError(f"{given} does not fit datetime64[ns], which reaches from 1678 to 2262")
    return given


def _of_objects(given: Any, dtype: Any, name: str) -> Any:
    """An array of Python's objects as one of what they are."""
    if dtype.kind == "M":
        times = [fit(np.asarray(_time(one)), dtype, name) for one in given.ravel().tolist()]
        return np.array(times, dtype).reshape(given.shape)
    made = np.asarray(given.tolist())
    if made.dtype.kind != "O":
        return made
    for one in given.ravel().tolist():
        if not isinstance(one, int):
            raise TypeError(f"{name}: {one!r} is a {type(one).__name__}, not {dtype}")
    raise OverflowError(f"{name}: {np.array2string(given, threshold=6)} does not fit {dtype}")


def assign(column: Any, values: Any, name: str) -> None:
    """Assigns to all elements of a column, as numpy does: one value for all, or one for each."""
    np.copyto(column, _spread(fit(array(values, column.dtype, name), column.dtype, name), column.shape, name))


def _spread(made: Any, shape: tuple[int, ...], name: str) -> Any:
    if made.shape == shape:
        return made
    if made.ndim > len(shape) or any(have not in (1, want) for have, want in zip(made.shape[::-1], shape[::-1])):
        raise ValueError(f"{name}: of the shape {made.shape}, but must be of {shape}, or one value or row for all")
    return np.broadcast_to(made, shape)


def assign_all(rows: Any, values: Any, names: Sequence[str], described: Sequence[str]) -> None:
    """Assigns to the values of a batch: by name what has names, such as a structured array, a
    DataFrame or a list of dicts, and by position what has none."""
    what = "values"
    columns: Any
    if (named := field_names(values)) is not None:
        _check_names(named, names, what)
        columns = [_field(values, name) for name in names]
    elif isinstance(values, list | tuple) and values and field_names(values[0]) is not None:
        for at, row in enumerate(values):
            _check_names(field_names(row) or [], names, f"{what}, row {at}")
        columns = [[_field(row, name) for row in values] for name in names]
    elif rows.dtype.names is None:
        return assign(rows, values, what)
    else:
        # Of a list, each number keeps a type of its own.
        given = array(values, rows.dtype, what)
        given = np.array(values, dtype=object) if isinstance(values, list | tuple) else given
        columns = _spread(given, (len(rows), len(names)), what).T
    targets = [rows[name] if rows.dtype.names else rows[:, at] for at, name in enumerate(names)]
    # All are checked before the first one changes.
    made = [
        _spread(fit(array(column, to.dtype, one), to.dtype, one), to.shape, one)
        for column, one, to in zip(columns, described, targets)
    ]
    for to, column in zip(targets, made):
        np.copyto(to, column)


def field_names(value: Any) -> "list[str] | None":
    """The names of what a record, a structured array, a named tuple, a mapping, a Series or a
    DataFrame has. None: it has none."""
    names = getattr(getattr(value, "dtype", None), "names", None) or getattr(value, "_fields", None)
    if names is None and hasattr(value, "keys"):
        names = list(value.keys())
        if names and not any(isinstance(name, str) for name in names):
            names = None
    return None if names is None else list(names)


def _field(value: Any, name: str) -> Any:
    return getattr(value, name) if hasattr(value, "_fields") else value[name]


def _check_names(named: "list[str]", names: Sequence[str], what: str) -> None:
    if len(named) != len(names) or set(named) != set(names):
        raise ValueError(
            f"{what}: there are {', '.join(map(str, named))}, but must be {', '.join(names)}: "
            "names count, not positions; give a list or a plain array, without names, by position"
        )


#: By dtype: the least and the most integer; the fields of a record.
_limits: dict[Any, tuple[int, int]] = {}
_fields: dict[Any, list[tuple[str, Any, tuple[int, ...]]]] = {}


def _keeps(value: Any, dtype: Any) -> bool:
    """Whether numpy keeps the value for certain: what is looked at first, as it is quick."""
    kind = type(value)
    if kind is float:
        return bool(dtype.char in "dD")
    if kind is int and dtype.kind in "iu":
        if (limits := _limits.get(dtype)) is None:
            limits = _limits[dtype] = (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        return bool(limits[0] <= value <= limits[1])
    if kind is int or kind is bool:
        return bool(dtype.char in "dD" or kind is bool and dtype.kind == "b")
    return kind is np.datetime64 and bool(value.dtype == dtype)


def _made(value: Any, dtype: Any, shape: tuple[int, ...], name: str) -> Any:
    """What numpy makes the very message of: nothing is spread, cut off or guessed."""
    names = dtype.names
    if names is None:
        if not shape and _keeps(value, dtype):
            return value
        if value is None and dtype.kind in "mM":
            return None
        given = array(value, dtype, name)
        if given.shape != shape:
            raise ValueError(f"{name}: {value!r} is of the shape {given.shape}, but must be of {shape}")
        return given if given.dtype == dtype else fit(given, dtype, f"{name}, {dtype}")
    if shape:
        if not isinstance(value, list | tuple | np.ndarray) or len(value) != shape[0]:
            raise ValueError(f"{name} is an array of the shape {shape} of records, not {value!r}")
        rows = np.zeros(shape, dtype)
        for at, one in enumerate(value):
            rows[at, ...] = _made(one, dtype, shape[1:], f"{name}[{at}]")
        return rows
    if type(value) is not tuple:
        named = field_names(value)
        if named is None:
            raise TypeError(f"{name} is a tuple or a record of {', '.join(names)}, not {value!r}")
        _check_names(named, names, name)
        value = [_field(value, field) for field in names]
    elif len(value) != len(names):
        raise ValueError(f"{name} is a tuple of {', '.join(names)}: there are {len(value)} values in {value!r}")
    if (fields := _fields.get(dtype)) is None:
        fields = _fields[dtype] = [(field, dtype[field].base, dtype[field].shape) for field in names]
    return tuple([_made(one, base, shape, field) for one, (field, base, shape) in zip(value, fields)])


def fill(message: Any, value: Any) -> None:
    """Makes `value` the message in an array of one, or of a sub-array's elements."""
    message[...] = _made(value, message.dtype, message.shape, "a message")
