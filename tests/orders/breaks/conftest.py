from datetime import UTC, datetime

import pytest
from django.utils import timezone

from accounts.models import GatewayConnection
from gateway.reports import AnswerComplete, PositionReport, Query
from orders import reports
from orders.breaks import reconciliation, runs
from orders.breaks.hearing import Hearing
from tests.orders.builders import AAPL, ACCOUNT, CLIENT_ID, GATEWAY
from tests.orders.conftest import RecordingBroker


class TellingBroker(RecordingBroker):
    """Answers each question with `tells[query]`, applied and heard as the owner's consumer does."""

    def __init__(self, *, page):
        super().__init__()
        self.hearing = Hearing(page=page)
        self.tells = {}
        self.after = {}  # what happens at the end of an answer, once

    def ask(self, query, *, timeout, connection=None):
        if self.failure is not None:
            raise self.failure
        self.asked.append(query)
        started_at = datetime.now(UTC)
        for report in self.tells.get(query, ()):
            self.tell(report)
        common = {"connection": self.connection, "received_at": started_at, "started_at": started_at}
        self.tell(AnswerComplete(query=query, **common))
        self.after.pop(query, lambda: None)()

    def tell(self, report):
        reports.apply_report(report, session="default/17/1/1", client_id=CLIENT_ID)
        self.hearing.apply(report)

    def list(self, *, open_orders=(), completed=(), executions=(), positions=()):
        """From now on the broker lists these, and nothing else."""
        self.tells = {
            Query.ALL_OPEN_ORDERS: open_orders,
            Query.COMPLETED_ORDERS: completed,
            Query.EXECUTIONS: executions,
            Query.POSITIONS: positions,
        }


@pytest.fixture(params=[1, 100], ids=["one by one", "by pages"])
def broker(request):
    """What is told is compared in pages: how long they are must not matter."""
    return TellingBroker(page=request.param)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(reconciliation, "CONFIRM_SECONDS", 0)


@pytest.fixture
def reconcile(desk, broker):
    """Run the reconciliation once; the run as it ended."""
    GatewayConnection.objects.create(
        session_id=GATEWAY, epoch=1, number=1, offered_order_id=1, opened_at=timezone.now()
    )

    def once():
        run = runs.request(GATEWAY, by="test")
        reconciliation.work(desk, broker.hearing)
        run.refresh_from_db()
        return run

    return once


def position(quantity, **changes):
    values = {"account": ACCOUNT, "contract": AAPL, "quantity": quantity, "average_cost": None}
    return PositionReport(connection=1, received_at=timezone.now(), **values | changes)
