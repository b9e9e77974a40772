"""The third side: imported statements of the broker held against the record, as breaks of their own source.

Rules
1. A statement is looked at once, and again for as long as it differed the last time.
2. So each live break of this source is of a statement that was just looked at; what none of them tells any more agrees.
3. One break for one difference, however many statements tell of it.
"""

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from orders.breaks import register
from orders.breaks.books import NOT_HERE, NOT_LISTED, BreakId, Comparison, Point
from orders.breaks.models import StatementLook
from orders.breaks.register import Kept
from orders.breaks.vocabulary import BreakKind, Severity, Source
from orders.flex import differences
from orders.flex.differences import Difference, Kind
from orders.flex.models import FlexStatement

LOCK = 7_310_052  # any number that no other lock of this database has
# Differences that have an ordinary explanation: a split or a transfer, a fee that was booked later.
ORDINARY = frozenset({Kind.POSITION, Kind.COMMISSION})


def look() -> Kept:
    """Look at the statements that are due, and keep what was found."""
    with transaction.atomic():
        _wait_for_other_looks()
        found: dict[BreakId, Point] = {}
        for statement in _due():
            points = {point.id: point for point in map(_point, differences.of_statement(statement))}
            StatementLook.objects.update_or_create(
                statement=statement, defaults={"looked_at": timezone.now(), "differences": len(points)}
            )
            found |= points
        agreed = register.watched(Source.STATEMENT).keys() - found.keys()
        return register.keep(
            Comparison(differences=tuple(found.values()), agreed=frozenset(agreed)), source=Source.STATEMENT
        )


def _due() -> list[FlexStatement]:
    new_or_differing = Q(look__isnull=True) | Q(look__differences__gt=0)
    return list(FlexStatement.objects.filter(new_or_differing).order_by("period_to", "period_from", "pk"))


def _wait_for_other_looks() -> None:
    """An import and the worker's run may both look."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _point(difference: Difference) -> Point:
    what = f"{difference.symbol} of {difference.day}" if difference.day else difference.exec_id
    key = f"{difference.con_id}@{difference.day}" if difference.day else difference.exec_id
    return Point(
        kind=BreakKind(difference.kind),
        key=f"{difference.account}/{key}",
        account=difference.account,
        symbol=difference.symbol,
        subject=what,
        expected=difference.expected or NOT_HERE,
        actual=difference.actual or NOT_LISTED,
        severity=Severity.WARNING if difference.kind in ORDINARY else Severity.CRITICAL,
        con_id=difference.con_id,
        security_type=difference.security_type,
    )
