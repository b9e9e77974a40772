"""What the charts draw: a few hundred points of one account, whatever number of snapshots there are.

The range is cut into equal pieces and of each the last snapshot is taken, by one jump into the index for each piece: so
a million rows cost what a thousand do. A piece without a snapshot has no point, which shows as a gap.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Max, Min

from accounts.snapshots.models import AccountSnapshot

POINTS = 300
RANGES = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31), "all": None}

SQL = """
    SELECT piece.number, last.taken_at, last.net_liquidation, last.position_value
    FROM generate_series(0, %(pieces)s - 1) AS piece (number)
    CROSS JOIN LATERAL (
        SELECT taken_at, net_liquidation, position_value FROM accounts_accountsnapshot
        WHERE account_id = %(account)s
          AND taken_at > %(begins)s + piece.number * %(width)s
          AND taken_at <= %(begins)s + (piece.number + 1) * %(width)s
        ORDER BY taken_at DESC LIMIT 1
    ) AS last
    ORDER BY piece.number
"""


@dataclass(frozen=True, slots=True)
class Point:
    """`piece` counts the pieces of the range; values are None where a snapshot has none."""

    piece: int
    at: datetime
    net_liquidation: Decimal
    position_value: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The points of one account from `begins` to `ends`, in the order of time."""

    begins: datetime
    ends: datetime
    points: tuple[Point, ...]


def read(account: str, *, over: str, now: datetime, pieces: int = POINTS) -> Series:
    """`over`: one of RANGES."""
    span = RANGES[over]
    if span is None:
        bounds = AccountSnapshot.objects.filter(account=account).aggregate(first=Min("taken_at"), last=Max("taken_at"))
        first = bounds["first"] or now
        span = max(now - first, timedelta(minutes=10)) + timedelta(seconds=1)  # the first one is in it
    width = span / pieces + timedelta(microseconds=1)  # rounded up, so that the last piece reaches to now
    begins = now - pieces * width
    parameters: dict[str, Any] = {"account": account, "begins": begins, "width": width, "pieces": pieces}
    with connection.cursor() as cursor:
        cursor.execute(SQL, parameters)
        points = tuple(Point(*row) for row in cursor.fetchall())
    return Series(begins=begins, ends=now, points=points)
