"""Samples: values by type, times, views, life."""

import datetime
import gc
import struct

import numpy as np
import pytest
import villas_shm as vs

TYPES = [("f", "V"), ("i", "", "integer"), ("b", "", "boolean"), ("z", "", "complex")]


@pytest.fixture
def typed(name):
    with vs.create(name, samplelen=8, write_signals=TYPES, read_signals=TYPES) as node, vs.open(name, 0) as program:
        yield node, program


@pytest.mark.parametrize(
    "values",
    [
        [1.5, 2**53 + 1, True, 1 - 2j],
        [-0.0, -(2**63), False, complex(0, float("inf"))],
        [float("inf"), 2**63 - 1, True, 0j],
    ],
)
def test_values_keep_their_types(typed, values):
    node, program = typed
    node.write(values)
    sample = program.read()
    assert sample.tolist() == values == [sample[key] for key in ("f", "i", "b", "z")]
    assert [type(value) for value in sample.tolist()] == [float, int, bool, complex]


def test_numbers_become_what_their_signal_is(typed):
    node, program = typed
    node.write(np.array([1, 3.0, 1, 4]))
    assert program.read().tolist() == [1.0, 3, True, 4 + 0j]
    node.write(np.array([1, 2**60 + 1, 0, 4]))
    assert program.read()["i"] == 2**60 + 1
    with pytest.raises(ValueError, match="not an integer"):
        node.write([1, 2.5, 1, 0])
    with pytest.raises(OverflowError):
        node.write([1, 2**63, 1, 0])
    with pytest.raises(TypeError):
        node.write(["1", 2, 3, 4])
    assert node.stats().written == 2 and node.stats().held == 0


def test_the_payload_of_a_nan_is_kept(pair):
    node, program = pair
    bits = 0x7FF8_0000_DEAD_BEEF
    array = np.array([bits], np.uint64).view(np.float64)
    node.write(array)
    sample = program.read()
    assert sample.values.view(np.uint64)[0] == bits
    assert struct.unpack("<Q", struct.pack("<d", sample[0]))[0] == bits
    program.write(sample.values)
    assert node.read().values.view(np.uint64)[0] == bits


def test_values_are_a_copy(pair):
    node, program = pair
    node.write([1.0, 2.0])
    sample = program.read()
    copy = sample.values
    assert copy.dtype == np.float64 and copy.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        copy[0] = 9
    with pytest.raises(ValueError, match="read-only"):
        sample.values *= 3
    sample.values = 3 * sample.values
    assert sample.tolist() == [3.0, 6.0] and copy.tolist() == [1.0, 2.0]
    sample.values = [7]
    assert sample.tolist() == [7.0] and sample.length == 1


@pytest.mark.parametrize("values", [[], (1, 2), np.arange(6.0)[::2], np.float32([1.5]), range(3), np.arange(2)])
def test_all_kinds_of_numbers_are_written(pair, values):
    pair[0].write(values)
    assert pair[1].read().tolist() == [float(value) for value in values]


def test_what_does_not_fit_is_refused(pair):
    node, _ = pair
    with pytest.raises(ValueError, match="9 values do not fit"):
        node.write(np.zeros(9))
    with pytest.raises(ValueError):
        node.alloc(9)
    with pytest.raises(TypeError):
        node.write(3)
    with pytest.raises(TypeError):
        node.write(np.zeros((2, 2)))
    assert node.stats().held == 0


def test_an_allocated_sample_is_filled_by_name(typed):
    node, program = typed
    sample = node.alloc()
    assert sample.tolist() == [0.0, 0, False, 0j] and sample.flags == vs.Flags.HAS_DATA
    sample["i"], sample["z"] = 5, 1j
    sample.sequence = 3
    sample.origin = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    node.write(sample)
    got = program.read()
    assert got.tolist() == [0.0, 5, False, 1j]
    assert got.flags == vs.Flags.HAS_DATA | vs.Flags.HAS_SEQUENCE | vs.Flags.HAS_TS_ORIGIN
    assert got.origin == np.datetime64("2026-01-01T10:00:00")


def test_keys_that_lead_nowhere_are_refused(typed):
    node, _ = typed
    sample = node.alloc(2)
    assert sample[-1] == sample["i"] == 0
    with pytest.raises(KeyError, match="f, i, b, z"):
        sample["x"]
    with pytest.raises(IndexError):
        sample["z"]
    for index in (2, -3):
        with pytest.raises(IndexError):
            sample[index]
    with pytest.raises(TypeError):
        sample[1.5]
    sample.length = 4
    assert sample.tolist() == [0.0, 0, False, 0j]


