"""Values as numpy arrays: of one type, or records of several."""

from collections.abc import Callable

import numpy as np
import pytest
import villas_shm as vs

TYPES = [("p_set", "kW"), ("mode", None, "integer"), ("on", "", "boolean"), ("z", "ohm", "complex")]
GIVEN = (1.5, 2**53 + 1, True, 1 - 2j)


@pytest.fixture
def mixed(name):
    with vs.create(name, samplelen=8, write_signals=TYPES, read_signals=TYPES) as node, vs.open(name, 0) as program:
        yield node, program


@pytest.fixture
def of_type(name) -> "Callable[[str], tuple[vs.Channel, vs.Channel]]":
    """A node and its program, of which all values have one type."""

    def make(kind: str) -> tuple[vs.Channel, vs.Channel]:
        signals = [(one, None, kind) for one in "abc"]
        return vs.create(name, samplelen=8, write_signals=signals, read_signals=signals), vs.open(name, 0)

    return make


@pytest.mark.parametrize(
    ("kind", "dtype", "given"),
    [
        ("float", "f8", [1.5, float("inf"), -0.0]),
        ("integer", "i8", [2**63 - 1, -(2**63), 3]),
        ("boolean", "?", [True, False, True]),
        ("complex", "c8", [1 - 2j, 0j, 3]),
    ],
)
def test_values_of_one_type_are_an_array_of_it(of_type, kind, dtype, given):
    node, program = of_type(kind)
    with node, program:
        node.write(given)
        sample = program.read()
        assert sample.values.dtype == dtype and sample.values.tolist() == given == sample.tolist()
        assert np.asarray(sample).dtype == dtype and np.asarray(sample).flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            sample.values[0] = 0
        with sample.view() as values:
            assert values.dtype == dtype and values.tolist() == given
            values[:] = values[::-1].copy()
        program.write(sample)
        batch = node.batch(2)
        assert batch.values.dtype == dtype and batch.values.shape == (2, 3)
        assert node.read_into(batch) == 1 and batch.values[0].tolist() == given[::-1]
        node.write(batch.values[0])
        assert program.read().tolist() == given[::-1]


def test_computing_on_values_keeps_integers(of_type):
    node, program = of_type("integer")
    with node, program:
        node.write([2**53 + 1, 2, 3])
        sample = program.read()
        sample.values = 2 * sample.values
        assert sample.tolist() == [2**54 + 2, 4, 6]
        sample.values = sample.values / 2  # floats, all whole
        assert sample.tolist() == [2**53, 2, 3]
        with pytest.raises(ValueError, match=r'value 1, "b" \(integer\): 1.5 is not an integer'):
            sample.values = [1, 1.5, 2]
        assert sample["b"] == 2
        batch = program.batch(1, write=True)
        batch.values[:] = [1, 2, 3]
        batch.values *= 2
        with pytest.raises(TypeError):
            batch.values *= 0.5
        with pytest.raises(ValueError, match="2.5 is not an integer"):
            batch["b"] = 2.5
        batch["c"] = 8.0
        program.write_from(batch)
        assert node.read().tolist() == [2, 4, 8]


def test_values_of_several_types_are_a_record(mixed):
    node, program = mixed
    node.write(GIVEN)
    sample = program.read()
    record = sample.values
    assert record.dtype.names == ("p_set", "mode", "on", "z") and record.tolist() == GIVEN
    assert [record.dtype[at] for at in range(4)] == ["f8", "i8", "?", "c8"] and record.dtype.itemsize == 32
    with pytest.raises(ValueError, match="read-only"):
        record["mode"] = 3
    with pytest.raises(TypeError):
        2 * record
    with sample.view() as view:
        view["mode"] += 1
        view["on"] = False
    assert sample.tolist() == [1.5, 2**53 + 2, False, 1 - 2j]
    sample.values = record
    program.write(sample)
    back = node.batch(1)
    node.read_into(back)
    assert back.values[0].tolist() == GIVEN and back.values.dtype == record.dtype


def test_records_have_the_length_of_their_sample(mixed):
    node, _ = mixed
    sample = node.alloc(2)
    assert sample.values.dtype.names == ("p_set", "mode")
    sample.length = 0
    assert sample.values.tolist() == ()
    sample.length = 6
    sample[5] = 2.5
    assert sample.values.dtype.names[4:] == ("signal4", "signal5") and sample.values["signal5"] == 2.5
    sample.values = sample.values
    assert sample.tolist() == [0, 0, False, 0, 0, 2.5]
    assert node.batch(2, write=True, width=5).values.dtype.names[4:] == ("signal4",)
    assert node.batch(2, write=True, width=2)["mode"].dtype == np.int64


