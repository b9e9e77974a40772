"""The orders that are pending now, as the broker lists them at this moment and in the API guide's words.

Rules
1. The broker is asked anew, for everybody's orders, and the answer waited for. No answer is not an empty list.
2. An order of ours that was sent and is not acknowledged yet is listed too: it may be working. So is one in doubt.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from accounts.access.callers import Caller, account_for
from accounts.access.models import Scope
from accounts.freshness import NotConnected, require_fresh
from accounts.models import GatewaySession
from gateway import dialect
from orders import tasks, waiting, wanted
from orders.doorbell import ring
from orders.models import Order, OrderEvent
from orders.vocabulary import WORKING, EventKind, OrderStatus

ANSWER_SECONDS = 3.0
UNACKNOWLEDGED = frozenset({OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT})
NO_TRIGGER = "—"
# What is read of an order: there may be a thousand.
READ = (
    *("broker_order_id", "perm_id", "symbol", "side", "quantity", "order_type", "stop_price", "limit_price"),
    *("status", "broker_status"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOrder:
    """One row of GET /orders. `type` is IB's word; `in_doubt` is true or None."""

    order_id: int
    perm_id: int
    symbol: str
    action: str
    quantity: Decimal
    type: str
    trigger: Decimal | str
    status: str
    in_doubt: bool | None


@dataclass(frozen=True, slots=True)
class Listing:
    orders: list[PendingOrder]
    as_of: datetime


def list_orders(caller: Caller) -> Listing:
    """Everybody's pending orders of the caller's account. Raises: NotConnected, NoAccount, NotGranted."""
    session = require_fresh(settings.GATEWAY_NAME)
    account = account_for(caller, Scope.READ, session=session, configured=settings.IB_ACCOUNT)
    as_of, perm_ids = _ask()
    acknowledged_since = OrderEvent.objects.filter(
        order=OuterRef("pk"), kind__in=(EventKind.ACCEPTED, EventKind.ADOPTED), recorded_at__gte=as_of
    )
    listed = Order.objects.filter(
        Q(perm_id__in=perm_ids) | Q(status__in=UNACKNOWLEDGED) | Exists(acknowledged_since),
        account=account,
        status__in=WORKING,
    )
    return Listing([pending(order) for order in listed.order_by("pk").only(*READ)], as_of)


def pending(order: Order) -> PendingOrder:
    """The order in the guide's words."""
    return PendingOrder(
        order_id=order.broker_order_id or 0,
        perm_id=order.perm_id or 0,
        symbol=order.symbol,
        action=order.side,
        quantity=order.quantity,
        type=dialect.ib_order_type(order.order_type),
        # The stop price sets off whatever has one, be it limited or not.
        trigger=order.stop_price or order.limit_price or NO_TRIGGER,
        status=_status(order),
        in_doubt=order.status == OrderStatus.IN_DOUBT or None,
    )


def _status(order: Order) -> str:
    """One of the guide's four. What IB calls otherwise (PendingCancel) still stands at the exchange."""
    if order.status in UNACKNOWLEDGED:
        return "PENDINGSUBMIT"
    word = order.broker_status.upper()
    return word if word in dialect.PENDING_WORDS else "SUBMITTED"


def _ask() -> tuple[datetime, list[int]]:
    """When the broker listed its open orders, not before now, and their permanent ids. Raises: NotConnected."""
    sessions = GatewaySession.objects.filter(pk=settings.GATEWAY_NAME)
    number = wanted.open_orders(settings.GATEWAY_NAME)
    session = waiting.until(
        sessions.get,
        begin=lambda: ring(tasks.list_open_orders),
        key=waiting.open_orders(settings.GATEWAY_NAME),
        done=lambda seen: seen.open_orders_listed >= number,
        seconds=ANSWER_SECONDS,
    )
    if session.open_orders_as_of is None or session.open_orders_listed < number:
        raise NotConnected("the broker did not list its open orders in time")
    return session.open_orders_as_of, session.open_perm_ids
