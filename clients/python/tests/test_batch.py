"""Batches: many samples in numpy arrays."""

import numpy as np
import pytest
import villas_shm as vs

TYPES = [("f", "V"), ("i", "", "integer"), ("b", "", "boolean"), ("z", "", "complex")]


def test_a_batch_takes_what_is_there(pair):
    node, program = pair
    batch = program.batch(4)
    assert (batch.values.shape, len(batch), batch.count) == ((4, 8), 4, 4)
    for number in range(6):
        node.write([number, 2 * number], sequence=10 + number, origin=number)
    assert program.read_into(batch) == 4 == batch.count
    assert batch.values[:, :2].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6]]
    assert batch.sequence.tolist() == [10, 11, 12, 13]
    assert batch.origin.astype(int).tolist() == [0, 1, 2, 3] and np.isnat(batch.received).all()
    assert batch.length.tolist() == [2] * 4
    assert program.read_into(batch) == 2 == batch.count
    assert program.stats().held == 0


def test_the_arrays_have_the_types_that_are_promised(pair):
    batch = pair[0].batch(3, width=2)
    dtypes = [getattr(batch, name).dtype for name in ("values", "sequence", "origin", "received", "length", "flags")]
    assert dtypes == [np.float64, np.uint64, "M8[ns]", "M8[ns]", np.uint32, np.int32]
    assert batch.values.shape == (3, 2) and batch.values.flags.c_contiguous and batch.values.flags.aligned
    with pytest.raises(ValueError):
        batch.values.resize((300, 2), refcheck=False)


def test_without_samples_only_a_timeout_gives_zero(pair):
    batch = pair[1].batch(4)
    assert pair[1].read_into(batch, timeout=0) == 0 == pair[1].read_into(batch, 0.12) == batch.count


def test_behind_short_samples_stands_nan(name):
    with vs.create(name, samplelen=8, write_signals=TYPES) as node, vs.open(name, 0) as program:
        batch = program.batch(2)
        for name, *_ in TYPES:
            batch[name] = 1
        node.write([2.5])
        node.write([])
        program.read_into(batch)
        assert batch.length.tolist() == [1, 0]
        assert batch["f"][0] == 2.5 and np.isnan(batch["f"][1])
        assert batch["i"].tolist() == [0, 0] and batch["b"].tolist() == [False, False] and batch["z"].tolist() == [0, 0]


def test_a_sample_longer_than_a_row_says_its_length(pair):
    batch = pair[1].batch(1, width=2)
    pair[0].write([1, 2, 3])
    pair[1].read_into(batch)
    assert batch.values.tolist() == [[1, 2]] and batch.length.tolist() == [3]


def test_columns_have_the_types_of_their_signals(name):
    with vs.create(name, samplelen=8, write_signals=TYPES) as node, vs.open(name, 0) as program:
        out, back = node.batch(3, write=True), program.batch(3)
        assert out.signals == back.signals == program.read_signals and out.values.shape == (3,)
        out["f"] = [0.5, 1.5, 2.5]
        out["i"] = np.array([2**53 + 1, -1, 3])
        out["b"] = [True, False, True]
        out["z"] = 1 - 2j
        assert node.write_from(out) == 3
        assert program.read_into(back) == 3
        assert back["f"].tolist() == [0.5, 1.5, 2.5]
        assert back["i"].tolist() == [2**53 + 1, -1, 3] and back["i"].dtype == np.int64
        assert back["b"].tolist() == [True, False, True] and back["b"].dtype == bool
        assert back["z"].tolist() == [1 - 2j] * 3 and back["z"].dtype == np.complex64
        assert back.values.tolist() == [(0.5, 2**53 + 1, True, 1 - 2j), (1.5, -1, False, 1 - 2j), (2.5, 3, True, 1 - 2j)]
        back["f"] *= 2
        assert back.values["f"].tolist() == [1, 3, 5]
        with pytest.raises(KeyError):
            back["x"]


def test_a_new_batch_is_ready_to_be_written(pair):
    node, program = pair
    batch = node.batch(3, write=True, width=2)
    batch.values[:] = [[1, 2], [3, 4], [5, 6]]
    batch.origin[1] = np.datetime64("2026-01-01")
    assert node.write_from(batch) == 3
    samples = [program.read() for _ in range(3)]
    assert [sample.tolist() for sample in samples] == [[1, 2], [3, 4], [5, 6]]
    assert [sample.sequence for sample in samples] == [0, 1, 2]
    assert [bool(sample.flags & vs.Flags.HAS_TS_ORIGIN) for sample in samples] == [False, True, False]


def test_what_was_read_is_written_as_it_was(pair):
    node, program = pair
    bits = 0xFFF8_1234_5678_9ABC
    node.write(np.array([bits, 7], np.uint64).view(float), sequence=2**64 - 1, origin=-5)
    batch = program.batch(4)
    program.write_from(batch, program.read_into(batch))
    sample = node.read()
    assert sample.values.view(np.uint64).tolist() == [bits, 7]
    assert (sample.sequence, sample.origin.astype(int), sample.flags) == (2**64 - 1, -5, 25)


def test_more_samples_than_the_queue_has_room_for_go_on_as_room_comes(pair):
    node, program = pair
    batch = node.batch(20, width=1)
    batch.values[:, 0] = np.arange(20)
    assert node.write_from(batch, timeout=0) == 16
    assert node.write_from(batch, 20, start=16, timeout=0.01) == 0
    assert node.stats().held == 0
    got = program.batch(32)
    assert program.read_into(got) == 16
    assert node.write_from(batch, start=16) == 4
    assert program.read_into(got) == 4 and got.values[:4, 0].tolist() == [16, 17, 18, 19]


def test_rows_that_do_not_exist_or_do_not_fit_are_refused(pair):
    node, _ = pair
    batch = node.batch(2, width=9)
    for arguments in ({"n": 3}, {"n": 1, "start": 2}):
        with pytest.raises(ValueError):
            node.write_from(batch, **arguments)
    with pytest.raises(ValueError, match="9 values do not fit"):
        node.write_from(batch)
    assert node.stats().held == 0
    for capacity, width in ((0, 1), (1, 0)):
        with pytest.raises(ValueError):
            node.batch(capacity, width=width)
    with pytest.raises(MemoryError):
        node.batch(2**62)


def test_the_end_comes_after_the_last_batch(pair):
    node, program = pair
    batch = program.batch(4)
    node.write([1])
    node.close()
    assert program.read_into(batch) == 1
    with pytest.raises(vs.ClosedError):
        program.read_into(batch)
    with pytest.raises(vs.ClosedError):
        program.write_from(batch, 1)


def test_arrays_outlive_their_batch(pair):
    values = pair[0].batch(100).values
    values[:] = 3
    assert values.sum() == 3 * 100 * 8
