"""The only writer of orders and their events.

Rules
1. Two functions write: `open_order` and `record`, and `Draft` where there is more than one event. Each appends the
   events and projects them onto the row in one transaction, the row locked first; the database refuses anything else.
2. The lifecycle table decides. An event of our own that it refuses raises; a report of the broker that it refuses is
   kept as UNEXPECTED with the raw message and changes nothing.
3. Who acted is always said. Waiting requests are woken after the commit, in a statement of its own: a NOTIFY inside
   the transaction would make commits queue for a database-wide lock. Nobody is woken for what only goes on.
4. When it was recorded is said by the database's clock: those of the processes may differ by anything.
5. Each event goes into the audit trail in the same transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from database import clock, prepared
from orders import events, lifecycle, trail
from orders.errors import IllegalTransition
from orders.models import STATE_COLUMNS, Order, OrderEvent
from orders.vocabulary import Actor, OrderStatus

CHANNEL = "order_changed"  # payload: a topic
WAKE = "SELECT pg_notify(%(channel)s, about) FROM unnest(%(topics)s::text[]) AS about"
# With these a wait is not over: the next event is what is waited for.
GOES_ON = frozenset({OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL})
ORDERS = prepared.Insertion(Order)
STATES = prepared.Change(Order, [*STATE_COLUMNS, "last_sequence"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an event comes from: the actor, and what joins it with logs and sessions."""

    actor: str
    session: str = ""
    request_id: str = ""
    raw: Sequence[str] | None = None


def open_order(terms: Mapping[str, Any], event: events.Event, *, origin: Origin) -> Order:
    """Insert an order with its first event. `terms` are the fixed columns of `models.Order`."""
    draft = Draft()
    order = draft.open(terms, event, origin=origin)
    with transaction.atomic():
        draft.write()
    return order


def record(
    order_pk: int, event: events.Event, *, origin: Origin, only_from: frozenset[OrderStatus] | None = None
) -> Order | None:
    """Append an event to an order and return the row after it.

    With `only_from`, a compare-and-set: None is returned, and nothing recorded, when the status is none of those.
    Raises: IllegalTransition when the lifecycle has no row for it and the actor is not the broker.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_pk)
        if only_from is not None and order.status not in only_from:
            return None
        record_all([(order, event)], origin=origin)
    return order


def record_all(changes: Iterable[tuple[Order, events.Event]], *, origin: Origin, now: datetime | None = None) -> None:
    """Append events to rows that the caller has locked, all or none. `now`: the database's clock, if just read."""
    draft = Draft(now=now)
    for order, event in changes:
        draft.add(order, event, origin=origin)
    draft.write()


class Draft:
    """Events of rows that the caller has locked: each is folded into its row's value at once, so that the next can
    rest on it, and all are written together. Takes any number for one row; a row is to be one value throughout.
    `now`: what the database's clock said, where the caller has just read it."""

    def __init__(self, *, now: datetime | None = None) -> None:
        self._now = now
        self._opened: list[Order] = []
        self._events: list[OrderEvent] = []
        self._changed: dict[int, Order] = {}

    def open(self, terms: Mapping[str, Any], event: events.Event, *, origin: Origin) -> Order:
        """An order that is inserted together with its first event. `terms` are the fixed columns of `models.Order`."""
        state = lifecycle.fold(None, event)
        now = self._moment()
        columns = {name: getattr(state, name) for name in STATE_COLUMNS}
        order = Order(**{"received_at": now, **terms, **columns})
        self._opened.append(order)
        self._events.append(_event_row(order, event, before=None, after=state.status, origin=origin, now=now))
        return order

    def add(self, order: Order, event: events.Event, *, origin: Origin) -> None:
        """Raises: IllegalTransition, as `record`."""
        before = order.state()
        try:
            after = lifecycle.fold(before, event)
        except IllegalTransition:
            if origin.actor != Actor.BROKER:
                raise
            event = events.Unexpected(refused=event.kind, status=before.status, details=event.payload())
            after = lifecycle.fold(before, event)
        self._changed.setdefault(order.pk, order)
        for name in STATE_COLUMNS:
            if getattr(before, name) != getattr(after, name):
                setattr(order, name, getattr(after, name))
        order.last_sequence += 1
        self._events.append(
            _event_row(order, event, before=before.status, after=after.status, origin=origin, now=self._moment())
        )

    def write(self) -> None:
        """Write new orders, events, then rows; all or none, in the transaction of the caller, who holds the locks."""
        if not self._events:
            return
        if not connection.in_atomic_block:
            raise transaction.TransactionManagementError("the journal is written in a transaction of its caller's")
        ORDERS.write(self._opened)
        for event in self._events:
            event.order = event.order  # its key is known only now, where it was opened here
        trail.insert_events(self._events)
        STATES.write(list(self._changed.values()))
        topics = {topic(order) for order in self._changed.values() if order.status not in GOES_ON}
        if topics:
            transaction.on_commit(lambda: wake(*topics))

    def _moment(self) -> datetime:
        self._now = self._now or clock.database_now()
        return self._now


def replay(order: Order) -> lifecycle.OrderState:
    """The state that the stored events of an order add up to; equals its row, or the record was broken."""
    state: lifecycle.OrderState | None = None
    for row in order.events.order_by("sequence"):
        state = lifecycle.fold(state, events.from_payload(row.kind, row.payload, occurred_at=row.occurred_at))
    if state is None:
        raise IllegalTransition(None, "nothing")
    return state


def topic(order: Order) -> str:
    """What one waits for to hear of an order: its request, whose legs change together."""
    return f"request {order.request_id}" if order.request_id else f"order {order.pk}"


def wake(*topics: str) -> None:
    """Tell the web processes that something about these topics was committed."""
    prepared.many(WAKE, {"channel": CHANNEL, "topics": list(topics)})


def _event_row(
    order: Order,
    event: events.Event,
    *,
    before: OrderStatus | None,
    after: OrderStatus,
    origin: Origin,
    now: datetime,
) -> OrderEvent:
    return OrderEvent(
        order=order,
        sequence=order.last_sequence,
        kind=event.kind,
        from_status=before,
        to_status=after,
        actor=origin.actor,
        occurred_at=event.occurred_at,
        recorded_at=now,
        payload=event.payload(),
        raw=list(origin.raw) if origin.raw is not None else None,
        session=origin.session,
        request_id=origin.request_id,
    )
