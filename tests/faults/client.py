"""A client of the API that keeps every answer, for the checker; each order has a reference nobody else uses.

The reference travels to the broker with the order, so what a client was told can be held against the gateway's ledger
without asking the database.
"""

import itertools
import threading
import time
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.walks.house import OURS

_numbers = itertools.count(1)
# Dear enough that an order to buy at 200 waits; IB takes no more than 20 of them for each.
SYMBOLS = ("AAPL", "MSFT", "META", "TSLA", "ADBE", "NFLX", "COST", "AMGN", "COIN", "JPM")
NEVER_SENT = "Failed to connect to IB Gateway"


@dataclass(slots=True)
class Exchange:
    """One request and what came back: `status` 0 where nothing did. `legs`: how many orders it asked for."""

    path: str
    body: dict[str, Any]
    key: str | None
    legs: int
    accounts: frozenset[str] = frozenset({OURS})  # in which this client may trade
    status: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str = ""

    @property
    def ref(self) -> str:
        return str(self.body.get("order_ref", ""))

    @property
    def perm_ids(self) -> list[int]:
        return self.answer.get("permIds") or [i for i in [self.answer.get("permId")] if i]

    @property
    def said(self) -> str:
        """placed, not placed, unknown, refused, cancelled, or silence."""
        detail = str(self.answer.get("detail", ""))
        if self.status == 0:
            return "silence"
        if self.path == "/order/cancel":
            return {200: "cancelled", 404: "gone"}.get(self.status, "unknown")
        if self.status == 200:
            return "placed"
        if detail.startswith("The outcome is unknown"):
            return "unknown"
        if self.status == 500 and (detail == NEVER_SENT or detail.startswith("Failed to place")):
            return "not placed"
        return "refused"


class Client:
    """`patience` is how long it waits for an answer before it hangs up."""

    def __init__(self, house, *, prefix: str = "r") -> None:
        self._base = house.base
        self._prefix = prefix
        self._lock = threading.Lock()
        self._headers: dict[str, str] = {}
        self._accounts = frozenset({OURS})
        self.exchanges: list[Exchange] = []

    def with_api_key(self, secret: str, accounts: set[str]) -> "Client":
        """Somebody else, whose exchanges are kept with ours; `accounts`: where the key may trade."""
        other = copy(self)
        other._headers = {"Authorization": f"Bearer {secret}"}
        other._accounts = frozenset(accounts)
        return other

    def get(self, path: str) -> requests.Response:
        return requests.get(self._base + path, timeout=10)

    def limit(self, price: float = 200.0, **more: Any) -> Exchange:
        return self.order("/order/limit", limit_price=price, **more)

    def market(self, **more: Any) -> Exchange:
        return self.order("/order/market", **more)

    def bracket(self, **more: Any) -> Exchange:
        prices = {"entry_price": 200.0, "stop_loss": 190.0, "take_profit": 300.0}
        return self.order("/order/bracket", legs=3, **(prices | more))

    def cancel(self, perm_id: int, **more: Any) -> Exchange:
        return self.post(Exchange("/order/cancel", {"perm_id": perm_id}, more.pop("key", None), legs=0), **more)

    def order(
        self, path: str, *, key: str | None = None, patience: float = 15.0, legs: int = 1, **body: Any
    ) -> Exchange:
        number = next(_numbers)
        terms = {"symbol": SYMBOLS[number % len(SYMBOLS)], "action": "BUY", "quantity": 1}
        terms["order_ref"] = f"{self._prefix}{number}"
        return self.post(Exchange(path, terms | body, key, legs), patience=patience)

    def post(self, exchange: Exchange, *, patience: float = 15.0) -> Exchange:
        headers = self._headers | ({} if exchange.key is None else {"Idempotency-Key": exchange.key})
        exchange.accounts = self._accounts
        began = time.monotonic()
        try:
            response = requests.post(
                self._base + exchange.path, json=exchange.body, headers=headers, timeout=(5, patience)
            )
            exchange.status = response.status_code
            exchange.headers = dict(response.headers)
            exchange.answer = response.json()
        except (requests.RequestException, ValueError) as error:
            exchange.failure = str(error)
        exchange.seconds = time.monotonic() - began
        with self._lock:
            self.exchanges.append(exchange)
        return exchange
