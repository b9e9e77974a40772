"""Does the record add up? An order's row must be what its events say. Reads only."""

from collections.abc import Iterator, Sequence
from decimal import InvalidOperation
from itertools import groupby

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from orders import events, lifecycle
from orders.errors import IllegalTransition
from orders.models import STATE_COLUMNS, Order, OrderEvent

EVENTS_AT_A_TIME = 2000


def differences(order: Order, rows: Sequence[OrderEvent]) -> list[str]:
    """What in an order's row or events is not what the events before it add up to; empty when all is well."""
    state: lifecycle.OrderState | None = None
    for expected, row in enumerate(rows, start=1):
        if row.sequence != expected:
            return [f"event {expected} is missing: {row.sequence} follows {expected - 1}"]
        before = state
        try:
            event = events.from_payload(row.kind, row.payload, occurred_at=row.occurred_at)
            state = lifecycle.fold(before, event)
        except (IllegalTransition, TypeError, ValueError, AttributeError, InvalidOperation) as problem:
            return [f"event {row.sequence} ({row.kind}) cannot be replayed: {problem}"]
        said = (row.from_status, row.to_status)
        found = (before.status if before else None, state.status)
        if said != found:
            return [f"event {row.sequence} says {said[0]} to {said[1]}, replay says {found[0]} to {found[1]}"]
    if state is None:
        return ["there are no events"]
    rebuilt = {name: getattr(state, name) for name in STATE_COLUMNS} | {"last_sequence": len(rows)}
    return [
        f"{name} is {getattr(order, name)}, its events say {value}"
        for name, value in rebuilt.items()
        if getattr(order, name) != value
    ]


def stories(orders: QuerySet[Order]) -> Iterator[tuple[Order, list[OrderEvent]]]:
    """Each order with its events. One statement, so that row and events are of the same moment while others write."""
    rows = OrderEvent.objects.filter(order__in=orders).select_related("order").order_by("order_id", "sequence")
    with transaction.atomic():  # a cursor in a transaction streams; outside, the server would store the whole result
        for _, group in groupby(rows.iterator(chunk_size=EVENTS_AT_A_TIME), key=lambda row: row.order_id):
            story = list(group)
            yield story[0].order, story
    for order in orders.filter(~Exists(OrderEvent.objects.filter(order=OuterRef("pk")))).iterator():
        yield order, []
