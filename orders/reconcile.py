"""Recover after a gap: ask the broker everything, adopt what it knows, and say what cannot be told.

Rules
1. Runs after every connect and restored link, before anything may be claimed.
2. Only the stamp identifies an order of ours; never "same symbol and size".
3. A question without its end marker concludes nothing: the recovery fails and is tried again.
4. What was claimed and is not known to the broker is IN_DOUBT: absence is not proof.
"""

import logging
from datetime import timedelta

from django.utils import timezone

from gateway.broker import Broker
from gateway.reports import Query
from orders import events, journal
from orders.models import Order
from orders.vocabulary import Actor, EventKind, OrderStatus

log = logging.getLogger(__name__)

QUESTION_SECONDS = 20.0
# Orders before executions, so that every execution finds its order.
ORDER_QUERIES = (Query.OPEN_ORDERS, Query.ALL_OPEN_ORDERS, Query.COMPLETED_ORDERS, Query.EXECUTIONS)
ACCOUNT_QUERIES = (Query.POSITIONS, Query.ACCOUNT)
# An acknowledgement takes milliseconds, and seconds at worst; after this a claim is looked into.
ACKNOWLEDGED_WITHIN = timedelta(seconds=20)


def recover(broker: Broker, *, client_id: int, session: str) -> None:
    """Bring the record in step with the broker. Raises: GatewayError when any question went unanswered."""
    for query in (*ORDER_QUERIES, *ACCOUNT_QUERIES):
        broker.ask(query, timeout=QUESTION_SECONDS)
    claimed = Order.objects.filter(status=OrderStatus.PENDING_NEW, client_id=client_id)
    for order_pk in claimed.values_list("pk", flat=True):
        _doubt(order_pk, session=session)


def settle(broker: Broker, *, client_id: int, session: str) -> None:
    """Look into claims of this very connection that the broker has not answered for too long."""
    since = timezone.now() - ACKNOWLEDGED_WITHIN
    overdue = Order.objects.filter(
        status=OrderStatus.PENDING_NEW,
        client_id=client_id,
        events__kind=EventKind.SENT,
        events__recorded_at__lt=since,
    )
    pks = list(overdue.values_list("pk", flat=True))
    if not pks:
        return
    for query in ORDER_QUERIES:
        broker.ask(query, timeout=QUESTION_SECONDS)
    for order_pk in pks:
        _doubt(order_pk, session=session)


def sync_executions(broker: Broker) -> None:
    """Ask for orders and executions; the answers are applied as they come. Raises: GatewayError."""
    for query in (Query.ALL_OPEN_ORDERS, Query.COMPLETED_ORDERS, Query.EXECUTIONS):
        broker.ask(query, timeout=QUESTION_SECONDS)


def _doubt(order_pk: int, *, session: str) -> None:
    order = journal.record(
        order_pk,
        events.InDoubt(reason="sent, and neither among the broker's open or completed orders nor its executions"),
        origin=journal.Origin(actor=Actor.WORKER, session=session),
        only_from=frozenset({OrderStatus.PENDING_NEW}),
    )
    if order is not None:
        log.critical("order %s is in doubt: whether the broker has it cannot be told", order_pk)
