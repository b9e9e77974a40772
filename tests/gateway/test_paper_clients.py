"""The independent witnesses: the real, unmodified ib_insync and ib_async against the real process over TCP.

One gateway serves nearly all tests; its market stands still, so that what rests, rests. Each test has client ids of its
own, and a symbol of its own where it takes liquidity.
"""

import asyncio
import importlib
import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.gateway.paper_process import PaperGateway

ACCOUNT = "DU1000001"
CLIENT_IDS = itertools.count(100)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The libraries look for the thread's event loop, ib_insync already at import."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="module", params=["ib_insync", "ib_async"])
def library(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> ModuleType:
    return importlib.import_module(request.param)


@pytest.fixture(scope="module")
def gateway() -> Iterator[PaperGateway]:
    with PaperGateway("--cash", "50000000") as gateway:
        yield gateway
    assert gateway.complaints == ""


@pytest.fixture
def connect(library: ModuleType, gateway: PaperGateway) -> Iterator[Callable[..., Any]]:
    """Make connections that are closed afterwards; each notes the error codes it hears in `heard`."""
    made = []

    def connect(client_id: int | None = None, *, port: int = gateway.port, **options: Any) -> Any:
        ib = library.IB()
        ib.heard = []
        ib.errorEvent += lambda request_id, code, *_: ib.heard.append((request_id, code))
        made.append(ib)
        ib.connect("127.0.0.1", port, clientId=client_id or next(CLIENT_IDS), timeout=5, **options)
        return ib

    yield connect
    for ib in made:
        ib.disconnect()
        # The transport closes in a later turn of the loop.
        ib.sleep(0.01)


@pytest.fixture
def ib(connect: Callable[..., Any]) -> Any:
    return connect()


@pytest.fixture(autouse=True)
def _nothing_went_unread(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Both libraries swallow what they cannot read and only log it."""
    yield
    unread = [record for record in caplog.records if "handling fields" in record.getMessage().lower()]
    assert not unread
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR and record.exc_info]


def wait(ib: Any, done: Callable[[], object]) -> None:
    for _ in range(500):
        if done():
            return
        ib.sleep(0.01)
    raise AssertionError("it did not happen in time")


def stock(library: ModuleType, symbol: str = "AAPL") -> Any:
    return library.Stock(symbol, "SMART", "USD")


def place(ib: Any, library: ModuleType, order: Any, symbol: str = "AAPL") -> Any:
    order.tif = order.tif or "DAY"
    return ib.placeOrder(stock(library, symbol), order)


def placed(ib: Any, library: ModuleType, order: Any, symbol: str = "AAPL") -> Any:
    trade = place(ib, library, order, symbol)
    wait(ib, lambda: trade.order.permId)
    return trade


def filled(ib: Any, library: ModuleType, order: Any, symbol: str = "AAPL") -> Any:
    trade = place(ib, library, order, symbol)
    wait(ib, lambda: trade.orderStatus.status == "Filled" and all(f.commissionReport.execId for f in trade.fills))
    return trade


def statuses(trade: Any) -> list[str]:
    """The log's statuses without repetitions."""
    return [status for status, _ in itertools.groupby(entry.status for entry in trade.log)]


def test_connect(ib: Any, library: ModuleType) -> None:
    assert ib.client.serverVersion() == {"ib_insync": 176, "ib_async": 178}[library.__name__]
    assert ib.managedAccounts() == [ACCOUNT]
    assert {code for _, code in ib.heard} == {2104, 2106, 2158}
    assert abs((ib.reqCurrentTime() - datetime.now(UTC)).total_seconds()) < 60


def test_qualify(ib: Any, library: ModuleType) -> None:
    apple = stock(library)

    assert ib.qualifyContracts(apple) == [apple]
    assert (apple.conId, apple.primaryExchange, apple.tradingClass) == (265598, "NASDAQ", "NMS")
    (details,) = ib.reqContractDetails(library.Contract(conId=265598))
    assert (details.longName, details.minTick) == ("APPLE INC", 0.01)
    assert ib.qualifyContracts(stock(library, "NOPE")) in ([], [None])
    assert ib.heard[-1][1] == 200


def test_limit_rests_and_is_cancelled(ib: Any, library: ModuleType) -> None:
    trade = placed(ib, library, library.LimitOrder("BUY", 10, 230, orderRef="ref~STAMP"))
    wait(ib, lambda: trade.orderStatus.status == "Submitted")
    assert [open_.order.orderRef for open_ in ib.reqOpenOrders()] == ["ref~STAMP"]

    ib.cancelOrder(trade.order)
    wait(ib, lambda: trade.orderStatus.status == "Cancelled")

    assert statuses(trade) == ["PendingSubmit", "Submitted", "PendingCancel", "Cancelled"]
    wait(ib, lambda: (trade.order.orderId, 202) in ib.heard)
    assert not ib.reqOpenOrders()


def test_market_order(ib: Any, library: ModuleType) -> None:
    before = {position.contract.symbol: position for position in ib.positions()}

    trade = filled(ib, library, library.MarketOrder("BUY", 10, orderRef="r"), "KO")

    (fill,) = trade.fills
    assert (fill.execution.shares, fill.execution.side, fill.execution.orderRef) == (10, "BOT", "r")
    assert fill.execution.time.tzinfo is not None
    assert fill.commissionReport.commission == 1
    assert fill.execution.execId.endswith(".01")
    assert trade.orderStatus.avgFillPrice == fill.execution.price
    held = before["KO"].position if "KO" in before else 0
    wait(ib, lambda: [p.position for p in ib.positions() if p.contract.symbol == "KO"] == [held + 10])
    wait(ib, lambda: any(item.contract.symbol == "KO" for item in ib.portfolio()))


def test_closing_realises_a_profit_or_loss(ib: Any, library: ModuleType) -> None:
    symbol = {"ib_insync": "PG", "ib_async": "PEP"}[library.__name__]
    bought = filled(ib, library, library.MarketOrder("BUY", 10), symbol).fills[0]
    sold = filled(ib, library, library.MarketOrder("SELL", 10), symbol).fills[0]

    assert bought.commissionReport.realizedPNL == 0  # both libraries turn "unset" into 0
    expected = 10 * (sold.execution.price - bought.execution.price) - 2
    assert sold.commissionReport.realizedPNL == pytest.approx(expected)


def test_stop(ib: Any, library: ModuleType) -> None:
    trade = placed(ib, library, library.StopOrder("SELL", 10, 225))
    wait(ib, lambda: trade.orderStatus.whyHeld == "trigger")

    assert trade.orderStatus.status == "PreSubmitted"
    ib.cancelOrder(trade.order)
    wait(ib, trade.isDone)


def test_modify(ib: Any, library: ModuleType) -> None:
    trade = placed(ib, library, library.LimitOrder("BUY", 10, 60), "KO")
    perm_id = trade.order.permId

    trade.order.lmtPrice, trade.order.totalQuantity = 61.5, 7
    place(ib, library, trade.order, "KO")
    ib.sleep(0.1)
    (order,) = (listed.order for listed in ib.reqAllOpenOrders() if listed.order.permId == perm_id)
    assert (order.lmtPrice, order.totalQuantity, order.permId) == (61.5, 7, perm_id)

    trade.order.lmtPrice = 70
    place(ib, library, trade.order, "KO")
    wait(ib, lambda: trade.orderStatus.status == "Filled")
    wait(ib, lambda: trade.filled() == 7)


def test_bracket(ib: Any, library: ModuleType) -> None:
    legs = ib.bracketOrder("BUY", 10, 230, 240, 225)
    entry = place(ib, library, legs[0])
    ib.sleep(0.1)
    assert entry.orderStatus.status == "PendingSubmit"  # not a word before the last leg

    trades = [entry, *(place(ib, library, leg) for leg in legs[1:])]
    wait(ib, lambda: all(trade.order.permId for trade in trades))
    assert [trade.orderStatus.status for trade in trades] == ["Submitted", "PreSubmitted", "PreSubmitted"]
    assert len({trade.order.permId for trade in trades}) == 3

    legs[0].lmtPrice, legs[0].transmit = 240, True
    place(ib, library, legs[0])
    _, profit, loss = trades
    wait(ib, lambda: profit.orderStatus.status == "Submitted" and loss.orderStatus.whyHeld == "trigger")
    assert entry.orderStatus.status == "Filled"

    legs[1].lmtPrice = 200
    place(ib, library, legs[1])
    wait(ib, lambda: (profit.orderStatus.status, loss.orderStatus.status) == ("Filled", "Cancelled"))


def test_a_brackets_children_leave_with_their_parent(ib: Any, library: ModuleType) -> None:
    trades = [
        placed(ib, library, leg) if leg.transmit else place(ib, library, leg)
        for leg in ib.bracketOrder("BUY", 10, 230, 240, 225)
    ]
    ib.cancelOrder(trades[0].order)

    wait(ib, lambda: [trade.orderStatus.status for trade in trades] == ["Cancelled"] * 3)


@pytest.mark.parametrize("oca_type", [1, 2, 3])
def test_one_cancels_all(ib: Any, library: ModuleType, oca_type: int) -> None:
    orders = ib.oneCancelsAll([library.LimitOrder("BUY", 10, price) for price in (130, 131)], f"g{oca_type}", oca_type)
    trades = [placed(ib, library, order, "IBM") for order in orders]

    orders[1].lmtPrice = 230
    place(ib, library, orders[1], "IBM")

    wait(ib, lambda: [trade.orderStatus.status for trade in trades] == ["Cancelled", "Filled"])


def test_global_cancel(ib: Any, library: ModuleType) -> None:
    trades = [placed(ib, library, library.LimitOrder("BUY", 1, 100 + n)) for n in range(3)]

    ib.reqGlobalCancel()

    wait(ib, lambda: all(trade.orderStatus.status == "Cancelled" for trade in trades))


def test_partial_fills(ib: Any, library: ModuleType) -> None:
    symbol = {"ib_insync": "TSLA", "ib_async": "NVDA"}[library.__name__]
    (ticker,) = ib.reqTickers(*ib.qualifyContracts(stock(library, symbol)))
    more = ticker.askSize + 100

    trade = placed(ib, library, library.LimitOrder("BUY", more, ticker.ask), symbol)
    wait(ib, lambda: trade.filled() == ticker.askSize and trade.orderStatus.filled == ticker.askSize)
    assert (trade.orderStatus.status, trade.orderStatus.remaining) == ("Submitted", 100)

    trade.order.lmtPrice = round(ticker.ask * 1.01, 2)
    place(ib, library, trade.order, symbol)
    wait(ib, lambda: trade.filled() == more)
    assert trade.orderStatus.status == "Filled"
    assert len({fill.execution.execId for fill in trade.fills}) >= 2
    wait(ib, lambda: sum(fill.commissionReport.commission for fill in trade.fills) >= max(1, more * 0.005))


@pytest.mark.parametrize(("tif", "status"), [("IOC", "Cancelled"), ("FOK", "Inactive")])
def test_at_once_or_not_at_all(ib: Any, library: ModuleType, tif: str, status: str) -> None:
    trade = placed(ib, library, library.LimitOrder("BUY", 10, 200, tif=tif))

    wait(ib, lambda: trade.orderStatus.status == status)


def test_executions_by_filter(connect: Callable[..., Any], library: ModuleType) -> None:
    ib, other = connect(), connect()
    filled(ib, library, library.MarketOrder("BUY", 1, orderRef="x"), "DIS")
    filled(other, library, library.MarketOrder("SELL", 1, orderRef="y"), "NKE")

    def found(**terms: Any) -> set[str]:
        return {fill.contract.symbol for fill in ib.reqExecutions(library.ExecutionFilter(**terms))}

    assert {"DIS", "NKE"} <= found()
    assert found(clientId=ib.client.clientId) == {"DIS"}
    assert found(clientId=other.client.clientId, side="SELL") == {"NKE"}
    assert found(symbol="NKE") == {"NKE"}
    assert found(time="20990101 00:00:00") == set()


def test_completed_orders(ib: Any, library: ModuleType) -> None:
    done = filled(ib, library, library.MarketOrder("BUY", 1, orderRef=f"done-{library.__name__}"), "DIS")

    completed = {trade.order.permId: trade for trade in ib.reqCompletedOrders(False)}

    assert completed[done.order.permId].orderStatus.status == "Filled"
    assert completed[done.order.permId].order.orderRef == f"done-{library.__name__}"


def test_account(ib: Any) -> None:
    summary = {row.tag: row.value for row in ib.accountSummary() if row.account == ACCOUNT}
    values = {row.tag: row.value for row in ib.accountValues(ACCOUNT)}

    for tag in ("NetLiquidation", "TotalCashValue", "AvailableFunds", "BuyingPower", "GrossPositionValue"):
        assert float(summary[tag]) >= 0
        assert tag in values
    assert 49_000_000 < float(summary["NetLiquidation"]) < 51_000_000


def test_two_clients_at_once(connect: Callable[..., Any], library: ModuleType) -> None:
    one, two = connect(), connect()

    mine = placed(one, library, library.LimitOrder("BUY", 1, 150))
    theirs = placed(two, library, library.LimitOrder("BUY", 1, 151))

    assert [trade.order.permId for trade in one.reqOpenOrders()] == [mine.order.permId]
    listed = {trade.order.permId for trade in one.reqAllOpenOrders()}
    assert {mine.order.permId, theirs.order.permId} <= listed
    for client, trade in ((one, mine), (two, theirs)):
        client.cancelOrder(trade.order)
        wait(client, trade.isDone)


def test_a_taken_client_id(connect: Callable[..., Any], library: ModuleType, gateway: PaperGateway) -> None:
    first = connect()
    second = library.IB()
    heard: list[int] = []
    second.errorEvent += lambda _request, code, *_: heard.append(code)

    with pytest.raises((asyncio.TimeoutError, ConnectionError)):
        second.connect("127.0.0.1", gateway.port, clientId=first.client.clientId, timeout=0.5)

    assert 326 in heard
    assert first.isConnected()
    assert first.reqCurrentTime()


@pytest.mark.parametrize(
    ("case", "code", "quantity", "price"),
    [
        ("no funds", 201, 90_000_000, 230),
        ("between ticks", 110, 1, 230.001),
        ("nothing", 321, 0, 230),
        ("a part of a share", 10243, 1.5, 230),
    ],
)
def test_refusals(ib: Any, library: ModuleType, case: str, code: int, quantity: float, price: float) -> None:
    trade = place(ib, library, library.LimitOrder("BUY", quantity, price))

    wait(ib, lambda: (trade.order.orderId, code) in ib.heard)
    assert bool(trade.order.permId) is (code == 201)
    assert not trade.fills


def test_what_if(ib: Any, library: ModuleType) -> None:
    state = ib.whatIfOrder(stock(library), library.MarketOrder("BUY", 100, tif="DAY"))

    assert state.commission == 1
    assert float(state.initMarginChange) > 0


def test_reconnect_finds_orders_and_executions(connect: Callable[..., Any], library: ModuleType) -> None:
    client_id = next(CLIENT_IDS)
    ib = connect(client_id)
    resting = placed(ib, library, library.LimitOrder("BUY", 1, 150, orderRef="still here"))
    filled(ib, library, library.MarketOrder("BUY", 1), "T")
    ib.disconnect()

    again = connect(client_id)

    (trade,) = again.reqOpenOrders()
    assert (trade.order.permId, trade.order.orderRef) == (resting.order.permId, "still here")
    assert [fill.contract.symbol for fill in again.fills() if fill.execution.clientId == client_id] == ["T"]
    assert again.client.getReqId() > resting.order.orderId
    again.cancelOrder(trade.order)
    wait(again, trade.isDone)


def test_the_gateways_restart_loses_nothing(connect: Callable[..., Any], library: ModuleType, tmp_path: Path) -> None:
    client_id = next(CLIENT_IDS)
    gateway = PaperGateway("--state", str(tmp_path))
    ib = connect(client_id, port=gateway.port)
    resting = placed(ib, library, library.LimitOrder("BUY", 10, 230, orderRef="kept"))
    bought = filled(ib, library, library.MarketOrder("BUY", 10))
    gateway.kill()
    with pytest.raises(ConnectionError):  # raised by a sleeping client when its socket drops
        wait(ib, lambda: False)

    with PaperGateway("--state", str(tmp_path)) as gateway:
        again = connect(client_id, port=gateway.port)

        assert [trade.order.permId for trade in again.reqOpenOrders()] == [resting.order.permId]
        assert [fill.execution.execId for fill in again.fills()] == [bought.fills[0].execution.execId]
        assert [position.position for position in again.positions()] == [10]
        cash = float(next(row.value for row in again.accountValues() if row.tag == "TotalCashValue"))
        assert cash == pytest.approx(200_000 - 10 * bought.fills[0].execution.price - 1)
        again.disconnect()


def test_a_moving_market_fills_what_rests(connect: Callable[..., Any], library: ModuleType) -> None:
    with PaperGateway(tick="0.02") as gateway:
        ib = connect(port=gateway.port)
        (ticker,) = ib.reqTickers(*ib.qualifyContracts(stock(library)))
        trade = placed(ib, library, library.LimitOrder("BUY", 10, ticker.bid))

        wait(ib, lambda: trade.orderStatus.status == "Filled")

        assert trade.fills[0].execution.price == trade.order.lmtPrice
        ib.disconnect()


@pytest.mark.parametrize("zone", ["US/Eastern", "Europe/Berlin"])
def test_times_in_another_zone(connect: Callable[..., Any], library: ModuleType, zone: str) -> None:
    with PaperGateway("--time-zone", zone) as gateway:
        ib = connect(port=gateway.port)

        fill = filled(ib, library, library.MarketOrder("BUY", 1)).fills[0]

        assert abs((fill.execution.time - fill.time).total_seconds()) < 5
        ib.disconnect()


def test_several_accounts(connect: Callable[..., Any], library: ModuleType) -> None:
    with PaperGateway("--accounts", "DU1,DU2") as gateway:
        ib = connect(port=gateway.port)
        assert ib.managedAccounts() == ["DU1", "DU2"]

        filled(ib, library, library.MarketOrder("BUY", 10, account="DU2"))

        wait(ib, lambda: [(p.account, p.position) for p in ib.positions()] == [("DU2", 10)])
        ib.disconnect()
