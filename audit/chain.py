"""A chain: each entry holds the hash of the one before it, and its own hash covers all it says. Pure.

Rules
1. An entry is one canonical JSON object; its hash is SHA-256 of that text in UTF-8, in hex.
2. `seq` counts from 1 without a gap; `prev` is the hash of the entry before, 64 zeros for the first.
3. The database writes entries (migration 0001 has the same composition in SQL); this module says what is right.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audit import canonical

NOTHING_BEFORE = "0" * 64
SITE = "site"


def of_account(account: str) -> str:
    """The name of an account's chain."""
    return f"account:{account}"


def moment(at: datetime) -> str:
    """A time as entries have it: UTC, microseconds, Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest(body: str) -> str:
    """The hash of an entry."""
    return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an entry says. `facts` is canonical text; `record` the key of the row it tells of, where there is one."""

    chain: str
    seq: int
    prev: str
    kind: str
    subject: str
    record: int | None
    recorded_at: str
    facts: str

    def body(self) -> str:
        """The canonical text. The names stand in their order, and none but `facts` holds a character to escape."""
        record = "null" if self.record is None else self.record
        return (
            f'{{"chain":"{self.chain}","facts":{self.facts},"kind":"{self.kind}","prev":"{self.prev}",'
            f'"record":{record},"recorded_at":"{self.recorded_at}","seq":{self.seq},"subject":"{self.subject}"}}'
        )


def read(body: str) -> Mapping[str, Any]:
    """The entry as an object. Raises: ValueError when it is not in canonical form."""
    value = json.loads(body)
    if not isinstance(value, dict) or canonical.dumps(value) != body:
        raise ValueError("the text of the entry is not in canonical form")
    return value


@dataclass(slots=True)
class Walker:
    """Follows a chain from where it stands: `seq` and `head` are those of the last entry that was right."""

    chain: str
    seq: int = 0
    head: str = NOTHING_BEFORE

    def step(self, seq: int, prev: str, hash_: str, body: str) -> str:
        """Take the next entry; what is wrong with it, or nothing. A wrong one is not taken."""
        if seq != self.seq + 1:
            return f"entry {self.seq + 1} is missing: {seq} follows {self.seq}"
        if digest(body) != hash_:
            return "its text does not have the hash that stands beside it"
        if prev != self.head:
            return "it does not name the hash of the entry before it"
        self.seq, self.head = seq, hash_
        return ""
