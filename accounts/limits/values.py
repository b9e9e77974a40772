"""The limits as plain values, what they are called, and what holds before anybody set any. Pure.

Rules: None is no limit. With paper money nothing is limited until somebody limits it; with real money nothing may be
sent until somebody says what may. Whoever adds a limit adds it here, in the model, and in orders.risk.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force for an account.

    `account`: whose they are; empty: those of every account without any of its own. `version` 0: nobody set any.
    Quantities in units of the instrument, values and losses in its currency and the account's, the collar in percent.
    """

    account: str = ""
    version: int = 0
    order_quantity: Decimal | None = None
    order_value: Decimal | None = None
    price_collar: Decimal | None = None
    position: Decimal | None = None
    daily_loss: Decimal | None = None
    working_orders: int | None = None
    orders_per_second: int | None = None
    orders_per_minute: int | None = None
    orders_per_day: int | None = None
    duplicate_seconds: int | None = None
    allowed_symbols: tuple[str, ...] | None = None
    refused_symbols: tuple[str, ...] | None = None
    allowed_types: tuple[str, ...] | None = None
    short_selling: bool = True
    refuse_unknown: bool = False

    @property
    def unset(self) -> bool:
        """Whether nothing may be sent because nobody said what may."""
        return self.version == 0 and self == LIVE


class Limit(NamedTuple):
    """How a limit is called and explained; `kind`: decimal, count, symbols, types or yes/no."""

    name: str
    label: str
    help_text: str
    kind: str


LIMITS = (
    Limit("order_quantity", "Quantity per order", "the most units in one order", "decimal"),
    Limit(
        "order_value",
        "Value per order",
        "quantity times price: a buy limit's own price; for the rest the higher of their own and the last one",
        "decimal",
    ),
    Limit(
        "price_collar",
        "Price collar, percent",
        "how far the price of an order may be from the last one, up or down; the exits of a bracket are free",
        "decimal",
    ),
    Limit(
        "position",
        "Position",
        "the most units that may be held or sold short of one symbol, should all that works be filled",
        "decimal",
    ),
    Limit(
        "daily_loss",
        "Loss per day",
        "what the account's net liquidation may fall since the gateway's midnight; then only what reduces a position",
        "decimal",
    ),
    Limit("working_orders", "Working orders", "of the account at one time, whatever the symbol", "count"),
    Limit("orders_per_second", "Orders per second", "sent within any second", "count"),
    Limit("orders_per_minute", "Orders per minute", "sent within any minute", "count"),
    Limit("orders_per_day", "Orders per day", "sent since the gateway's midnight", "count"),
    Limit(
        "duplicate_seconds",
        "Same order again, seconds",
        "refuses an order that equals one of so many seconds before in symbol, side, quantity, type and prices",
        "count",
    ),
    Limit("allowed_symbols", "Allowed symbols", "only these", "symbols"),
    Limit("refused_symbols", "Refused symbols", "all but these", "symbols"),
    Limit("allowed_types", "Allowed order types", "of MARKET, LIMIT, STOP; the exits of a bracket count too", "types"),
    Limit("short_selling", "Short selling", "whether more may be sold than is held", "yes/no"),
    Limit(
        "refuse_unknown",
        "Refuse what cannot be checked",
        "when a limit needs a figure that is not known: the last price, or the day's result",
        "yes/no",
    ),
)

PAPER = Limits()
LIVE = Limits(
    order_quantity=Decimal(0),
    order_value=Decimal(0),
    position=Decimal(0),
    daily_loss=Decimal(0),
    working_orders=0,
    orders_per_second=0,
    orders_per_minute=0,
    orders_per_day=0,
    short_selling=False,
    refuse_unknown=True,
)
DEFAULTS = {"paper": PAPER, "live": LIVE}

_FIELDS = tuple(field.name for field in dataclasses.fields(Limits))
_KINDS = {limit.name: limit.kind for limit in LIMITS}


def from_row(row: Mapping[str, Any]) -> Limits:
    """The limits of a row, given by its columns."""
    return Limits(**{name: _value(name, row[name]) for name in _FIELDS})


def in_words(limits: Limits) -> dict[str, str]:
    """Every limit as a person reads it, by its name."""
    return {limit.name: _words(getattr(limits, limit.name)) for limit in LIMITS}


def _value(name: str, value: Any) -> Any:
    match _KINDS.get(name):
        case "decimal":
            return None if value is None else Decimal(value)
        case "symbols" | "types":
            return None if value is None else tuple(value)
    return value


def _words(value: Any) -> str:
    match value:
        case None:
            return "no limit"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value)
        case Decimal():
            return plain(value)
    return str(value)


def plain(value: Decimal) -> str:
    """A decimal without trailing zeros."""
    return f"{value.normalize():f}" if value else "0"
