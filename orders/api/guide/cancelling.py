"""A cancellation from the request to its answer. The same two rules as in placing; a cancel may be repeated safely."""

import logging

from django.conf import settings

from accounts.access.callers import Caller
from accounts.access.models import Scope
from accounts.freshness import require_fresh
from orders import intake, journal, outcomes, tasks, waiting
from orders.api.guide import answers
from orders.api.guide.answers import Answer
from orders.doorbell import ring
from orders.intake import Asked
from orders.models import Order, OrderRequest
from orders.outcomes import Outcome, Verdict

log = logging.getLogger(__name__)


def cancel(asked: Asked, *, perm_id: int, caller: Caller) -> Answer:
    """Cancel the order with that permanent id. One in an account that is not the caller's is not there.

    Raises, with nothing persisted: NotConnected, OrderNotFound, NotOurs, KeyReused, KeyInProgress, Replay.
    """
    require_fresh(settings.GATEWAY_NAME)
    within = caller.within(Scope.CANCEL, "account")
    request = intake.request_cancel(asked, perm_id=perm_id, client_id=settings.IB_CLIENT_ID, within=within)
    order = request.cancels
    assert order is not None  # that is what request_cancel is for
    try:
        ring(tasks.cancel_order, order.pk)
        _wait(order)
        outcome = conclude(request, order)
        return answers.keep(answers.to_cancel(outcome, perm_id=perm_id), request, about=order, at=outcome.at)
    except Exception:
        log.exception("what became of request %s could not be read", request.pk)
        return answers.unknown_cancel(order)


def conclude(request: OrderRequest, order: Order) -> Outcome:
    """The outcome of a cancellation that is waited for no longer: one that was not sent by now is taken back."""
    outcome = outcomes.of_cancel(order.pk)
    if outcome.verdict is Verdict.PENDING and intake.withdraw_cancel(order.pk, actor=request.actor):
        return outcomes.of_cancel(order.pk)
    return outcome


def _wait(order: Order) -> None:
    waiting.until(
        lambda: outcomes.of_cancel(order.pk),
        key=journal.topic(order),
        done=lambda seen: seen.verdict is not Verdict.PENDING,
        seconds=settings.CANCEL_WAIT_SECONDS,
    )
