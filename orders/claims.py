"""The claim: that an order is about to be sent, committed before its first byte leaves.

Rules
1. A claim reserves the order's id, names the connection it is for, and is never made twice: what is claimed is sent
   once or not at all (orders.dispatch).
2. Requests that are ready at the same time are claimed in one transaction, one after the other, each as if it were
   alone: what the next is held against counts the one before.
3. What may not be sent is refused here for the last time: validity, pauses, halts and limits.
"""

import dataclasses
import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from accounts.halts import switch
from accounts.models import LAST_ANSWERS, GatewaySession
from database import prepared
from gateway.tickets import Instrument, OrderTicket
from orders import clearance, events, journal, kill_points, stamps
from orders.desk import Desk, Ready
from orders.exposure import Seen
from orders.models import Order, OrderRequest
from orders.risk.values import Decision
from orders.vocabulary import Actor, OrderStatus, Role

SESSION = prepared.Selection(GatewaySession, "name = %(gateway)s FOR UPDATE", without=LAST_ANSWERS)
NEXT_ORDER_ID = prepared.Change(GatewaySession, ["next_order_id"])
ORDERS = prepared.Selection(
    Order,
    """request_id = ANY(%(requests)s)
        AND account_id IN (SELECT id FROM accounts_brokeraccount WHERE session_id = %(gateway)s)
    ORDER BY id FOR UPDATE OF orders_order""",
)
REQUESTS = prepared.Selection(OrderRequest, "id = ANY(%(requests)s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What may be written once, and only before that moment (time.monotonic(), which goes on in a paused process)."""

    orders: Sequence[Order]
    tickets: Sequence[OrderTicket]
    before: float
    looked: float  # when halts were looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When claims are made, by this process's clock and the database's, and for which connection."""

    monotonic: float
    now: datetime
    connection: int


class Unwritten:
    """What was decided about the requests of a transaction and is written with what comes after it, unless that has to
    see it: then before."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._draft = journal.Draft(now=now)
        self._symbols: set[tuple[str, str]] = set()

    def add(self, changes: Iterable[tuple[Order, events.Event]], *, origin: journal.Origin) -> None:
        for order, event in changes:
            self._draft.add(order, event, origin=origin)
            self._symbols.add((order.account_id, order.symbol))

    def concerns(self, order: Order, *, any_symbol: bool = False) -> bool:
        """Whether it is of the order's account, and its symbol."""
        return any(
            account == order.account_id and (any_symbol or symbol == order.symbol) for account, symbol in self._symbols
        )

    def write(self) -> None:
        self._draft.write()
        self._draft, self._symbols = journal.Draft(now=self._now), set()


def claim_all(ready: Sequence[Ready], *, desk: Desk, connection_number: int) -> list[Claim]:
    """Commit the claims of all these requests, leaving out what may no longer be sent."""
    with transaction.atomic():
        ((session, _),) = SESSION.read(gateway=desk.gateway)
        if session.epoch != desk.epoch:
            return []
        session.next_order_id = unclaimed = max(session.next_order_id, desk.broker.status().next_order_id)
        monotonic = time.monotonic()  # before the other clock is read: a claim may end too early, and not too late
        orders, now = _locked([one.request_pk for one in ready], desk=desk)
        moment = Moment(monotonic=monotonic, now=now, connection=connection_number)
        told = Unwritten(now)
        claims = [
            _claim(orders[one.request_pk], one.instrument, session, desk=desk, moment=moment, told=told)
            for one in ready
        ]
        told.write()
        if session.next_order_id > unclaimed:
            NEXT_ORDER_ID.write([session])
        kill_points.reached("worker.claim_uncommitted")
    return [claim for claim in claims if claim is not None]


def _locked(request_pks: Sequence[int], *, desk: Desk) -> tuple[dict[int, list[Order]], datetime]:
    """The orders of these requests that are this gateway's, locked, and the moment at which all of them were."""
    found: dict[int, list[Order]] = {request_pk: [] for request_pk in request_pks}
    for order, _ in ORDERS.read(requests=request_pks, gateway=desk.gateway):
        assert order.request_id is not None
        found[order.request_id].append(order)
    requests = REQUESTS.read(requests=request_pks)
    for request, _ in requests:
        for order in found[request.pk]:
            order.request = request
    return found, max(at for _, at in requests)


def _claim(
    orders: Sequence[Order],
    instrument: Instrument,
    session: GatewaySession,
    *,
    desk: Desk,
    moment: Moment,
    told: Unwritten,
) -> Claim | None:
    """Reserve ids and put `sent` down for every order of a request, or nothing when they may no longer be sent."""
    if any(order.status != OrderStatus.RECEIVED for order in orders):
        return None
    now, valid_for = moment.now, _valid_for(orders, now=moment.now)
    pause = settings.GATEWAY_CALENDAR.pause(now)
    if pause is not None and pause.ends < now + valid_for:
        return None  # they wait: the gateway is back while they are valid
    if valid_for <= timedelta(0):
        return None
    seen, decision = _look(orders, now=now, desk=desk, told=told)
    if reason := seen.halted or (pause.reason if pause is not None else ""):
        refused = [(order, events.NotPlaced(reason=reason)) for order in orders]
        told.add(refused, origin=origin_of(desk, orders[0]))
        return None
    if decision.breaches:
        denied = [(order, clearance.denial(order, decision)) for order in orders]
        told.add(denied, origin=origin_of(desk, orders[0]))
        return None
    first = session.next_order_id
    session.next_order_id = first + len(orders)
    tickets = [ticket_of(order, instrument, order_id=first + n, parent_id=first) for n, order in enumerate(orders)]
    if len(tickets) > 1:  # a bracket leaves as one: only the last leg releases the group
        tickets = [dataclasses.replace(t, transmit=t is tickets[-1]) for t in tickets]
    sent = [
        (order, _sent(order, ticket, decision, unexplained=seen.unexplained, desk=desk, moment=moment))
        for order, ticket in zip(orders, tickets, strict=True)
    ]
    told.add(sent, origin=origin_of(desk, orders[0], moment.connection))
    before = moment.monotonic + valid_for.total_seconds()
    return Claim(orders=orders, tickets=tickets, before=before, looked=moment.monotonic)


def _look(orders: Sequence[Order], *, now: datetime, desk: Desk, told: Unwritten) -> tuple[Seen, Decision]:
    """What a request is held against counts the ones before it."""
    zone = desk.broker.status().time_zone
    if told.concerns(orders[0]):
        told.write()
    seen, decision = clearance.in_claim(orders, now=now, zone=zone)
    if seen.beyond_symbol and told.concerns(orders[0], any_symbol=True):
        told.write()
        seen, decision = clearance.in_claim(orders, now=now, zone=zone)
    return seen, decision


def _valid_for(orders: Sequence[Order], *, now: datetime) -> timedelta:
    """How long these orders may still be sent: the write may come late, and must not come into a planned pause."""
    left = [order.valid_until - now for order in orders if order.valid_until]
    following = settings.GATEWAY_CALENDAR.following(now)
    if left and following is not None:
        left.append(following.begins - now)
    return min(left, default=timedelta(0))


def halted(order: Order) -> str:
    """Why the order's account, symbol or key may not trade; empty when it may."""
    actor = order.request.actor if order.request is not None else ""
    return switch.reason_against(account=order.account_id, symbol=order.symbol, actor=actor)


def ticket_of(order: Order, instrument: Instrument, *, order_id: int, parent_id: int) -> OrderTicket:
    assert order.stamp is not None  # a constraint of the table: orders of ours are stamped
    return OrderTicket(
        order_id=order_id,
        account=order.account_id,
        instrument=instrument,
        side=order.side,  # type: ignore[arg-type]
        order_type=order.order_type,  # type: ignore[arg-type]
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        time_in_force=order.time_in_force,  # type: ignore[arg-type]
        order_ref=stamps.stamped(order.order_ref, order.stamp),
        parent_id=parent_id if order.role in (Role.STOP_LOSS, Role.TAKE_PROFIT) else 0,
    )


def _sent(
    order: Order, ticket: OrderTicket, decision: Decision, *, unexplained: Decimal, desk: Desk, moment: Moment
) -> events.Sent:
    assert order.stamp is not None
    return events.Sent(
        client_id=desk.client_id,
        broker_order_id=ticket.order_id,
        connection=moment.connection,
        epoch=desk.epoch,
        stamp=order.stamp,
        digest=hashlib.sha256(repr(ticket).encode()).hexdigest(),
        unexplained=unexplained,
        trading_day=desk.broker.status().trading_day(moment.now),
        limits=decision.payload(),
    )


def origin_of(desk: Desk, order: Order, connection_number: int | None = None) -> journal.Origin:
    number = desk.broker.status().connection if connection_number is None else connection_number
    request_id = order.request.request_id if order.request is not None else ""
    return journal.Origin(actor=Actor.WORKER, session=desk.session(number), request_id=request_id)
