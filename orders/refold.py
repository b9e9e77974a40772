"""Does the record add up? An order's row must be what its events say. Reads only."""

from collections.abc import Iterable, Iterator
from decimal import InvalidOperation
from itertools import chain, groupby

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from orders import events, lifecycle
from orders.errors import IllegalTransition
from orders.models import STATE_COLUMNS, Order, OrderEvent

EVENTS_AT_A_TIME = 2000


class Replay:
    """Follows the events of an order one by one, to the first that does not fit; `sequence`: how many there were."""

    def __init__(self) -> None:
        self.sequence = 0
        self._state: lifecycle.OrderState | None = None
        self._problem = ""

    def step(self, row: OrderEvent) -> None:
        """The next event."""
        self.sequence += 1
        if not self._problem:
            self._problem = self._fold(row)

    def differences(self, order: Order) -> list[str]:
        """What in the order's row or events is not what the events before it add up to; empty when all is well."""
        if self._problem:
            return [self._problem]
        if self._state is None:
            return ["there are no events"]
        rebuilt = {name: getattr(self._state, name) for name in STATE_COLUMNS} | {"last_sequence": self.sequence}
        return [
            f"{name} is {getattr(order, name)}, its events say {value}"
            for name, value in rebuilt.items()
            if getattr(order, name) != value
        ]

    def _fold(self, row: OrderEvent) -> str:
        before = self._state
        if row.sequence != self.sequence:
            return f"event {self.sequence} is missing: {row.sequence} follows {self.sequence - 1}"
        try:
            event = events.from_payload(row.kind, row.payload, occurred_at=row.occurred_at)
            after = self._state = lifecycle.fold(before, event)
        except (IllegalTransition, TypeError, ValueError, AttributeError, InvalidOperation) as problem:
            return f"event {row.sequence} ({row.kind}) cannot be replayed: {problem}"
        said = (row.from_status, row.to_status)
        found = (before.status if before else None, after.status)
        if said != found:
            return f"event {row.sequence} says {said[0]} to {said[1]}, replay says {found[0]} to {found[1]}"
        return ""


def differences(order: Order, rows: Iterable[OrderEvent]) -> list[str]:
    """A replay of all the events of an order."""
    replay = Replay()
    for row in rows:
        replay.step(row)
    return replay.differences(order)


def stories(orders: QuerySet[Order]) -> Iterator[tuple[Order, Iterator[OrderEvent]]]:
    """Each order with its events, without their raw messages; to be read before the next one is asked for.

    One statement, so that row and events are of the same moment while others write.
    """
    rows = OrderEvent.objects.filter(order__in=orders).defer("raw").select_related("order")
    rows = rows.order_by("order_id", "sequence")
    with transaction.atomic():  # a cursor in a transaction streams; outside, the server would store the whole result
        for _, group in groupby(rows.iterator(chunk_size=EVENTS_AT_A_TIME), key=lambda row: row.order_id):
            first = next(group)
            yield first.order, chain([first], group)  # noqa: B031 - not used again, but continued
    for order in orders.filter(~Exists(OrderEvent.objects.filter(order=OuterRef("pk")))).iterator():
        yield order, iter(())
