"""What Python gives arrives as it was given, or is an error that says what was wrong."""

import collections
import datetime
import warnings

import numpy as np
import pytest
import villas_shm as vs
from conftest import DEADLINE

MIXED = ["f", ("i", "", "integer"), ("b", "", "boolean")]
Row = collections.namedtuple("Row", "b f i")
RECORD = [("t", "M8[ns]"), ("id", "i4"), ("ok", "?"), ("v", "f8", 3), ("tag", "S4")]
NOW = np.datetime64("2026-01-02T03:04:05.000000006")


@pytest.fixture
def mixed(name):
    """A node that writes three types and reads floats, and its program."""
    with (
        vs.create(name, samplelen=8, write_signals=MIXED, read_signals=["x", "y", "z"]) as node,
        vs.open(name, 0) as program,
    ):
        yield node, program


@pytest.fixture
def complex_pair(name):
    with vs.create(name, write_signals=[("z", "", "complex")]) as node, vs.open(name, 0) as program:
        yield node, program


@pytest.fixture
def records(name):
    name += "-ring"
    with vs.Ring(name, dtype=RECORD, role="producer") as producer, vs.Ring(name, dtype=RECORD, role="consumer") as consumer:
        yield producer, consumer
    vs.unlink(name)


def test_a_batch_of_other_types_is_not_read_into(mixed):
    node, program = mixed
    node.write([1.5, -2, True])
    for batch in (program.batch(6, write=True), node.batch(6)):
        with pytest.raises(vs.MismatchError, match='of the batch is value 1, "i" .integer. of the read_signals'):
            program.read_into(batch)
    assert program.read(0).tolist() == [1.5, -2, True]  # none was taken
    node.write([2.5, 3, False])
    batch = node.batch(2, write=True)
    assert program.read_into(batch) == 1 and batch.values[0].tolist() == (2.5, 3, False)


@pytest.mark.parametrize(
    "given",
    [
        {"b": True, "i": 2, "f": 1.5},
        Row(True, 1.5, 2),
        np.array([(2, True, 1.5)], [("i", "i4"), ("b", "?"), ("f", "f8")])[0],
        np.array((2, True, 1.5), [("i", "i4"), ("b", "?"), ("f", "f8")]),
    ],
)
def test_a_sample_with_names_goes_by_them(mixed, given):
    node, program = mixed
    node.write(given)
    assert program.read(DEADLINE).tolist() == [1.5, 2, True]


@pytest.mark.parametrize(
    "given",
    [
        {"i": [2, 3], "b": [True, False], "f": [1.5, 2.5]},
        [Row(True, 1.5, 2), Row(False, 2.5, 3)],
        [{"i": 2, "b": True, "f": 1.5}, {"i": 3, "b": False, "f": 2.5}],
        np.array([(2, True, 1.5), (3, False, 2.5)], [("i", "i4"), ("b", "?"), ("f", "f8")]),
        [(1.5, 2, True), (2.5, 3, False)],
        np.array([[1.5, 2, 1], [2.5, 3, 0]]),
    ],
)
def test_a_batch_goes_by_names_and_without_them_by_position(mixed, given):
    batch = mixed[0].batch(2, write=True)
    batch.values = given
    assert batch.values.tolist() == [(1.5, 2, True), (2.5, 3, False)]
    batch.values = 0
    assert batch.values.tolist() == 2 * [(0, 0, False)]


def test_a_structured_array_goes_by_name_into_floats(mixed):
    batch = mixed[1].batch(2, write=True)
    batch.values = np.array([(3.0, 1.0, 2.0), (6.0, 4.0, 5.0)], [("z", "f8"), ("x", "f8"), ("y", "f8")])
    assert batch.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ValueError, match="there are x, y, but must be x, y, z: names count"):
        batch.values = np.zeros(2, [("x", "f8"), ("y", "f8")])
    assert batch.values.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_batch_that_is_refused_is_unchanged(mixed):
    batch = mixed[0].batch(2, write=True)
    with pytest.raises(ValueError, match='value 1, "i" .integer.: .*2.5.* is not an integer'):
        batch.values = [(1.5, 2.5, True), (1.5, 2, True)]
    with pytest.raises(TypeError, match='value 0, "f"'):
        batch.values = [("1.5", 2, True), (1.5, 2, True)]
    assert batch.values.tolist() == 2 * [(0, 0, False)]


