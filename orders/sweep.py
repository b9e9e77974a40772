"""What lost doorbells leave behind, found again: run by the owner several times a second, and by beat."""

import logging
import time

from django.db.models import F, Q

from accounts.models import GatewaySession
from gateway.errors import GatewayError
from gateway.reports import Query, SessionState
from orders import dispatch, reconcile
from orders.desk import Desk

log = logging.getLogger(__name__)


def sweep(desk: Desk) -> None:
    """Do all that is due and that nobody rang for."""
    dispatch.close_uncommitted(desk=desk)
    dispatch.expire_unsent()
    status = desk.broker.status()
    if status.state is not SessionState.READY:
        return
    for request_pk in dispatch.waiting_requests():
        dispatch.submit(request_pk, desk=desk)
    dispatch.withdraw_broken_brackets()
    for order_pk in dispatch.unsent_cancels(desk=desk):
        dispatch.cancel(order_pk, desk=desk)
    try:
        if _open_orders_wanted(desk):
            desk.broker.ask(Query.ALL_OPEN_ORDERS, timeout=reconcile.QUESTION_SECONDS)
        reconcile.settle(desk)
    except GatewayError as error:
        log.warning("the sweep's question went unanswered: %s", error)
        time.sleep(1)


def _open_orders_wanted(desk: Desk) -> bool:
    newer = Q(open_orders_wanted_at__gt=F("open_orders_as_of")) | Q(
        open_orders_wanted_at__isnull=False, open_orders_as_of__isnull=True
    )
    return GatewaySession.objects.filter(newer, pk=desk.gateway).exists()
