"""A break as it was known at an instant.

Rules
1. Known is what its events up to then say. Each holds the figures of its moment, and who closed the break and why.
2. What no event holds is as it is now if it has not changed since, and not known (None) if it has: the severity that
   other figures had, and how often and when a difference was seen.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation

from orders.breaks.models import Break
from orders.breaks.vocabulary import BreakEventKind as Kind


def as_known(row: Break, instant: datetime) -> Break:
    """The row, not to be saved, showing what was known then. It comes with the events recorded by then, and with those
    that changed its figures after that, `changed_later`.
    """
    known = list(row.events.all())
    last = known[-1]
    row.expected, row.actual, row.last_sequence = last.expected, last.actual, last.sequence
    if row.changed_later:  # type: ignore[attr-defined]
        row.gap, row.severity = _gap(last.expected, last.actual), None  # type: ignore[assignment]
    if row.last_seen_at > instant:
        row.last_seen_at, row.times_seen = None, None  # type: ignore[assignment]
    closing = next((event for event in known if event.kind in (Kind.AGREED, Kind.CLOSED)), None)
    row.closed_at, row.closed_by, row.close_reason = None, "", ""
    if closing is not None:
        row.closed_at, row.closed_by, row.close_reason = closing.recorded_at, closing.actor, closing.reason
    row.gone_at = next((event.recorded_at for event in known if event.kind in (Kind.AGREED, Kind.GONE)), None)
    return row


def _gap(expected: str, actual: str) -> Decimal | None:
    """As `books.Point.gap`, of what was stored: None where one of them is no figure."""
    try:
        return Decimal(actual) - Decimal(expected)
    except InvalidOperation:
        return None
