"""The desk: the broker session together with the right to use it, and what lies on it.

There is at most one in a process, opened by the site's worker wiring once this process owns the client id, closed
when it no longer does. Tasks find it here; a process without one decides nothing.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.broker import Broker
from gateway.tickets import Instrument
from orders.errors import NotOwner


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


@dataclass(slots=True, eq=False)
class Ready:
    """A request whose orders may be claimed: the contract is known, and the pacing tokens are taken. `taken`: somebody
    sees to it, and nobody else is to."""

    request_pk: int
    instrument: Instrument
    taken: bool = False


class Queue:
    """What is ready to be claimed. One at a time takes all of it and sees to it; whose request was taken along goes,
    and has not waited for a turn to find nothing left."""

    def __init__(self) -> None:
        self._waiting: deque[Ready] = deque()
        self._changed = threading.Condition()
        self._busy = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: Ready) -> None:
        """It goes with whoever takes next."""
        with self._changed:
            self._waiting.append(one)

    @contextmanager
    def taken(self, mine: Ready) -> Iterator[list[Ready]]:
        """All that is ready, the oldest request first; each once. Nothing, if `mine` was taken by somebody else."""
        self.put(mine)
        with self._changed:
            self._changed.wait_for(lambda: mine.taken or not self._busy)
            found = [] if mine.taken else self._take()
        try:
            yield found
        finally:
            if found:
                with self._changed:
                    self._busy = False
                    self._changed.notify()  # one of those whose request nobody took

    def _take(self) -> list[Ready]:
        found: dict[int, Ready] = {}
        while self._waiting:
            one = self._waiting.popleft()
            one.taken = True
            found[one.request_pk] = one
        self._busy = True
        self._changed.notify_all()  # they go
        return sorted(found.values(), key=lambda one: one.request_pk)


@dataclass(slots=True, kw_only=True)
class Desk:
    """`claiming` makes claim and write one step: order ids must go out ascending. `epoch` is the owner's number."""

    broker: Broker
    gateway: str
    client_id: int
    epoch: int
    claiming: threading.Lock = field(default_factory=threading.Lock)
    syncing: threading.Lock = field(default_factory=threading.Lock)  # one sync of executions at a time
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
