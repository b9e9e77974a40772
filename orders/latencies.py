"""How long each step of an order took, by our clock: received, sent, acknowledged, filled, at rest. Pure.

Rules: only our clock is compared with itself; the broker's is shown beside it and differs by what it likes. A step that
did not happen is not shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.models import OrderEvent
from orders.vocabulary import FINAL, EventKind

RECEIVED = frozenset({EventKind.RECEIVED, EventKind.DENIED, EventKind.ADOPTED})
FILLS = frozenset({EventKind.PARTIAL_FILL, EventKind.FILL})
STEPS = (
    ("Sent", frozenset({EventKind.SENT})),
    ("Acknowledged", frozenset({EventKind.ACCEPTED})),
    ("First fill", FILLS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`lapse`: since the step before, in words; empty for the first one."""

    name: str
    sequence: int
    at: datetime
    lapse: str


def steps(rows: Iterable[OrderEvent]) -> list[Step]:
    """The steps of an order from its events, in their order."""
    wanted = dict(STEPS)
    found: list[Step] = []
    rows = list(rows)
    for row in rows:
        name = next((name for name, kinds in wanted.items() if row.kind in kinds), "")
        if row.kind in RECEIVED:
            name = "First seen" if row.kind == EventKind.ADOPTED else "Received"
        if name:
            wanted.pop(name, None)
            found.append(_step(name, row, found))
    last = next((row for row in reversed(rows) if row.from_status != row.to_status), None)
    if last is not None and last.to_status in FINAL:
        found.append(_step(last.get_to_status_display(), last, found))
    return found


def lapses(rows: Iterable[OrderEvent]) -> list[str]:
    """How long after the one before it each event was recorded; empty for the first, and where some are left out."""
    told, before = [], None
    for row in rows:
        follows = before is not None and row.sequence == before.sequence + 1
        told.append(in_words(row.recorded_at - before.recorded_at) if before is not None and follows else "")
        before = row
    return told


def in_words(lapse: timedelta) -> str:
    """A length of time as a person says it; two units at most."""
    seconds = lapse.total_seconds()
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    if seconds < 0.9995:
        return f"{sign}{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{sign}{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{sign}{whole} s"


def _step(name: str, row: OrderEvent, before: list[Step]) -> Step:
    lapse = in_words(row.recorded_at - before[-1].at) if before else ""
    return Step(name=name, sequence=row.sequence, at=row.recorded_at, lapse=lapse)
