"""Waiting for a commit: one LISTEN connection per process wakes the requests that wait, with a poll as a net.

A NOTIFY is never needed, it only makes the next look come sooner. It is lost with the process that was to send it, and
while the listener has no connection; when it has one again all are woken.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from django.db import connection

from orders.journal import CHANNEL, wake

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 1.0
LONGEST_POLL_SECONDS = 2.0  # whoever looked in vain looks less often: looks take their time from what is late
RECONNECT_SECONDS = 1.0


class Listener:
    """Hears the journal's notifications and wakes whoever waits for the request they name."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[threading.Event]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def waiter(self, key: str) -> Iterator[threading.Event]:
        """An event that is set whenever `key` was notified, for as long as the block lasts."""
        event = threading.Event()
        with self._lock:
            self._waiting.setdefault(key, set()).add(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="order-listener", daemon=True)
                self._thread.start()
        try:
            yield event
        finally:
            with self._lock:
                events = self._waiting[key]
                events.discard(event)
                if not events:
                    del self._waiting[key]

    def _listen(self) -> None:
        while True:
            try:
                with psycopg.connect(**listening_parameters(), autocommit=True) as listening:
                    listening.execute(f"LISTEN {CHANNEL}")
                    self._wake_all()
                    for notice in listening.notifies():
                        self._wake(notice.payload)
            except psycopg.OperationalError as error:
                log.warning("the listening connection was lost: %s", error)
                time.sleep(RECONNECT_SECONDS)

    def _wake(self, key: str) -> None:
        with self._lock:
            for event in self._waiting.get(key, ()):
                event.set()

    def _wake_all(self) -> None:
        with self._lock:
            for events in self._waiting.values():
                for event in events:
                    event.set()


listener = Listener()


def until(
    look: Callable[[], T],
    *,
    key: str,
    done: Callable[[T], bool],
    seconds: float,
    poll: float = POLL_SECONDS,
    begin: Callable[[], None] | None = None,
) -> T:
    """Look again on every notification of `key`, until `done` says so or the time is up; the last look either way.

    `poll`: seconds after which to look without one. `begin` sets going what is waited for, so that nothing of it can
    be missed and nothing is to be seen before the first notification.
    """
    deadline = time.monotonic() + seconds
    with listener.waiter(key) as event:
        if begin is not None:
            begin()
            event.wait(min(poll, seconds))
        while True:
            event.clear()
            seen = look()
            left = deadline - time.monotonic()
            if done(seen) or left <= 0:
                return seen
            event.wait(min(poll, left))
            poll = min(poll * 2, max(poll, LONGEST_POLL_SECONDS))


def open_orders(gateway: str) -> str:
    """The key under which one waits for a new list of the open orders."""
    return f"open orders {gateway}"


def announce(key: str) -> None:
    """Wake whoever waits for what has just been committed."""
    wake(key)


def listening_parameters() -> dict[str, Any]:
    """How to open a connection of one's own to the same database, beside Django's own."""
    parameters = connection.get_connection_params()
    unwanted = ("cursor_factory", "context", "server_side_binding", "prepare_threshold")
    return {name: value for name, value in parameters.items() if name not in unwanted}
