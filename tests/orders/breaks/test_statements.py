"""Imported statements on the work list."""

import io
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from orders.breaks import closing, statements
from orders.breaks.models import Break, StatementLook
from orders.breaks.vocabulary import BreakKind, Severity, Source
from orders.flex.importing import import_file
from tests.orders.builders import session_row
from tests.orders.factories import at, charge, execute, order_in
from tests.orders.flex.files import TRADE, of_trades, trade

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 15, 17, 0, tzinfo=UTC)  # 12:00 in New York
EXEC_ID = TRADE["ibExecID"]


@pytest.fixture
def heard():
    """Executed and told live: ten shares of the trade that the statement has, at a commission that it has not."""
    session_row()
    with at(NOON):
        order = order_in("NEW", quantity=10)
        return execute(order, quantity=10, price="229.95", exec_id=EXEC_ID, commission="2.00")


def bring(data: bytes) -> None:
    import_file(io.BytesIO(data), name="statement.xml", actor="user:reviewer")


def test_a_statement_that_agrees_opens_nothing(db):
    session_row()
    bring(of_trades(trade()))

    kept = statements.look()

    assert kept.opened.total() == 0
    assert StatementLook.objects.get().differences == 0


def test_a_difference_is_a_break_until_the_record_agrees(heard):
    bring(of_trades(trade()))

    kept = statements.look()

    row = Break.objects.get()
    assert kept.opened == {BreakKind.COMMISSION: 1}
    assert (row.source, row.kind, row.severity) == (Source.STATEMENT, BreakKind.COMMISSION, Severity.WARNING)
    assert (row.expected, row.actual) == ("2 USD", "1.05 USD")

    assert statements.look().opened.total() == 0
    row.refresh_from_db()
    assert row.times_seen == 2

    charge(EXEC_ID, "1.05")
    assert statements.look().closed == {BreakKind.COMMISSION: 1}
    assert Break.objects.get().closed_at is not None


def test_two_statements_of_one_difference_are_one_break(heard):
    bring(of_trades(trade()))
    bring(of_trades(trade(), fromDate="20260101", toDate="20260131", whenGenerated="20260201;031500"))

    statements.look()

    assert Break.objects.count() == 1


def test_what_the_statement_lacks_is_missing_at_the_broker(heard):
    bring(of_trades(trade(ibExecID="0000e0d5.65000000.01.01", tradeID="9000000001", transactionID="8000000001")))

    statements.look()

    row = Break.objects.get(kind=BreakKind.MISSING_AT_BROKER)
    assert (row.actual, row.severity) == ("not listed", Severity.CRITICAL)


def test_a_person_closes_one_and_it_stays_closed(heard):
    bring(of_trades(trade()))
    statements.look()
    row = Break.objects.get()

    closing.close(row.pk, reason="rebate of the month", actor="user:reviewer", request_id="")

    assert statements.look().opened.total() == 0
    row.refresh_from_db()
    assert row.closed_by == "user:reviewer"


def test_a_statement_that_agreed_is_not_looked_at_again(db, django_assert_max_num_queries):
    session_row()
    bring(of_trades(trade()))
    statements.look()

    with django_assert_max_num_queries(8):
        statements.look()


def test_the_import_looks_at_once(heard, tmp_path, capsys):
    path = tmp_path / "january.xml"
    path.write_bytes(of_trades(trade()))

    call_command("import_flex", str(path))

    assert Break.objects.count() == 1
    assert "1 breaks opened" in capsys.readouterr().out
