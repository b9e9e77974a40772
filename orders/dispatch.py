"""What we tell the broker: claim, then send once.

Rules
1. The claim is committed before the first byte leaves; from then on nothing sends that order again.
2. Claim and write are one step per session (`desk.claiming`), so order ids go out ascending. Requests that are ready
   at the same time are claimed in one transaction, one after the other, each as if it were alone.
3. A failure that is certain to have sent nothing ends in NOT_PLACED. Any other leaves PENDING_NEW, which recovery
   resolves by asking. No path leads back to RECEIVED.
4. Cancels are idempotent at the broker and may be repeated.
Safe to call twice, late or never: each function looks at the rows, not at the message that rang.
"""

import dataclasses
import hashlib
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from accounts import clock
from accounts.calendar import Pause
from accounts.halts import stop_file, switch
from accounts.models import GatewaySession
from gateway.errors import ContractNotFound, GatewayError, NotConnected, NothingSent
from gateway.reports import SessionState
from gateway.tickets import Instrument, OrderTicket
from orders import clearance, events, journal, kill_points, stamps
from orders.desk import Desk, Ready
from orders.holdings import unexplained
from orders.models import Order, OrderEvent
from orders.outcomes import CONNECTION_FAILED
from orders.risk.values import Decision
from orders.vocabulary import Actor, EventKind, OrderStatus, Role
from orders.withdrawal import withdraw

log = logging.getLogger(__name__)

QUALIFY_SECONDS = 5.0
PACING_SECONDS = 5.0
LOOK_HOLDS_SECONDS = 0.8  # with the way to the gateway less than the second that is promised
LOOK_AGAIN_SECONDS = 0.2
SILENCE_SECONDS = 4.0  # after one the session asks the time: four without a word are no answer
# A recovery on the next connection may have doubted a claim that its own thread knows was never written.
CLAIMED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT})


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


def submit(request_pk: int, *, desk: Desk) -> None:
    """Place the orders of a request, if they still wait for it and the session may send."""
    orders = list(_waiting(request_pk))
    if not orders or not _may_send(desk):
        return
    try:
        instrument = desk.broker.qualify(orders[0].symbol, timeout=QUALIFY_SECONDS)
        desk.broker.acquire(len(orders), timeout=PACING_SECONDS)
    except ContractNotFound as error:
        here = desk.session(desk.broker.status().connection)
        withdraw(request_pk, reason=str(error), actor=Actor.WORKER, session=here)
        return
    except GatewayError as error:
        # Nothing was claimed: the sweep comes back to these rows until they are no longer valid.
        log.warning("request %s is not sent yet: %s", request_pk, error)
        return
    desk.ready.append(Ready(request_pk, instrument))
    with desk.claiming:
        # Whoever was here before may have taken ours along.
        if ready := desk.take_ready():
            _close_uncommitted(desk)
            kill_points.reached("worker.before_claim")
            _claim_and_send(ready, desk=desk)


def cancel(order_pk: int, *, desk: Desk) -> None:
    """Send the cancellation that was requested for an order."""
    if not _may_send(desk):
        return
    connection_number = desk.broker.status().connection
    try:
        desk.broker.acquire(1, timeout=PACING_SECONDS)
    except GatewayError as error:
        log.warning("the cancel of order %s is not sent yet: %s", order_pk, error)
        return
    with desk.claiming:
        # Doorbell and sweep may both have come here, and only one message is wanted.
        if order_pk in unsent_cancels(desk=desk):
            _send_cancel(order_pk, connection_number, desk=desk)


def _send_cancel(order_pk: int, connection_number: int, *, desk: Desk) -> None:
    origin = journal.Origin(actor=Actor.WORKER, session=desk.session(connection_number))
    pending = frozenset({OrderStatus.PENDING_CANCEL})
    # Marked first: a mark without a message is repeated on the next connection, a message without one would be unseen.
    sent = events.CancelSent(connection=connection_number)
    order = journal.record(order_pk, sent, origin=origin, only_from=pending)
    if order is None or order.broker_order_id is None:
        return
    kill_points.reached("worker.cancel_marked")
    try:
        desk.broker.cancel(order.broker_order_id, connection=connection_number)
    except GatewayError as error:
        log.warning("the cancel of order %s is asked for again: %s", order_pk, error)
        again = events.CancelRequested(reason=f"it may not have been sent: {error}")
        journal.record(order_pk, again, origin=origin, only_from=pending)


