"""The same Idempotency-Key with the same body: answered again, never done again."""

from orders import answers, cancelling, intake, placing
from orders.answers import Answer
from orders.intake import Replay
from orders.models import OrderRequest


def answer(replay: Replay) -> Answer:
    """What the first request was told, brought up to date if that was not the last word."""
    request, last = replay.request, replay.answer
    if last is not None and last.settled:
        orders = [request.cancels] if request.cancels else list(request.orders.order_by("pk"))
        return Answer(status_code=last.status_code, body=last.body, orders=orders, replayed=True)
    now = _as_of_now(request)
    intake.answer(request, status_code=now.status_code, body=now.body, settled=now.settled)
    return Answer(status_code=now.status_code, body=now.body, orders=now.orders, settled=now.settled, replayed=True)


def _as_of_now(request: OrderRequest) -> Answer:
    if request.cancels is not None:
        order = request.cancels
        assert order.perm_id is not None  # by which it was found
        return answers.to_cancel(cancelling.conclude(order), perm_id=order.perm_id)
    return answers.to_placement(placing.conclude(request), kind=request.endpoint.rpartition("/")[2])
