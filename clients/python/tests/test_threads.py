"""Threads of one process."""

import sys
import threading
import time

import pytest
import villas_shm as vs
from conftest import DEADLINE, eventually


class Thread(threading.Thread):
    """Keeps what its work gave or raised."""

    def __init__(self, work) -> None:
        super().__init__(daemon=True)
        self.work, self.result, self.error = work, None, None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:
            self.error = error

    def end(self):
        self.join(DEADLINE)
        assert not self.is_alive()
        if self.error:
            raise self.error
        return self.result


def asleep(channel: vs.Channel, before: int) -> bool:
    return channel.stats().waits > before


@pytest.mark.parametrize("wait", ["read", "read_into", "next"])
def test_a_wait_lets_other_threads_run(pair, wait):
    node, program = pair
    batch = program.batch(1)
    work = {"read": program.read, "read_into": lambda: program.read_into(batch), "next": lambda: next(program)}[wait]
    waits = program.stats().waits
    reader = Thread(work)
    eventually(lambda: asleep(program, waits))
    node.write([1])
    assert reader.end()


def test_an_interrupt_ends_the_waits_that_have_begun_and_no_others(pair):
    node, program = pair
    for _ in range(3):
        waits = program.stats().waits
        readers = [Thread(program.read), Thread(lambda: program.read(100))]
        eventually(lambda: program.stats().waits >= waits + 2)
        program.interrupt()
        for reader in readers:
            with pytest.raises(vs.InterruptedError):
                reader.end()
        node.write([1])
        assert program.read(10)[0] == 1


def test_an_interrupt_ends_the_next_wait_if_there_is_none(pair):
    pair[1].interrupt()
    with pytest.raises(InterruptedError):
        pair[1].read()
    with pytest.raises(vs.TimeoutError):
        pair[1].read(0.01)


def test_a_close_ends_the_waits_of_other_threads(pair):
    node, program = pair
    waits = program.stats().waits
    reader = Thread(program.read)
    eventually(lambda: asleep(program, waits))
    program.close()
    with pytest.raises(vs.ClosedError):
        reader.end()


def test_a_batch_in_use_elsewhere_is_refused(pair):
    node, program = pair
    batch = program.batch(4)
    waits = program.stats().waits
    reader = Thread(lambda: program.read_into(batch))
    eventually(lambda: asleep(program, waits))
    for call in (program.read_into, program.write_from):
        with pytest.raises(vs.BusyError, match="another thread"):
            call(batch)
    node.write([1])
    assert reader.end() == 1
    assert program.write_from(batch) == 1


def test_a_sample_that_is_being_written_is_not_used_elsewhere(pair):
    node, _ = pair
    while node.stats().queued_out < 16:
        node.write([0])
    sample, waits = node.alloc(1), node.stats().waits
    writer = Thread(lambda: node.write(sample, timeout=1000))
    eventually(lambda: asleep(node, waits))
    with pytest.raises(ValueError):
        sample[0]
    node.interrupt()
    with pytest.raises(vs.InterruptedError):
        writer.end()
    assert sample[0] == 0.0


def test_threads_share_a_channel_and_lose_nothing(pair):
    node, program = pair
    count = 2000
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        def write(part: int) -> None:
            for number in range(part, count, 2):
                node.write([number])

        def read() -> list[float]:
            got: list[float] = []
            batch = program.batch(7)
            try:
                while True:
                    got += batch.values[: program.read_into(batch), 0].tolist()
            except vs.ClosedError:
                return got

        readers = [Thread(read), Thread(read)]
        writers = [Thread(lambda: write(0)), Thread(lambda: write(1))]
        for writer in writers:
            writer.end()
        node.close()
        assert sorted(readers[0].end() + readers[1].end()) == list(range(count))
    finally:
        sys.setswitchinterval(before)


def test_a_thread_that_waits_does_not_keep_ctrl_c_from_the_main_thread(pair, name, child):
    node, program = pair
    program.close()
    waiter = child(
        "import threading\n"
        "ch = vs.open(sys.argv[1], 10)\n"
        "threading.Thread(target=ch.read, daemon=True).start()\n"
        "say('ready')\n"
        "try: ch.read()\n"
        "except KeyboardInterrupt: say('interrupted')\n",
        name,
    )
    assert waiter.line() == "ready"
    eventually(waiter.sleeps)
    start = time.monotonic()
    waiter.process.send_signal(2)
    assert waiter.line() == "interrupted" and time.monotonic() - start < 5
