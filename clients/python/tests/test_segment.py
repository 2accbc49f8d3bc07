"""Segments: their memory in Python, their ends, events; and the list of what is there."""

import gc
import multiprocessing
import os
import threading

import numpy as np
import pytest
import villas_shm as vs


def test_two_users_see_the_same_memory(name):
    with vs.Segment(name, 64, create=True) as ours, vs.Segment(name) as theirs:
        assert (ours.size, len(theirs), theirs.name) == (64, 64, name)
        memoryview(ours)[:3] = b"abc"
        assert bytes(memoryview(theirs)[:4]) == b"abc\0"
        gc.collect()


def test_numpy_reads_and_writes_it(name):
    with vs.Segment(name, 64, create=True) as segment:
        values = np.frombuffer(segment, "f8")
        values[:] = np.arange(8)
        assert np.frombuffer(segment, "f8", offset=16, count=2).tolist() == [2, 3]
        del values
        gc.collect()


def test_a_view_keeps_the_memory(name):
    segment = vs.Segment(name, 64, create=True)
    view = memoryview(segment)
    part = view[8:16]
    view.release()
    with pytest.raises(BufferError, match="view"):
        segment.close()
    part[0] = 7
    part.release()
    segment.close()
    assert segment.closed
    with pytest.raises((BufferError, vs.ClosedError)):
        memoryview(segment)
    with pytest.raises(vs.ClosedError):
        segment.stat()


def test_an_array_outlives_the_last_name_of_its_segment(name):
    values = np.frombuffer(vs.Segment(name, 64, create=True), "f8")
    gc.collect()
    values[3] = 1.5
    assert values.sum() == 1.5


def test_a_segment_for_reading_is_read_only(name):
    vs.Segment(name, 64, create=True)
    with vs.Segment(name, read_only=True) as segment, memoryview(segment) as view:
        assert view.readonly and segment.read_only
        with pytest.raises(TypeError):
            view[0] = 1


def test_what_is_there_is_refused_or_missing(name):
    with pytest.raises(vs.NotFoundError):
        vs.Segment(name)
    vs.Segment(name, 64, create=True)
    with pytest.raises(vs.ExistsError):
        vs.Segment(name, 64, create=True, exclusive=True)
    with pytest.raises(vs.MismatchError, match="64 bytes, 100"):
        vs.Segment(name, 100)
    with pytest.raises(ValueError):
        vs.Segment()
    with pytest.raises(ValueError):
        vs.Segment(name, key=3)


def test_system_v_segments_work_as_well(tmp_path):
    (tmp_path / "key").touch()
    key = vs.Segment.key_of(tmp_path / "key", 7)
    with vs.Segment(key=key, size=64, create=True) as ours:
        stat = ours.stat()
        try:
            assert (stat.key, stat.size, stat.attached, stat.creator_pid) == (key, 64, 1, os.getpid())
            with vs.Segment(id=stat.id) as theirs, memoryview(theirs) as view, memoryview(ours) as mine:
                view[5] = 9
                assert mine[5] == 9
            assert any(one.kind == "sysv" and one.key == key for one in vs.ls())
        finally:
            ours.unlink()
        assert ours.stat().removed


def test_stat_and_permissions(name):
    with vs.Segment(name, 64, create=True, permissions=0o640) as segment:
        assert segment.stat().permissions == 0o640 and segment.stat().id is None
        segment.set_permissions(0o600)
        assert segment.stat().permissions == 0o600
        segment.unlink()
        assert segment.stat().removed


def test_an_event_tells_what_was_written(name):
    with vs.Segment(name, 64, create=True) as segment:
        event, other = segment.event(0), segment.event(0)
        with pytest.raises(vs.TimeoutError):
            event.wait(timeout=0.01)
        thread = threading.Thread(target=lambda: [other.signal() for _ in range(3)])
        thread.start()
        seen = 0
        while seen < 3:
            seen += event.wait(timeout=20)
        thread.join()
        assert (seen, event.count, other.wait(0)) == (3, 3, 3)
        with pytest.raises(vs.InvalidError):
            segment.event(3)


def _fill(name: str) -> None:
    with vs.Segment(name) as segment:
        np.frombuffer(segment, "i4")[1:] = 5
        segment.event(0)


def test_a_spawned_process_writes_it(name):
    with vs.Segment(name, 64, create=True) as segment:
        process = multiprocessing.get_context("spawn").Process(target=_fill, args=(name,))
        process.start()
        process.join(30)
        assert process.exitcode == 0
        assert np.frombuffer(segment, "i4")[1:].tolist() == [5] * 15


def test_ls_shows_names_kinds_and_holders(name):
    with vs.create(name, samplelen=8) as node, vs.Ring(name + "-ring", dtype="f8", role="producer") as ring:
        node.write([1.0])
        ring.push(1)
        found = {one.name: one for one in vs.ls()}
        vs.unlink(name + "-ring")
    channel, ring_object = found[name], found[name + "-ring"]
    assert (channel.kind, channel.state, channel.mode, channel.uid) == ("channel", "live", 0o600, os.getuid())
    assert [(one.role, one.pid, one.state) for one in channel.holders] == [("node", os.getpid(), "alive")]
    assert (ring_object.kind, ring_object.holders[0].role) == ("ring", "producer")
    assert [(queue.depth, queue.capacity) for queue in ring_object.queues] == [(1, 144)]
    assert channel.queues[0].depth == 1 and channel.size > 0
