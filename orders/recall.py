"""Cancelling what works at the broker when trading is halted: each order asked for by itself, each outcome kept.

Rules
1. After the halt was committed, never before: nothing new comes in behind the back of this.
2. Only orders that we may cancel: acknowledged, and of our client id. Why another is not is kept in its row.
3. Asked for is not cancelled: what became of each order is in its own events.
"""

import logging
from collections.abc import Sequence

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.halts.models import Halt, HaltedOrder, Scope
from accounts.halts.switch import KEY
from database.clock import database_now
from orders import events, journal, tasks
from orders.doorbell import ring
from orders.models import Order
from orders.vocabulary import OrderStatus

log = logging.getLogger(__name__)

TO_CANCEL = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
NOT_KNOWN = frozenset({OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT})
STANDING = (*TO_CANCEL, *NOT_KNOWN, OrderStatus.PENDING_CANCEL)


def recall(halt: Halt, *, actor: str, request_id: str = "") -> Sequence[HaltedOrder]:
    """Ask for the cancellation of every order within a halt that may be working; what came of asking, for each.

    Safe to call again: an order that was asked for with this halt is left.
    """
    done = halt.orders.values("order")
    orders = _within(halt).filter(status__in=STANDING).exclude(pk__in=done).order_by("pk")
    return [_recall(order, halt, actor=actor, request_id=request_id) for order in orders]


def _within(halt: Halt) -> QuerySet[Order]:
    scopes = {
        Scope.ALL: Q(),
        Scope.ACCOUNT: Q(account=halt.value),
        Scope.SYMBOL: Q(symbol=halt.value),
        Scope.KEY: Q(request__actor=f"{KEY}{halt.value}"),
    }
    return Order.objects.filter(scopes[Scope(halt.scope)], account__session_id=settings.GATEWAY_NAME)


def _recall(order: Order, halt: Halt, *, actor: str, request_id: str) -> HaltedOrder:
    problem = _problem(order)
    if not problem and order.status != OrderStatus.PENDING_CANCEL:
        asked = events.CancelRequested(reason=f"halt #{halt.pk}: {halt.reason}")
        origin = journal.Origin(actor=actor, request_id=request_id)
        if journal.record(order.pk, asked, origin=origin, only_from=TO_CANCEL) is None:
            problem = "it changed in this moment; its page says what became of it"
        else:
            ring(tasks.cancel_order, order.pk)
    return HaltedOrder.objects.create(halt=halt, order=order.pk, asked_at=database_now(), problem=problem)


def _problem(order: Order) -> str:
    """Why the order cannot be cancelled from here; empty when it can."""
    if order.status in NOT_KNOWN:
        return "whether the broker has it is not known yet"
    if order.client_id != settings.IB_CLIENT_ID:
        return f"it belongs to client {order.client_id} of the gateway: cancel it where it was placed, or in TWS"
    return ""
