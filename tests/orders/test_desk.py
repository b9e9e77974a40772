"""The queue of requests that are ready to be claimed: who sees to which, and who waits for what."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from orders.desk import GROUP, Queue, Ready

ROOM = 46


def ready(number, *, orders=1):
    return Ready(number, None, orders)


def numbers(found):
    return [one.request_pk for one in found]


@contextmanager
def turn_of(queue, number):
    """What who comes with this request sees to, once it is its turn."""
    mine = ready(number)
    queue.put(mine)
    with queue.turn(mine) as ours:
        yield numbers(queue.take(ROOM)) if ours else []


def test_one_alone_is_seen_to_at_once():
    queue = Queue()

    with turn_of(queue, 1) as found:
        assert found == [1]
    assert len(queue) == 0


def test_what_waits_goes_along_in_the_order_of_requests_and_once():
    queue = Queue()
    waiting = [ready(number) for number in (3, 2, 3)]
    for one in waiting:
        queue.put(one)
    assert 2 in queue
    assert 1 not in queue

    with turn_of(queue, 1) as found:
        assert found == [1, 2, 3]
        assert all(one.taken for one in waiting)
    assert 2 not in queue


def test_what_does_not_fit_waits_and_nobody_overtakes_it():
    queue, bracket = Queue(), ready(2, orders=3)
    for one in (ready(1), bracket, ready(3)):
        queue.put(one)

    assert numbers(queue.take(3)) == [1]
    assert not bracket.taken

    assert queue.take(2) == []
    assert numbers(queue.take(3)) == [2]
    assert numbers(queue.take(3)) == [3]
    assert queue.needed() == 0


def test_room_is_waited_for_as_much_as_waits_up_to_a_group_and_as_much_as_one_request_needs():
    queue = Queue()
    for number in range(1, GROUP):
        queue.put(ready(number))
        assert queue.needed() == number
    queue.put(ready(GROUP, orders=3))
    assert queue.needed() == GROUP

    queue.put(ready(0, orders=GROUP + 1))
    assert queue.needed() == GROUP + 1


def test_who_gives_up_leaves_no_trace():
    queue, mine = Queue(), ready(1)
    queue.put(mine)
    queue.put(ready(2))
    queue.leave(mine)

    assert numbers(queue.take(ROOM)) == [2]
    queue.leave(mine.__class__(2, None, 1, taken=True))  # taken along: there is nothing to leave


def test_who_was_taken_along_goes_while_the_other_is_still_busy():
    queue = Queue()
    with ThreadPoolExecutor(6) as pool:
        with turn_of(queue, 1) as first:
            waiting = [pool.submit(_see_to, queue, number) for number in (2, 3, 4)]
            _until(lambda: len(queue) == 3)
            assert not any(one.done() for one in waiting)
            assert first == [1]
        # One of the three took them all, and none of the others waited for a turn of its own.
        assert sorted(one.result(5) for one in waiting) == [[], [], [2, 3, 4]]


def test_followers_leave_before_the_leader_is_done():
    queue, may_end = Queue(), threading.Event()
    with ThreadPoolExecutor(6) as pool:
        with turn_of(queue, 1):
            leader = pool.submit(_see_to, queue, 2, may_end)
            _until(lambda: len(queue) == 1)
            follower = pool.submit(_see_to, queue, 3, may_end)
            _until(lambda: len(queue) == 2)
        _until(lambda: leader.done() or follower.done())  # whoever did not lead
        assert not (leader.done() and follower.done())
        may_end.set()
        assert sorted([leader.result(5), follower.result(5)]) == [[], [2, 3]]


def test_what_fails_keeps_nobody_waiting():
    queue = Queue()
    with pytest.raises(RuntimeError), turn_of(queue, 1):
        raise RuntimeError

    with turn_of(queue, 2) as found:
        assert found == [2]


def test_many_at_once_are_each_seen_to_once():
    queue, seen, lock = Queue(), [], threading.Lock()

    def one(number):
        with turn_of(queue, number) as found, lock:
            seen.extend(found)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(2000)))

    assert sorted(seen) == list(range(2000))
    assert len(queue) == 0


def _see_to(queue, number, may_end=None):
    with turn_of(queue, number) as found:
        if found and may_end is not None:
            may_end.wait(5)
        return found


def _until(condition):
    waited = threading.Event()
    for _ in range(500):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come to pass")
