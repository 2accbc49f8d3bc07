"""A wait that cannot end, because this process holds what the peer would need, says so."""

import asyncio
import threading

import pytest
import villas_shm as vs
from conftest import DEADLINE


@pytest.fixture
def small(name):
    """A node and its program: 6 blocks a side."""
    with vs.create(name, queuelen=4, spare=2) as node, vs.open(name, 0) as program:
        yield node, program


def read_all(node, program) -> list[vs.Sample]:
    held = []
    for number in range(6):
        node.write([number])
        held.append(program.read())
    return held


def test_a_reader_that_holds_all_samples_of_its_peer_is_told(small):
    held = read_all(*small)
    program, batch = small[1], small[1].batch(4)
    for read in (lambda: program.read(), lambda: next(program), lambda: program.read_into(batch), lambda: program.read(DEADLINE)):
        with pytest.raises(vs.FullError, match=r"holds all 6 samples that the peer can send: .* keep smp.values"):
            read()
    for read in (lambda: program.read(0), lambda: program.read(0.01), lambda: program.read_into(batch, 0.01)):
        with pytest.raises(vs.FullError, match="holds all 6 samples"):
            read()
    for attempt in (program.try_read, lambda: program.read_into(batch, 0) or None):
        with pytest.raises(vs.FullError, match="holds all 6 samples"):
            for _ in range(1000):
                assert attempt() is None
    held.pop().put()
    assert program.try_read() is None and program.read_into(batch, 0.01) == 0
    with pytest.raises(vs.TimeoutError):
        program.read(0.01)
    small[0].write([7])
    assert program.read()[0] == 7


def test_a_list_of_a_channel_ends_with_an_error(small):
    node, program = small
    for number in range(4):
        node.write([number])
    held = []
    with pytest.raises(vs.FullError):
        for sample in program:
            held.append(sample)
            if len(held) <= 2:
                node.write([9])
    assert len(held) == 6


def test_an_asyncio_reader_is_told(small):
    held = read_all(*small)

    async def work():
        async with asyncio.timeout(DEADLINE):
            channel = vs.AsyncChannel(small[1])
            with pytest.raises(vs.FullError, match="that the peer can send"):
                await channel.read()
            with pytest.raises(vs.FullError, match="that the peer can send"):
                await channel.read_into(channel.batch(1))
            own = [small[1].alloc(1) for _ in range(6)]
            with pytest.raises(vs.FullError, match="that it can write"):
                await channel.write([1])
            own.clear()
            await channel.write([1])

    asyncio.run(work())
    assert len(held) == 6 and small[0].read()[0] == 1


def test_a_writer_that_holds_all_of_its_own_samples_is_told(small):
    node = small[0]
    held = [node.alloc(1) for _ in range(6)]
    batch = node.batch(2, width=1)
    for write in (lambda: node.alloc(1), lambda: node.write([1]), lambda: node.write_from(batch), lambda: node.alloc(timeout=DEADLINE)):
        with pytest.raises(vs.FullError, match=r"holds all 6 samples that it can write"):
            write()
    held.pop()
    node.write([1])


def test_a_reader_waits_while_the_peer_has_a_sample_to_send(small):
    """One of the reader's own, which the peer has not sent back."""
    node, program = small
    program.write([1])
    kept = node.read()
    held = read_all(node, program)
    with pytest.raises(vs.TimeoutError):
        program.read(0.25)
    node.write(kept)
    assert program.read()[0] == 1 and len(held) == 6


def test_a_channel_of_two_regions_tells_its_reader(name):
    with vs.open_wire(name, name, 0, queuelen=8, samplelen=2) as loop:
        with pytest.raises(vs.TimeoutError):
            loop.read(0.25)  # holds nothing


def test_a_timed_write_ends_although_a_slow_reader_makes_room_again_and_again(small):
    node, program = small
    batch, rows, over = node.batch(100_000, width=1), [], threading.Event()

    def read() -> None:
        while not over.wait(0.001):
            rows.append(program.try_read() is not None)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert 4 <= node.write_from(batch, timeout=0.2) < len(batch)
    finally:
        over.set()
        reader.join(DEADLINE)
    assert sum(rows) + program.stats().queued_in == node.stats().written
