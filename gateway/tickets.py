"""What we tell the broker: plain values in FIX words, translated to IB's in gateway.translation only."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT", "STOP", "STOP_LIMIT"]
TimeInForce = Literal["DAY", "GTC"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A qualified contract. `con_id` is IB's contract id and identifies it alone."""

    con_id: int
    symbol: str
    security_type: str = "STK"
    exchange: str = "SMART"
    primary_exchange: str = ""
    currency: str = "USD"
    local_symbol: str = ""
    trading_class: str = ""
    min_tick: Decimal = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTicket:
    """One order as it will be sent. Every field is set on purpose: an unset one means something to IB.

    `order_id` is the client's order id at the gateway (FIX ClOrdID in IB's numbering), `order_ref` the text that
    comes back with every report (`<client's reference>~<stamp>`), `parent_id` the order id of a bracket's entry or 0.
    """

    order_id: int
    account: str
    instrument: Instrument
    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = "DAY"
    order_ref: str
    parent_id: int = 0
    transmit: bool = True
    outside_regular_hours: bool = False
