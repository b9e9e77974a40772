"""What lost doorbells leave behind, found again: run by the owner several times a second, and by beat."""

import logging
import time

from django.db.models import F
from django.db.models.functions import Greatest

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


def inquire(desk: Desk) -> None:
    """Put the questions that are due; a thread of its own may wait for the answers."""
    if desk.broker.status().state is not SessionState.READY:
        return
    try:
        list_open_orders(desk)
        reconcile.settle(desk)
    except GatewayError as error:
        log.warning("a question went unanswered and is put again: %s", error)
        time.sleep(1)


def list_open_orders(desk: Desk) -> None:
    """Ask for everybody's open orders, if somebody wants to know since they were last listed. Raises: GatewayError."""
    sessions = GatewaySession.objects.filter(pk=desk.gateway)
    behind = sessions.filter(open_orders_wanted__gt=F("open_orders_listed"))
    number = behind.values_list("open_orders_wanted", flat=True).first()
    if number is None:
        return
    desk.broker.ask(Query.ALL_OPEN_ORDERS, timeout=reconcile.QUESTION_SECONDS)
    sessions.update(open_orders_listed=Greatest(F("open_orders_listed"), number))
