"""What pre-trade checks are given and what they give: plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from accounts.limits.values import Limits, plain
from orders.vocabulary import Side

NOTHING = Decimal(0)
# What is said like a breach of a limit, and no limit of ours.
IB_WORKING_ORDERS, HALT = "ib_working_orders", "halt"
HOW_TO_SET = "manage.py limits set, or Limits in the admin"


class Leg(Protocol):
    """One order of what is asked for; a row of orders.models.Order is one too."""

    @property
    def role(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def order_type(self) -> str: ...
    @property
    def limit_price(self) -> Decimal | None: ...
    @property
    def stop_price(self) -> Decimal | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What is asked for: the legs of one request, the first of which opens. All have the same quantity."""

    account: str
    symbol: str
    quantity: Decimal
    legs: Sequence[Leg]

    @property
    def opening(self) -> Leg:
        return self.legs[0]

    @property
    def price(self) -> Decimal | None:
        """The price that stands on the opening leg; None for a market order."""
        leg = self.opening
        return leg.limit_price if leg.limit_price is not None else leg.stop_price


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is at stake already in the account. None: not known, or no limit asked for it.

    `working` and `leaves`: orders in the symbol by side, and how much they may still buy or sell. `held`: by the
    broker's word; `executed`: by our record, which may be ahead of it. `sent`: orders of the last second, the last
    minute and this day.
    """

    working: Mapping[str, int] = field(default_factory=dict)
    leaves: Mapping[str, Decimal] = field(default_factory=dict)
    held: Decimal = NOTHING
    executed: Decimal = NOTHING
    price: Decimal | None = None
    priced_at: datetime | None = None
    working_in_account: int | None = None
    sent: Mapping[str, int] = field(default_factory=dict)
    repeats: int | None = None
    day_result: Decimal | None = None

    def most(self) -> Decimal:
        """The position once all that may buy has bought; negative is short."""
        return max(self.held, self.executed) + self.leaves.get(Side.BUY, NOTHING)

    def least(self) -> Decimal:
        """The position once all that may sell has sold."""
        return min(self.held, self.executed) - self.leaves.get(Side.SELL, NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that would be broken; `reason` is fit to be shown to the client."""

    limit: str
    reason: str
    allowed: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about an order, and on what."""

    limits: Limits
    exposure: Exposure
    breaches: Sequence[Breach]

    @property
    def reason(self) -> str:
        """Everything that speaks against it in one line; empty when nothing does."""
        said = "; ".join(breach.reason for breach in self.breaches)
        if all(breach.limit in (IB_WORKING_ORDERS, HALT) for breach in self.breaches):
            return said
        whose = self.limits.account or "all accounts"
        return f"{said} (limits of {whose}, version {self.limits.version}: {HOW_TO_SET})"

    def payload(self) -> dict[str, Any]:
        """The same as JSON values, for the order's event: numbers are text, what is not known says so."""
        known = self.exposure
        inputs: dict[str, Any] = {
            "working": dict(known.working),
            "leaves": {side: plain(quantity) for side, quantity in known.leaves.items()},
            "held": plain(known.held),
            "price": "unknown" if known.price is None else plain(known.price),
        }
        if known.executed != known.held:
            inputs["executed"] = plain(known.executed)
        if known.priced_at is not None:
            inputs["priced_at"] = known.priced_at.isoformat()
        if known.working_in_account is not None:
            inputs["working_in_account"] = known.working_in_account
        if known.sent:
            inputs["sent"] = dict(known.sent)
        if self.limits.daily_loss is not None:
            inputs["day_result"] = "unknown" if known.day_result is None else plain(known.day_result)
        told = {"of": self.limits.account, "version": self.limits.version, "inputs": inputs}
        if self.breaches:
            told["breaches"] = [{"limit": b.limit, "allowed": b.allowed, "found": b.found} for b in self.breaches]
        return told
