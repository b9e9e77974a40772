"""A worker for tests, in a thread: the real dispatch, sweep and reports; only the broker is the fake of conftest.

with working(desk): ...                         acknowledges what is placed, confirms what is cancelled
with working(desk, answer=quiet): ...           sends, and hears nothing
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import GatewaySession
from orders import dispatch, reports
from orders.desk import Desk
from orders.models import Order
from orders.vocabulary import EventKind, OrderStatus
from tests.orders.builders import CLIENT_ID, open_order, order_status

_perm_ids = count(1788680597)
SESSION = "default/17/1/1"


def tell(report) -> None:
    """The broker says so."""
    reports.apply_report(report, session=SESSION, client_id=CLIENT_ID)


def acknowledge(order: Order) -> None:
    if order.status == OrderStatus.PENDING_NEW:
        tell(open_order(order, perm_id=next(_perm_ids)))
    elif order.status == OrderStatus.PENDING_CANCEL:
        tell(order_status(order.perm_id, "Cancelled"))


def quiet(order: Order) -> None:
    """Says nothing."""


@contextmanager
def working(
    desk: Desk, *, answer: Callable[[Order], None] = acknowledge, open_perm_ids: list[int] | None = None
) -> Iterator[None]:
    """A worker that lives as long as the block; `open_perm_ids`: what the broker lists when asked for open orders."""
    over = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not over.wait(0.01):
                _look(desk, answer, open_perm_ids)
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="test-worker")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failures


def _look(desk: Desk, answer: Callable[[Order], None], open_perm_ids: list[int] | None) -> None:
    for request_pk in dispatch.waiting_requests(desk=desk):
        dispatch.submit(request_pk, desk=desk)
    for order_pk in dispatch.unsent_cancels(desk=desk):
        dispatch.cancel(order_pk, desk=desk)
    sent = {"events__sequence": F("last_sequence"), "events__kind__in": (EventKind.SENT, EventKind.CANCEL_SENT)}
    for order in Order.objects.filter(**sent).order_by("pk"):
        answer(order)
    if open_perm_ids is not None:
        GatewaySession.objects.update(
            open_orders_as_of=timezone.now(), open_perm_ids=open_perm_ids, open_orders_listed=F("open_orders_wanted")
        )