def waiting_requests(*, desk: Desk) -> Sequence[int]:
    """Requests whose orders nobody claimed yet: what a lost doorbell leaves behind."""
    ours = Order.objects.filter(account__session_id=desk.gateway)
    return list(
        ours.filter(status=OrderStatus.RECEIVED, valid_until__gt=Now())
        .order_by("request_id")
        .values_list("request_id", flat=True)
        .distinct()
    )


def unsent_cancels(*, desk: Desk) -> Sequence[int]:
    """Orders of this client id whose cancellation was asked for and not sent, or sent on a connection that is gone."""
    here = desk.session(desk.broker.status().connection)
    asked_for = OrderEvent.objects.filter(order=OuterRef("order"), kind=EventKind.CANCEL_REQUESTED)
    since = Subquery(asked_for.order_by("-sequence").values("sequence")[:1])
    sent = OrderEvent.objects.filter(order=OuterRef("pk"), kind=EventKind.CANCEL_SENT, session=here, sequence__gt=since)
    ours = Order.objects.filter(client_id=desk.client_id, account__session_id=desk.gateway)
    # IB has a cancellation that it calls pending; asking again is answered as if the order were gone.
    pending = ours.filter(~Exists(sent), status=OrderStatus.PENDING_CANCEL).exclude(broker_status="PendingCancel")
    return list(pending.values_list("pk", flat=True))


def withdraw_broken_brackets() -> None:
    """Ask for the cancellation of what is left of a bracket that lost a leg before its entry did anything.

    All or nothing: an entry must not work without its exits, nor exits without their entry.
    """
    working = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    bracket = (Role.ENTRY, Role.STOP_LOSS, Role.TAKE_PROFIT)
    broken = Order.objects.filter(role__in=bracket, status__in=(OrderStatus.REJECTED, OrderStatus.NOT_PLACED))
    for request_pk in (
        broken.filter(request__orders__status__in=working).values_list("request_id", flat=True).distinct()
    ):
        legs = Order.objects.filter(request_id=request_pk)
        if legs.filter(role=Role.ENTRY, filled_quantity__gt=0).exists():
            continue  # a position stands behind the other exit now: leave it its protection
        # One that the broker refused to cancel is left to people: asking for ever would not change its mind.
        for leg in legs.filter(status__in=working).exclude(events__kind=EventKind.CANCEL_REJECTED):
            journal.record(
                leg.pk,
                events.CancelRequested(reason="another leg of the bracket was refused"),
                origin=journal.Origin(actor=Actor.SYSTEM),
                only_from=frozenset(working),
            )


def expire_unsent() -> None:
    """Close the orders that were never claimed and may no longer be."""
    overdue = Order.objects.filter(status=OrderStatus.RECEIVED, valid_until__lte=Now())
    for request_pk in overdue.order_by("request_id").values_list("request_id", flat=True).distinct():
        withdraw(request_pk, reason="not sent before it lost its validity", actor=Actor.SYSTEM)


def withdraw_halted(desk: Desk) -> None:
    """Close the orders that wait where trading was halted meanwhile; whether the session is there or not."""
    if not switch.is_anything_halted():
        return
    for request_pk in waiting_requests(desk=desk):
        order = _waiting(request_pk).select_related("request").first()
        if order is not None and (reason := _halted(order)):
            withdraw(request_pk, reason=reason, actor=Actor.WORKER)


def close_uncommitted(*, desk: Desk) -> None:
    """Close the claims that failed and were committed all the same: this process knows that it sent nothing."""
    with desk.claiming:
        _close_uncommitted(desk)


def _close_uncommitted(desk: Desk) -> None:
    # Before anything is claimed again: a claim of now must not be taken for the one that failed.
    for request_pk in list(desk.uncommitted):
        # Of this owner only: another one may have claimed and sent them since.
        ours = OrderEvent.objects.filter(kind=EventKind.SENT, payload__epoch=desk.epoch).values("order")
        claimed = Order.objects.filter(request_id=request_pk, status__in=CLAIMED, pk__in=ours)
        origin = journal.Origin(actor=Actor.WORKER)
        _give_up(claimed, reason=CONNECTION_FAILED, origin=origin, only_from=CLAIMED)
        desk.uncommitted.discard(request_pk)


