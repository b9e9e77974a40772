"""The same Idempotency-Key with the same body: answered again, never done again."""

from dataclasses import replace

from orders import intake
from orders.api.guide import answers, cancelling, placing
from orders.api.guide.answers import Answer
from orders.intake import Asked, Replay
from orders.models import OrderRequest, RequestAnswer


def answer(replay: Replay, asked: Asked) -> Answer:
    """What the first request was told, brought up to date if that was not the last word."""
    found = _answer(replay.request, replay.answer)
    intake.repeat(
        asked, replay.request, status_code=found.status_code, body=found.body, about=next(iter(found.orders), None)
    )
    return replace(found, replayed=True)


def _answer(request: OrderRequest, last: RequestAnswer | None) -> Answer:
    if last is not None and last.settled:
        orders = [request.cancels] if request.cancels else list(request.orders.order_by("pk"))
        return Answer(status_code=last.status_code, body=last.body, orders=orders)
    now = _as_of_now(request)
    return answers.keep(now, request, about=next(iter(now.orders), None))


def _as_of_now(request: OrderRequest) -> Answer:
    if request.cancels is not None:
        order = request.cancels
        assert order.perm_id is not None  # by which it was found
        return answers.to_cancel(cancelling.conclude(request, order), perm_id=order.perm_id)
    return answers.to_placement(placing.conclude(request), kind=request.endpoint.rpartition("/")[2])
