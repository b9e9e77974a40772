"""An order as it was known at an instant, and what came to be known later.

Rules
1. Known is what was recorded by then, by the database's clock. When it happened, by the broker's clock, decides
   nothing: it marks what was late, that is what had happened by then and nobody here knew.
2. The state is folded from the events known then, never read off the row: the row is what is known today.
3. What was known is a beginning of the story: a clock that was set back makes no hole in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import groupby, takewhile

from orders import events, lifecycle
from orders.errors import BrokenRecord, IllegalTransition, NotOnRecordYet
from orders.lifecycle import OrderState
from orders.models import STATE_COLUMNS, Order, OrderEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFill:
    """One execution that counted; `exec_id` is its last correction known then, `recorded_at` when that was known."""

    exec_id: str
    quantity: Decimal
    price: Decimal
    occurred_at: datetime | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterEvent:
    """An event that was not known yet. `late`: it had happened by then, if the broker's clock is right."""

    row: OrderEvent
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """`order` shows what was known and is not to be saved; `known` and `later` are all its events, in sequence."""

    order: Order
    instant: datetime
    fills: Sequence[KnownFill]
    known: Sequence[OrderEvent]
    later: Sequence[LaterEvent]


def at(order: Order, instant: datetime) -> Knowledge:
    """What was known of an order. Raises: NotOnRecordYet, BrokenRecord."""
    rows = list(order.events.defer("raw").order_by("sequence"))
    known = list(takewhile(lambda row: row.recorded_at <= instant, rows))
    if not known:
        raise NotOnRecordYet(order.pk, instant=instant, since=rows[0].recorded_at if rows else None)
    later = [
        LaterEvent(row=row, late=row.occurred_at is not None and row.occurred_at <= instant)
        for row in rows[len(known) :]
    ]
    return Knowledge(order=_showing(order, known), instant=instant, fills=_fills(known), known=known, later=later)


def as_known(orders: Iterable[Order], instant: datetime) -> list[Order]:
    """Copies of rows, not to be saved, that show what was known then; those not yet on record are left out.

    One query for all. Raises: BrokenRecord.
    """
    by_id = {order.pk: order for order in orders}
    recorded = OrderEvent.objects.filter(order__in=by_id, recorded_at__lte=instant)
    rows = recorded.defer("raw").order_by("order_id", "sequence")
    stories = {pk: _without_gaps(story) for pk, story in groupby(rows, key=lambda row: row.order_id)}
    return [_showing(order, stories[pk]) for pk, order in by_id.items() if pk in stories]


def _showing(order: Order, known: Sequence[OrderEvent]) -> Order:
    fixed = {field.attname: getattr(order, field.attname) for field in order._meta.concrete_fields}
    state = _state(known)
    changing = {name: getattr(state, name) for name in STATE_COLUMNS}
    return Order(**fixed | changing | {"last_sequence": len(known)})


def _without_gaps(rows: Iterable[OrderEvent]) -> list[OrderEvent]:
    """The rows up to the first that is missing."""
    return [row for expected, row in enumerate(rows, start=1) if row.sequence == expected]


def _state(rows: Sequence[OrderEvent]) -> OrderState:
    state: OrderState | None = None
    for row in rows:
        try:
            state = lifecycle.fold(state, _event(row))
        except (IllegalTransition, TypeError, ValueError, AttributeError, InvalidOperation) as problem:
            raise BrokenRecord(row.order_id, sequence=row.sequence) from problem
    assert state is not None  # there is a first event
    return state


def _event(row: OrderEvent) -> events.Event:
    return events.from_payload(row.kind, row.payload, occurred_at=row.occurred_at)


def _fills(rows: Sequence[OrderEvent]) -> list[KnownFill]:
    """What was executed, fill by fill; a correction takes the place of what it corrects."""
    found: dict[str, KnownFill] = {}
    for row in rows:
        event = _event(row)
        if isinstance(event, events.Correction):
            found.pop(event.replaces, None)
        elif not isinstance(event, events.Trade):
            continue
        found[event.exec_id] = KnownFill(
            exec_id=event.exec_id,
            quantity=event.quantity,
            price=event.price,
            occurred_at=event.occurred_at,
            recorded_at=row.recorded_at,
        )
    return [fill for fill in found.values() if fill.quantity]  # 0: it was undone
