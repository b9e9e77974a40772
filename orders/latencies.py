"""How long each step of an order took, by our clock: asked, claimed, acknowledged, filled, at rest, answered. Pure.

Rules: only our clock is compared with itself; the broker's is shown beside it and differs by what it likes. A step that
did not happen, or is one with the next, is not shown. The claim is the decision to send: the bytes leave right after it
and have no time of their own on record.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from orders.models import OrderEvent
from orders.vocabulary import FINAL, EventKind

RECEIVED = "Received"
BEGINNINGS: Mapping[str, str] = {EventKind.RECEIVED: RECEIVED, EventKind.ADOPTED: "First seen"}
FILLS = frozenset({EventKind.PARTIAL_FILL, EventKind.FILL})
STEPS = (
    ("Claimed and sent", frozenset({EventKind.SENT})),
    ("Acknowledged", frozenset({EventKind.ACCEPTED})),
    ("First fill", FILLS),
)
# Where on the page more is said of what is no event.
REQUESTS = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`anchor`: where the page says more of it. `lapse`: since the step before, in words; empty for the first one."""

    name: str
    anchor: str
    at: datetime
    lapse: str = ""


def steps(rows: Iterable[OrderEvent], *, asked: datetime | None = None, answered: datetime | None = None) -> list[Step]:
    """The steps of an order from its events, in their order, with when it was asked for and when the client was told
    first, where somebody asked for it here."""
    found = list(_of_events(list(rows)))
    if asked is not None:
        if found and found[0].name == RECEIVED and found[0].at <= asked:
            del found[0]  # one moment: persisted as it was asked for
        found.insert(0, Step(name="Asked", anchor=REQUESTS, at=asked))
    if answered is not None:
        place = next((n for n, step in enumerate(found) if step.at > answered), len(found))
        found.insert(place, Step(name="Answered", anchor=REQUESTS, at=answered))
    return found[:1] + [replace(step, lapse=in_words(step.at - last.at)) for last, step in pairwise(found)]


def _of_events(rows: Sequence[OrderEvent]) -> Iterator[Step]:
    wanted = dict(STEPS)
    last = next((row for row in reversed(rows) if row.from_status != row.to_status), None)
    end = last if last is not None and last.to_status in FINAL else None
    for row in rows:
        name = next((name for name, kinds in wanted.items() if row.kind in kinds), BEGINNINGS.get(row.kind))
        if row is end:  # also where a fill was the first and the last
            yield _step(row.get_to_status_display(), row)
        elif name:
            wanted.pop(name, None)
            yield _step(name, row)


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


def _step(name: str, row: OrderEvent) -> Step:
    return Step(name=name, anchor=f"event-{row.sequence}", at=row.recorded_at)
