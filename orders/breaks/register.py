"""The register of breaks: what a comparison found is written here, whatever the source.

Rules
1. One transaction for a comparison: what differs is opened or seen again, what agrees is closed, the rest is left.
2. A comparison of one source touches breaks of that source alone.
3. What a person closed is not opened again while the difference stays as it was; when it changes, or goes and comes
   back, that is a new break.
4. Every change is an event with its actor. Opening one is also said aloud, by its severity.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from alarms.register import raise_alarm
from alarms.vocabulary import AlarmKind
from orders.breaks.books import BreakId, Comparison, Point, text
from orders.breaks.models import LIVE, Break, BreakEvent, ReconciliationRun
from orders.breaks.vocabulary import BreakEventKind, Severity, Source
from orders.vocabulary import Actor

log = logging.getLogger(__name__)

BOOKS_AGREE = "the books agree again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many breaks were opened and closed, by kind."""

    opened: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who changes a break, when, and in which run or request."""

    at: datetime
    actor: str
    run: ReconciliationRun | None = None
    request_id: str = ""


def watched(source: Source) -> dict[BreakId, str]:
    """The live breaks of a source, with what the other side last said."""
    rows = Break.objects.filter(LIVE, source=source).values_list("kind", "key", "actual")
    return {(kind, key): actual for kind, key, actual in rows}


def keep(found: Comparison, *, source: Source, run: ReconciliationRun | None = None, actor: str = Actor.WORKER) -> Kept:
    """Bring the register in step with a confirmed comparison."""
    kept = Kept()
    origin = Origin(at=timezone.now(), actor=actor, run=run)
    with transaction.atomic():
        live = {(row.kind, row.key): row for row in Break.objects.filter(LIVE, source=source).select_for_update()}
        for point in found.differences:
            row = live.get(point.id)
            if row is None or not _seen_again(row, point, origin):
                kept.opened[point.kind] += 1
                _open(point, source, origin)
        for identity in found.agreed & live.keys():
            kept.closed[identity[0]] += _agreed(live[identity], origin)
    return kept


def change(row: Break, kind: BreakEventKind, origin: Origin, *, reason: str = "") -> None:
    """Save a changed row together with its event. Call inside a transaction, with the row locked."""
    row.last_sequence += 1
    _append(row, kind, origin, reason=reason)
    row.save()


def _open(point: Point, source: Source, origin: Origin) -> None:
    row = Break(
        source=source,
        kind=point.kind,
        key=point.key,
        account=point.account,
        symbol=point.symbol,
        subject=point.subject,
        order_id=point.order_pk,
        execution_id=point.execution_pk,
        con_id=point.con_id,
        security_type=point.security_type,
        expected=text(point.expected),
        actual=text(point.actual),
        gap=point.gap,
        severity=point.severity,
        opened_at=origin.at,
        last_seen_at=origin.at,
    )
    row.save(force_insert=True)
    _append(row, BreakEventKind.OPENED, origin)
    if point.severity == Severity.CRITICAL:
        raise_alarm(AlarmKind.BREAK, f"break:{row.pk}", text=row.words, facts={"account": row.account})
    else:
        told = f"break {row.pk}, {row.words}"
        transaction.on_commit(lambda: log.warning("%s", told))


def _seen_again(row: Break, point: Point, origin: Origin) -> bool:
    """Note that a break's difference is still there; false when it is another one than a person closed."""
    same = row.gap == point.gap if point.gap is not None else row.actual == text(point.actual)
    if not row.is_open and not same:
        row.gone_at = origin.at
        change(row, BreakEventKind.GONE, origin, reason="it differs in another way now, which is a break of its own")
        return False
    row.last_seen_at, row.times_seen = origin.at, row.times_seen + 1
    told = text(point.expected), text(point.actual)
    if row.is_open and told != (row.expected, row.actual):
        row.expected, row.actual = told
        row.gap, row.severity = point.gap, point.severity
        change(row, BreakEventKind.CHANGED, origin)
    else:
        row.save(update_fields=["last_seen_at", "times_seen"])
    return True


def _agreed(row: Break, origin: Origin) -> bool:
    """The difference is gone; true when that closes the break."""
    row.gone_at = origin.at
    if not row.is_open:
        change(row, BreakEventKind.GONE, origin, reason=BOOKS_AGREE)
        return False
    row.closed_at, row.closed_by, row.close_reason = origin.at, origin.actor, BOOKS_AGREE
    change(row, BreakEventKind.AGREED, origin, reason=BOOKS_AGREE)
    log.info("break %s is closed, %s: %s", row.pk, row, BOOKS_AGREE)
    return True


def _append(row: Break, kind: BreakEventKind, origin: Origin, *, reason: str = "") -> None:
    BreakEvent.objects.create(
        of=row,
        sequence=row.last_sequence,
        kind=kind,
        actor=origin.actor,
        recorded_at=origin.at,
        expected=row.expected,
        actual=row.actual,
        reason=reason,
        run=origin.run,
        request_id=origin.request_id,
    )
