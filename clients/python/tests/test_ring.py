"""Rings and endpoints: messages of every dtype, waits, ends, arrays of the caller's."""

import pathlib
import select
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
import villas_shm as vs
from conftest import eventually

PHASOR = np.dtype([("at", "M8[ns]"), ("phase", "u1"), ("value", "c16")], align=True)


def both(name, dtype, **options):
    return vs.Ring(name, dtype=dtype, role="producer", **options), vs.Ring(name, dtype=dtype, role="consumer", **options)


def test_a_number_goes_through(name):
    producer, consumer = both(name, "f8")
    producer.push(230.5)
    value = consumer.pop()
    assert value == 230.5 and isinstance(value, np.float64)
    assert consumer.try_pop() is None


def test_the_bits_of_a_nan_are_kept(name):
    producer, consumer = both(name, "u8")
    producer.push(0x7FF8_0000_0000_1234)
    assert consumer.pop() == 0x7FF8_0000_0000_1234


def test_a_record_has_its_fields(name):
    producer, consumer = both(name, PHASOR, policy="spsc")
    producer.push((np.datetime64("2026-01-02T03:04:05.678"), 2, 3 - 4j))
    phasor = consumer.pop()
    assert phasor["at"] == np.datetime64("2026-01-02T03:04:05.678") and phasor["phase"] == 2 and phasor["value"] == 3 - 4j
    producer.push(phasor)
    assert consumer.pop() == phasor


def test_a_message_may_be_an_array(name):
    producer, consumer = both(name, ("f4", (2, 3)))
    given = np.arange(6, dtype="f4").reshape(2, 3)
    producer.push(given)
    producer.push(given.tolist())
    producer.push(given.T.copy().T)  # not contiguous
    for _ in range(3):
        assert np.array_equal(consumer.pop(), given)
    with pytest.raises(ValueError, match="shape"):
        producer.push([1, 2, 3])  # which numpy would spread


def test_what_is_popped_is_a_copy(name):
    producer, consumer = both(name, ("f8", 4), capacity=1)
    producer.push([1, 2, 3, 4])
    first = consumer.pop()
    producer.push([5, 6, 7, 8])
    assert first.tolist() == [1, 2, 3, 4] and first.flags.writeable


@pytest.mark.parametrize("dtype", [object, [("name", "O")], "V0"])
def test_types_without_meaning_elsewhere_are_refused(name, dtype):
    with pytest.raises((TypeError, ValueError)):
        vs.Ring(name, dtype=dtype, role="producer")


@pytest.mark.parametrize("options", [{"role": "reader"}, {"policy": "spmc"}, {"capacity": 0}])
def test_options_that_make_no_sense_are_refused(name, options):
    with pytest.raises(ValueError):
        vs.Ring(name, **{"dtype": "f8", "role": "producer"} | options)


def test_another_message_size_is_a_mismatch(name):
    with vs.Ring(name, dtype="f8", role="producer"):
        with pytest.raises(vs.MismatchError, match="element size is 8 there, 4"):
            vs.Ring(name, dtype="f4", role="consumer")


def test_a_second_consumer_of_spsc_is_busy(name):
    with vs.Ring(name, dtype="f8", role="consumer", policy="spsc"):
        with pytest.raises(vs.BusyError):
            vs.Ring(name, dtype="f8", role="consumer", policy="spsc")


def test_the_wrong_role_is_invalid(name):
    producer, consumer = both(name, "f8")
    with pytest.raises(vs.InvalidError):
        consumer.push(1)
    with pytest.raises(vs.InvalidError):
        producer.pop()


def test_a_full_ring_says_so(name):
    producer, consumer = both(name, "i4", capacity=2)
    assert producer.try_push(1) and producer.try_push(2) and not producer.try_push(3)
    with pytest.raises(vs.FullError, match="full"):
        producer.push(3, timeout=0)
    start = time.monotonic()
    with pytest.raises(vs.TimeoutError, match="full"):
        producer.push(3, timeout=0.15)
    assert time.monotonic() - start >= 0.15
    assert (producer.available, consumer.pending, producer.capacity) == (0, 2, 2)


def test_a_pop_gives_up_after_its_time(name):
    _, consumer = both(name, "i4")
    with pytest.raises(vs.TimeoutError):
        consumer.pop(timeout=0.12)
    with pytest.raises(ValueError):
        consumer.pop(timeout=-1)


def test_arrays_go_through_whole(name):
    producer, consumer = both(name, PHASOR, capacity=16)
    given = np.zeros(10, PHASOR)
    given["value"] = np.arange(10) * 1j
    assert producer.push_many(given) == 10
    room = np.zeros(32, PHASOR)
    assert consumer.pop_many(room) == 10
    assert np.array_equal(room[:10], given)
    assert consumer.pop_many(room, timeout=0) == 0