def _waiting(request_pk: int) -> QuerySet[Order]:
    return Order.objects.filter(request_id=request_pk, status=OrderStatus.RECEIVED).order_by("pk")


def _may_send(desk: Desk) -> bool:
    status = desk.broker.status()
    heard = status.heard_seconds_ago
    return status.state is SessionState.READY and heard is not None and heard < SILENCE_SECONDS


def _claim_and_send(ready: Sequence[Ready], *, desk: Desk) -> None:
    connection_number = desk.broker.status().connection
    try:
        claims = _claim_all(ready, desk=desk, connection_number=connection_number)
    except DatabaseError:
        # The commit may or may not have happened. Nothing was sent, and nothing will be.
        requests = [one.request_pk for one in ready]
        log.exception("the claim of requests %s failed; nothing was sent", requests)
        desk.uncommitted.update(requests)
        return
    if claims:
        kill_points.reached("worker.claimed")
    for claim in claims:
        _send(claim, desk=desk, connection_number=connection_number)


def _send(claim: Claim, *, desk: Desk, connection_number: int) -> None:
    request_pk = claim.orders[0].request_id
    assert request_pk is not None
    try:
        before = min(claim.before, _not_halted_until(claim))
        desk.broker.transmit(claim.tickets, connection=connection_number, before=before)
        kill_points.reached("worker.written")
    except NothingSent as error:
        log.warning("request %s was claimed and not sent: %s", request_pk, error)
        reason = CONNECTION_FAILED if isinstance(error, NotConnected) else str(error)
        desk.uncommitted.add(request_pk)  # remembered, should the database be away just now
        _give_up(claim.orders, reason=reason, origin=_origin(desk, claim.orders[0]), only_from=CLAIMED)
        desk.uncommitted.discard(request_pk)
    except GatewayError:
        log.exception("request %s: the outcome of the write is unknown", request_pk)


def _claim_all(ready: Sequence[Ready], *, desk: Desk, connection_number: int) -> list[Claim]:
    """Commit the claims of all these requests, leaving out what may no longer be sent."""
    with transaction.atomic():
        session = GatewaySession.objects.select_for_update().get(pk=desk.gateway)
        if session.epoch != desk.epoch:
            return []
        session.next_order_id = unclaimed = max(session.next_order_id, desk.broker.status().next_order_id)
        orders = _locked([one.request_pk for one in ready])
        monotonic, now = time.monotonic(), clock.database_now()
        moment = Moment(monotonic=monotonic, now=now, connection=connection_number)
        claims = [_claim(orders[one.request_pk], one.instrument, session, desk=desk, moment=moment) for one in ready]
        if session.next_order_id > unclaimed:
            session.save(update_fields=["next_order_id"])
        kill_points.reached("worker.claim_uncommitted")
    return [claim for claim in claims if claim is not None]


def _locked(request_pks: Sequence[int]) -> dict[int, list[Order]]:
    """The orders of these requests, locked, with all that a claim looks at."""
    found: dict[int, list[Order]] = {request_pk: [] for request_pk in request_pks}
    rows = Order.objects.filter(request_id__in=request_pks).order_by("pk").select_related("account", "request")
    for order in rows.select_for_update(of=("self",)):
        assert order.request_id is not None
        found[order.request_id].append(order)
    return found


