"""What lost doorbells leave behind, found again: run by the owner several times a second, and by beat."""

import logging
import time
from collections.abc import Callable

from django.db import Error
from django.db.models import F
from django.db.models.functions import Greatest

from accounts.halts import switch
from accounts.models import GatewaySession
from database import prepared
from gateway.errors import GatewayError
from gateway.reports import Query, SessionState
from orders import claims, dispatch, reconcile, sync, waiting, withdrawal
from orders.desk import Desk
from orders.models import Order
from orders.vocabulary import Actor

log = logging.getLogger(__name__)


WANTED = prepared.Query(
    lambda gateway: GatewaySession.objects.filter(
        pk=gateway, open_orders_wanted__gt=F("open_orders_listed")
    ).values_list("open_orders_wanted")
)


def sweep(desk: Desk) -> None:
    """Do all that is due and that nobody rang for. What fails for one order does not keep the others waiting."""
    dispatch.close_uncommitted(desk=desk)
    withdrawal.expire_unsent()
    if desk.broker.status().state is not SessionState.READY:
        return
    withdrawal.withdraw_broken_brackets()
    for order_pk in dispatch.unsent_cancels(desk=desk):
        _each(dispatch.cancel, order_pk, desk=desk)
    for request_pk in dispatch.waiting_requests(desk=desk):
        if request_pk not in desk.ready:  # where it is, a thread of its own sees to it
            _each(dispatch.submit, request_pk, desk=desk)


def _each(act: Callable[..., None], pk: int, *, desk: Desk) -> None:
    try:
        act(pk, desk=desk)
    except Error:
        raise  # the database concerns all of them
    except Exception:
        log.exception("%s of %s failed; it is tried again", act.__name__, pk)


def inquire(desk: Desk) -> None:
    """Put the questions that are due; a thread of its own may wait for the answers."""
    if desk.broker.status().state is not SessionState.READY:
        return
    try:
        list_open_orders(desk)
        sync.sync(desk)
        reconcile.settle(desk)
    except GatewayError as error:
        log.warning("a question went unanswered and is put again: %s", error)
        time.sleep(1)


def list_open_orders(desk: Desk) -> None:
    """Ask for everybody's open orders, if somebody wants to know since they were last listed. Raises: GatewayError."""
    behind = WANTED.rows(desk.gateway)
    if not behind:
        return
    ((number,),) = behind
    sessions = GatewaySession.objects.filter(pk=desk.gateway)
    desk.broker.ask(Query.ALL_OPEN_ORDERS, timeout=reconcile.QUESTION_SECONDS)
    sessions.update(open_orders_listed=Greatest(F("open_orders_listed"), number))
    waiting.announce(waiting.open_orders(desk.gateway))


def withdraw_halted(desk: Desk) -> None:
    """Close the orders that wait where trading was halted meanwhile; whether the session is there or not."""
    if not switch.is_anything_halted():
        return
    for request_pk in dispatch.waiting_requests(desk=desk):
        order = Order.objects.filter(request_id=request_pk).select_related("request").order_by("pk").first()
        if order is not None and (reason := claims.halted(order)):
            withdrawal.withdraw(request_pk, reason=reason, actor=Actor.WORKER)
