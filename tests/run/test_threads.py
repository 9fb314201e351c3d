"""Order kept, errors raised where the user waits, no thread left behind."""

import threading
import time

import pytest

from rsclip.run.threads import Worker, prefetch


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("rsclip")]


def test_prefetch_keeps_order_and_runs_ahead_only_so_far():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    got = []
    for number in prefetch(items(), depth=2):
        got.append(number)
        time.sleep(0.002)
        # Two wait in the queue, one is in hand on each side.
        assert len(made) - len(got) <= 4
    assert got == list(range(20))
    assert threads() == []


def test_prefetch_raises_after_what_came_before():
    def items():
        yield 1
        raise OSError("no more")

    got = []
    with pytest.raises(OSError, match="no more"):
        for number in prefetch(items(), depth=3):
            got.append(number)
    assert got == [1]
    assert threads() == []


def test_leaving_prefetch_early_stops_the_thread_and_closes_the_source():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    source = items()
    stream = prefetch(source, depth=1)
    next(stream)
    stream.close()
    assert threads() == []
    # In the thread that ran it: it may hold what belongs to a thread.
    assert closed == ["rsclip-reader"]


def test_an_interrupt_while_waiting_for_the_worker_stops_it(monkeypatch):
    done = []

    def slow(item):
        time.sleep(0.05)
        done.append(item)

    join, interrupts = threading.Thread.join, [KeyboardInterrupt]

    def interrupted(thread, timeout=None):
        if interrupts:
            raise interrupts.pop()
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt), Worker(slow, depth=50) as worker:
        for number in range(50):
            worker.put(number)
    assert threads() == []
    assert len(done) < 50


def test_worker_consumes_all_before_the_block_ends():
    got = []

    def slow(item):
        time.sleep(0.002)
        got.append(item)

    with Worker(slow, depth=1) as worker:
        for number in range(10):
            worker.put(number)
    assert got == list(range(10))
    assert threads() == []


def test_a_workers_error_stops_the_one_who_feeds_it():
    def fail(item):
        raise ValueError(f"item {item}")

    fed = 0
    with pytest.raises(ValueError, match="item 0"), Worker(fail, depth=1) as worker:
        for number in range(1000):
            worker.put(number)
            fed += 1
    assert fed < 1000
    assert threads() == []


def test_a_workers_last_error_is_not_lost():
    def fail(_):
        time.sleep(0.01)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"), Worker(fail, depth=5) as worker:
        worker.put(0)


def test_an_error_in_the_block_is_the_one_raised():
    with pytest.raises(KeyError), Worker(lambda _: None, depth=1) as worker:
        worker.put(0)
        raise KeyError("mine")
    assert threads() == []
