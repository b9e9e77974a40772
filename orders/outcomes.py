"""What can truthfully be said about a request now, read from its rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from database import prepared
from orders.models import Order
from orders.vocabulary import FINAL, OrderStatus

# Looked at again and again while a client waits.
OF_REQUEST = prepared.Selection(Order, "request_id = %(request)s ORDER BY id")
WITH_KEY = prepared.Selection(Order, "id = %(order)s")
CONNECTION_FAILED = "Failed to connect to IB Gateway"
ACKNOWLEDGED = frozenset(
    {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.EXPIRED}
)
NEVER_THERE = frozenset({OrderStatus.NOT_PLACED, OrderStatus.REJECTED, OrderStatus.DENIED})


class Verdict(StrEnum):
    PENDING = "pending"  # may still change within the wait
    DONE = "done"  # placed, or cancelled
    FAILED = "failed"  # certain that it is not so
    GONE = "gone"  # a cancel that came too late
    UNKNOWN = "unknown"  # cannot be told now


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`orders` in the request's own order; `reason` in words for the client; `at`: when, by the database's clock."""

    verdict: Verdict
    orders: Sequence[Order]
    at: datetime
    reason: str = ""

    @property
    def perm_ids(self) -> list[int]:
        return [order.perm_id for order in self.orders if order.perm_id]


def of_placement(request_pk: int) -> Outcome:
    """Placed only when the broker acknowledged every leg; failed only when no leg can be working."""
    found = OF_REQUEST.read(request=request_pk)
    orders, at = [order for order, _ in found], found[-1][1]
    if all(_was_acknowledged(order) for order in orders):
        return Outcome(verdict=Verdict.DONE, orders=orders, at=at)
    culprit = next((order for order in orders if order.status in NEVER_THERE), None)
    culprit = culprit or next((order for order in orders if order.status == OrderStatus.CANCELED), None)
    if culprit is not None and all(order.status in FINAL for order in orders):
        reason = culprit.reason or "cancelled by the broker"
        return Outcome(verdict=Verdict.FAILED, orders=orders, at=at, reason=reason)
    if any(order.status == OrderStatus.IN_DOUBT for order in orders):
        return Outcome(verdict=Verdict.UNKNOWN, orders=orders, at=at)
    return Outcome(verdict=Verdict.PENDING, orders=orders, at=at)


def of_cancel(order_pk: int) -> Outcome:
    """Cancelled only when the broker said so."""
    ((order, at),) = WITH_KEY.read(order=order_pk)
    if order.status == OrderStatus.CANCELED:
        verdict = Verdict.DONE
    elif order.status in FINAL:
        verdict = Verdict.GONE
    elif order.status == OrderStatus.PENDING_CANCEL:
        verdict = Verdict.PENDING
    else:
        verdict = Verdict.FAILED
    reason = _cancel_refusal(order) if verdict is Verdict.FAILED else ""
    return Outcome(verdict=verdict, orders=[order], at=at, reason=reason)


def _was_acknowledged(order: Order) -> bool:
    """A cancelled order was acknowledged too, if the broker first took it: then somebody cancelled it since."""
    if order.status == OrderStatus.CANCELED:
        return order.events.filter(to_status__in=ACKNOWLEDGED).exists()
    return order.status in ACKNOWLEDGED and bool(order.perm_id)


def _cancel_refusal(order: Order) -> str:
    refusal = order.events.filter(kind="CANCEL_REJECTED").order_by("-sequence").first()
    return str(refusal.payload.get("reason", "")) if refusal else ""
