"""The desk: the broker session together with the right to use it, and what lies on it.

There is at most one in a process, opened by the site's worker wiring once this process owns the client id, closed
when it no longer does. Tasks find it here; a process without one decides nothing.
"""

import threading
from collections import deque
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


@dataclass(frozen=True, slots=True)
class Ready:
    """A request whose orders may be claimed: the contract is known, and the pacing tokens are taken."""

    request_pk: int
    instrument: Instrument


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
    ready: deque[Ready] = field(default_factory=deque)  # taken by whoever claims next
    uncommitted: set[int] = field(default_factory=set)  # requests whose claim failed in a way that may have committed

    def take_ready(self) -> list[Ready]:
        """All that is ready, the oldest request first; each once. For the holder of `claiming`."""
        taken: dict[int, Ready] = {}
        while self.ready:
            one = self.ready.popleft()
            taken[one.request_pk] = one
        return sorted(taken.values(), key=lambda one: one.request_pk)

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
