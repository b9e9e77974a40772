"""What the read API is asked for: a row of each kind, and the times they share."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.snapshots.models import AccountSnapshot
from orders.breaks import register
from orders.breaks.books import Comparison, Point
from orders.breaks.vocabulary import BreakKind, Source
from tests.orders.factories import (
    ACCOUNT,
    broker_account,
    order_in,
)

MONDAY = datetime(2026, 1, 12, 15, 30, tzinfo=UTC)
LISTS = ["/orders", "/requests", "/events", "/executions", "/accounts", "/snapshots", "/breaks"]
TIMES = dict(
    zip(
        LISTS,
        ["received_at", "received_at", "recorded_at", "recorded_at", "first_seen_at", "taken_at", "opened_at"],
        strict=True,
    )
)
each_list = pytest.mark.parametrize("path", LISTS)


def stamp(moment):
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def some_of_each(count=1):
    for number in range(count):
        order_in("FILLED")
        snapshot(due_at=MONDAY + timedelta(minutes=number))
        register.keep(Comparison(differences=[difference(key=f"order {number} filled quantity")]), source=Source.BROKER)


def snapshot(**changes):
    now = timezone.now()
    moments = {"due_at": now, "taken_at": now, "as_of": now} | changes
    worth = {"currency": "USD", "net_liquidation": Decimal("201879.04"), "position_count": 1}
    return AccountSnapshot.objects.create(account=broker_account(), epoch=1, connection=1, **worth | moments)


def difference(**changes):
    values = {
        "kind": BreakKind.QUANTITY,
        "key": "order 5 filled quantity",
        "account": ACCOUNT,
        "symbol": "AAPL",
        "subject": "Filled quantity of order 17",
        "expected": Decimal(4),
        "actual": Decimal(6),
    }
    return Point(**values | changes)
