"""Orders, executions and what is said about them.

Rules: a Placement is what a client asked, an Order what the exchange made of it. Only the engine changes an Order, and
what it tells the outside are Events that carry copies. Words are IB's (this is a gateway): order types MKT, LMT, STP,
STP LMT; statuses as orderStatus spells them.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from gateway.paper.book import Side
from gateway.paper.catalogue import ContractAsk, Listing


class Status(StrEnum):
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    CANCELLED = "Cancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"


DONE = frozenset({Status.CANCELLED, Status.FILLED, Status.INACTIVE})
STOPS = frozenset({"STP", "STP LMT"})
LIMITS = frozenset({"LMT", "STP LMT"})
AT_ONCE = frozenset({"IOC", "FOK"})


class Refusal(Exception):
    """A request that changes nothing. `code` and `text` are those of the error message (4)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """placeOrder (3) as asked. Unset prices are None; `memo` holds fields the engine keeps but does not act on."""

    client_id: int
    order_id: int
    contract: ContractAsk
    side: str
    quantity: Decimal | None
    order_type: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = "DAY"
    account: str = ""
    order_ref: str = ""
    parent_id: int = 0
    transmit: bool = True
    oca_group: str = ""
    oca_type: int = 0
    outside_rth: bool = False
    memo: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Order:
    """An order the exchange holds. `entered` grows with each (re)entry and is its turn in time priority."""

    perm_id: int
    client_id: int
    order_id: int
    account: str
    listing: Listing
    side: Side
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    order_ref: str
    parent_id: int
    parent_perm_id: int
    oca_group: str
    oca_type: int
    outside_rth: bool
    memo: Mapping[str, str]
    exchange: str = "SMART"
    status: Status = Status.PRE_SUBMITTED
    why_held: str = ""
    elected: bool = False
    filled: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)  # price x quantity over all fills
    last_fill_price: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    revision: int = 0
    entered: int = 0
    ended_at: datetime | None = None
    ended_because: str = ""

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        return self.paid / self.filled if self.filled else Decimal(0)

    @property
    def done(self) -> bool:
        return self.status in DONE

    @property
    def waits_for_trigger(self) -> bool:
        return self.order_type in STOPS and not self.elected

    @property
    def limit(self) -> Decimal | None:
        """The worst price it may trade at; None at any price."""
        return self.limit_price if self.order_type in LIMITS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill of one order (execDetails 11 and its commissionReport 59)."""

    exec_id: str
    at: datetime
    perm_id: int
    client_id: int
    order_id: int
    account: str
    listing: Listing
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    average_price: Decimal
    order_ref: str
    adds_liquidity: bool
    commission: Decimal
    realized: Decimal | None  # None when the fill opened or added to a position


@dataclass(frozen=True, slots=True)
class Opened:
    """openOrder (5)."""

    order: Order


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing on the wire: the order waits for its transmission."""

    order: Order


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """orderStatus (3)."""

    order: Order


@dataclass(frozen=True, slots=True)
class Executed:
    """execDetails (11)."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Charged:
    """commissionReport (59)."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Failed:
    """error (4) about an order."""

    client_id: int
    order_id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """position (61) to whoever subscribed."""

    account: str
    listing: Listing


Event = Held | Opened | StatusChanged | Executed | Charged | Failed | PositionChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a placement: taken (perhaps held until transmitted, perhaps a modification) or refused."""

    perm_id: int = 0
    held: bool = False
    modified: bool = False
    code: int = 0
    text: str = ""

    @property
    def accepted(self) -> bool:
        return self.code == 0


def snapshot(order: Order) -> Order:
    """The order as it stands, for events: later changes do not reach it."""
    return copy(order)