def test_values_of_another_shape_say_both(mixed):
    batch = mixed[0].batch(3, write=True)
    for given in ([(1, 2.5), (3, 4)], np.zeros((3, 2)), np.zeros((2, 3))):
        with pytest.raises(ValueError, match=r"values: of the shape \(\d, \d\), but must be of \(3, 3\)"):
            batch.values = given
    with pytest.raises(ValueError, match=r'value 1, "i" .integer.: of the shape \(2,\), but must be of \(3,\)'):
        batch.values = {"f": [1, 2, 3], "i": [1, 2], "b": 1}
    with pytest.raises(ValueError, match=r"of the shape \(2,\), but must be of \(3,\)"):
        batch["f"] = [1, 2]
    assert batch.values.tolist() == 3 * [(0, 0, False)]


def test_frames_and_series_go_by_name(mixed):
    pandas = pytest.importorskip("pandas")
    node, program = mixed
    frame = pandas.DataFrame({"b": [True, False], "i": [2, 3], "f": [1.5, 2.5]})
    batch = node.batch(2, write=True)
    for given in (frame, frame.to_records(index=False)):
        batch.values = 0
        batch.values = given
        assert batch.values.tolist() == [(1.5, 2, True), (2.5, 3, False)]
    node.write(frame.iloc[1])
    node.write(pandas.Series([2.5, 3, 0]))  # counts only: by position
    assert [program.read(DEADLINE).tolist() for _ in range(2)] == 2 * [[2.5, 3, False]]
    with pytest.raises(TypeError, match=r"not a DataFrame of shape \(2, 3\)"):
        node.write(frame)
    with pytest.raises(ValueError, match="there are b, i, but must be f, i, b"):
        batch.values = frame[["b", "i"]]
    batch.origin = pandas.to_datetime(["2026-01-02T03:04:05.000000006+01:00", None])
    assert batch.origin.tolist() == [int(NOW) - 3600 * 10**9, np.datetime64("NaT").astype("i8").item()] or np.isnat(
        batch.origin[1]
    )
    node.write([1, 2, 0], origin=pandas.Timestamp(NOW))
    node.write([1, 2, 0], origin=pandas.NaT)
    assert program.read(DEADLINE).origin == NOW and np.isnat(program.read(DEADLINE).origin)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({1, 2, 3}, "a set, which has no order"),
        (frozenset([1, 2, 3]), "a frozenset, which has no order"),
        (np.ma.masked_array([1.0, 2, 1], [0, 1, 0]), "masked array"),
        ([1.0, 2, np.ma.masked], "masked"),
        (np.array([1 + 0j, 2, 1]), "must be a real number, not a complex one"),
        (np.array(1.0), "one value is .value."),
        (np.zeros((3, 1)), r"shape \(3, 1\)"),
    ],
)
def test_no_sample_is_made_of(mixed, given, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match=sentence):
            mixed[0].write(given)


def test_floats_take_no_masked_array(pair):
    with pytest.raises(TypeError, match="masked array"):
        pair[0].write(np.ma.masked_array([1.0, 2.0], [False, True]))
    batch = pair[0].batch(2)
    for assign in (lambda given: setattr(batch, "values", given), lambda given: batch.__setitem__(0, given)):
        with pytest.raises(TypeError, match="masked array"):
            assign(np.ma.masked_array([1.0, 2.0], [False, True]))
        with pytest.raises(TypeError, match="has no order"):
            assign({1.0, 2.0})


def test_a_batch_is_not_a_sample(mixed):
    with pytest.raises(TypeError, match=r"not a batch: ch.write_from\(batch\)"):
        mixed[0].write(mixed[0].batch(1, write=True))


@pytest.mark.parametrize("given", [True, False, 0, 1, 1.0, np.True_, np.int8(1), np.float32(0)])
def test_a_boolean_takes(mixed, given):
    node, program = mixed
    node.write([0, 0, given])
    batch = node.batch(1, write=True)
    batch["b"] = given
    node.write_from(batch)
    assert [program.read(DEADLINE)["b"] for _ in range(2)] == 2 * [bool(given)]


