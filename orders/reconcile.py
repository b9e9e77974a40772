"""Recover after a gap: ask the broker everything, adopt what it knows, and say what cannot be told.

Rules
1. Runs after every connect and restored link, before anything may be claimed.
2. Only the stamp identifies an order of ours; never "same symbol and size".
3. A question without its end marker concludes nothing: the recovery fails and is tried again.
4. What was claimed and is not known to the broker is IN_DOUBT: absence is not proof. `settle` goes on asking, and
   calls it NOT_PLACED only once `evidence` has no doubt left. Each change of what is open is recorded.
"""

import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from accounts.models import GatewayConnection
from alarms.register import raise_alarm
from alarms.vocabulary import AlarmKind
from database import clock, prepared
from gateway.broker import Broker, SessionStatus
from gateway.reports import Query, SessionState
from orders import events, evidence, journal, kill_points, trail
from orders.desk import Desk
from orders.holdings import unexplained
from orders.models import Order, OrderEvent
from orders.vocabulary import Actor, EventKind, OrderStatus, Role

log = logging.getLogger(__name__)

QUESTION_SECONDS = 20.0
# A long day takes minutes to be told and written down. A gateway that falls silent in the middle of its answer is given
# up long before, by the session.
LONG_ANSWERS = frozenset({Query.COMPLETED_ORDERS, Query.EXECUTIONS})
LONG_ANSWER_SECONDS = 1800.0
# Orders before executions, so that every execution finds its order.
ORDER_QUERIES = (Query.OPEN_ORDERS, Query.ALL_OPEN_ORDERS, Query.COMPLETED_ORDERS, Query.EXECUTIONS)
ACCOUNT_QUERIES = (Query.POSITIONS, Query.ACCOUNT)
# An acknowledgement takes milliseconds, and seconds at worst; after this a claim is looked into.
ACKNOWLEDGED_WITHIN = timedelta(seconds=20)
SECOND = timedelta(seconds=1)
LONGEST_PAUSE_SECONDS = 10.0  # between two rounds of questions
NOT_FOUND = 10147  # IB's answer to the cancellation of an order it does not have
UNKNOWN_TO_BROKER = "sent, and neither among the broker's open or completed orders nor its executions"


def recover(broker: Broker, *, gateway: str, client_id: int, session: str, connection: int) -> None:
    """Bring the record in step with the broker. Raises: GatewayError when any question went unanswered."""
    for query in (*ORDER_QUERIES, *ACCOUNT_QUERIES):
        broker.ask(query, timeout=patience(query), connection=connection)
        kill_points.reached("worker.asked")
    origin = journal.Origin(actor=Actor.WORKER, session=session)
    _doubt(_ours(gateway, client_id).filter(status=OrderStatus.PENDING_NEW), origin=origin)
    for leg in _untransmitted(gateway, client_id):
        # The broker may hold it back, unlisted, for want of the leg that would release the group.
        assert leg.broker_order_id is not None
        broker.room(1, timeout=QUESTION_SECONDS)
        broker.cancel(leg.broker_order_id, connection=connection, while_recovering=True)


def settle(desk: Desk) -> None:
    """Ask again about what is overdue or in doubt, now and then. Raises: GatewayError."""
    status = desk.broker.status()
    if status.state is not SessionState.READY or status.ready_since is None:
        return
    here = (desk.gateway, desk.client_id)
    # Not in one: that would read the whole trail.
    if not OVERDUE.rows(*here, ACKNOWLEDGED_WITHIN) and not IN_DOUBT.rows(*here):
        return
    ours = _ours(*here)
    asked_at = status.ready_since + desk.rounds.last if desk.rounds.since == status.ready_since else 0.0
    pause = min(LONGEST_PAUSE_SECONDS, settings.SETTLE_SECONDS / evidence.ROUNDS)
    if desk.rounds.count and time.monotonic() - asked_at < pause:
        return
    asked_at = time.monotonic()  # the open orders come first: what the answers say is of this moment, not of the last
    for query in (*ORDER_QUERIES, Query.POSITIONS):
        desk.broker.ask(query, timeout=patience(query), connection=status.connection)
    if desk.broker.status().ready_since != status.ready_since:
        return  # the link was down in between: the round does not count
    desk.rounds.completed(ready_since=status.ready_since, at=asked_at)
    origin = journal.Origin(actor=Actor.WORKER, session=desk.session(status.connection))
    _doubt(_overdue(ours, ACKNOWLEDGED_WITHIN), origin=origin)
    for order in _in_doubt(ours):
        # With the status of before the questions: the session may be on another connection by now.
        _decide(order, desk=desk, status=status, origin=origin)


def sync_executions(broker: Broker) -> None:
    """Ask for orders and executions; the answers are applied as they come. Raises: GatewayError."""
    for query in (Query.ALL_OPEN_ORDERS, Query.COMPLETED_ORDERS, Query.EXECUTIONS):
        broker.ask(query, timeout=patience(query))


def patience(query: Query) -> float:
    """Seconds to wait until the answer is applied."""
    return LONG_ANSWER_SECONDS if query in LONG_ANSWERS else QUESTION_SECONDS


def words_of_doubt(order: Order) -> str:
    """What is said aloud of an order in doubt."""
    return f"{order}: whether the broker has it cannot be told yet"


