"""All that can happen to an order, as frozen values.

Rules: an event is a fact and never changes; it holds what replay needs to rebuild the order's row, no more;
decimals travel as text in JSON so that nothing is rounded. `occurred_at` is the broker's time where it gave one.
"""

import dataclasses
import typing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import UnionType
from typing import Any, ClassVar, Self

from orders.vocabulary import EventKind, OrderStatus


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events. Fields of subclasses are the payload; `occurred_at` is a column of its own."""

    kind: ClassVar[EventKind]
    occurred_at: datetime | None = None

    def payload(self) -> dict[str, Any]:
        """The fields as JSON values; unset ones are left out."""
        values = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "occurred_at")
        return {name: str(v) if isinstance(v, Decimal) else v for name, v in values if v is not None}

    @classmethod
    def from_payload(cls, payload: dict[str, Any], *, occurred_at: datetime | None = None) -> Self:
        decimals = _DECIMALS[cls]
        values = {name: Decimal(v) if name in decimals else v for name, v in payload.items()}
        return cls(occurred_at=occurred_at, **values)


@dataclass(frozen=True, kw_only=True)
class Received(Event):
    """Persisted and promised nothing yet. `limits`: what was decided on (orders.risk.Decision), here and below."""

    kind = EventKind.RECEIVED
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    limits: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Denied(Event):
    """Refused by our own rules, when it was asked for or when it was about to be sent; nothing was sent."""

    kind = EventKind.DENIED
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reason: str
    limits: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Adopted(Event):
    """First seen at the broker: typed in TWS, or placed by another client. `status` is where it stood then."""

    kind = EventKind.ADOPTED
    status: str
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    client_id: int | None = None
    broker_order_id: int | None = None
    perm_id: int
    broker_status: str


@dataclass(frozen=True, kw_only=True)
class Sent(Event):
    """The claim, committed before any byte goes out (FIX 35=D).

    `digest` is SHA-256 of the ticket to be written. `unexplained` (signed; see orders.holdings) and `trading_day` are
    as they were known then: what recovery later compares with.
    """

    kind = EventKind.SENT
    client_id: int
    broker_order_id: int
    connection: int
    epoch: int
    stamp: str
    digest: str
    unexplained: Decimal
    trading_day: str
    limits: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class NotPlaced(Event):
    """Proved never placed; `reason` says how."""

    kind = EventKind.NOT_PLACED
    reason: str


@dataclass(frozen=True, kw_only=True)
class Accepted(Event):
    """The broker acknowledged it under its permanent id (FIX 150=0)."""

    kind = EventKind.ACCEPTED
    perm_id: int
    broker_status: str


@dataclass(frozen=True, kw_only=True)
class Rejected(Event):
    """The broker refused it (FIX 150=8)."""

    kind = EventKind.REJECTED
    reason: str
    code: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trade(Event):
    """One execution (FIX 150=F): `quantity` (32) at `price` (31), once per exec_id (17)."""

    exec_id: str
    quantity: Decimal
    price: Decimal
    perm_id: int


@dataclass(frozen=True, kw_only=True)
class PartialFill(Trade):
    """Something is left."""

    kind = EventKind.PARTIAL_FILL


@dataclass(frozen=True, kw_only=True)
class Fill(Trade):
    """Nothing is left."""

    kind = EventKind.FILL


@dataclass(frozen=True, kw_only=True)
class Correction(Event):
    """An execution replaces an earlier one (FIX 150=G): same id up to the last dot, a higher suffix.

    `quantity` 0 is a bust: the trade was undone (FIX 150=H).
    """

    exec_id: str
    replaces: str
    quantity: Decimal
    price: Decimal
    replaced_quantity: Decimal
    replaced_price: Decimal


@dataclass(frozen=True, kw_only=True)
class TradeCorrected(Correction):
    """Whether something is left of the order has not changed."""

    kind = EventKind.TRADE_CORRECTED


@dataclass(frozen=True, kw_only=True)
class FilledByCorrection(Correction):
    """Something was left, and now nothing is."""

    kind = EventKind.FILLED_BY_CORRECTION


@dataclass(frozen=True, kw_only=True)
class OpenedByCorrection(Correction):
    """Nothing was left, and now something is."""

    kind = EventKind.OPENED_BY_CORRECTION


@dataclass(frozen=True, kw_only=True)
class CancelRequested(Event):
    """Somebody wants it gone (FIX 35=F); nothing was sent yet."""

    kind = EventKind.CANCEL_REQUESTED
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class CancelSent(Event):
    """The cancellation is on its way to the broker; written before the bytes go out."""

    kind = EventKind.CANCEL_SENT
    connection: int


@dataclass(frozen=True, kw_only=True)
class CancelRejected(Event):
    """The order could not be cancelled (FIX 35=9) or the request was withdrawn unsent."""

    kind = EventKind.CANCEL_REJECTED
    reason: str
    code: int | None = None


@dataclass(frozen=True, kw_only=True)
class Canceled(Event):
    """The broker confirmed that it is gone (FIX 150=4)."""

    kind = EventKind.CANCELED
    broker_status: str
    perm_id: int | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Expired(Event):
    """The broker let it lapse (FIX 150=C)."""

    kind = EventKind.EXPIRED
    broker_status: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Restated(Event):
    """The order stands at the broker with other terms than ours (FIX 150=D)."""

    kind = EventKind.RESTATED
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class StatusReported(Event):
    """The broker's word for the order changed and ours did not."""

    kind = EventKind.STATUS_REPORTED
    broker_status: str
    perm_id: int | None = None
    why_held: str = ""