def test_more_messages_than_fit_wait_for_room(name):
    producer, consumer = both(name, "i8", capacity=7, policy="spsc")
    given = np.arange(1000)
    taken = np.zeros(1000, "i8")

    def take():
        at = 0
        while at < 1000:
            at += consumer.pop_many(taken[at:])

    thread = threading.Thread(target=take)
    thread.start()
    assert producer.push_many(given) == 1000
    thread.join()
    assert np.array_equal(taken, given)


def test_a_push_of_many_says_how_many_fit_in_time(name):
    producer, _ = both(name, "i8", capacity=7)
    assert producer.push_many(np.arange(10), timeout=0.05) == 7
    assert producer.push_many(np.arange(10), timeout=0) == 0


def test_arrays_that_do_not_fit_are_refused(name):
    producer, consumer = both(name, ("f8", 2))
    frozen = np.zeros((4, 2))
    frozen.flags.writeable = False
    for wrong in [[1.0, 2.0], np.zeros(4), np.zeros((4, 3)), np.zeros((4, 2), "f4"), np.zeros((8, 2))[::2], frozen, np.float64(1)]:
        with pytest.raises(TypeError, match="contiguous"):
            consumer.pop_many(wrong)
    assert producer.push_many(frozen) == 4
    with pytest.raises(ValueError, match="room"):
        consumer.pop_many(np.zeros((0, 2)))


def test_a_descriptor_tells_of_messages_and_of_room(name):
    producer, consumer = both(name, "i4", capacity=1)
    readable = lambda ring, timeout=0.0: bool(select.select([ring], [], [], timeout)[0])
    assert readable(producer, 20)
    consumer.fileno()
    eventually(lambda: consumer.try_pop() is None and not readable(consumer))  # once it was asked for
    producer.push(1)
    assert readable(consumer, 20)
    assert not producer.try_push(2)
    eventually(lambda: not readable(producer))
    assert consumer.pop() == 1
    assert readable(producer, 20)


def test_a_close_ends_the_waits_of_other_threads(name):
    _, consumer = both(name, "i4")
    raised = []

    def wait():
        with pytest.raises(vs.ClosedError) as error:
            consumer.pop()
        raised.append(error.value)

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: consumer.stats().waits >= 1)
    consumer.close()
    for thread in threads:
        thread.join(20)
    assert len(raised) == 2 and consumer.closed
    with pytest.raises(vs.ClosedError):
        consumer.try_pop()
    assert "closed" in repr(consumer)


def test_an_interrupt_ends_a_wait(name):
    _, consumer = both(name, "i4")
    consumer.interrupt()
    with pytest.raises(vs.InterruptedError):
        consumer.pop(timeout=20)


def test_an_iteration_ends_with_the_last_producer(name, child):
    other = child(
        "ring = vs.Ring(sys.argv[1], dtype='i4', role='producer')\nfor n in range(5): ring.push(n)\nsay('pushed')\nsys.stdin.readline()",
        name,
    )
    with vs.Ring(name, dtype="i4", role="consumer") as consumer:
        seen = [consumer.pop()]
        assert other.line() == "pushed"
        eventually(lambda: consumer.stats().producers == 1)
        threading.Timer(0.2, other.process.kill).start()
        seen += list(consumer)
    assert seen == [0, 1, 2, 3, 4]


def test_a_wait_that_is_over_says_that_nobody_is_there(name):
    with vs.Ring(name, dtype="i4", role="producer", capacity=2) as producer:
        while producer.try_push(1):
            pass
        with pytest.raises(vs.TimeoutError, match="and has no consumer: the message was not given"):
            producer.push(1, 0.01)
        with vs.Ring(name, dtype="i4", role="consumer", capacity=2) as consumer:
            with pytest.raises(vs.TimeoutError, match="was over: the message was not given"):
                producer.push(1, 0.01)
            producer.close()
            seen = list(consumer)
            with pytest.raises(vs.TimeoutError, match="and the ring has no producer"):
                consumer.pop(0.01)
            assert len(seen) >= 2 and list(consumer) == []
            with vs.Ring(name, dtype="i4", role="producer", capacity=2) as again:
                again.push(2)
            assert [consumer.pop(20), *consumer] == [2]  # as the page says


def test_the_wrong_role_is_said_before_the_message_is_looked_at(name):
    with vs.Ring(name, dtype=[("a", "i4")], role="consumer") as consumer:
        with pytest.raises(vs.InvalidError, match="is a consumer's: a push needs one with role"):
            consumer.push(1)


