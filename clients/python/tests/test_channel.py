"""Channels: opening, signals, waits, ends, errors."""

import errno
import select
import time

import numpy as np
import pytest
import villas_shm as vs
from conftest import DEADLINE, eventually


def test_a_sample_goes_to_the_peer_and_back(pair):
    node, program = pair
    node.write([1.5, -2.0], sequence=7)
    sample = program.read()
    assert (sample.sequence, sample.tolist(), len(sample)) == (7, [1.5, -2.0], 2)
    sample[0] *= 2
    program.write(sample)
    assert node.read().values.tolist() == [3.0, -2.0]


def test_both_sides_know_the_signals(name):
    written = [("v_a", "V"), "plain", ("count", "", "integer"), ("on", "", "boolean"), ("z", "ohm", "complex")]
    with vs.create(name, samplelen=8, write_signals=written, read_signals=["back"]) as node, vs.open(name, 0) as program:
        assert program.read_signals == node.write_signals
        assert program.read_signals[0] == ("v_a", "V", "float") == vs.Signal("v_a", "V")
        assert [signal.type for signal in program.read_signals] == ["float", "float", "integer", "boolean", "complex"]
        assert program.write_signals == (vs.Signal("back"),)


@pytest.mark.parametrize("signals", ["v_a", [("a", "V", "double")], [()], [("a", "b", "float", "d")], [3], ["a", "a"], [""]])
def test_signals_that_make_no_sense_are_refused(name, signals):
    with pytest.raises((TypeError, ValueError)):
        vs.create(name, write_signals=signals)


def test_a_region_that_is_missing_is_not_found_at_once(name):
    with pytest.raises(vs.NotFoundError) as raised:
        vs.open(name, timeout=0)
    assert isinstance(raised.value, FileNotFoundError)
    assert raised.value.errno == errno.ENOENT and name in str(raised.value)


def test_an_open_gives_up_after_its_time(name):
    start = time.monotonic()
    with pytest.raises(TimeoutError) as raised:
        vs.open(name, timeout=0.25)
    assert isinstance(raised.value, vs.TimeoutError) and raised.value.errno == errno.ETIMEDOUT
    assert 0.25 <= time.monotonic() - start < 10


def test_a_region_that_is_held_is_busy(name):
    with vs.create(name) as node, vs.open(name, 0):
        with pytest.raises(vs.BusyError, match="holds|side"):
            vs.open(name, 0)
        assert not node.closed


def test_something_else_is_corrupt(name):
    with open(f"/dev/shm/{name}", "wb") as other:
        other.write(bytes(8192))
    with pytest.raises(vs.CorruptError):
        vs.open(name, 0)


def test_parameters_out_of_range_are_value_errors(name):
    with pytest.raises(ValueError) as raised:
        vs.create(name, queuelen=0)
    assert isinstance(raised.value, vs.InvalidError) and raised.value.errno == errno.EINVAL
    with pytest.raises(ValueError, match="history is 1048577, but must be from 0 to 1048576"):
        vs.create(name, history=2**20 + 1)
    with vs.create(name, history=2**20):
        pass
    with pytest.raises(ValueError):
        vs.open("a/b", 0)
    with pytest.raises(ValueError):
        vs.open(name, -1)
    with pytest.raises(ValueError):
        vs.open(name, float("nan"))


@pytest.mark.parametrize(
    "ours, builtin",
    [
        (vs.ClosedError, BrokenPipeError),
        (vs.TimeoutError, TimeoutError),
        (vs.NotFoundError, FileNotFoundError),
        (vs.FullError, BlockingIOError),
        (vs.PermissionError, PermissionError),
        (vs.InterruptedError, InterruptedError),
        (vs.InvalidError, ValueError),
        (vs.ExistsError, FileExistsError),
        (vs.BusyError, OSError),
        (vs.MismatchError, OSError),
        (vs.CorruptError, OSError),
        (vs.StaleError, OSError),
    ],
)
def test_exceptions_are_the_builtin_ones_too(ours, builtin):
    assert issubclass(ours, builtin) and issubclass(ours, vs.Error) and issubclass(ours, OSError)


def test_a_read_gives_up_after_its_time(pair):
    for timeout in (0, 0.15, np.float64(0.01)):
        start = time.monotonic()
        with pytest.raises(vs.TimeoutError, match="no sample has come"):
            pair[1].read(timeout)
        assert time.monotonic() - start >= timeout


def test_a_full_queue_says_so(pair):
    node, program = pair
    for number in range(16):
        node.write([number], timeout=0)
    with pytest.raises(vs.FullError) as raised:
        node.write([16.0], timeout=0)
    assert raised.value.errno == errno.EAGAIN
    with pytest.raises(vs.TimeoutError):
        node.write([16.0], timeout=0.01)
    assert [program.read()[0] for _ in range(16)] == list(range(16))


