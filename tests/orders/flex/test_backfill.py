"""What a statement adds to the record, and what it leaves alone."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.access.callers import local
from orders import stamps
from orders.api.guide import ledger
from orders.models import Commission, Execution, Order
from orders.totals import ExecutedTotal
from orders.vocabulary import ExecutionSource
from tests.orders.assertions import assert_history, history
from tests.orders.builders import ACCOUNT
from tests.orders.factories import charge, execute, external_order, order_in
from tests.orders.flex.files import TRADE, of_trades, trade

pytestmark = pytest.mark.django_db
OURS = {"symbol": "AAPL", "quantity": "10", "buySell": "BUY"}


def reference(order):
    return stamps.stamped(order.order_ref, order.stamp)


def of_order(order, **changes):
    return trade(**{"orderReference": reference(order), "ibOrderID": "1", **OURS, **changes})


def test_an_execution_of_nobodys_order(bring):
    bring(of_trades(trade(orderReference="by hand")))

    stored = Execution.objects.get()
    assert (stored.account, stored.exec_id, stored.source) == (ACCOUNT, TRADE["ibExecID"], ExecutionSource.FLEX)
    assert (stored.order, stored.perm_id, stored.client_id, stored.broker_order_id) == (None, 0, None, None)
    assert (stored.symbol, stored.con_id, stored.side, stored.quantity) == ("AAPL", 265598, "BUY", 10)
    assert (stored.price, stored.currency, stored.exchange) == (Decimal("229.95"), "USD", "ISLAND")
    assert stored.executed_at == datetime(2026, 1, 15, 14, 30, 25, tzinfo=UTC)
    assert (stored.time_text, stored.order_ref) == ("20260115;093025", "by hand")
    assert stored.raw[0] == "Flex statement"
    assert "tradePrice=229.95" in stored.raw
    cost = Commission.objects.get()
    assert (cost.exec_id, cost.amount, cost.currency, cost.realized_pnl) == (
        stored.exec_id,
        Decimal("1.05"),
        "USD",
        None,
    )
    assert ExecutedTotal.objects.get().quantity == 10


def test_it_is_in_the_ledger(bring):
    bring(of_trades(trade(orderReference="by hand")))

    (entry,) = ledger.read(local("127.0.0.1")).executions
    assert (entry.symbol, entry.qty, entry.source) == ("AAPL", 10, "flex")
    assert (entry.time, entry.order_id, entry.order_ref) == ("20260115 14:30:25", None, "by hand")


@pytest.mark.parametrize(
    ("changes", "symbol"),
    [
        ({"assetCategory": "OPT", "symbol": "AAPL  260116C00230000", "underlyingSymbol": "AAPL"}, "AAPL"),
        ({"assetCategory": "FUT", "symbol": "ESH6", "underlyingSymbol": "ES"}, "ES"),
        ({"assetCategory": "CASH", "symbol": "EUR.USD"}, "EUR"),
        ({"assetCategory": "STK", "symbol": "BRK B", "underlyingSymbol": "BRK"}, "BRK B"),
    ],
)
def test_contracts_are_called_as_the_api_calls_them(bring, changes, symbol):
    bring(of_trades(trade(conid="4711", **changes)))

    assert Execution.objects.get().symbol == symbol


@pytest.mark.parametrize("status", ["NEW", "PENDING_NEW", "IN_DOUBT", "CANCELED", "NOT_PLACED"])
def test_by_its_stamp_it_fills_our_order(bring, status):
    order = order_in(status, quantity=10, order_ref="mine")
    before = history(order)

    outcome = bring(of_trades(of_order(order)))

    assert history(order) == [*before, "FILL"]
    order.refresh_from_db()
    assert (order.status, order.filled_quantity) == ("FILLED", 10)
    event = order.events.latest("sequence")
    assert (event.actor, event.session) == ("broker", f"flex {outcome.sha256[:12]}")
    assert "tradePrice=229.95" in event.raw
    assert event.occurred_at == datetime(2026, 1, 15, 14, 30, 25, tzinfo=UTC)
    stored = order.executions.get()
    assert (stored.order_ref, stored.perm_id) == ("mine", order.perm_id or 0)
    assert outcome.added.of_orders == 1


def test_two_fills_of_one_order_in_one_file(bring):
    order = order_in("NEW", quantity=10)
    rows = [of_order(order, ibExecID=f"e.{n}.01", quantity=q, tradeID=str(n)) for n, q in ((1, "4"), (2, "6"))]

    bring(of_trades(*rows))

    assert history(order)[-2:] == ["PARTIAL_FILL", "FILL"]


def test_by_its_permanent_id_it_fills_an_adopted_order(bring):
    order = external_order(symbol="AAPL", quantity=5)

    bring(of_trades(trade(ibOrderID=str(order.perm_id), buySell="SELL", quantity="-5")))

    assert_history(order, "adopted fill")


@pytest.mark.parametrize(
    "changes",
    [
        {"buySell": "BUY", "quantity": "5"},
        {"symbol": "MSFT", "conid": "272093"},
        {"assetCategory": "OPT"},
    ],
)
def test_a_number_alone_is_no_order(bring, changes):
    order = external_order(symbol="AAPL", quantity=5)

    bring(of_trades(trade(**{"ibOrderID": str(order.perm_id), "buySell": "SELL", "quantity": "-5"} | changes)))

    assert_history(order, "adopted")
    assert Execution.objects.get().order is None


def test_what_we_heard_live_is_left_alone(bring):
    order = execute(
        order_in("NEW", quantity=10), quantity=10, price="229.95", exec_id=TRADE["ibExecID"], commission=None
    )
    charge(TRADE["ibExecID"], "1.05", realized_pnl=Decimal("3"))
    before = history(order)

    outcome = bring(of_trades(of_order(order, quantity="9", tradePrice="1")))

    assert history(order) == before
    assert Execution.objects.get().price == Decimal("229.95")
    assert Commission.objects.get().realized_pnl == 3
    assert (outcome.added.executions, outcome.added.commissions) == (0, 0)


def test_a_commission_that_never_came_is_added(bring):
    execute(order_in("NEW", quantity=10), quantity=10, price="229.95", exec_id=TRADE["ibExecID"], commission=None)

    outcome = bring(of_trades(trade()))

    assert Commission.objects.get().amount == Decimal("1.05")
    assert (outcome.added.executions, outcome.added.commissions) == (0, 1)


def test_nothing_is_filled_beyond_what_was_ordered(bring):
    order = execute(order_in("NEW", quantity=10), quantity=10)
    before = history(order)

    outcome = bring(of_trades(of_order(order, quantity="1")))

    assert history(order) == before
    assert (outcome.added.executions, outcome.added.overfilling) == (0, 1)
    assert outcome.lines()[-1].startswith("1 executions not added: with them their orders would be filled beyond")


def test_a_correction_corrects(bring):
    order = execute(order_in("NEW", quantity=10), quantity=10, price="230", exec_id="e.1.01")

    outcome = bring(of_trades(of_order(order, ibExecID="e.1.02", quantity="8")))

    order.refresh_from_db()
    assert (order.filled_quantity, outcome.added.executions, outcome.added.overfilling) == (8, 1, 0)
    assert Execution.objects.effective().get().exec_id == "e.1.02"
    assert ExecutedTotal.objects.get().quantity == 8


def test_a_trade_and_its_correction_in_one_file(bring):
    bring(of_trades(trade(ibExecID="e.1.02", quantity="8"), trade(ibExecID="e.1.01", tradeID="1")))

    assert Execution.objects.count() == 2
    assert Execution.objects.effective().get().quantity == 8
    assert ExecutedTotal.objects.get().quantity == 8


TAKEN_BACK = {"buySell": "BUY (Ca.)", "quantity": "-10", "tradeID": "6002", "transactionID": "9002"}


@pytest.mark.parametrize("link", [{"origTransactionID": "9001"}, {"origTradeID": "6001"}, {}])
def test_what_the_broker_took_back_is_taken_back(bring, link):
    order = execute(order_in("NEW", quantity=10), quantity=10, price="229.95", exec_id=TRADE["ibExecID"])
    named = {} if not link else {"ibExecID": "another.01"}

    outcome = bring(of_trades(of_order(order), of_order(order, **TAKEN_BACK, **named, **link)))

    order.refresh_from_db()
    assert (order.filled_quantity, outcome.added.busts) == (0, 1)
    assert not Execution.objects.effective().exists()
    assert ExecutedTotal.objects.get().quantity == 0


def test_what_was_taken_back_before_we_knew_it_is_not_added(bring):
    outcome = bring(of_trades(trade(), trade(**TAKEN_BACK, origTransactionID="9001")))

    assert (Execution.objects.count(), outcome.added.executions, outcome.added.busts) == (0, 0, 0)


def test_taken_back_on_a_later_statement(bring):
    bring(of_trades(trade()))
    later = {"fromDate": "20260116", "toDate": "20260116", "whenGenerated": "20260117;031500"}

    outcome = bring(of_trades(trade(**TAKEN_BACK, origTransactionID="9001", tradeDate="20260116"), **later))
    again = bring(of_trades(trade(**TAKEN_BACK, origTransactionID="9001", tradeDate="20260116"), **later))

    assert (outcome.added.busts, again.added.busts) == (1, 0)
    assert ExecutedTotal.objects.get().quantity == 0


def test_what_was_booked_and_not_executed_is_no_execution(bring):
    outcome = bring(of_trades(trade(ibExecID="", transactionType="BookTrade", quantity="1")))

    assert (outcome.trades.new, Execution.objects.count()) == (1, 0)


def test_evidence_is_not_disturbed_while_an_order_is_in_doubt(bring):
    doubtful = order_in("IN_DOUBT", symbol="AAPL")
    rows = [trade(), trade(symbol="MSFT", conid="272093", tradeID="2", ibExecID="m.01")]

    outcome = bring(of_trades(*rows))

    assert (outcome.added.executions, outcome.added.waiting) == (1, 1)
    assert "in doubt" in outcome.lines()[-1]
    assert Execution.objects.get().symbol == "MSFT"

    bring(of_trades(of_order(doubtful, ibExecID="d.01", tradeID="3"), whenGenerated="20260117;031500"))
    again = bring(of_trades(*rows))

    assert again.known_since is not None
    assert (again.added.executions, again.added.waiting) == (1, 0)
    assert set(Execution.objects.values_list("exec_id", flat=True)) == {TRADE["ibExecID"], "d.01", "m.01"}
    assert Order.objects.get().status == "FILLED"
