import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pacing import LIMIT, WINDOW, Pacer


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_the_limit_leaves_room_below_ibs_fifty_in_a_second():
    assert LIMIT < 50
    assert WINDOW >= 1


@given(st.lists(st.tuples(st.floats(0, 0.7), st.integers(1, 5)), max_size=120))
def test_no_window_ever_holds_more_than_the_limit(requests):
    clock = Clock()
    pacer = Pacer(limit=10, clock=clock)
    sent = []

    for pause, messages in requests:
        clock.now += pause
        if pacer.try_take(messages) == 0:
            sent += [clock.now] * messages

    for moment in sent:
        assert sum(1 for other in sent if 0 <= other - moment < 1.0) <= 10


@given(st.integers(1, 10), st.integers(1, 10))
def test_the_wait_that_is_told_suffices(first, second):
    clock = Clock()
    pacer = Pacer(limit=10, clock=clock)
    assert pacer.try_take(first) == 0

    clock.now += 0.25
    wait = pacer.try_take(second)
    assert (wait > 0) == (first + second > 10)

    clock.now += wait + 1e-6
    assert not wait or pacer.try_take(second) == 0


def test_more_than_ever_fits_is_refused():
    with pytest.raises(ValueError, match="never fit"):
        Pacer(limit=3).try_take(4)


def test_taking_waits_for_room():
    pacer = Pacer(limit=2, window=0.1)
    assert pacer.take(2, timeout=0)

    before = time.monotonic()
    assert pacer.take(1, timeout=1)

    assert time.monotonic() - before >= 0.09


def test_taking_gives_up_at_once_when_it_cannot_be_in_time_and_takes_nothing():
    pacer = Pacer(limit=2, window=0.2)
    assert pacer.take(1, timeout=0)

    before = time.monotonic()
    assert not pacer.take(2, timeout=0.05)

    assert time.monotonic() - before < 0.05
    assert pacer.take(1, timeout=0)


def test_room_is_waited_for_and_not_taken():
    pacer = Pacer(limit=3, window=0.1)
    assert pacer.wait_for(1, timeout=0) == 3
    assert pacer.take(2, timeout=0)
    assert pacer.wait_for(1, timeout=0) == 1

    before = time.monotonic()
    assert pacer.wait_for(3, timeout=0.01) == 0
    assert time.monotonic() - before < 0.09
    assert pacer.wait_for(3, timeout=1) == 3

    assert time.monotonic() - before >= 0.09
    assert pacer.take(3, timeout=0)


def test_room_that_will_be_there_counts_and_is_not_there_before():
    now = [10.0]
    pacer = Pacer(limit=3, window=1.0, clock=lambda: now[0])
    for _ in range(3):
        assert pacer.take(1, timeout=0)
        now[0] += 0.01

    now[0] = 10.97
    assert pacer.wait_for(1, timeout=0, ahead=0.035) == 1
    assert pacer.wait_for(2, timeout=0, ahead=0.045) == 2
    assert pacer.wait_for(1, timeout=0, ahead=0.025) == 0
    assert pacer.wait_for(2, timeout=0, ahead=0.035) == 0
    assert pacer.try_take(1) == pytest.approx(0.03)
    now[0] = 11.03
    assert pacer.wait_for(3, timeout=0, ahead=0.1) == 3


def test_threads_share_one_limit():
    pacer = Pacer(limit=5, window=0.2)
    taken = []

    def sender():
        while pacer.take(1, timeout=0.5) and len(taken) < 20:
            taken.append(time.monotonic())

    threads = [threading.Thread(target=sender) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # The sixth after each one is a window later, less what passes between the token and the note of it.
    assert len(taken) >= 20
    for earlier, later in zip(sorted(taken), sorted(taken)[5:], strict=False):
        assert later - earlier > 0.15