def test_ctrl_c_ends_each_wait(name, child):
    for wait in ["ring.pop()", "ring.pop_many(np.zeros(3, 'i4'))", "next(ring)"]:
        other = child(
            f"import numpy as np\nring = vs.Ring(sys.argv[1], dtype='i4', role='consumer')\nsay('ready')\n{wait}", name
        )
        assert other.line() == "ready"
        eventually(other.sleeps)
        other.process.send_signal(signal.SIGINT)
        status, _, err = other.end()
        assert status != 0 and "KeyboardInterrupt" in err


def test_a_forked_child_has_none_of_its_parents_rings(name, child):
    other = child(
        """ring = vs.Ring(sys.argv[1], dtype='i4', role='producer')
pid = os.fork()
if pid: os.waitpid(pid, 0)
try:
    ring.push(1)
    say('pushed', pid == 0)
except vs.ClosedError:
    say('closed', pid == 0)""",
        name,
    )
    assert [other.line(), other.line()] == ["closed True", "pushed False"]


def test_many_processes_share_a_ring(name, child):
    code = "ring = vs.Ring(sys.argv[1], dtype='i8', role='producer')\nfor n in range(500): ring.push(n)\nsay('done')"
    with vs.Ring(name, dtype="i8", role="consumer") as consumer:
        producers = [child(code, name) for _ in range(3)]
        total = sum(int(consumer.pop(20)) for _ in range(1500))
        assert all(one.line() == "done" for one in producers)
    assert total == 3 * sum(range(500))


def test_threads_share_an_end(name):
    producer, consumer = both(name, "i8", capacity=8)
    sums = []
    producers = [threading.Thread(target=lambda: [producer.push(n) for n in range(300)]) for _ in range(2)]
    consumers = [threading.Thread(target=lambda: sums.append(sum(int(consumer.pop(20)) for _ in range(300)))) for _ in range(2)]
    for thread in producers + consumers:
        thread.start()
    for thread in producers + consumers:
        thread.join()
    assert sum(sums) == 2 * sum(range(300))


def test_a_ring_is_the_one_of_c(name, tmp_path, built):
    root = pathlib.Path(__file__).parents[3]
    cc = shutil.which("cc")
    if not cc:
        pytest.skip("skipped: no cc")
    code = """#include <villas/shmem.h>
struct pair { int count; double value; };
int main(int argc, char **argv) {
  struct shmem_ring *ring = shmem_ring_open(argv[1], SHMEM_SPSC, SHMEM_PRODUCER, sizeof(struct pair), 10);
  for (int i = 0; ring && i < 3; i++) { struct pair p = {i, i / 2.0}; if (shmem_ring_push(ring, &p)) return 2; }
  return argc < 2 || !ring || shmem_ring_close(ring);
}"""
    (tmp_path / "producer.c").write_text(code)
    subprocess.run(
        [cc, tmp_path / "producer.c", f"-I{root}/include", f"-L{built}", "-lvillas_shm", f"-Wl,-rpath,{built}", "-o", tmp_path / "p"],
        check=True,
    )
    subprocess.run([tmp_path / "p", name], check=True, timeout=20)
    dtype = np.dtype([("count", "i4"), ("value", "f8")], align=True)
    with vs.Ring(name, dtype=dtype, role="consumer", policy="spsc", capacity=10) as consumer:
        assert [tuple(message) for message in (consumer.pop(), consumer.pop(), consumer.pop())] == [(0, 0), (1, 0.5), (2, 1)]


def test_stats_and_repr_say_what_there_is(name):
    producer, consumer = both(name, "i4")
    producer.push(1)
    stats = consumer.stats()
    assert (stats.pending, stats.available, stats.producers, stats.consumers) == (1, 143, 1, 1)
    assert (producer.role, producer.policy, producer.dtype) == ("producer", "mpmc", np.dtype("i4"))
    assert name in repr(producer) and "1 pending" in repr(producer)


def test_an_endpoint_speaks_both_ways(name):
    with vs.Endpoint(name, side="a", dtype="f8") as a, vs.Endpoint(name, side="b", dtype="f8") as b:
        a.send(1.5)
        assert b.receive() == 1.5
        b.outgoing.push_many(np.array([2.0, 3.0]))
        room = np.zeros(4)
        assert a.incoming.pop_many(room) == 2 and room[1] == 3
        with pytest.raises(vs.TimeoutError):
            a.receive(timeout=0.01)
        assert a.fileno() == a.incoming.fileno() and name in repr(a)
        a.unlink()
    assert a.closed and b.closed
    with pytest.raises(ValueError):
        vs.Endpoint(name, side="c", dtype="f8")
