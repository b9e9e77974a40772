"""What can truthfully be said about a request now, read from its rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orders.models import Order
from orders.vocabulary import FINAL, OrderStatus

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
    """`orders` in the request's own order; `reason` in words for the client."""

    verdict: Verdict
    orders: Sequence[Order]
    reason: str = ""

    @property
    def perm_ids(self) -> list[int]:
        return [order.perm_id for order in self.orders if order.perm_id]


def of_placement(request_pk: int) -> Outcome:
    """Placed only when the broker acknowledged every leg; failed only when no leg can be working."""
    orders = list(Order.objects.filter(request_id=request_pk).order_by("pk"))
    if all(_was_acknowledged(order) for order in orders):
        return Outcome(verdict=Verdict.DONE, orders=orders)
    culprit = next((order for order in orders if order.status in NEVER_THERE), None)
    culprit = culprit or next((order for order in orders if order.status == OrderStatus.CANCELED), None)
    if culprit is not None and all(order.status in FINAL for order in orders):
        return Outcome(verdict=Verdict.FAILED, orders=orders, reason=culprit.reason or "cancelled by the broker")
    if any(order.status == OrderStatus.IN_DOUBT for order in orders):
        return Outcome(verdict=Verdict.UNKNOWN, orders=orders)
    return Outcome(verdict=Verdict.PENDING, orders=orders)


def of_cancel(order_pk: int) -> Outcome:
    """Cancelled only when the broker said so."""
    order = Order.objects.get(pk=order_pk)
    if order.status == OrderStatus.CANCELED:
        verdict = Verdict.DONE
    elif order.status in FINAL:
        verdict = Verdict.GONE
    elif order.status == OrderStatus.PENDING_CANCEL:
        verdict = Verdict.PENDING
    else:
        verdict = Verdict.FAILED
    return Outcome(verdict=verdict, orders=[order], reason=_cancel_refusal(order) if verdict is Verdict.FAILED else "")


def _was_acknowledged(order: Order) -> bool:
    """A cancelled order was acknowledged too, if the broker first took it: then somebody cancelled it since."""
    if order.status == OrderStatus.CANCELED:
        return order.events.filter(to_status__in=ACKNOWLEDGED).exists()
    return order.status in ACKNOWLEDGED and bool(order.perm_id)


def _cancel_refusal(order: Order) -> str:
    refusal = order.events.filter(kind="CANCEL_REJECTED").order_by("-sequence").first()
    return str(refusal.payload.get("reason", "")) if refusal else ""
