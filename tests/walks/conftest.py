"""Walks: the user's story end to end, over real HTTP, PostgreSQL, Redis, Celery, ib_insync and TCP."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest

from tests.walks.house import ROOT, House, running, until


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
    """Somebody else in the market; see tests/walks/counterparty.py."""

    def __init__(self, port: int) -> None:
        self.port = port

    def trade(self, action: str, quantity: float, symbol: str, price: Decimal | None = None) -> None:
        """Send an order; it is filled or rests when this returns."""
        outcome = self._run("trade", action, str(quantity), symbol, *([] if price is None else [str(price)]))
        assert outcome["status"] in ("Filled", "Submitted"), outcome

    def quote(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        quote = self._run("quote", symbol)
        return Decimal(quote["bid"]), Decimal(quote["ask"])

    def _run(self, *words: str) -> dict:
        argv = [sys.executable, "-m", "tests.walks.counterparty", str(self.port), *words]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def counterparty(house):
    return Counterparty(house.gateway.port)
