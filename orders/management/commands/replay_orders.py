"""Does the record add up? Every order's row must be what its events say."""

from collections.abc import Iterator, Sequence
from decimal import InvalidOperation
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from orders import events, lifecycle
from orders.errors import IllegalTransition
from orders.models import STATE_COLUMNS, Order, OrderEvent

EVENTS_AT_A_TIME = 2000
ORDERS_PER_REPORT = 10_000


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


class Command(BaseCommand):
    help = (
        "Replay the events of every order and compare the result with the order's row. "
        "Each difference is a line; the exit code is 1 when there is any. Nothing is changed. "
        "Safe to run while orders are placed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "order", nargs="*", type=int, help="ids of the orders to look at; all of them when none is given"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        orders = Order.objects.filter(pk__in=options["order"]) if options["order"] else Order.objects.all()
        seen = told = broken = 0
        for order, rows in stories(orders):
            found = differences(order, rows)
            for difference in found:
                self.stdout.write(self.style.ERROR(f"order {order.pk}: {difference}"))
            seen, told, broken = seen + 1, told + len(rows), broken + bool(found)
            if seen % ORDERS_PER_REPORT == 0 and options["verbosity"] > 0:
                self.stdout.write(f"{seen:,} orders so far, up to {order.pk} ...")
        missing = len(set(options["order"])) - seen if options["order"] else 0
        if missing:
            raise CommandError(f"{missing} of the orders named are not in the record")
        summary = f"{seen:,} orders, {told:,} events replayed"
        if broken:
            raise CommandError(f"{summary}: {broken:,} orders differ", returncode=1)
        self.stdout.write(self.style.SUCCESS(f"{summary}: no difference"))
