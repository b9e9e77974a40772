"""An exchange in this process, with a clock that only the test moves, and short words to trade on it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.paper.book import Side
from gateway.paper.catalogue import ContractAsk, read_catalogue
from gateway.paper.exchange import Exchange
from gateway.paper.market import Market
from gateway.paper.orders import (
    Charged,
    Event,
    Executed,
    Execution,
    Failed,
    Held,
    Opened,
    Order,
    Placement,
    PositionChanged,
    Receipt,
    StatusChanged,
)

START = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
ACCOUNT = "DU1000001"


class Floor:
    """`told` are all events since it was last cleared; prices and quantities may be given as text or int."""

    def __init__(self, *, accounts: tuple[str, ...] = (ACCOUNT,), cash: str = "200000", seed: int = 1) -> None:
        self.now = START
        self.exchange = Exchange(
            catalogue=read_catalogue(),
            accounts=accounts,
            cash=Decimal(cash),
            seed=seed,
            clock=lambda: self.now,
        )
        self.exchange.open()
        self.told: list[Event] = []

    def place(
        self,
        order_id: int,
        side: str,
        quantity: object,
        order_type: str = "MKT",
        *,
        symbol: str = "AAPL",
        limit: object = None,
        stop: object = None,
        client: int = 1,
        **terms: Any,
    ) -> Receipt:
        receipt = self.exchange.place(
            Placement(
                client_id=client,
                order_id=order_id,
                contract=ContractAsk(symbol=symbol, security_type="STK", exchange="SMART", currency="USD"),
                side=side,
                quantity=None if quantity is None else Decimal(str(quantity)),
                order_type=order_type,
                limit_price=None if limit is None else Decimal(str(limit)),
                stop_price=None if stop is None else Decimal(str(stop)),
                **terms,
            )
        )
        self._listen()
        return receipt

    def cancel(self, order_id: int, *, client: int = 1) -> Receipt:
        receipt = self.exchange.cancel(client, order_id)
        self._listen()
        return receipt

    def cancel_all(self) -> None:
        self.exchange.cancel_all()
        self._listen()

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.exchange.step()
        self._listen()

    def wait(self, **period: float) -> None:
        self.now += timedelta(**period)

    def fair(self, price: str, symbol: str = "AAPL") -> None:
        """Move the market's fair price, as a large step would, and requote."""
        market = self.market(symbol)
        market.maker.fair = Decimal(price)
        self.exchange.step()
        self._listen()

    def market(self, symbol: str = "AAPL") -> Market:
        listing = self.exchange.catalogue.find(ContractAsk(symbol=symbol))
        assert listing is not None
        return self.exchange.markets[listing.con_id]

    def best(self, side: Side, symbol: str = "AAPL") -> Decimal:
        level = self.market(symbol).book.best(side)
        assert level is not None
        return level.price

    def order(self, order_id: int, *, client: int = 1) -> Order:
        order = self.exchange.register.find(client, order_id)
        assert order is not None
        return order

    def history(self, order_id: int | None = None) -> list[str]:
        """What was told since last asked (of that order), in short words: `oO Submitted`, `Submitted 0/10`, `fill 10`,
        `commission`, `error 202`."""
        asked = [event for event in self.told if order_id in (None, _order_id(event))]
        self.told = [event for event in self.told if event not in asked]
        return [word for word in map(_words, asked) if word]

    def executions(self) -> list[Execution]:
        return self.exchange.register.executions

    def _listen(self) -> None:
        self.told += self.exchange.take_events()


def _words(event: Event) -> str:
    match event:
        case Opened(order):
            return f"oO {order.status}"
        case StatusChanged(order):
            held = f" {order.why_held}" if order.why_held else ""
            return f"{order.status}{held} {order.filled}/{order.quantity}"
        case Executed(execution):
            return f"fill {execution.quantity}"
        case Charged(_):
            return "commission"
        case Failed(code=code):
            return f"error {code}"
        case Held(_) | PositionChanged(_, _):
            return ""


def _order_id(event: Event) -> int | None:
    match event:
        case Opened(order) | StatusChanged(order) | Held(order):
            return order.order_id
        case Executed(execution) | Charged(execution):
            return execution.order_id
        case Failed(order_id=order_id):
            return order_id
        case _:
            return None