@pytest.mark.parametrize("given", [2, -1, 0.5, float("nan"), np.int64(2), np.float64("nan")])
def test_a_boolean_does_not_take(mixed, given):
    with pytest.raises(ValueError, match='value 2, "b" .boolean.: must be True, False, 0 or 1, not'):
        mixed[0].write([0, 0, given])
    with pytest.raises(ValueError, match='"b" .boolean.: .* must be True, False, 0 or 1 for bool'):
        mixed[0].batch(1, write=True)["b"] = given


def test_an_integer_says_whether_it_is_too_large_or_none(mixed):
    for large in (1e19, -1e19, 2**63, np.float64(2.0**63)):
        with pytest.raises(OverflowError, match="does not fit 64 bits"):
            mixed[0].write([0, large, 0])
    mixed[0].write([0, -(2.0**63), 0])
    assert mixed[1].read(DEADLINE)["i"] == -(2**63)
    for none in (0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="is not an integer"):
            mixed[0].write([0, none, 0])


def test_complex_values_do_not_become_infinite(complex_pair):
    node, program = complex_pair
    batch = node.batch(1, write=True)
    for large in (1e300, complex(0, -1e39)):
        with pytest.raises(OverflowError, match="does not fit two floats of 32 bits"):
            node.write([large])
        with pytest.raises(OverflowError, match="does not fit complex64"):
            batch["z"] = large
    node.write([complex("inf")])
    batch["z"] = complex("-inf")
    node.write_from(batch)
    assert [program.read(DEADLINE)["z"] for _ in range(2)] == [complex("inf"), complex("-inf")]


@pytest.mark.parametrize(
    "time",
    [
        np.datetime64("2500-01-01"),
        np.datetime64("1677-01-01"),
        datetime.datetime(3000, 1, 1),
        datetime.datetime(3000, 1, 1, tzinfo=datetime.timezone.utc),
        2**64,
        -(2**63) - 1,
    ],
)
def test_times_beyond_nanoseconds_are_refused(pair, records, time):
    node = pair[0]
    batch, sample = node.batch(2), node.alloc(1)
    with pytest.raises(OverflowError, match="1678 to 2262"):
        node.write([1], origin=time)
    with pytest.raises(OverflowError, match="1678 to 2262"):
        sample.origin = time
    with pytest.raises(OverflowError, match="1678 to 2262"):
        sample.received = time
    for given in (time, [NOW, time]):
        with pytest.raises(OverflowError, match="1678 to 2262"):
            batch.origin = given
    with pytest.raises(OverflowError, match="1678 to 2262"):
        records[0].push((time, 1, True, [1, 2, 3], b"ab"))
    assert np.isnat(batch.origin).all() and np.isnat(sample.origin)


def test_times_of_all_kinds_are_nanoseconds_in_utc(pair):
    node, program = pair
    zone = datetime.timezone(datetime.timedelta(hours=2))
    times = [
        np.datetime64("2026-01-02"),
        datetime.datetime(2026, 1, 2),  # without a zone: UTC
        datetime.datetime(2026, 1, 2, 2, tzinfo=zone),
        int(np.datetime64("2026-01-02", "ns").astype("i8")),
    ]
    batch = node.batch(len(times), width=1)
    batch.origin = times
    for time in times:
        node.write([1], origin=time)
    node.write_from(batch)
    assert {program.read(DEADLINE).origin for _ in range(2 * len(times))} == {np.datetime64("2026-01-02")}


