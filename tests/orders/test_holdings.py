from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Position
from gateway.reports import AnswerComplete, Query
from orders import holdings
from orders.models import UnexplainedHolding
from orders.reports import apply_report
from tests.orders.builders import ACCOUNT, CLIENT_ID, GATEWAY, NOW, execution, session_row

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def account(db):
    return session_row()


def hold(quantity):
    values = {"symbol": "AAPL", "security_type": "STK", "currency": "USD", "as_of": timezone.now()}
    Position.objects.update_or_create(account_id=ACCOUNT, con_id=265598, defaults=values | {"quantity": quantity})


def executed(side, quantity, **changes):
    report = execution(side=side, quantity=Decimal(quantity), perm_id=4242, order_ref="typed", **changes)
    apply_report(report, session="", client_id=CLIENT_ID)


def positions_listed():
    report = AnswerComplete(connection=1, received_at=NOW, query=Query.POSITIONS, started_at=NOW)
    holdings.apply_report(report, gateway=GATEWAY)


def unexplained(symbol="AAPL"):
    return holdings.unexplained(ACCOUNT, symbol=symbol, security_type="STK")


def test_nothing_known_is_nothing_unexplained():
    positions_listed()

    assert unexplained() == 0


def test_a_holding_from_before_the_record():
    hold(25)
    executed("BUY", 10)
    executed("SELL", 4)
    positions_listed()

    assert unexplained() == 19


def test_a_closed_position_explained_by_its_executions():
    executed("BUY", 10)
    executed("SELL", 10)
    positions_listed()

    assert (unexplained(), UnexplainedHolding.objects.count()) == (0, 0)


def test_a_correction_counts_as_corrected():
    hold(3)
    executed("BUY", 4, exec_id="e7.01.01")
    executed("BUY", 3, exec_id="e7.01.02")
    positions_listed()

    assert unexplained() == 0


def test_the_figure_is_of_the_moment_positions_were_listed():
    executed("BUY", 10)  # its position is not told yet
    positions_listed()
    assert unexplained() == -10

    hold(10)
    assert unexplained() == -10

    positions_listed()
    assert unexplained() == 0


def test_other_reports_take_no_figures():
    hold(5)

    report = AnswerComplete(connection=1, received_at=NOW, query=Query.EXECUTIONS, started_at=NOW)
    holdings.apply_report(report, gateway=GATEWAY)

    assert unexplained() == 0