def test_a_sample_that_was_not_written_stays_the_callers(pair):
    node, _ = pair
    while node.stats().queued_out < 16:
        node.write([0])
    sample = node.alloc(2)
    with pytest.raises(vs.FullError):
        node.write(sample, timeout=0)
    assert sample.tolist() == [0, 0]


def test_an_allocation_of_all_blocks_says_so(pair):
    node, _ = pair
    held = []
    with pytest.raises(vs.FullError):
        while True:
            held.append(node.alloc(timeout=0))
    assert len(held) == node.stats().blocks // 2
    held.pop()
    held.append(node.alloc(timeout=0))


def test_iteration_ends_when_the_node_closes(pair):
    node, program = pair
    for number in range(3):
        node.write([number])
    node.close()
    assert [sample[0] for sample in program] == [0, 1, 2]
    with pytest.raises(vs.ClosedError):
        program.read()
    assert not program.peer_died


def test_iteration_raises_when_the_channel_was_closed_here(pair):
    pair[1].close()
    with pytest.raises(vs.ClosedError):
        next(pair[1])


def test_calls_after_a_close_raise(pair):
    node, program = pair
    batch = program.batch(4)
    program.close()
    program.close()
    assert program.closed and "closed" in repr(program)
    for call in (
        program.read,
        program.try_read,
        program.alloc,
        program.stats,
        program.wait,
        program.fileno,
        lambda: program.write([1]),
        lambda: program.read_into(batch),
        lambda: program.write_from(batch),
    ):
        with pytest.raises(vs.ClosedError) as raised:
            call()
        assert raised.value.errno == errno.EPIPE


def test_a_program_that_comes_again_goes_on(pair, name):
    node, program = pair
    node.write([1])
    program.close()
    with vs.open(name, 0) as again:
        again.wait(0)
        assert again.read()[0] == 1


def test_the_descriptors_say_when_a_call_would_not_wait(pair):
    node, program = pair
    readable, writable = select.poll(), select.poll()
    readable.register(program, select.POLLIN)
    writable.register(node.write_fileno(), select.POLLIN)
    # A descriptor may be readable without a reason until a read finds nothing.
    eventually(lambda: program.try_read() is None and not readable.poll(0))
    node.write([1])
    assert readable.poll(10_000)
    program.read(0)

    def is_full() -> bool:
        try:
            node.write([0], timeout=0)
        except vs.FullError:
            return not writable.poll(0)
        return False

    eventually(is_full)
    while (sample := program.try_read()) is not None:
        sample.put()
    assert writable.poll(10_000)
    assert program.fileno() == program.fileno() != program.write_fileno()
    node.close()
    assert readable.poll(10_000)


def test_counters_count(pair):
    node, program = pair
    node.write([1])
    assert (node.stats().written, program.stats().queued_in, program.stats().held) == (1, 1, 0)
    sample = program.read()
    assert (program.stats().read, program.stats().held) == (1, 1)
    sample.put()
    assert program.stats().held == 0


def test_a_sample_of_another_channel_is_written_as_a_copy(pair, name):
    node, program = pair
    with vs.create(name + "-b", samplelen=8) as other, vs.open(name + "-b", 0) as receiver:
        vs.unlink(name + "-b")
        node.write([1.5, 2.5], sequence=3, origin=5)
        sample = program.read()
        other.write(sample)
        assert program.stats().held == 0
        copy = receiver.read()
        assert (copy.tolist(), copy.sequence, copy.origin) == ([1.5, 2.5], 3, np.datetime64(5, "ns"))


def test_villasnodes_layout_reads_and_writes(name):
    with vs.open_wire(name, name, timeout=0, samplelen=4) as both:
        both.write([1.5, 2.5], sequence=9)
        sample = both.read()
        assert (sample.tolist(), sample.sequence) == ([1.5, 2.5], 9)
    with pytest.raises(vs.TimeoutError):
        vs.open_wire(name, name + "-missing", timeout=0.05)


def test_a_channel_says_what_it_is(pair, name):
    assert repr(pair[0]) == f'<villas_shm.Channel "{name}" (node): 0 read signals, 0 write signals, peer alive>'
    assert (pair[1].name, pair[1].samplelen, pair[1].peer_alive) == (name, 8, True)


def test_a_read_says_that_the_peer_has_died(name, child):
    node = child("ch = vs.create(sys.argv[1])\nsay('ready')\nch.read()\n", name)
    assert node.line() == "ready"
    with vs.open(name, 0) as program:
        node.process.kill()
        for read in (lambda: program.read(DEADLINE), program.try_read, lambda: program.read_into(program.batch(1), DEADLINE)):
            with pytest.raises(vs.ClosedError, match="the peer has died, and everything that it wrote has been read"):
                read()
        assert program.peer_died


def test_a_group_that_does_not_exist_is_named(name):
    with pytest.raises(ValueError, match="group: this system has no group 'no such group'"):
        vs.create(name, group="no such group")
