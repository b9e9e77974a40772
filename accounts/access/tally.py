"""Uses of keys and refusals, counted: the first of a kind is written at once, the others once a minute as a number.

Rules
1. However many requests come, a process writes no more than a bounded number of times a minute: what would be a kind
   too many is counted together with others.
2. Numbers are up to a minute behind, and a process that ends takes those of its last minute with it. The next request
   after the minute writes them; nothing else does.
3. That counting fails is no reason to answer otherwise.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from django.db import Error, connection, transaction

from audit.record import record_site

log = logging.getLogger(__name__)

MINUTE = 60.0
T = TypeVar("T")


class Reason(StrEnum):
    """Why somebody was not let in, or not further."""

    UNKNOWN = "unknown key"
    WRONG_SECRET = "wrong secret"  # noqa: S105 - the words, not a secret
    REVOKED = "revoked key"
    EXPIRED = "expired key"
    NETWORK = "address not allowed"
    SCOPE = "scope not granted"
    RATE = "too many requests"
    OUTSIDE = "no key, and from outside"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`key` is empty where none was given; `address` where there were too many to tell apart."""

    reason: Reason
    key: str
    address: str


@dataclass(frozen=True, slots=True)
class Use:
    key: str
    address: str


class Counter(Generic[T]):
    """Counts kinds of things. `write` is given a kind and its number; `merged` makes what stands for one too many."""

    def __init__(self, write: Callable[[T, int], None], *, most: int, merged: Callable[[T], T]) -> None:
        self._write = write
        self._most = most
        self._merged = merged
        self._counts: dict[T, int] = {}  # not written yet, of each kind seen in this minute or the one before
        self._ends = 0.0
        self._lock = threading.Lock()

    def add(self, kind: T) -> None:
        """Count one; the first is written at once."""
        with self._lock:
            if kind not in self._counts and len(self._counts) >= self._most:
                kind = self._merged(kind)
            first = kind not in self._counts
            self._counts[kind] = 0 if first else self._counts[kind] + 1
        self._write_all({kind: 1} if first else {})

    def write_due(self) -> None:
        """Write the numbers of a minute that is over."""
        now = time.monotonic()
        if now < self._ends:
            return
        with self._lock:
            if now < self._ends:
                return
            self._ends = now + MINUTE
            due = {kind: count for kind, count in self._counts.items() if count}
            self._counts = dict.fromkeys(due, 0)  # what goes on is not a first one again
        self._write_all(due)

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()
            self._ends = 0.0

    def _write_all(self, counts: dict[T, int]) -> None:
        for kind, count in counts.items():
            try:
                with transaction.atomic():
                    self._write(kind, count)
            except Error:
                log.exception("%s could not be counted", kind)


def _refused(refusal: Refusal, times: int) -> None:
    # Who only knows a key's id is not the key.
    strangers = (Reason.UNKNOWN, Reason.WRONG_SECRET)
    actor = f"key:{refusal.key}" if refusal.key and refusal.reason not in strangers else "ANONYMOUS"
    facts = {"reason": refusal.reason.value, "key": refusal.key, "address": refusal.address, "times": times}
    record_site("api use refused", actor, facts)


def _used(use: Use, times: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_apikeyuse (key_id, address, times, first_used_at, last_used_at)"
            " VALUES (%s, %s, %s, clock_timestamp(), clock_timestamp()) ON CONFLICT (key_id, address) DO UPDATE"
            " SET times = accounts_apikeyuse.times + EXCLUDED.times, last_used_at = EXCLUDED.last_used_at",
            [use.key, use.address, times],
        )


# Keys that do not exist can be made up without end, those that are used cannot.
refusals: Counter[Refusal] = Counter(_refused, most=20, merged=lambda refusal: replace(refusal, key="", address=""))
uses: Counter[Use] = Counter(_used, most=1000, merged=lambda use: replace(use, address=""))


def write_due() -> None:
    refusals.write_due()
    uses.write_due()
