"""What clients ask: place, cancel. One transaction persists the request and its orders; nothing is sent from here.

Rules
1. Whatever names an order endpoint is persisted, refusals with their reason.
2. An idempotency key names one request of an actor for ever: the same key again is answered, never done again.
3. A cancellation is taken back only if it was not sent; a placement, see orders.withdrawal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from database import clock, prepared
from orders import clearance, events, exposure, journal, kill_points, stamps, trail
from orders.errors import KeyInProgress, KeyReused, NotOurs, OrderNotFound, Overloaded, Unresolved
from orders.models import Order, OrderRequest, RequestAnswer
from orders.outcomes import CONNECTION_FAILED
from orders.risk.values import Decision, Ticket
from orders.vocabulary import FINAL, EventKind, OrderStatus, OrderType, Role, Side, TimeInForce

REQUESTS = prepared.Insertion(OrderRequest)
UNRESOLVED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT})
# Of what the session's pacing lets through: the session has questions of its own.
OURS_TO_SEND = 0.87
# Of the time a request waits, so that the last in the queue is still answered.
BACKLOG_SHARE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came: who asked what, in which bytes."""

    endpoint: str
    body: str
    body_digest: str
    actor: str
    remote_address: str
    request_id: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One order to place."""

    role: Role = Role.SINGLE
    side: Side
    order_type: OrderType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What one request wants placed: one leg, or a bracket's entry, stop-loss and take-profit in that order."""

    account: str
    symbol: str
    quantity: Decimal
    order_ref: str
    legs: Sequence[Leg]
    valid_for: timedelta
    day_began: datetime | None = None  # the gateway's last midnight


def place(asked: Asked, placement: Placement) -> list[Order]:
    """Persist the request and its orders, which are returned; DENIED ones when a halt or a limit speaks against them.

    Raises: Overloaded, with nothing persisted; KeyReused, KeyInProgress, Replay.
    """
    ticket = Ticket(
        account=placement.account, symbol=placement.symbol, quantity=placement.quantity, legs=placement.legs
    )
    seen = exposure.look(ticket, actor=asked.actor, waiting=True, day_began=placement.day_began)
    _refuse_overload(seen.backlog + len(placement.legs))
    decision = clearance.at_intake(ticket, seen)
    try:
        with transaction.atomic():
            request = _persist(asked)
            draft = journal.Draft(now=request.received_at)  # one moment for all legs
            orders = [_receive(request, placement, leg, decision=decision, draft=draft) for leg in placement.legs]
            draft.write()
            kill_points.reached("web.in_transaction")
    except IntegrityError:
        raise _seen_before(asked) from None
    return orders


def request_cancel(asked: Asked, *, perm_id: int, client_id: int, within: Q | None = None) -> OrderRequest:
    """Persist the request and mark the order; `within` tells which orders are there for who asks.

    Raises: OrderNotFound, NotOurs, Unresolved, KeyReused, KeyInProgress, Replay.
    """
    try:
        with transaction.atomic():
            order = Order.objects.filter(within or Q(), perm_id=perm_id).order_by("-pk").select_for_update().first()
            if order is None or order.status in FINAL:
                raise OrderNotFound("Order not found or already filled")
            if order.status in UNRESOLVED:
                raise Unresolved(
                    f"Whether the broker has order {perm_id} is not known yet: cancel it once GET /orders shows it "
                    "without inDoubt, or have it decided in the admin"
                )
            if order.client_id != client_id:
                raise NotOurs(
                    f"Order {perm_id} belongs to API client {order.client_id} of the gateway; "
                    f"this service is client {client_id} and cannot cancel it"
                )
            request = _persist(asked, cancels=order)
            trail.append_request(request, about=order)
            origin = journal.Origin(actor=asked.actor, request_id=asked.request_id)
            journal.record_all([(order, events.CancelRequested())], origin=origin)
    except IntegrityError:
        raise _seen_before(asked) from None
    return request


def refuse(asked: Asked, *, reason: str, status_code: int) -> OrderRequest:
    """Persist a request that is answered with a refusal, together with the answer."""
    return _persist_answered(asked, refusal=reason, status_code=status_code, body={"detail": reason})


def repeat(
    asked: Asked, first: OrderRequest, *, status_code: int, body: dict[str, Any], about: Order | None = None
) -> OrderRequest:
    """Persist a request that came again under its key, answered as the first one. `about`: as in `answer`."""
    refusal = f"Not done again: repeats request {first.pk}"
    return _persist_answered(asked, refusal=refusal, status_code=status_code, body=body, about=about)


def _persist_answered(
    asked: Asked, *, refusal: str, status_code: int, body: dict[str, Any], about: Order | None = None
) -> OrderRequest:
    with transaction.atomic():
        request = _persist(asked, refusal=refusal)
        answered = _answer(request, status_code=status_code, body=body, settled=True)
        answered.save(force_insert=True)
        trail.append_refusal(request, answered, about=about)
    return request


