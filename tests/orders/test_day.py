"""The day's answers: written a page at a time, and hardly looked at when they are repeated."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import OperationalError

from accounts.models import GatewaySession
from gateway.reports import (
    AnswerComplete,
    CommissionReport,
    Heard,
    Query,
    SessionChanged,
    SessionState,
)
from orders import fills
from orders.day import Day
from orders.errors import AnswerIncomplete
from orders.models import Commission, Execution, Order, OrderEvent
from orders.totals import ExecutedTotal
from tests.orders.assertions import assert_history
from tests.orders.builders import AAPL, ACCOUNT, GATEWAY, NOW, completed_order, execution, session_row
from tests.orders.factories import order_in
from tests.orders.worker import SESSION, tell

pytestmark = pytest.mark.django_db
END = AnswerComplete(connection=1, received_at=NOW, query=Query.EXECUTIONS, started_at=NOW)
HEARD = Heard(connection=1, received_at=NOW)
LOST = SessionChanged(connection=1, received_at=NOW, state=SessionState.DISCONNECTED, reason="gone")


@pytest.fixture(autouse=True)
def session(db):
    return session_row(epoch=1)


@pytest.fixture
def day():
    return Day(gateway=GATEWAY, epoch=1, page=10)


def told(count, *, order=None, first=1, **changes):
    """Parts of an answer: executions of one share, each with its commission behind it."""
    named = {"perm_id": order.perm_id} if order else {"perm_id": 99}
    for number in range(first, first + count):
        values = {"exec_id": f"0000e0d5.0000{number:04}.01.01", "quantity": Decimal(1), "live": False}
        report = execution(order, **values | named | changes)
        yield report
        yield paid(report)


def paid(report, amount="1.05"):
    return CommissionReport(
        connection=1,
        received_at=NOW,
        raw=("59",),
        exec_id=report.exec_id,
        commission=Decimal(amount),
        currency="USD",
        realized_pnl=None,
    )


def hear(day, *reports):
    return [day.gather(report, session=SESSION) for report in reports]


def tally():
    return GatewaySession.objects.get().executions_tally


def test_what_is_no_part_of_an_answer_has_its_turn(day):
    alone = execution()

    assert hear(day, HEARD, alone, paid(alone), LOST, END) == [False] * 5
    assert not Execution.objects.exists()


def test_a_page_is_written_before_what_comes_after_it(day):
    assert hear(day, *told(3)) == [True] * 6
    assert Execution.objects.count() == 0

    assert hear(day, HEARD) == [False]
    assert (Execution.objects.count(), Commission.objects.count()) == (3, 3)
    assert set(Execution.objects.values_list("source", flat=True)) == {"reqExecutions"}


def test_a_full_page_is_written(day):
    hear(day, *told(5))

    assert Execution.objects.count() == 5


def test_the_answer_is_tallied(day):
    order = order_in("NEW")
    hear(day, *told(2, order=order), END)
    assert tally() == {"new": 2, "commissions": 2}

    correction = execution(order, perm_id=order.perm_id, exec_id="0000e0d5.00000001.01.02", live=False)
    hear(day, *told(3, order=order), correction, END)
    assert tally() == {"known": 2, "new": 1, "corrections": 1, "commissions": 1}

    hear(day, END)
    assert tally() == {}


def test_many_fills_of_one_order_in_one_page(day):
    order = order_in("NEW")  # of ten
    hear(day, *told(12, order=order), END)

    assert_history(order, "received sent accepted " + "partial_fill " * 9 + "fill " * 3)
    assert (order.status, order.filled_quantity) == ("FILLED", 12)
    assert ExecutedTotal.objects.get().quantity == 12


def test_corrections_within_one_page(day):
    order = order_in("NEW")
    words = [
        execution(order, perm_id=order.perm_id, exec_id=f"a.b.01.{n:02}", quantity=Decimal(quantity), live=False)
        for n, quantity in ((2, 10), (1, 4), (3, 6), (3, 6), (4, 0), (5, 7))
    ]
    hear(day, *words, END)

    assert_history(order, "received sent accepted fill opened_by_correction trade_corrected trade_corrected")
    assert (order.status, order.filled_quantity, ExecutedTotal.objects.get().quantity) == ("PARTIALLY_FILLED", 7, 7)
    assert tally() == {"new": 1, "corrections": 4, "known": 1}


@pytest.mark.parametrize("count", [5, 40])
def test_a_repeated_day_costs_a_few_queries(day, django_assert_num_queries, count):
    order = order_in("NEW")
    done = [completed_order(perm_id=number, order_ref="x", status="Filled") for number in range(100, 100 + count)]
    answer = [*done, *told(count, order=order), END]
    hear(day, *answer)

    before = OrderEvent.objects.count()
    with django_assert_num_queries(2):  # the tally, and the rows of the orders
        hear(day, *answer)
    assert OrderEvent.objects.count() == before


def test_what_came_by_itself_is_not_looked_up(day, django_assert_num_queries):
    hear(day, *told(1), END)
    (bought, charge) = told(1, first=2)
    live = [replace(bought, live=True), charge]
    for report in live:
        tell(report)
    day.learn(live)

    with django_assert_num_queries(1):  # the tally
        hear(day, *told(2), END)
    assert tally() == {"known": 2}


def test_another_process_looks_once(day, django_assert_num_queries):
    hear(day, *told(9), END)
    after_a_restart = Day(gateway=GATEWAY, epoch=1)

    with django_assert_num_queries(3):
        hear(after_a_restart, *told(9), END)
    assert tally() == {"known": 9}


def test_what_was_forgotten_is_looked_up(django_assert_max_num_queries):
    day = Day(gateway=GATEWAY, epoch=1, page=4, remembered=2)
    hear(day, *told(20), END)
    hear(day, *told(20), END)

    assert (Execution.objects.count(), Commission.objects.count(), tally()["known"]) == (20, 20, 20)


def test_another_charge_for_a_known_execution_is_kept(day):
    (report, charge) = told(1)
    hear(day, report, charge, END)
    hear(day, report, replace(charge, commission=Decimal("0.35")), replace(charge, realized_pnl=Decimal(0)), END)
    hear(day, report, replace(charge, commission=Decimal("1.050")), END)

    kept = Commission.objects.order_by("pk").values_list("amount", "realized_pnl")
    assert sorted(kept, key=str) == sorted(
        [(Decimal("1.05"), None), (Decimal("0.35"), None), (Decimal("1.05"), Decimal(0))], key=str
    )


def test_a_completed_order_is_looked_at_again_once_its_row_has_changed(day):
    order = order_in("NEW")
    report = completed_order(order, perm_id=order.perm_id, status="Cancelled")
    hear(day, report, HEARD, report, HEARD)
    assert_history(order, "received sent accepted canceled")

    tell(execution(order, perm_id=order.perm_id))
    order.refresh_from_db()
    assert order.status == "FILLED"

    hear(day, report, HEARD, replace(report, status="Filled", raw=("101", "Filled")), HEARD)
    order.refresh_from_db()
    assert (order.status, order.broker_status) == ("FILLED", "Filled")


def test_a_completed_order_told_twice_in_one_page_is_adopted_once(day):
    report = completed_order(perm_id=77, order_ref="typed", status="Filled")
    hear(day, report, report, HEARD)

    assert Order.objects.filter(perm_id=77).count() == 1


def test_orders_of_accounts_that_are_not_ours_are_left_alone(day):
    hear(day, completed_order(perm_id=77, account="DU7"), HEARD)

    assert not Order.objects.exists()


def test_one_part_that_cannot_be_written_keeps_no_other_out(day, caplog):
    good, bad = list(told(2)), list(told(1, first=7, quantity=Decimal(10) ** 20))
    with pytest.raises(AnswerIncomplete, match="^1 executions or commissions"):
        hear(day, *good[:2], *bad, *good[2:], END)
    assert Execution.objects.count() == 2
    assert "tried alone" in caplog.text

    hear(day, *good, END)  # the next answer begins anew
    assert tally() == {"known": 2}


def test_a_database_that_was_away_loses_nothing(day, monkeypatch):
    parts = list(told(5))
    hear(day, *parts[:-1])

    def away(*_):
        raise OperationalError("the server went away")

    with monkeypatch.context() as patch:
        patch.setattr(fills, "record_all", away)
        for _ in range(3):
            with pytest.raises(OperationalError):
                hear(day, parts[-1])
    assert hear(day, parts[-1]) == [True]

    assert (Execution.objects.count(), Commission.objects.count()) == (5, 5)


def test_an_answer_that_was_cut_off_counts_for_nothing(day):
    hear(day, *told(3), LOST)
    hear(day, *told(4), END)

    assert tally() == {"known": 3, "new": 1, "commissions": 1}


def test_a_deposed_owner_writes_no_tally(day, session):
    session_row(epoch=2)
    hear(day, *told(2), END)

    assert tally() == {}
    assert Execution.objects.count() == 2


def test_accounts_have_executions_of_their_own(day):
    (first, _), (second, _) = told(1), told(1, account="DU2", contract=AAPL)
    hear(day, first, second, END)

    assert set(Execution.objects.values_list("account", flat=True)) == {ACCOUNT, "DU2"}