def test_records_arrive_as_they_were_given(records):
    producer, consumer = records
    row = np.array([("ab", [1, 2, 3], True, 7, NOW)], [(field, "f8", 3) if field == "v" else (field, kind) for field, kind in
                   (("tag", "S2"), ("v", ""), ("ok", "?"), ("id", "i8"), ("t", "M8[ns]"))])[0]
    named = collections.namedtuple("Named", "tag v ok id t")("ab", [1, 2, 3], True, 7, NOW)
    for given in (
        (NOW, 7, True, [1, 2, 3], "ab"),
        (NOW, 7.0, 1, np.array([1, 2, 3]), b"ab"),
        (NOW.astype("i8"), np.int64(7), np.True_, (1.0, 2, 3), np.str_("ab")),
        {"v": [1, 2, 3], "tag": "ab", "t": NOW, "ok": 1.0, "id": 7},
        row,
        named,
    ):
        producer.push(given)
        got = consumer.pop(DEADLINE)
        assert (got["t"], got["id"], got["ok"], got["v"].tolist(), got["tag"]) == (NOW, 7, True, [1, 2, 3], b"ab")


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("t", "2026-01-02", TypeError),
        ("t", 1.5, TypeError),
        ("id", 1.5, ValueError),
        ("id", "12", TypeError),
        ("id", 2**40, OverflowError),
        ("id", np.int64(2**40), OverflowError),
        ("id", 2**70, OverflowError),
        ("id", float("nan"), ValueError),
        ("id", None, TypeError),
        ("ok", "False", TypeError),
        ("ok", 0.5, ValueError),
        ("ok", 2, ValueError),
        ("v", 5, ValueError),
        ("v", [5], ValueError),
        ("v", ["1", "2", "3"], TypeError),
        ("v", [1, 2, 3j], TypeError),
        ("v", {1, 2, 3}, TypeError),
        ("v", np.ma.masked_array([1.0, 2, 3], [0, 0, 1]), TypeError),
        ("tag", "abcde", OverflowError),
        ("tag", b"abcde", OverflowError),
        ("tag", "ä", ValueError),
        ("tag", 12, TypeError),
    ],
)
def test_a_field_that_would_change_is_refused(records, field, value, kind):
    fields = {"t": NOW, "id": 1, "ok": True, "v": [1, 2, 3], "tag": "ab"} | {field: value}
    for given in (fields, tuple(fields.values())):
        with pytest.raises(kind, match=f"^{field}\\b"):
            records[0].push(given)
    assert records[1].try_pop() is None


def test_records_need_all_fields(records):
    with pytest.raises(ValueError, match="there are t, id, but must be t, id, ok, v, tag"):
        records[0].push({"t": NOW, "id": 1})
    with pytest.raises(ValueError, match="a tuple of t, id, ok, v, tag: there are 2"):
        records[0].push((NOW, 1))


@pytest.mark.parametrize(
    ("dtype", "message", "arrives"),
    [
        ("U3", "abc", "abc"),
        ("f4", 0.5, 0.5),
        ("f4", float("inf"), float("inf")),
        ("f8", 2, 2.0),
        ("u8", 2**64 - 1, 2**64 - 1),
        ("?", 1, True),
        ("c16", 2, 2 + 0j),
        ("M8[s]", datetime.datetime(3000, 1, 1), np.datetime64("3000-01-01")),
        ("m8[s]", np.timedelta64(2, "m"), np.timedelta64(120, "s")),
        ([("a", [("b", "i4"), ("c", "f8")], 2)], ([(1, 2.5), {"c": 4, "b": 3}],), ([(1, 2.5), (3, 4.0)],)),
    ],
)
def test_messages_arrive(name, dtype, message, arrives):
    with vs.Ring(name, dtype=dtype, role="producer") as producer, vs.Ring(name, dtype=dtype, role="consumer") as consumer:
        producer.push(message)
        assert str(consumer.pop(DEADLINE)) == str(np.array(arrives, dtype)[()])


@pytest.mark.parametrize(
    ("dtype", "message"),
    [("U3", "abcd"), ("S4", "abcdefg"), ("f4", 1e300), ("f4", 10**300), ("u8", 2**64), ("i1", 128.0), ("c8", 1e300)],
)
def test_messages_do_not_fit(name, dtype, message):
    with vs.Ring(name, dtype=dtype, role="producer") as producer:
        with pytest.raises(OverflowError, match="does not fit"):
            producer.push(message)
        assert producer.pending == 0


def test_masked_arrays_are_no_messages(name):
    with vs.Ring(name, dtype="f8", role="producer") as producer:
        with pytest.raises(TypeError, match="masked"):
            producer.push_many(np.ma.masked_array([1.0, 2.0], [False, True]))
        with pytest.raises(TypeError, match="masked"):
            producer.push(np.ma.masked_array(1.0, True))


def test_flags_and_lengths_of_a_batch_do_not_wrap(pair):
    batch = pair[0].batch(2)
    for column, large in (("flags", 2**40), ("length", 2**32), ("length", -1), ("sequence", -1)):
        with pytest.raises(OverflowError, match=f"{column}: .* does not fit"):
            setattr(batch, column, large)


def test_a_view_cannot_be_written_behind_its_block(pair):
    node, program = pair
    sample = node.alloc(3)
    with sample.view() as a:
        a[:] = [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        a *= 100
    node.write(sample)
    assert program.read(DEADLINE).tolist() == [1, 2, 3] == a.tolist()
