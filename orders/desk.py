"""The desk: the broker session together with the right to use it, and what lies on it.

There is at most one in a process, opened by the site's worker wiring once this process owns the client id, closed
when it no longer does. Tasks find it here; a process without one decides nothing.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.broker import Broker
from gateway.tickets import Instrument
from orders.errors import NotOwner

GROUP = 6  # orders; at IB's pace an eighth of a second


@dataclass(slots=True)
class Rounds:
    """Complete rounds of questions on one uninterrupted stretch of READY; `last` in seconds since it began."""

    since: float | None = None
    count: int = 0
    last: float = 0.0

    def completed(self, *, ready_since: float, at: float) -> None:
        if self.since != ready_since:
            self.since, self.count = ready_since, 0
        self.count += 1
        self.last = at - ready_since


LONGEST_REST = 3600.0  # seconds


@dataclass(slots=True)
class Telling:
    """How long the broker took when it was last asked for the whole day, and when that was done; in seconds.

    What happens meanwhile is heard behind it, so the longer it takes the seldomer it is asked for unasked.
    """

    took: float = 0.0
    ended: float = -math.inf  # time.monotonic()
    going_on: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)  # the sync and the comparison may ask side by side

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around the questions. Those that fail may have taken long too, and say nothing of a shorter day."""
        began, told = time.monotonic(), False
        with self._lock:
            self.going_on += 1
        try:
            yield
            told = True
        finally:
            with self._lock:
                self.going_on -= 1
                self.ended = time.monotonic()
                self.took = max(self.ended - began, 0.0 if told else self.took)

    def rest(self, times: float) -> float:
        """So many times as long as it took, but no more than an hour."""
        return min(times * self.took, LONGEST_REST)

    def has_rested(self, times: float) -> bool:
        return not self.going_on and time.monotonic() - self.ended >= self.rest(times)


@dataclass(slots=True, eq=False)
class Ready:
    """A request whose orders may be claimed as soon as there is room: the contract is known. `taken`: somebody sees to
    it, and nobody else is to."""

    request_pk: int
    instrument: Instrument
    orders: int
    taken: bool = False


class Queue:
    """What is ready to be claimed. One thread at a time has the turn, waits for room and takes what fits, the oldest
    requests first; whose request was taken along goes, and has not waited for a turn to find nothing left."""

    def __init__(self) -> None:
        self._waiting: list[Ready] = []
        self._changed = threading.Condition()
        self._busy = False

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, request_pk: int) -> bool:
        return any(one.request_pk == request_pk for one in list(self._waiting))

    def put(self, one: Ready) -> None:
        """It goes with whoever takes next."""
        with self._changed:
            self._waiting.append(one)
            self._waiting.sort(key=lambda each: each.request_pk)

    def leave(self, one: Ready) -> None:
        """It is waited for no longer."""
        with self._changed:
            if not one.taken:
                self._waiting.remove(one)

    @contextmanager
    def turn(self, mine: Ready) -> Iterator[bool]:
        """Whether the turn is ours now; it is not, once `mine` was taken by somebody else."""
        with self._changed:
            self._changed.wait_for(lambda: mine.taken or not self._busy)
            ours = not mine.taken
            self._busy |= ours
        try:
            yield ours
        finally:
            if ours:
                with self._changed:
                    self._busy = False
                    self._changed.notify()  # one of those whose request nobody took

    def needed(self) -> int:
        """How much room to wait for: for all that is ready, but no longer than it takes for a group, nor less than the
        oldest request needs. One claim of several costs little more than one of one, and is what keeps up where more
        is asked for than the pace allows."""
        with self._changed:
            if not self._waiting:
                return 0
            return max(self._waiting[0].orders, min(GROUP, sum(one.orders for one in self._waiting)))

    def take(self, room: int) -> list[Ready]:
        """The oldest requests, so many that their orders fit; each once, whoever put it. For who has the turn."""
        found: dict[int, Ready] = {}
        with self._changed:
            for one in self._waiting:
                if one.request_pk not in found:
                    room -= one.orders
                    if room < 0:
                        break
                    found[one.request_pk] = one
                one.taken = True
            self._waiting = [one for one in self._waiting if not one.taken]
            self._changed.notify_all()  # they go
        return list(found.values())


@dataclass(slots=True, kw_only=True)
class Desk:
    """`claiming` makes claim and write one step: order ids must go out ascending. `epoch` is the owner's number."""

    broker: Broker
    gateway: str
    client_id: int
    epoch: int
    claiming: threading.Lock = field(default_factory=threading.Lock)
    syncing: threading.Lock = field(default_factory=threading.Lock)  # one sync of executions at a time
    telling: Telling = field(default_factory=Telling)
    rounds: Rounds = field(default_factory=Rounds)
    ready: Queue = field(default_factory=Queue)
    uncommitted: set[int] = field(default_factory=set)  # requests whose claim failed in a way that may have committed

    def session(self, connection: int) -> str:
        """Where an event came from, as the trail names it."""
        return f"{self.gateway}/{self.client_id}/{self.epoch}/{connection}"


_current: Desk | None = None


def open_desk(desk: Desk) -> None:
    global _current  # noqa: PLW0603 - a process has one broker session, and this is where it is kept
    _current = desk


def close_desk() -> None:
    global _current  # noqa: PLW0603
    _current = None


def current() -> Desk:
    """The open desk. Raises: NotOwner."""
    if _current is None:
        raise NotOwner("This process does not own the broker session")
    return _current
