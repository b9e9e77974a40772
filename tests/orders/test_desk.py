"""The queue of requests that are ready to be claimed: who sees to which, and who waits for what."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from orders.desk import Queue, Ready


def ready(number):
    return Ready(number, None)


def numbers(found):
    return [one.request_pk for one in found]


def test_one_alone_is_seen_to_at_once():
    queue = Queue()

    with queue.taken(ready(1)) as found:
        assert numbers(found) == [1]
    assert len(queue) == 0


def test_what_waits_goes_along_in_the_order_of_requests_and_once():
    queue = Queue()
    for number in (3, 2, 3):
        queue.put(ready(number))

    with queue.taken(ready(1)) as found:
        assert numbers(found) == [1, 2, 3]
        assert all(one.taken for one in found)


def test_who_was_taken_along_goes_while_the_other_is_still_busy():
    queue = Queue()
    with ThreadPoolExecutor(6) as pool:
        with queue.taken(ready(1)) as first:
            waiting = [pool.submit(_see_to, queue, number) for number in (2, 3, 4)]
            _until(lambda: len(queue) == 3)
            assert not any(one.done() for one in waiting)
            assert numbers(first) == [1]
        # One of the three took them all, and none of the others waited for a turn of its own.
        assert sorted(one.result(5) for one in waiting) == [[], [], [2, 3, 4]]


def test_followers_leave_before_the_leader_is_done():
    queue, may_end = Queue(), threading.Event()
    with ThreadPoolExecutor(6) as pool:
        with queue.taken(ready(1)):
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
    with pytest.raises(RuntimeError), queue.taken(ready(1)):
        raise RuntimeError

    with queue.taken(ready(2)) as found:
        assert numbers(found) == [2]


def test_many_at_once_are_each_seen_to_once():
    queue, seen, lock = Queue(), [], threading.Lock()

    def one(number):
        with queue.taken(ready(number)) as found, lock:
            seen.extend(numbers(found))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(2000)))

    assert sorted(seen) == list(range(2000))
    assert len(queue) == 0


def _see_to(queue, number, may_end=None):
    with queue.taken(ready(number)) as found:
        if found and may_end is not None:
            may_end.wait(5)
        return numbers(found)


def _until(condition):
    waited = threading.Event()
    for _ in range(500):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come to pass")