def test_a_record_of_other_signals_is_refused(mixed):
    record = np.zeros((), [("mode", "i8"), ("x", "f8")])
    with pytest.raises(ValueError, match="fields mode, x, but the write_signals are p_set, mode, on, z"):
        mixed[0].write(record)
    with pytest.raises(TypeError, match="array of 2 records"):
        mixed[0].write(np.zeros(2, record.dtype))
    mixed[0].write(np.array((2, 1.5), [("mode", "i8"), ("p_set", "f8")]))
    assert mixed[1].read().tolist() == [1.5, 2]


def test_arithmetic_on_records_is_a_type_error_and_changes_nothing(mixed):
    batch = mixed[0].batch(2, write=True)
    batch.values["p_set"] += 1
    with pytest.raises(TypeError):
        batch.values *= 2
    assert batch.values.tolist() == [(1, 0, False, 0)] * 2


def test_a_record_batch_is_a_data_frame(mixed):
    pandas = pytest.importorskip("pandas")
    batch = mixed[0].batch(2, write=True)
    batch.values[0] = GIVEN
    frame = pandas.DataFrame(batch.values[:2])
    assert list(frame.columns) == ["p_set", "mode", "on", "z"] and frame["mode"].tolist() == [2**53 + 1, 0]


def words(values: "np.ndarray | np.void") -> np.ndarray:
    """The 8 bytes each of the memory that values lie in."""
    while isinstance(values, (np.ndarray, np.void)):
        values = values.base
    return np.frombuffer(values, "u8")


@pytest.mark.parametrize("others", [[], ["x"]])
def test_a_boolean_is_written_in_all_of_its_bytes(name, others):
    bits = 0xDEAD_BEEF_0000_0002
    with vs.create(name, samplelen=2, write_signals=[("on", "", "boolean"), *others]) as node, vs.open(name, 0) as program:

        def arrived() -> int:
            sample = program.read()
            assert sample["on"] is True
            with sample.view() as view:
                return int(words(view)[0])

        sample = node.alloc()
        with sample.view() as view:
            words(view)[0] = bits
        assert sample["on"] is True and bool((sample.values["on"] if others else sample.values)[()])
        node.write(sample)
        assert arrived() == 1
        batch = node.batch(1, write=True)
        words(batch.values)[0] = bits
        node.write_from(batch)
        assert arrived() == 1
        batch["on"] = [True]
        node.write_from(batch)
        assert arrived() == 1


def test_a_strange_boolean_of_the_peer_is_true(name):
    with vs.create(name, samplelen=2, write_signals=[("on", "", "boolean")]) as node, vs.open(name, 0) as program:
        node.write([True])
        sample, batch = program.read(), program.batch(1)
        with sample.view() as view:
            words(view)[0] = 0xDEAD_BEEF_0000_0002
            assert sample.values.view("u1").tolist() == [1]
        sample.put()
        node.write([True])
        program.read_into(batch)
        assert words(batch.values)[0] == 1


def test_all_arrays_of_a_batch_can_be_assigned(pair):
    batch = pair[0].batch(2, width=2)
    batch.values = [[1, 2], [3, 4]]
    batch.values *= 2
    batch.sequence += np.uint64(5)
    batch.origin = np.datetime64("2026-01-01")
    batch.length = [1, 2]
    pair[0].write_from(batch)
    first, second = pair[1].read(), pair[1].read()
    assert (first.tolist(), second.tolist()) == ([2], [6, 8]) and (first.sequence, second.sequence) == (5, 6)
    assert first.origin == np.datetime64("2026-01-01")
    with pytest.raises(TypeError, match="values"):
        batch.values = [[1j, 2], [3, 4]]
    with pytest.raises(OverflowError):
        batch.sequence = -1
    assert batch.values.tolist() == [[2, 4], [6, 8]]


def test_a_sample_is_an_array(pair):
    pair[0].write([1, 2.5])
    sample = pair[1].read()
    assert np.asarray(sample).tolist() == [1, 2.5] and np.asarray(sample, "f4").dtype == np.float32
    assert np.mean(sample) == 1.75
    with pytest.raises(ValueError, match="view"):
        np.array(sample, copy=False)


def test_a_sample_shows_its_values(mixed):
    mixed[0].write(GIVEN, sequence=7)
    shown = repr(mixed[1].read())
    assert shown == "<villas_shm.Sample 7: p_set=1.5, mode=9007199254740993, on=True, z=(1-2j)>"
    assert repr(mixed[0].alloc(0)) == "<villas_shm.Sample 0: no values>"
    with vs.create(mixed[0].name + "-b", samplelen=8) as other:
        vs.unlink(other.name)
        assert repr(other.alloc(8)) == "<villas_shm.Sample 0: 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, … 8 values>"
