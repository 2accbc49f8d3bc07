"""Channels in an event loop."""

import asyncio
import threading

import pytest
import villas_shm as vs
from conftest import DEADLINE, eventually


def run(work):
    async def limited():
        async with asyncio.timeout(DEADLINE):
            return await work

    return asyncio.run(limited())


def watched() -> int:
    """Descriptors that the running loop watches, beside its own."""
    return len(asyncio.get_running_loop()._selector.get_map()) - 1  # type: ignore[attr-defined]


def test_an_open_waits_for_the_node(name):
    async def work():
        opening = asyncio.ensure_future(vs.open_async(name)._open())
        await asyncio.sleep(0)
        with vs.create(name) as node:
            async with await opening as channel:
                node.write([1])
                assert (await channel.read())[0] == 1

    run(work())


def test_an_open_gives_up_after_its_time(name):
    async def work():
        with pytest.raises(vs.Error):
            await vs.open_async(name, timeout=0.05)

    run(work())


def test_a_reader_gets_batches_until_the_node_closes(name):
    async def work():
        with vs.create(name, write_signals=["x"]) as node:
            async with vs.open_async(name) as channel:
                got = []

                async def read():
                    async for batch in channel.batches(8):
                        got.extend(batch["x"][: batch.count].tolist())

                task = asyncio.create_task(read())
                for number in range(20):
                    node.write([number])
                    while len(got) <= number:
                        await asyncio.sleep(0)
                assert watched() == 1
                node.close()
                await task
                assert got == list(range(20)) and watched() == 0

    run(work())


def test_samples_come_one_by_one(name):
    async def work():
        node = vs.create(name)
        async with vs.open_async(name) as channel:
            for number in range(3):
                node.write([number])
            node.close()
            assert [sample[0] async for sample in channel] == [0, 1, 2]

    run(work())


def test_a_writer_waits_for_room(name):
    async def work():
        with vs.create(name, queuelen=4, spare=2) as node:
            async with vs.open_async(name) as channel:

                async def write():
                    for number in range(50):
                        await channel.write([number], sequence=number)
                    batch = channel.batch(30, width=1)
                    batch.values[:, 0] = range(50, 80)
                    return await channel.write_from(batch)

                task = asyncio.create_task(write())
                got = []
                while len(got) < 80:
                    while (sample := node.try_read()) is not None:
                        got.append(sample[0])
                    await asyncio.sleep(0)
                assert await task == 30 and got == list(range(80)) and watched() == 0

    run(work())


def test_a_cancelled_wait_leaves_nothing_behind_and_loses_nothing(name):
    async def work():
        with vs.create(name) as node:
            async with vs.open_async(name) as channel:
                for _ in range(3):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.01):
                            await channel.read()
                    assert watched() == 0
                task, other = asyncio.create_task(channel.read()), asyncio.create_task(channel.read())
                while watched() == 0:
                    await asyncio.sleep(0)
                task.cancel()
                node.write([7])
                assert (await other)[0] == 7 and watched() == 0

    run(work())


def test_a_close_ends_the_waits(name):
    async def work():
        with vs.create(name):
            channel = await vs.open_async(name)
            task = asyncio.create_task(channel.read())
            while watched() == 0:
                await asyncio.sleep(0)
            channel.close()
            with pytest.raises(vs.ClosedError):
                await task
            with pytest.raises(vs.ClosedError):
                [_ async for _ in channel]
            assert watched() == 0

    run(work())


def test_a_death_is_raised(name, child):
    node = child("ch = vs.create(sys.argv[1])\nch.write([1])\nsay('ready')\nch.read()\n", name)
    assert node.line() == "ready"

    async def work():
        async with vs.open_async(name) as channel:
            with pytest.raises(vs.ClosedError):
                async for batch in channel.batches(4):
                    assert batch.count == 1
                    node.process.kill()

    run(work())


def test_what_a_channel_has_an_asyncio_channel_has(name, child):
    first = child("ch = vs.open(sys.argv[1])\nsay('ready')\nsys.stdin.read()\n", name)

    async def work():
        with vs.create(name, samplelen=4, queuelen=2, spare=1) as node:
            channel = vs.AsyncChannel(node)
            assert (channel.name, channel.samplelen, channel.closed) == (name, 4, False)
            await channel.wait()
            assert channel.peer_alive and first.line() == "ready"
            first.process.kill()
            eventually(lambda: not channel.peer_alive)
            waiting = asyncio.create_task(channel.wait())
            await asyncio.sleep(0)
            assert not waiting.done()
            with vs.open(name, 0) as program:
                await waiting
                held = [await channel.alloc(2) for _ in range(3)]
                allocating = asyncio.create_task(channel.alloc())
                await asyncio.sleep(0)
                await channel.write(held.pop())
                program.read(DEADLINE).put()
                assert (await allocating).tolist() == [0, 0, 0, 0]
            channel.close()
            assert channel.closed

    run(work())


def test_a_task_that_holds_all_samples_is_told_after_a_while(name):
    async def work():
        with vs.create(name, queuelen=2, spare=1) as node:
            async with vs.open_async(name) as channel:
                held = []
                for number in range(3):
                    node.write([number])
                    held.append(await channel.read())
                for read in (channel.read, lambda: channel.read_into(channel.batch(2))):
                    with pytest.raises(vs.FullError, match="holds all 3 samples"):
                        await read()
                reading = asyncio.create_task(channel.read())
                await asyncio.sleep(0)
                held.pop().put()  # by another task, in time
                node.write([7])
                assert (await reading)[0] == 7

    run(work())


def test_a_reader_under_traffic_lets_other_tasks_run(name):
    async def work():
        with vs.create(name, queuelen=1024, spare=1024) as node:
            async with vs.open_async(name) as channel:
                ran = []

                async def other():
                    ran.append(True)

                for number in range(1000):
                    node.write([number])
                task = asyncio.create_task(other())
                for _ in range(500):
                    (await channel.read()).put()
                assert ran
                await task

    run(work())


def test_an_idle_reader_leaves_the_loop_asleep(name, monkeypatch):
    async def work():
        with vs.create(name) as node:
            async with vs.open_async(name) as channel:
                task = asyncio.create_task(channel.read())
                while watched() == 0:
                    await asyncio.sleep(0)
                selector, looks = asyncio.get_running_loop()._selector, []
                select = selector.select
                monkeypatch.setattr(selector, "select", lambda timeout=None: looks.append(timeout) or select(timeout))
                await asyncio.sleep(1)
                woken = len(looks)
                node.write([1])
                await task
                return woken

    # It sleeps once, for the second; the check for waits without an end comes once in 100 ms at most.
    assert run(work()) <= 15


def test_a_loop_of_another_thread_is_woken(pair):
    node, program = pair
    got = []

    async def work():
        got.append((await vs.AsyncChannel(program).read())[0])

    thread = threading.Thread(target=lambda: run(work()), daemon=True)
    waits = program.stats()
    thread.start()
    assert waits.read == 0
    node.write([3])
    eventually(lambda: got == [3.0])
    thread.join(DEADLINE)


@pytest.mark.parametrize("timeout", [0, 0.05, 1e-9])
def test_an_open_raises_what_the_other_open_raises(name, timeout):
    async def work():
        async with vs.open_async(name, timeout=timeout):
            pass

    with pytest.raises(vs.Error) as expected:
        vs.open(name, timeout=timeout)
    with pytest.raises(type(expected.value)) as raised:
        run(work())
    assert str(raised.value) == str(expected.value)
