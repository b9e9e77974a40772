"""Walks: the user's story end to end, over real HTTP, PostgreSQL, Redis, Celery, ib_insync and TCP."""

import contextlib
from decimal import Decimal

import pytest

from tests.walks.house import THEIRS, House, running, until


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/walks/" in item.nodeid:
            item.add_marker(pytest.mark.walk)
            item.add_marker(pytest.mark.xdist_group("walks"))  # one house for all of them


@pytest.fixture(scope="session")
def shared_house(tmp_path_factory):
    with running(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def house(shared_house):
    """The house with no order working and no position held."""
    clear(shared_house)
    return shared_house


def clear(house: House) -> None:
    house.wait_ready()
    for order in house.get("/orders").json()["orders"]:
        if order["orderId"] > 0:
            house.post("/order/cancel", {"perm_id": order["permId"]})
    for held in house.get("/positions").json()["positions"]:
        action = "SELL" if held["qty"] > 0 else "BUY"
        body = {"symbol": held["symbol"], "action": action, "quantity": abs(held["qty"])}
        assert house.post("/order/market", body).status_code == 200
    until(lambda: not house.get("/positions").json()["positions"], why="a position was not closed")


class Counterparty:
    """Somebody else in the market: another client of the gateway, on another account (ib_async)."""

    def __init__(self, port: int) -> None:
        self.port = port

    @contextlib.contextmanager
    def trading(self):
        import asyncio

        asyncio.set_event_loop(asyncio.new_event_loop())
        import ib_async

        ib = ib_async.IB()
        ib.connect("127.0.0.1", self.port, clientId=55, account=THEIRS)
        try:
            yield ib, ib_async
        finally:
            ib.disconnect()
            asyncio.get_event_loop().close()

    def trade(self, action: str, quantity: float, symbol: str, price: Decimal | None = None) -> None:
        """Send an order and wait until it is filled or rests."""
        with self.trading() as (ib, library):
            (contract,) = ib.qualifyContracts(library.Stock(symbol, "SMART", "USD"))
            if price is None:
                order = library.MarketOrder(action, quantity, account=THEIRS, tif="DAY")
            else:
                order = library.LimitOrder(action, quantity, float(price), account=THEIRS, tif="DAY")
            trade = ib.placeOrder(contract, order)
            until(lambda: ib.sleep(0.05) and trade.orderStatus.status in ("Filled", "Submitted"), why=str(trade))

    def quote(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        with self.trading() as (ib, library):
            (contract,) = ib.qualifyContracts(library.Stock(symbol, "SMART", "USD"))
            ticker = ib.reqMktData(contract, "", False, False)
            until(lambda: ib.sleep(0.05) and ticker.bid > 0 and ticker.ask > 0, why="no quote")
            return Decimal(str(ticker.bid)), Decimal(str(ticker.ask))


@pytest.fixture
def counterparty(house):
    return Counterparty(house.gateway.port)
