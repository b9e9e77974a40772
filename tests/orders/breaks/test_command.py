"""manage.py reconcile, against a worker in a thread."""

import threading
from contextlib import contextmanager
from decimal import Decimal as D
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from gateway.errors import QueryTimedOut
from orders import tasks
from orders.breaks import reconciliation
from orders.breaks.models import Break, ReconciliationRun
from orders.management.commands import reconcile as command
from tests.orders.breaks.conftest import position
from tests.orders.builders import GATEWAY, session_row
from tests.orders.factories import order_in

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def working(desk, broker):
    over = threading.Event()

    def work():
        while not over.wait(0.02):
            reconciliation.work(desk, broker.hearing)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def reconcile(**options):
    """Exit code and what was said."""
    out = StringIO()
    try:
        call_command("reconcile", stdout=out, **{"wait": 20} | options)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def test_books_that_agree(desk, broker):
    broker.list(positions=[position(D(5))])

    with working(desk, broker):
        code, said = reconcile()

    assert code == 0
    assert "Compared 0 orders, 0 executions, 1 positions: 0 opened, 0 closed." in said
    assert "The books agree." in said
    assert "looked at twice" in said or ReconciliationRun.objects.get().finished_at


def test_open_breaks(desk, broker):
    order_in("NEW")

    with working(desk, broker):
        code, said = reconcile()

    assert code == 1
    assert "1 opened" in said
    assert "Critical: break" in said
    assert "expected New, actual not listed" in said
    assert said.endswith("1 open break: see /admin/orders/break/")


def test_the_broker_cannot_be_asked(desk, broker):
    broker.failure = QueryTimedOut("the gateway did not answer")

    with working(desk, broker):
        code, said = reconcile()

    assert code == 2
    assert "nothing was opened or closed: the gateway did not answer" in said
    assert not Break.objects.exists()


def test_nobody_takes_it_up(desk):
    code, said = reconcile(wait=0.1)

    assert code == 2
    assert command.NOBODY in said
    assert ReconciliationRun.objects.get().reason == command.NOBODY


def test_it_takes_longer_than_one_waits(desk, monkeypatch):
    run = command.runs.request(GATEWAY, by="schedule")
    monkeypatch.setattr(command.runs, "withdraw", lambda *_args, **_kwargs: False)

    code, said = reconcile(wait=0.1)

    assert code == 2
    assert f"Reconciliation #{run.pk} is still running after 0.1 s" in said


def test_a_gateway_nobody_knows(desk):
    code, said = reconcile(gateway="elsewhere")

    assert code == 2
    assert "no worker of a gateway named elsewhere has reported yet (known: default)" in said


def test_quiet(desk, broker):
    with working(desk, broker):
        code, said = reconcile(verbosity=0)

    assert (code, "Asked" in said) == (0, False)


def test_the_schedule_asks_by_a_row():
    session_row()

    tasks.compare_books()
    tasks.compare_books()

    assert ReconciliationRun.objects.get().requested_by == "schedule"