def _ours(gateway: str, client_id: int) -> QuerySet[Order]:
    """What was sent under our client id at this gateway: another gateway's orders are not ours to judge."""
    return Order.objects.filter(client_id=client_id, account__session_id=gateway, stamp__isnull=False)


def _overdue(ours: QuerySet[Order], within: timedelta) -> QuerySet[Order]:
    return ours.filter(
        status=OrderStatus.PENDING_NEW,
        pk__in=OrderEvent.objects.filter(kind=EventKind.SENT, recorded_at__lt=Now() - within).values("order_id"),
    )


def _in_doubt(ours: QuerySet[Order]) -> QuerySet[Order]:
    return ours.filter(status=OrderStatus.IN_DOUBT)


OVERDUE = prepared.Query(lambda gateway, client_id, within: _first(_overdue(_ours(gateway, client_id), within)))
IN_DOUBT = prepared.Query(lambda gateway, client_id: _first(_in_doubt(_ours(gateway, client_id))))


def _first(orders: QuerySet[Order]) -> QuerySet[Order, Any]:
    return orders.values_list("pk")[:1]


def _untransmitted(gateway: str, client_id: int) -> QuerySet[Order]:
    """Legs in doubt of a bracket none of whose legs the broker lists."""
    legs = _in_doubt(_ours(gateway, client_id)).exclude(role=Role.SINGLE)
    return legs.filter(~Exists(Order.objects.filter(request=OuterRef("request"), perm_id__isnull=False)))


def _doubt(orders: Iterable[Order], *, origin: journal.Origin) -> None:
    for order in orders:
        event = events.InDoubt(reason=UNKNOWN_TO_BROKER)
        with transaction.atomic():
            if journal.record(order.pk, event, origin=origin, only_from=frozenset({OrderStatus.PENDING_NEW})):
                facts = {"account": order.account_id}
                raise_alarm(AlarmKind.IN_DOUBT, trail.subject(order.pk), text=words_of_doubt(order), facts=facts)


def _decide(order: Order, *, desk: Desk, status: SessionStatus, origin: journal.Origin) -> None:
    claim, seen = _claim(order), _observation(order, desk=desk, status=status)
    found = evidence.doubts(claim, seen, settled_after=timedelta(seconds=settings.SETTLE_SECONDS))
    if order.perm_id is not None:
        found.append(f"the broker named it {order.perm_id}")
    if found:
        _note_doubts(order, found, seen=seen, origin=origin)
        return
    reason = (
        f"asked {seen.rounds} times on connection {seen.epoch}/{seen.connection}, "
        f"{seen.settled_for // SECOND} s after it was ready, "
        "the broker knows neither the order nor anything it explains"
    )
    if journal.record(
        order.pk, events.NotPlaced(reason=reason), origin=origin, only_from=frozenset({OrderStatus.IN_DOUBT})
    ):
        log.warning("order %s was not placed: %s", order.pk, reason)


def _note_doubts(order: Order, found: list[str], *, seen: evidence.Observation, origin: journal.Origin) -> None:
    """Record what speaks against a conclusion whenever it changes: a person will read it to decide."""
    last = order.events.filter(kind=EventKind.STILL_IN_DOUBT).order_by("-sequence").first()
    if last is not None and last.payload["doubts"] == found:
        return
    event = events.StillInDoubt(rounds=seen.rounds, settled_seconds=seen.settled_for // SECOND, doubts=found)
    if journal.record(order.pk, event, origin=origin, only_from=frozenset({OrderStatus.IN_DOUBT})):
        log.warning("order %s stays in doubt: %s", order.pk, "; ".join(found))


def _claim(order: Order) -> evidence.Claim:
    sent = order.events.get(kind=EventKind.SENT)
    event = events.from_payload(sent.kind, sent.payload)
    assert isinstance(event, events.Sent)
    return evidence.Claim(
        epoch=event.epoch,
        connection=event.connection,
        broker_order_id=event.broker_order_id,
        trading_day=event.trading_day,
        unexplained=event.unexplained,
    )


def _observation(order: Order, *, desk: Desk, status: SessionStatus) -> evidence.Observation:
    sent = order.events.get(kind=EventKind.SENT)
    here = desk.session(status.connection)
    # Said on this connection: an earlier answer may be older than the write.
    disowned = order.events.filter(kind=EventKind.ERROR_REPORTED, payload__code=NOT_FOUND, session=here)
    return evidence.Observation(
        epoch=desk.epoch,
        connection=status.connection,
        rounds=desk.rounds.count,
        settled_for=timedelta(seconds=desk.rounds.last),
        offered_order_id=_first_offer_after(sent, gateway=desk.gateway),
        trading_day=status.trading_day(clock.database_now()),
        unexplained=unexplained(order.account_id, symbol=order.symbol, security_type=order.security_type),
        disowned=disowned.exists(),
    )


def _first_offer_after(sent: OrderEvent, *, gateway: str) -> int | None:
    """The order id that the gateway offered on the first connection after a claim's."""
    epoch, number = sent.payload["epoch"], sent.payload["connection"]
    later = GatewayConnection.objects.filter(Q(epoch__gt=epoch) | Q(epoch=epoch, number__gt=number), session=gateway)
    return later.order_by("epoch", "number").values_list("offered_order_id", flat=True).first()
