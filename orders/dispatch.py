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

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DatabaseError
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from accounts.halts import stop_file
from database import prepared
from gateway.errors import ContractNotFound, GatewayError, NotConnected, NothingSent
from gateway.reports import SessionState
from orders import claims, events, journal, kill_points
from orders.claims import Claim
from orders.desk import Desk, Ready
from orders.models import Order, OrderEvent
from orders.outcomes import CONNECTION_FAILED
from orders.vocabulary import Actor, EventKind, OrderStatus
from orders.withdrawal import withdraw

log = logging.getLogger(__name__)

QUALIFY_SECONDS = 5.0
PACING_SECONDS = 5.0
LOOK_HOLDS_SECONDS = 0.8  # with the way to the gateway less than the second that is promised
LOOK_AGAIN_SECONDS = 0.2
SILENCE_SECONDS = 4.0  # after one the session asks the time: four without a word are no answer
# A recovery on the next connection may have doubted a claim that its own thread knows was never written.
WAITING = "SELECT min(symbol), count(*) FROM orders_order WHERE request_id = %(request)s AND status = 'RECEIVED'"
CLAIMED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT})


def submit(request_pk: int, *, desk: Desk) -> None:
    """Place the orders of a request, if they still wait for it and the session may send."""
    symbol, orders = prepared.one(WAITING, {"request": request_pk})
    if not orders or not _may_send(desk):
        return
    try:
        instrument = desk.broker.qualify(symbol, timeout=QUALIFY_SECONDS)
    except ContractNotFound as error:
        here = desk.session(desk.broker.status().connection)
        withdraw(request_pk, reason=str(error), actor=Actor.WORKER, session=here)
        return
    except GatewayError as error:
        # Nothing was claimed: the sweep comes back to these rows until they are no longer valid.
        log.warning("request %s is not sent yet: %s", request_pk, error)
        return
    mine = Ready(request_pk, instrument, orders)
    desk.ready.put(mine)
    try:
        while not mine.taken:
            with desk.ready.turn(mine) as is_ours:
                if is_ours:
                    _claim_what_fits(desk)
    except GatewayError as error:
        log.warning("request %s is not sent yet: %s", request_pk, error)
    finally:
        desk.ready.leave(mine)


def _claim_what_fits(desk: Desk) -> None:
    """Claim and send the oldest of what is ready, as much as may be written now. Raises: GatewayError."""
    room = desk.broker.room(desk.ready.needed(), timeout=PACING_SECONDS)
    if not _may_send(desk):
        raise NotConnected("the session may not send")
    with desk.claiming:
        _close_uncommitted(desk)
        kill_points.reached("worker.before_claim")
        if ready := desk.ready.take(room):
            _claim_and_send(ready, desk=desk)


def cancel(order_pk: int, *, desk: Desk) -> None:
    """Send the cancellation that was requested for an order."""
    if not _may_send(desk):
        return
    connection_number = desk.broker.status().connection
    try:
        desk.broker.room(1, timeout=PACING_SECONDS)
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
    return [request_pk for (request_pk,) in UNCLAIMED.rows(desk.gateway)]


def unsent_cancels(*, desk: Desk) -> Sequence[int]:
    """Orders of this client id whose cancellation was asked for and not sent, or sent on a connection that is gone."""
    here = desk.session(desk.broker.status().connection)
    return [order_pk for (order_pk,) in UNSENT_CANCELS.rows(desk.gateway, desk.client_id, here)]


def _unclaimed(gateway: str) -> QuerySet[Order, Any]:
    ours = Order.objects.filter(account__session_id=gateway)
    waiting = ours.filter(status=OrderStatus.RECEIVED, valid_until__gt=Now())
    return waiting.order_by("request_id").values_list("request_id").distinct()


def _unsent_cancels(gateway: str, client_id: int, session: str) -> QuerySet[Order, Any]:
    asked_for = OrderEvent.objects.filter(order=OuterRef("order"), kind=EventKind.CANCEL_REQUESTED)
    since = Subquery(asked_for.order_by("-sequence").values("sequence")[:1])
    sent = OrderEvent.objects.filter(
        order=OuterRef("pk"), kind=EventKind.CANCEL_SENT, session=session, sequence__gt=since
    )
    ours = Order.objects.filter(client_id=client_id, account__session_id=gateway)
    # IB has a cancellation that it calls pending; asking again is answered as if the order were gone.
    pending = ours.filter(~Exists(sent), status=OrderStatus.PENDING_CANCEL).exclude(broker_status="PendingCancel")
    return pending.values_list("pk")


UNCLAIMED = prepared.Query(_unclaimed)
UNSENT_CANCELS = prepared.Query(_unsent_cancels)


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


def _may_send(desk: Desk) -> bool:
    status = desk.broker.status()
    heard = status.heard_seconds_ago
    return status.state is SessionState.READY and heard is not None and heard < SILENCE_SECONDS


def _claim_and_send(ready: Sequence[Ready], *, desk: Desk) -> None:
    connection_number = desk.broker.status().connection
    try:
        claimed = claims.claim_all(ready, desk=desk, connection_number=connection_number)
    except DatabaseError:
        # The commit may or may not have happened. Nothing was sent, and nothing will be.
        requests = [one.request_pk for one in ready]
        log.exception("the claim of requests %s failed; nothing was sent", requests)
        desk.uncommitted.update(requests)
        return
    if claimed:
        kill_points.reached("worker.claimed")
    for claim in claimed:
        _send(claim, desk=desk, connection_number=connection_number)


def _send(claim: Claim, *, desk: Desk, connection_number: int) -> None:
    request_pk = claim.orders[0].request_id
    assert request_pk is not None
    try:
        # A question may have taken the room that there was; a look at halts does not last until there is more.
        desk.broker.room(len(claim.tickets), timeout=claim.before - time.monotonic())
        before = min(claim.before, _not_halted_until(claim))
        desk.broker.transmit(claim.tickets, connection=connection_number, before=before)
        kill_points.reached("worker.written")
    except NothingSent as error:
        log.warning("request %s was claimed and not sent: %s", request_pk, error)
        reason = CONNECTION_FAILED if isinstance(error, NotConnected) else str(error)
        desk.uncommitted.add(request_pk)  # remembered, should the database be away just now
        _give_up(claim.orders, reason=reason, origin=claims.origin_of(desk, claim.orders[0]), only_from=CLAIMED)
        desk.uncommitted.discard(request_pk)
    except GatewayError:
        log.exception("request %s: the outcome of the write is unknown", request_pk)


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
            text = claims.halted(claim.orders[0])
        except DatabaseError as error:
            raise NothingSent("whether trading is halted cannot be told") from error
        if text:
            raise NothingSent(text)
    return looked + LOOK_HOLDS_SECONDS


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