@dataclass(frozen=True, kw_only=True)
class ErrorReported(Event):
    """The broker sent an error or a warning about the order that decides nothing."""

    kind = EventKind.ERROR_REPORTED
    code: int
    text: str


@dataclass(frozen=True, kw_only=True)
class InDoubt(Event):
    """Whether the order exists cannot be told; `reason` says what was asked and answered."""

    kind = EventKind.IN_DOUBT
    reason: str


@dataclass(frozen=True, kw_only=True)
class StillInDoubt(Event):
    """Everything was asked again and the order not found; `doubts` speak against calling it not placed.

    `rounds` complete rounds of questions, the last `settled_seconds` after the connection was ready. FIX has no word
    for this, nor for what a person decides.
    """

    kind = EventKind.STILL_IN_DOUBT
    rounds: int
    settled_seconds: int
    doubts: list[str]


@dataclass(frozen=True, kw_only=True)
class ResolvedPlaced(Event):
    """A person saw it at the broker, under that permanent id; `reason` says where."""

    kind = EventKind.RESOLVED_PLACED
    perm_id: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ResolvedNotPlaced(Event):
    """A person is sure that the broker never had it; `reason` says why."""

    kind = EventKind.RESOLVED_NOT_PLACED
    reason: str


@dataclass(frozen=True, kw_only=True)
class ResolvedCanceled(Event):
    """The broker lists it no more, and a person is sure that it was cancelled; `reason` says why."""

    kind = EventKind.RESOLVED_CANCELED
    reason: str


@dataclass(frozen=True, kw_only=True)
class ResolvedExpired(Event):
    """The broker lists it no more, and a person is sure that it lapsed; `reason` says why."""

    kind = EventKind.RESOLVED_EXPIRED
    reason: str


@dataclass(frozen=True, kw_only=True)
class Unexpected(Event):
    """A report the lifecycle has no row for; the raw message stands beside it."""

    kind = EventKind.UNEXPECTED
    refused: str
    status: str
    details: dict[str, Any]


def trade(
    *, exec_id: str, quantity: Decimal, price: Decimal, perm_id: int, leaves: Decimal, occurred_at: datetime | None
) -> Trade:
    """A fill or a partial fill, by what it leaves of the order (`leaves` is before this trade; FIX 151)."""
    kind = Fill if quantity >= leaves else PartialFill
    return kind(exec_id=exec_id, quantity=quantity, price=price, perm_id=perm_id, occurred_at=occurred_at)


def from_payload(kind: str, payload: dict[str, Any], *, occurred_at: datetime | None = None) -> Event:
    """The event that `payload()` was taken from."""
    return BY_KIND[EventKind(kind)].from_payload(payload, occurred_at=occurred_at)


def _concrete(cls: type[Event]) -> list[type[Event]]:
    below = [found for child in cls.__subclasses__() for found in _concrete(child)]
    return below or [cls]


def _decimal_fields(cls: type[Event]) -> frozenset[str]:
    hints = typing.get_type_hints(cls)
    return frozenset(
        name
        for name, hint in hints.items()
        if hint is Decimal or (isinstance(hint, UnionType) and Decimal in typing.get_args(hint))
    )


BY_KIND: dict[EventKind, type[Event]] = {cls.kind: cls for cls in _concrete(Event)}
_DECIMALS: dict[type[Event], frozenset[str]] = {cls: _decimal_fields(cls) for cls in BY_KIND.values()}

OPENING = (Received, Denied, Adopted)
STATUS_OF_ADOPTED = frozenset({OrderStatus.NEW, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.FILLED})
