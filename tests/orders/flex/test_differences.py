"""Our record against a statement."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import BrokerAccount, Position
from orders.flex import differences
from orders.flex.differences import Executed, Kind, between
from orders.flex.models import FlexStatement
from tests.orders.builders import ACCOUNT, session_row
from tests.orders.factories import at, execute, order_in
from tests.orders.flex.files import TRADE, flex_file, many_trades, of_trades, row, section, trade

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 15, 17, 0, tzinfo=UTC)  # 12:00 in New York
EXEC_ID = TRADE["ibExecID"]
THEIRS = Executed(
    account=ACCOUNT,
    exec_id=EXEC_ID,
    con_id=265598,
    symbol="AAPL",
    security_type="STK",
    side="BUY",
    quantity=Decimal(10),
    price=Decimal("229.95"),
    commission=Decimal("1.05"),
    commission_currency="USD",
)


def found():
    """The differences of the latest statement, as (kind, exec_id or contract, here, broker)."""
    statement = FlexStatement.objects.order_by("-generated_at").first()
    return [(str(d.kind), d.exec_id or d.con_id, d.expected, d.actual) for d in differences.of_statement(statement)]


def executed(quantity=10, *, when=NOON, exec_id=EXEC_ID, price="229.95", commission="1.05", **order):
    with at(when):
        return execute(
            order_in("NEW", quantity=quantity, **order),
            quantity=quantity,
            price=price,
            exec_id=exec_id,
            commission=commission,
        )


# One against one


def test_the_same_is_no_difference():
    assert list(between(THEIRS, THEIRS)) == []


@pytest.mark.parametrize(
    ("changes", "kind", "expected", "actual"),
    [
        ({"quantity": Decimal(9)}, Kind.QUANTITY, "9", "10"),
        ({"price": Decimal("230.5")}, Kind.PRICE, "230.5", "229.95"),
        ({"side": "SELL"}, Kind.SIDE, "SELL", "BUY"),
        ({"con_id": 1, "symbol": "X"}, Kind.CONTRACT, "X (1)", "AAPL (265598)"),
        ({"commission": Decimal("1.06")}, Kind.COMMISSION, "1.06 USD", "1.05 USD"),
        ({"commission_currency": "EUR"}, Kind.COMMISSION, "1.05 EUR", "1.05 USD"),
        ({"commission": None}, Kind.COMMISSION, "", "1.05 USD"),
    ],
)
def test_each_difference_has_its_kind(changes, kind, expected, actual):
    (difference,) = between(replace(THEIRS, **changes), THEIRS)

    assert (difference.kind, difference.expected, difference.actual) == (kind, expected, actual)
    assert (difference.exec_id, difference.con_id, difference.symbol) == (EXEC_ID, 265598, "AAPL")


def test_several_at_once():
    ours = replace(THEIRS, quantity=Decimal(1), price=Decimal(1), side="SELL")

    assert [difference.kind for difference in between(ours, THEIRS)] == [Kind.SIDE, Kind.QUANTITY, Kind.PRICE]


@pytest.mark.parametrize("theirs", [None, Decimal("1.05004")])
def test_commissions_that_a_statement_leaves_out_or_rounds(theirs):
    assert list(between(THEIRS, replace(THEIRS, commission=theirs))) == []


def test_in_words():
    (difference,) = between(None, THEIRS)

    assert str(difference) == f"missing here: AAPL (265598) {EXEC_ID}: here –, broker BUY 10 @ 229.95"


# Statements against the record


def test_what_was_imported_agrees(bring):
    bring(of_trades(*many_trades(30)))

    assert found() == []


def test_what_was_heard_live_agrees(bring):
    session_row()
    executed()

    bring(of_trades(trade()))

    assert found() == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"quantity": "9"}, ("QUANTITY", EXEC_ID, "10", "9")),
        ({"tradePrice": "1"}, ("PRICE", EXEC_ID, "229.95", "1")),
        ({"buySell": "SELL", "quantity": "-10"}, ("SIDE", EXEC_ID, "BUY", "SELL")),
        ({"ibCommission": "-2"}, ("COMMISSION", EXEC_ID, "1.05 USD", "2 USD")),
        ({"conid": "1"}, ("CONTRACT", EXEC_ID, "AAPL (265598)", "AAPL (1)")),
    ],
)
def test_what_we_heard_otherwise(bring, changes, difference):
    session_row()
    executed()

    bring(of_trades(trade(**changes)))

    assert found() == [difference]


def test_a_fill_beyond_the_order_is_missing_here(bring):
    session_row()
    order = executed()

    bring(of_trades(trade(), trade(ibExecID="x.01", tradeID="2", ibOrderID=str(order.perm_id), quantity="3")))

    assert found() == [("MISSING_HERE", "x.01", "", "BUY 3 @ 229.95")]


def test_a_trade_is_compared_by_its_last_word(bring):
    session_row()
    executed(exec_id="e.1.01")

    bring(of_trades(trade(ibExecID="e.1.01", quantity="10"), trade(ibExecID="e.1.02", tradeID="2", quantity="8")))

    assert found() == []


@pytest.mark.parametrize(
    ("when", "missing"),
    [
        (datetime(2026, 1, 15, 4, 59, tzinfo=UTC), False),  # the day before, in New York
        (datetime(2026, 1, 15, 5, 0, tzinfo=UTC), True),
        (NOON, True),
        (datetime(2026, 1, 15, 21, 59, tzinfo=UTC), True),
        (datetime(2026, 1, 15, 22, 0, tzinfo=UTC), False),  # 17:00: may be of the next trading day
        (datetime(2026, 1, 16, 15, 0, tzinfo=UTC), False),
    ],
)
def test_what_the_broker_must_have_and_has_not(bring, when, missing):
    session_row()
    executed(when=when, exec_id="only.here.01")

    bring(of_trades(trade()))

    assert found() == ([("MISSING_AT_BROKER", "only.here.01", "BUY 10 @ 229.95", "")] if missing else [])


def test_a_statement_of_the_same_day_does_not_have_the_latest_yet(bring):
    session_row()
    executed(exec_id="only.here.01")
    confirms = section("TradeConfirms", [row("TradeConfirms")])

    bring(flex_file(*confirms, kind="TCF", whenGenerated="20260115;125900"))
    assert found() == []

    bring(flex_file(*confirms, kind="TCF", whenGenerated="20260115;130100"))
    assert [difference[0] for difference in found()] == ["MISSING_AT_BROKER"]


def test_a_statement_without_trades_says_nothing_of_them(bring):
    session_row()
    executed(exec_id="only.here.01")

    bring(flex_file(*section("CashTransactions", [row("CashTransactions")])))

    assert found() == []


def test_what_was_taken_back_is_not_told_any_more(bring):
    session_row()
    executed()

    bring(of_trades(trade(), trade(tradeID="2", buySell="BUY (Ca.)", quantity="-10", origTradeID="6001")))

    assert found() == []


# Positions


def held(quantity, *, con_id=265598, symbol="AAPL", **changes):
    account = BrokerAccount.objects.get(pk=ACCOUNT)
    Position.objects.create(
        account=account,
        con_id=con_id,
        symbol=symbol,
        quantity=Decimal(quantity),
        as_of=NOON,
        **{"security_type": "STK", "currency": "USD"} | changes,
    )


def of_positions(*rows, trades=(), **options):
    body = section("Trades", trades) if trades else []
    return flex_file(*body, *section("OpenPositions", rows), **options)


@pytest.fixture
def in_step(house):
    return session_row(executions_as_of=datetime(2026, 1, 17, tzinfo=UTC))


def test_the_same_is_held(bring, in_step):
    held(10)
    held(1000, con_id=12087792, symbol="EUR", security_type="CASH")

    bring(of_positions(row("OpenPositions")))

    assert found() == []


@pytest.mark.parametrize(("now", "there", "kind"), [("7", "10", "7 10"), ("0", "10", "0 10"), ("-3", "-4", "-3 -4")])
def test_something_else_is_held(bring, in_step, now, there, kind):
    held(now)

    bring(of_positions(row("OpenPositions", position=there)))

    assert found() == [("POSITION", 265598, *kind.split())]


def test_held_by_one_side_only(bring, in_step):
    held(5, con_id=272093, symbol="MSFT")

    bring(of_positions(row("OpenPositions")))

    assert found() == [("POSITION", 265598, "0", "10"), ("POSITION", 272093, "5", "0")]
    statement = FlexStatement.objects.get()
    first = next(differences.of_statement(statement))
    assert (first.day, first.symbol) == (date(2026, 1, 15), "AAPL")
    assert str(first) == "position: AAPL (265598) of 2026-01-15: here 0, broker 10"


def test_what_was_executed_since_is_reckoned_back(bring, in_step):
    executed(4, when=datetime(2026, 1, 16, 15, 0, tzinfo=UTC), exec_id="later.01")
    executed(3, exec_id="before.01")
    held(14)
    told = trade(ibExecID="before.01", quantity="3", ibCommission="-1.05")

    bring(of_positions(row("OpenPositions"), trades=[told]))

    assert found() == []


def test_a_trade_of_the_night_session_is_of_the_next_day(bring, in_step):
    night = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)  # 18:30 in New York
    executed(4, when=night, exec_id="night.01")
    held(14)
    told = trade(ibExecID="night.01", quantity="4", dateTime="20260115;183000", tradeDate="20260116")

    bring(of_trades(told, fromDate="20260116", toDate="20260116"))
    bring(of_positions(row("OpenPositions"), whenGenerated="20260118;031500"))

    assert found() == []


def test_models_add_up(bring, in_step):
    held(10)

    bring(of_positions(row("OpenPositions", model="A", position="4"), row("OpenPositions", model="B", position="6")))

    assert found() == []


def test_without_a_word_from_the_broker_since_nothing_is_said_of_positions(bring, house):
    session_row(executions_as_of=datetime(2026, 1, 15, 12, 0, tzinfo=UTC))

    bring(of_positions(row("OpenPositions")))

    assert found() == []


def test_many_trades_cost_few_questions(bring):
    bring(of_trades(*many_trades(2500)))
    statement = FlexStatement.objects.get()

    with CaptureQueriesContext(connection) as queries:
        assert list(differences.of_statement(statement)) == []

    assert len(queries) < 30  # some per thousand