def withdraw_cancel(order_pk: int, *, actor: str) -> bool:
    """Take back a cancellation that was not sent; false when it was."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_pk)
        # Every request since the last refusal: one of another client may be on its way already.
        refused = order.events.filter(kind=EventKind.CANCEL_REJECTED).aggregate(last=Max("sequence"))["last"] or 0
        was_sent = order.events.filter(kind=EventKind.CANCEL_SENT, sequence__gt=refused).exists()
        if was_sent or order.status != OrderStatus.PENDING_CANCEL:
            return False
        origin = journal.Origin(actor=actor)
        journal.record_all([(order, events.CancelRejected(reason=CONNECTION_FAILED))], origin=origin)
    return True


def answer(
    request: OrderRequest,
    *,
    status_code: int,
    body: dict[str, Any],
    settled: bool = True,
    about: Order | None = None,
    at: datetime | None = None,
) -> RequestAnswer:
    """Keep what the client was told. `about`: the order in whose chain it belongs, the first of several. `at`: the
    moment of the look that it rests on, by the database's clock; None: now."""
    row = _answer(request, status_code=status_code, body=body, settled=settled, at=at)
    trail.insert_answer(row, about=about)
    return row


def _answer(
    request: OrderRequest, *, status_code: int, body: dict[str, Any], settled: bool, at: datetime | None = None
) -> RequestAnswer:
    at = at or clock.database_now()
    return RequestAnswer(request=request, answered_at=at, status_code=status_code, body=body, settled=settled)


class Replay(Exception):
    """The key came again with the same body: `answer` is what the first `request` was last told, if anything."""

    def __init__(self, request: OrderRequest, answer: RequestAnswer | None) -> None:
        super().__init__(f"replay of request {request.pk}")
        self.request = request
        self.answer = answer


# A web process that died before it answered leaves no answer behind; after this its request can be looked at.
STILL_RUNNING = timedelta(seconds=15)


def check_key(asked: Asked) -> None:
    """Find an earlier request with the same key before anything else is looked at.

    Raises: KeyReused, KeyInProgress, Replay.
    """
    if _first_with_key(asked) is not None:
        raise _seen_before(asked)


def _first_with_key(asked: Asked) -> OrderRequest | None:
    if asked.idempotency_key is None:
        return None
    # Two clients may choose the same key, and neither is told of the other's order.
    same = OrderRequest.objects.filter(actor=asked.actor, idempotency_key=asked.idempotency_key, refusal="")
    return same.first()


def _seen_before(asked: Asked) -> Exception:
    first = _first_with_key(asked)
    if first is None:
        raise  # noqa: PLE0704 - an integrity error of another kind: let it be seen as it is
    if (first.endpoint, first.body_digest) != (asked.endpoint, asked.body_digest):
        return KeyReused("This Idempotency-Key was used before with another request; use a new key for a new order")
    last = first.answers.order_by("pk").last()
    if last is None and clock.database_now() - first.received_at < STILL_RUNNING:
        return KeyInProgress("The first request with this Idempotency-Key is still running; ask again in a moment")
    return Replay(first, last)


def _persist(asked: Asked, *, refusal: str = "", cancels: Order | None = None) -> OrderRequest:
    row = OrderRequest(
        received_at=clock.database_now(),
        endpoint=asked.endpoint,
        body=asked.body,
        body_digest=asked.body_digest,
        actor=asked.actor,
        remote_address=asked.remote_address,
        request_id=asked.request_id,
        idempotency_key=asked.idempotency_key,
        refusal=refusal,
        cancels=cancels,
    )
    REQUESTS.write([row])
    return row


def _refuse_overload(messages: int) -> None:
    """Raises: Overloaded, when so many cannot be sent within a request's wait. Called before anything is stored."""
    seconds = messages / (settings.IB_MESSAGES_PER_SECOND * OURS_TO_SEND)
    if seconds > settings.PLACEMENT_WAIT_SECONDS * BACKLOG_SHARE:
        raise Overloaded(retry_after=math.ceil(seconds))


def _receive(
    request: OrderRequest, placement: Placement, leg: Leg, *, decision: Decision, draft: journal.Draft
) -> Order:
    terms = {
        "request": request,
        "role": leg.role,
        "account_id": placement.account,
        "symbol": placement.symbol,
        "side": leg.side,
        "order_type": leg.order_type,
        "time_in_force": leg.time_in_force,
        "order_ref": placement.order_ref,
        "stamp": stamps.new_stamp(),
        "received_at": request.received_at,
        "valid_until": request.received_at + placement.valid_for,
    }
    asked: dict[str, Any] = {
        "quantity": placement.quantity,
        "limit_price": leg.limit_price,
        "stop_price": leg.stop_price,
        "limits": decision.payload(),
    }
    event = events.Denied(**asked, reason=decision.reason) if decision.breaches else events.Received(**asked)
    return draft.open(terms, event, origin=journal.Origin(actor=request.actor, request_id=request.request_id))
