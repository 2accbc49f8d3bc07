"""What is wrong is said in Python's terms."""

import numpy as np
import pytest
import villas_shm as vs


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (3.0, TypeError, "not 3.0, a float"),
        (None, TypeError, "not None"),
        ("123", TypeError, "not '123', a str"),
        (b"123", TypeError, "a bytes"),
        (np.zeros((2, 2)), TypeError, r"not an array of shape \(2, 2\)"),
        (np.array(3.0), TypeError, r"not one number: one value is \[value\]"),
        ([1, "2"], TypeError, r"value 1 \(float\): must be real number, not str"),
        ([1, None], TypeError, r"value 1 \(float\): must be real number, not NoneType"),
        ([1j], TypeError, r"value 0 \(float\): must be a real number"),
        (np.array([1j], "c8"), TypeError, r"value 0 \(float\): must be a real number"),
    ],
)
def test_values_that_are_none(pair, values, kind, message):
    with pytest.raises(kind, match=message):
        pair[0].write(values)
    assert pair[0].stats().written == pair[0].stats().held == 0


def test_negative_counts_are_value_errors(pair, name):
    node, _ = pair
    batch, sample = node.batch(2), node.alloc(1)
    for call in (
        lambda: node.batch(-1),
        lambda: node.batch(1, width=-1),
        lambda: node.alloc(-1),
        lambda: node.write_from(batch, -1),
        lambda: node.write_from(batch, start=-1),
        lambda: node.write([1], sequence=-1),
        lambda: setattr(sample, "length", -1),
        lambda: setattr(sample, "sequence", -1),
        lambda: vs.create(name, queuelen=-1),
        lambda: vs.Ring(name, dtype="f8", role="consumer", capacity=-1),
        lambda: vs.Segment(name, -1),
    ):
        with pytest.raises(ValueError, match="-1 is negative"):
            call()
    with pytest.raises(ValueError, match="4294967296 is too large"):
        vs.create(name, queuelen=2**32)


def test_an_array_is_no_batch(pair):
    for call in (pair[0].read_into, pair[0].write_from):
        with pytest.raises(TypeError, match="ch.batch.*not in an? ndarray"):
            call(np.zeros((2, 2)))


def test_arguments_have_their_names_of_python(name):
    with pytest.raises(vs.InvalidError, match='write_signals: signals 0 and 1 have one name, "a"'):
        vs.create(name, write_signals=["a", "a"])


def test_a_write_to_a_peer_that_has_closed_speaks_of_writing(pair):
    node, program = pair
    sample, batch = program.alloc(1), program.batch(1)
    node.close()
    for write in (lambda: program.write([1]), lambda: program.write(sample), lambda: program.write_from(batch)):
        with pytest.raises(vs.ClosedError, match="the peer has closed, so nobody would read what is written"):
            write()
    assert sample.tolist() == [0]


def test_a_ring_is_not_a_channel(name):
    with vs.Ring(name, dtype="f8", role="producer"):
        for call in (lambda: vs.open(name, 0), lambda: vs.create(name), lambda: vs.Segment(name, 64, create=True)):
            with pytest.raises(vs.MismatchError, match=f'"{name}" is a ring: open it by vs.Ring'):
                call()


def test_a_channel_is_not_a_ring(name):
    with vs.create(name):
        for call in (lambda: vs.Ring(name, dtype="f8", role="producer"), lambda: vs.Segment(name, 64, create=True)):
            with pytest.raises(vs.MismatchError, match=f'"{name}" is a channel: open it by vs.open'):
                call()


def test_a_segment_is_neither(name):
    with vs.Segment(name, 4096, create=True):
        for call in (lambda: vs.open(name, 0), lambda: vs.create(name), lambda: vs.Ring(name, dtype="f8", role="producer")):
            with pytest.raises(vs.CorruptError, match=r"vs.Segment\(.* opens it as the 4096 bytes"):
                call()
        vs.Segment(name, 64, create=True).close()


@pytest.mark.parametrize(
    ("dtype", "message", "kind"),
    [
        ("f8", None, TypeError),
        ("f8", "1.5", TypeError),
        ("f8", 1j, TypeError),
        ("f8", (1, 2), ValueError),
        ("f8", [1.5], ValueError),
        ("i4", 1.5, ValueError),
        ("i4", 2**40, OverflowError),
        ("i4", np.array(2**40), OverflowError),
        ("?", 2, ValueError),
        ("u2", -1, OverflowError),
        ("(2,)f8", 1.5, ValueError),
        ("(2,)f8", None, ValueError),
        ("f8,f8", 1.5, TypeError),
        ("f8,f8", None, TypeError),
        ("f8,f8", (None, 1), TypeError),
        ("f8,f8", (1, 2, 3), ValueError),
        ("S4", None, TypeError),
    ],
)
def test_numpy_guesses_no_message(name, dtype, message, kind):
    with vs.Ring(name, dtype=dtype, role="producer") as ring:
        for push in (ring.push, ring.try_push):
            with pytest.raises(kind):
                push(message)
        assert ring.pending == 0


@pytest.mark.parametrize(
    ("dtype", "message"),
    [("f8", 2), ("f8", np.float32(2)), ("i4", 2.0), ("u2", 2), ("c16", 2), ("?", True), ("M8[ns]", None), ("S4", "ab")],
)
def test_what_keeps_its_value_is_a_message(name, dtype, message):
    with vs.Ring(name, dtype=dtype, role="producer") as out, vs.Ring(name, dtype=dtype, role="consumer") as in_:
        out.push(message)
        taken = in_.pop()
        assert taken == message or message is None and np.isnat(taken) or taken == b"ab"
