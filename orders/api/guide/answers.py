"""What a client is told: an outcome in the words of the API guide.

Rules
1. Placed or cancelled is said only of what the broker confirmed; the guide's connection error only where it is certain
   that nothing was sent, nor will be.
2. What cannot be told yet is said to be so, with our order ids. Such an answer is not settled: a replay looks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orders import intake
from orders.models import Order, OrderRequest
from orders.outcomes import CONNECTION_FAILED, Outcome, Verdict
from orders.vocabulary import OrderStatus

GONE = "Order not found or already filled"
# IB's refusals of a cancellation that mean: there is no such order any more (not found; no longer to be cancelled).
GONE_CODES = frozenset({10147, 10148})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer in plain values; `settled` is false while a later look could give another."""

    status_code: int
    body: dict[str, Any]
    orders: Sequence[Order] = field(default=())
    settled: bool = True
    replayed: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """Facts beside the guide's body: our order ids and their states, in the order of the legs."""
        facts = {"Idempotent-Replayed": "true"} if self.replayed else {}
        if self.orders:
            facts["X-Order-Id"] = ",".join(str(order.pk) for order in self.orders)
            facts["X-Order-State"] = ",".join(order.status for order in self.orders)
        return facts


def keep(answer: Answer, request: OrderRequest, *, about: Order | None, at: datetime | None = None) -> Answer:
    """Write down that this is what the client is told; `about` and `at` as `intake.answer` has them."""
    intake.answer(request, status_code=answer.status_code, body=answer.body, settled=answer.settled, about=about, at=at)
    return answer


def to_placement(outcome: Outcome, *, kind: str) -> Answer:
    """`kind` is the guide's word: limit, market, stop, bracket."""
    if outcome.verdict is Verdict.DONE:
        ids = outcome.perm_ids
        placed = {"permIds": ids} if kind == "bracket" else {"permId": ids[0]}
        status = f"✅ {kind.capitalize()} order sent"
        return Answer(status_code=200, body={"status": status, **placed}, orders=outcome.orders)
    if outcome.verdict is Verdict.FAILED:
        denied = any(order.status == OrderStatus.DENIED for order in outcome.orders)
        failed = outcome.reason
        if failed != CONNECTION_FAILED:
            failed = f"Failed to place {kind} order: {failed}"
        return Answer(status_code=403 if denied else 500, body={"detail": failed}, orders=outcome.orders)
    return unknown(outcome.orders)


def to_cancel(outcome: Outcome, *, perm_id: int) -> Answer:
    orders = outcome.orders
    done = {"status": f"✅ Order {perm_id} cancelled"}
    match outcome.verdict:
        case Verdict.DONE:
            return Answer(status_code=200, body=done, orders=orders)
        case Verdict.FAILED if _refusal_code(orders[0]) not in GONE_CODES:
            refused = outcome.reason or "The broker refused to cancel the order"
            return Answer(status_code=500, body={"detail": refused}, orders=orders)
        case Verdict.FAILED | Verdict.GONE:
            return Answer(status_code=404, body={"detail": GONE}, orders=orders)
        case _:
            body = {**done, "order_status": "PENDINGCANCEL"}
            return Answer(status_code=200, body=body, orders=orders, settled=False)


def unknown_cancel(order: Order) -> Answer:
    detail = (
        f"Whether order {order.perm_id} is cancelled is not known yet: GET /orders shows it while it stands. "
        "The request may be repeated: cancelling twice does no harm."
    )
    return Answer(status_code=500, body={"detail": detail}, orders=[order], settled=False)


def unknown(orders: Sequence[Order]) -> Answer:
    """Handed to the broker, perhaps, and not heard of since."""
    ids = ", ".join(str(order.pk) for order in orders)
    detail = (
        f"The outcome is unknown: our order {ids} may have reached the broker, which has not confirmed it yet. "
        "Do not send it again: GET /orders shows it once it is confirmed, and repeating the request with the same "
        "Idempotency-Key tells what became of it."
    )
    return Answer(status_code=500, body={"detail": detail}, orders=orders, settled=False)


def _refusal_code(order: Order) -> int | None:
    refusal = order.events.filter(kind="CANCEL_REJECTED").order_by("-sequence").first()
    return refusal.payload.get("code") if refusal else None