@pytest.mark.parametrize(
    "given, expected",
    [
        (np.datetime64("2026-11-29T10:00:00.123456789"), "2026-11-29T10:00:00.123456789"),
        (np.datetime64("1969-12-31T23:59:59.5"), "1969-12-31T23:59:59.5"),
        (datetime.datetime(2026, 1, 1), "2026-01-01"),
        (1, "1970-01-01T00:00:00.000000001"),
        (None, "NaT"),
        (np.datetime64("NaT"), "NaT"),
    ],
)
def test_times_are_kept_to_the_nanosecond(pair, given, expected):
    node, program = pair
    node.write([1], origin=given)
    sample = program.read()
    expected = np.datetime64(expected, "ns")
    assert sample.origin.dtype == "M8[ns]"
    assert sample.origin == expected or np.isnat(sample.origin) and np.isnat(expected)
    assert bool(sample.flags & vs.Flags.HAS_TS_ORIGIN) != np.isnat(expected)
    assert np.isnat(sample.received)
    sample.received = given
    assert sample.received == expected or np.isnat(expected)


def test_a_time_that_is_none_is_refused(pair):
    for time in (1.5, "2026-01-01", np.timedelta64(1, "s")):
        with pytest.raises(TypeError):
            pair[0].write([1], origin=time)


def test_a_written_sample_is_gone(pair):
    sample = pair[0].alloc(1)
    pair[0].write(sample)
    for use in (lambda: sample.values, lambda: sample[0], lambda: pair[0].write(sample), sample.put, sample.view):
        with pytest.raises(ValueError, match="written or put"):
            use()
    assert "written or put" in repr(sample)


def test_a_sample_is_put_by_with_or_by_its_last_reference(pair):
    node, program = pair
    node.write([1])
    with program.read() as sample:
        assert program.stats().held == 1
    assert program.stats().held == 0
    with program.read() if program.stats().queued_in else node.alloc(1) as sample:
        node.write(sample)
    sample = program.read()
    del sample
    gc.collect()
    assert program.stats().held == 0


def test_a_view_changes_the_sample_in_place(pair):
    node, program = pair
    node.write([1.0, 2.0, 3.0])
    sample = program.read()
    with sample.view() as values:
        assert values.shape == (3,) and not values.flags.owndata and values.flags.writeable
        values *= 2
        assert sample.tolist() == [2.0, 4.0, 6.0]
    program.write(sample)
    assert node.read().tolist() == [2.0, 4.0, 6.0]


def test_a_sample_with_an_open_view_cannot_leave(pair):
    node, program = pair
    node.write([1.0])
    sample = program.read()
    with sample.view() as outer:
        with sample.view() as inner:
            for leave in (sample.put, lambda: program.write(sample), lambda: setattr(sample, "values", [1])):
                with pytest.raises(BufferError, match="view"):
                    leave()
        with pytest.raises(BufferError):
            sample.put()
        assert outer[0] == inner[0] == 1.0
    sample.put()


def test_a_view_that_was_entered_is_not_entered_again(pair):
    view = pair[0].alloc(1).view()
    with view:
        with pytest.raises(BufferError):
            view.__enter__()


def test_an_array_keeps_its_memory_beyond_the_sample_and_the_channel(pair):
    node, program = pair
    node.write([4.0])
    sample = program.read()
    with sample.view() as values:
        pass
    sample.put()
    program.close()
    del sample, program
    gc.collect()
    assert values[0] == 4.0


def test_a_sample_outlives_its_channel(pair):
    node, program = pair
    node.write([1.0, 2.0], sequence=5)
    sample = program.read()
    program.close()
    assert (sample.tolist(), sample.sequence) == ([1.0, 2.0], 5)
    with sample.view() as values:
        assert values.tolist() == [1.0, 2.0]
    with pytest.raises(vs.ClosedError):
        program.write(sample)
    assert sample.tolist() == [1.0, 2.0]
    sample.put()


def test_numbers_that_run_python_code_do_no_harm(pair):
    sample = pair[0].alloc(2)

    class Number:
        def __float__(self) -> float:
            with pytest.raises(ValueError):
                sample.put()
            return 1.5

    sample.values = [Number()]
    assert sample.tolist() == [1.5]