def _claim(
    orders: Sequence[Order], instrument: Instrument, session: GatewaySession, *, desk: Desk, moment: Moment
) -> Claim | None:
    """Reserve ids and write `sent` for every order of a request, or nothing when they may no longer be sent."""
    if any(o.status != OrderStatus.RECEIVED or o.account.session_id != desk.gateway for o in orders):
        return None
    now, valid_for = moment.now, _valid_for(orders, now=moment.now)
    pause = settings.GATEWAY_CALENDAR.pause(now)
    if pause is not None and pause.ends < now + valid_for:
        return None  # they wait: the gateway is back while they are valid
    if valid_for <= timedelta(0):
        return None
    if reason := _refusal(orders, pause):
        refused = [(order, events.NotPlaced(reason=reason)) for order in orders]
        journal.record_all(refused, origin=_origin(desk, orders[0]), now=now)
        return None
    decision = clearance.in_claim(orders, now=now, zone=desk.broker.status().time_zone)
    if decision.breaches:
        denied = [(order, clearance.denial(order, decision)) for order in orders]
        journal.record_all(denied, origin=_origin(desk, orders[0]), now=now)
        return None
    first = session.next_order_id
    session.next_order_id = first + len(orders)
    tickets = [_ticket(order, instrument, order_id=first + n, parent_id=first) for n, order in enumerate(orders)]
    if len(tickets) > 1:  # a bracket leaves as one: only the last leg releases the group
        tickets = [dataclasses.replace(t, transmit=t is tickets[-1]) for t in tickets]
    sent = [
        (order, _sent(order, ticket, decision, desk=desk, moment=moment))
        for order, ticket in zip(orders, tickets, strict=True)
    ]
    # Written now, not with the others': what the next request is held against counts this one.
    journal.record_all(sent, origin=_origin(desk, orders[0], moment.connection), now=now)
    before = moment.monotonic + valid_for.total_seconds()
    return Claim(orders=orders, tickets=tickets, before=before, looked=moment.monotonic)


def _valid_for(orders: Sequence[Order], *, now: datetime) -> timedelta:
    """How long these orders may still be sent: the write may come late, and must not come into a planned pause."""
    left = [order.valid_until - now for order in orders if order.valid_until]
    following = settings.GATEWAY_CALENDAR.following(now)
    if left and following is not None:
        left.append(following.begins - now)
    return min(left, default=timedelta(0))


def _refusal(orders: Sequence[Order], pause: Pause | None) -> str:
    """Why nothing may be sent now, whatever the limits; empty when it may."""
    if halted := _halted(orders[0]):
        return halted
    return pause.reason if pause is not None else ""


def _halted(order: Order) -> str:
    actor = order.request.actor if order.request is not None else ""
    return switch.reason_against(account=order.account_id, symbol=order.symbol, actor=actor)


def _not_halted_until(claim: Claim) -> float:
    """Until when what was claimed may be written, as far as halts go. Raises: NothingSent.

    A halt waits for no claim. So a look at halts holds for less than a second, and one that is not of just now is
    taken again: whatever stopped this process in between, nothing leaves a second after a halt was committed.
    """
    if text := stop_file.found():
        raise NothingSent(text)
    looked = claim.looked
    if time.monotonic() - looked > LOOK_AGAIN_SECONDS:
        looked = time.monotonic()
        try:
            text = _halted(claim.orders[0])
        except DatabaseError as error:
            raise NothingSent("whether trading is halted cannot be told") from error
        if text:
            raise NothingSent(text)
    return looked + LOOK_HOLDS_SECONDS


def _ticket(order: Order, instrument: Instrument, *, order_id: int, parent_id: int) -> OrderTicket:
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


def _sent(order: Order, ticket: OrderTicket, decision: Decision, *, desk: Desk, moment: Moment) -> events.Sent:
    assert order.stamp is not None
    return events.Sent(
        client_id=desk.client_id,
        broker_order_id=ticket.order_id,
        connection=moment.connection,
        epoch=desk.epoch,
        stamp=order.stamp,
        digest=hashlib.sha256(repr(ticket).encode()).hexdigest(),
        unexplained=unexplained(order.account_id, symbol=order.symbol, security_type=order.security_type),
        trading_day=desk.broker.status().trading_day(moment.now),
        limits=decision.payload(),
    )


def _give_up(
    orders: Iterable[Order], *, reason: str, origin: journal.Origin, only_from: frozenset[OrderStatus]
) -> None:
    for order in orders:
        journal.record(
            order.pk,
            events.NotPlaced(reason=reason),
            origin=origin,
            only_from=only_from,
        )


def _origin(desk: Desk, order: Order, connection_number: int | None = None) -> journal.Origin:
    number = desk.broker.status().connection if connection_number is None else connection_number
    request_id = order.request.request_id if order.request is not None else ""
    return journal.Origin(actor=Actor.WORKER, session=desk.session(number), request_id=request_id)
