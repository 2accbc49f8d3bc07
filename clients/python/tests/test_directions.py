"""Samples from one direction to the other: by position where the signals allow it, else by name."""

import numpy as np
import pytest
import villas_shm as vs


@pytest.fixture
def both(name):
    read, written = [("v", "V"), ("mode", "", "integer")], [("p_set", "kW"), ("q_set", "kvar"), ("n", "", "integer")]
    with vs.create(name, samplelen=8, write_signals=read, read_signals=written) as node, vs.open(name, 0) as program:
        yield node, program


def test_a_dict_is_written_by_name(both):
    node, program = both
    program.write({"n": 3, "p_set": 1.5, "q_set": -1})
    assert node.read().tolist() == [1.5, -1.0, 3]
    sample = program.alloc()
    sample.values = {"q_set": 2, "n": np.int64(7), "p_set": 0}
    assert sample.tolist() == [0.0, 2.0, 7]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"p_set": 1}, '"q_set" is missing, "n" is missing'),
        ({"p_set": 1, "q_set": 2, "n": 3, "x": 4}, "there is no 'x'"),
        ({0: 1, "q_set": 2, "n": 3}, "there is no 0"),
        ({}, "the write_signals are p_set, q_set, n"),
    ],
)
def test_a_dict_has_all_signals_and_no_others(both, values, message):
    with pytest.raises(ValueError) as raised:
        both[1].write(values)
    assert message in str(raised.value)
    assert both[1].stats().written == both[1].stats().held == 0


def test_a_dict_needs_names(pair):
    with pytest.raises(ValueError, match="names no write_signals"):
        pair[0].write({"x": 1})


def test_a_sample_whose_types_differ_is_refused_and_kept(both):
    node, program = both
    node.write([1.5, 2])
    sample = program.read()
    with pytest.raises(vs.MismatchError) as raised:
        program.write(sample)
    for part in ('value 1, "mode" (integer)', '"q_set" (float) of the write_signals', "ch.write({", "ch.batch(n, write=True)"):
        assert part in str(raised.value)
    assert sample.tolist() == [1.5, 2]
    sample.length = 1
    program.write(sample)
    assert node.read().tolist() == [1.5]


def test_a_sample_with_more_values_is_refused(name):
    with vs.create(name, samplelen=4, write_signals=["a", "b", "c"], read_signals=["x", "y"]) as node, vs.open(name, 0) as ch:
        node.write([1, 2, 3])
        sample, batch = ch.read(), ch.batch(2)
        with pytest.raises(vs.MismatchError, match="3 values, but there are 2 write_signals"):
            ch.write(sample)
        with pytest.raises(vs.MismatchError, match="3 values, but there are 2 write_signals"):
            ch.write_from(batch)
        batch.length = 2
        assert ch.write_from(batch) == 2
        with pytest.raises(ValueError, match="3 values for 2 write_signals: x, y"):
            ch.write([1, 2, 3])
        ch.write([1])
        assert ch.stats().held == 1 and ch.stats().written == 3


def test_a_batch_whose_types_differ_is_refused_before_a_row_is_written(both):
    node, program = both
    batch = program.batch(3)
    batch.length[0] = 1
    with pytest.raises(vs.MismatchError, match='"mode"'):
        program.write_from(batch)
    assert program.stats().written == 0
    assert program.write_from(batch, 1) == 1
    out = program.batch(2, write=True)
    out["p_set"] = 4
    assert program.write_from(out) == 2 and [node.read()[0] for _ in range(3)] == [0, 4, 4]


def test_a_sample_of_another_channel_is_compared_too(both, name):
    with vs.create(name + "-b", write_signals=[("k", "", "integer")]) as other, vs.open(name + "-b", 0) as reader:
        vs.unlink(name + "-b")
        other.write([1])
        sample = reader.read()
        with pytest.raises(vs.MismatchError, match='"k"'):
            both[1].write(sample)
        assert sample.tolist() == [1]
