"""Other processes: signals in each wait, kills, forks, spawned workers."""

import faulthandler
import gc
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import villas_shm as vs
from conftest import eventually

OPEN = "ch = vs.open(sys.argv[1], 10)\n"
FULL = OPEN + "try:\n  while True: ch.write([0], timeout=0)\nexcept vs.FullError: pass\n"
HELD = OPEN + "held = []\ntry:\n  while True: held.append(ch.alloc(timeout=0))\nexcept vs.FullError: pass\n"
WAITS = {
    "open": ("", "vs.open(sys.argv[1] + '-none')"),
    "open_wire": ("", "vs.open_wire(sys.argv[1] + '-out', sys.argv[1] + '-none')"),
    "read": (OPEN, "ch.read()"),
    "read with a timeout": (OPEN, "ch.read(1000)"),
    "next": (OPEN, "next(ch)"),
    "read_into": (OPEN, "ch.read_into(ch.batch(4))"),
    "write": (FULL, "ch.write([0])"),
    "write of a sample": (FULL, "ch.write(ch.alloc(1))"),
    "write_from": (FULL, "ch.write_from(ch.batch(4))"),
    "alloc": (HELD, "ch.alloc()"),
    "wait": ("ch = vs.create(sys.argv[1] + '-alone')\nvs.unlink(sys.argv[1] + '-alone')\n", "ch.wait()"),
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_each_wait(pair, name, child, wait):
    node, program = pair
    program.close()
    before, call = WAITS[wait]
    code = f"{before}say('ready')\ntry:\n  {call}\nexcept KeyboardInterrupt:\n  say('interrupted')\n"
    waiter = child(code, name)
    assert waiter.line() == "ready"
    eventually(waiter.sleeps)
    start = time.monotonic()
    waiter.process.send_signal(signal.SIGINT)
    assert waiter.line() == "interrupted"
    assert time.monotonic() - start < 5
    assert waiter.end()[0] == 0


def test_a_signal_whose_handler_returns_does_not_end_a_wait(pair, name, child):
    node, program = pair
    program.close()
    waiter = child(
        f"{OPEN}signal.signal(signal.SIGUSR1, lambda *_: say('handled'))\nsay('ready')\nsay(ch.read()[0])\n", name
    )
    assert waiter.line() == "ready"
    for _ in range(3):
        eventually(waiter.sleeps)
        waiter.process.send_signal(signal.SIGUSR1)
        assert waiter.line() == "handled"
    node.write([5])
    assert waiter.line() == "5.0"


def test_a_second_python_gives_samples_back(pair, name, child):
    node, program = pair
    program.close()
    echo = child(f"{OPEN}say('ready')\nfor sample in ch:\n  ch.write(sample)\nsay('end')\n", name)
    assert echo.line() == "ready"
    for number in range(200):
        node.write([number, -number], sequence=number)
        sample = node.read(20)
        assert (sample.tolist(), sample.sequence) == ([number, -number], number)
    node.close()
    assert echo.line() == "end"


def test_iteration_raises_when_the_node_was_killed(name, child):
    node = child("ch = vs.create(sys.argv[1])\nch.write([1])\nsay('ready')\nch.wait()\nch.read()\n", name)
    assert node.line() == "ready"
    with vs.open(name, 0) as program:
        batch = program.batch(4)
        assert next(program)[0] == 1
        node.process.kill()
        with pytest.raises(vs.ClosedError):
            next(program)
        assert program.peer_died and not program.peer_alive
        with pytest.raises(vs.ClosedError):
            program.read_into(batch)


def test_a_killed_program_loses_nothing(pair, name, child):
    node, program = pair
    program.close()
    first = child(f"{OPEN}say('ready')\nsample = ch.read()\nsay(sample[0])\nsignal.pause()\n", name)
    assert first.line() == "ready"
    for number in range(3):
        node.write([number])
    assert first.line() == "0.0"
    first.process.kill()
    first.process.wait()
    with vs.open(name, 5) as second:
        batch = second.batch(4)
        assert second.read_into(batch) == 3
        assert batch.values[:3, 0].tolist() == [0, 1, 2]
        assert [bool(flags & vs.Flags.REDELIVERED) for flags in batch.flags[:3]] == [True, False, False]


def test_a_writer_learns_that_its_peer_was_killed(pair, name, child):
    node, program = pair
    program.close()
    peer = child(f"{OPEN}say('ready')\nsignal.pause()\n", name)
    assert peer.line() == "ready"
    node.wait(10)
    batch = node.batch(100, width=1)
    peer.process.kill()
    with pytest.raises(vs.ClosedError):
        while True:
            node.write_from(batch, timeout=10)
    assert node.stats().held == 0


def in_child(work) -> int:
    """Runs work in a forked child; its exit status: 0 where all was as it should be."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            gc.collect()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_calls_in_a_forked_child_raise(pair):
    node, program = pair
    batch = program.batch(4)
    node.write([1.0])
    sample = program.read()
    program.fileno()

    def work() -> None:
        for call in (
            program.read,
            program.try_read,
            lambda: next(program),
            program.alloc,
            program.stats,
            program.wait,
            program.fileno,
            program.write_fileno,
            lambda: program.write([1]),
            lambda: program.write(sample),
            lambda: program.read_into(batch),
            lambda: program.write_from(batch),
            lambda: sample.values,
            lambda: sample[0],
            lambda: sample.sequence,
            lambda: sample.view().__enter__(),
            sample.put,
        ):
            try:
                call()
            except vs.ClosedError:
                continue
            raise AssertionError(call)
        assert program.closed and not program.peer_alive
        program.close()
        repr(program), repr(sample)

    assert in_child(work) == 0
    sample[0] = 2
    program.write(sample)
    assert node.read()[0] == 2.0


def test_a_forked_child_opens_channels_of_its_own(pair, name):
    node, program = pair
    node.write([1.0])
    program.close()

    def work() -> None:
        with vs.open(name, 5) as own:
            own.write([own.read(10)[0] + 1])

    assert in_child(work) == 0
    assert node.read(10)[0] == 2.0


def test_a_view_of_the_parents_memory_ends_a_child(pair):
    node, program = pair
    node.write([1.0])
    sample = program.read()
    with sample.view() as values:

        def touch() -> None:
            faulthandler.disable()
            values.sum()

        assert in_child(touch) == -signal.SIGSEGV
        assert values[0] == 1.0


def double(name: str, count: int) -> None:
    with vs.open(name, 10) as channel:
        batch = channel.batch(8)
        while count > 0:
            count -= channel.read_into(batch, 10)
            batch["x"] *= 2
            channel.write_from(batch)


def test_a_spawned_worker_opens_the_channel_by_name(name):
    with vs.create(name, samplelen=1, read_signals=["x"], write_signals=["x"]) as node:
        worker = multiprocessing.get_context("spawn").Process(target=double, args=(name, 50))
        worker.start()
        for number in range(50):
            node.write([number])
        got = [node.read(20)[0] for _ in range(50)]
        worker.join(20)
        assert worker.exitcode == 0 and got == (2 * np.arange(50)).tolist()


def test_channels_are_not_pickled(pair):
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(pair[0])
