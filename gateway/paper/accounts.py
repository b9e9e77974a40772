"""Accounts: cash, positions, commissions and margin.

Rules: everything in Decimal US dollars. The average cost of a position includes commissions, as IB's avgCost does, so
realised P&L is net of them. Margin is one flat rate over the gross value of the positions: a model, not IB's tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.paper.book import Side
from gateway.paper.catalogue import Listing

# IB's fixed pricing for US stocks: per share, at least, and at most this part of the trade's value.
COMMISSION_PER_SHARE = Decimal("0.005")
COMMISSION_MINIMUM = Decimal("1.00")
COMMISSION_MAXIMUM_RATE = Decimal("0.01")

MARGIN_RATE = Decimal("0.25")  # initial and maintenance alike: four dollars of stock per dollar of equity
ZERO = Decimal(0)


def commission_due(quantity: Decimal, value: Decimal) -> Decimal:
    """What an order owes in all for that many shares traded at that value, over all its fills."""
    due = max(quantity * COMMISSION_PER_SHARE, COMMISSION_MINIMUM)
    return min(due, value * COMMISSION_MAXIMUM_RATE).quantize(Decimal("0.000001"))


@dataclass(slots=True)
class Position:
    """A holding; negative when short. `realized` counts since midnight."""

    listing: Listing
    quantity: Decimal = ZERO
    average_cost: Decimal = ZERO
    realized: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """An account valued at given prices."""

    cash: Decimal
    stock_value: Decimal
    gross_value: Decimal
    unrealized: Decimal
    realized: Decimal

    @property
    def equity(self) -> Decimal:
        return self.cash + self.stock_value

    @property
    def margin(self) -> Decimal:
        return self.gross_value * MARGIN_RATE

    @property
    def available(self) -> Decimal:
        return self.equity - self.margin

    @property
    def buying_power(self) -> Decimal:
        return max(ZERO, self.available / MARGIN_RATE)


@dataclass(slots=True)
class Account:
    """One account. `pending` is what its working orders may still add, by contract and side; `worst` what it would hold
    of a contract, long or short, if the worse side of them were filled: kept, as every placement asks for all of it."""

    code: str
    cash: Decimal
    positions: dict[int, Position] = field(default_factory=dict)
    pending: dict[tuple[int, Side], Decimal] = field(default_factory=dict)
    worst: dict[int, Decimal] = field(default_factory=dict)

    def holdings(self) -> Iterator[Position]:
        """Positions that are not flat."""
        return (position for position in self.positions.values() if position.quantity)

    def position(self, listing: Listing) -> Position:
        return self.positions.get(listing.con_id) or Position(listing)

    def trade(self, listing: Listing, side: Side, quantity: Decimal, price: Decimal, fee: Decimal) -> Decimal | None:
        """Book one fill. The realised P&L, net of commissions, or None when nothing was closed."""
        signed = quantity if side is Side.BUY else -quantity
        self.cash -= signed * price + fee
        position = self.positions.setdefault(listing.con_id, Position(listing))
        before = position.quantity
        position.quantity += signed
        self.reckon(listing.con_id)
        if before * signed >= 0:
            self._add(position, before, signed, price, fee)
            return None
        return self._close(position, before, signed, price, fee)

    @staticmethod
    def _add(position: Position, before: Decimal, signed: Decimal, price: Decimal, fee: Decimal) -> None:
        # A fee raises what a long cost and lowers what a short brought in: added in both cases to the signed value.
        value = before * position.average_cost + signed * price + fee
        position.average_cost = value / (before + signed)

    @staticmethod
    def _close(position: Position, before: Decimal, signed: Decimal, price: Decimal, fee: Decimal) -> Decimal:
        closed = min(abs(signed), abs(before))
        share_of_fee = fee * closed / abs(signed)
        gain = (price - position.average_cost) * closed * (1 if before > 0 else -1)
        realized = gain - share_of_fee
        position.realized += realized
        opened = signed + before if abs(signed) > abs(before) else ZERO
        if opened:
            position.average_cost = (opened * price + fee - share_of_fee) / opened
        elif not position.quantity:
            position.average_cost = ZERO
        return realized

    def expect(self, listing: Listing, side: Side, change: Decimal) -> None:
        """Count what a working order may still trade (negative: what it no longer can)."""
        key = listing.con_id, side
        left = self.pending.get(key, ZERO) + change
        if left:
            self.pending[key] = left
        else:
            self.pending.pop(key, None)
        self.reckon(listing.con_id)

    def reckon(self, con_id: int) -> None:
        """Bring `worst` up to date for a contract whose position or working orders changed."""
        held = self.positions[con_id].quantity if con_id in self.positions else ZERO
        longest = held + self.pending.get((con_id, Side.BUY), ZERO)
        shortest = held - self.pending.get((con_id, Side.SELL), ZERO)
        if worst := max(abs(longest), abs(shortest)):
            self.worst[con_id] = worst
        else:
            self.worst.pop(con_id, None)

    def stock_value(self, marks: Mapping[int, Decimal]) -> Decimal:
        return sum((held.quantity * marks[con_id] for con_id, held in self.positions.items() if held.quantity), ZERO)

    def figures(self, marks: Mapping[int, Decimal]) -> Figures:
        """Value the account; `marks` gives a price for each contract held."""
        stock = gross = cost = ZERO
        for position in self.holdings():
            value = position.quantity * marks[position.listing.con_id]
            stock += value
            gross += abs(value)
            cost += position.quantity * position.average_cost
        realized = sum((position.realized for position in self.positions.values()), ZERO)
        return Figures(cash=self.cash, stock_value=stock, gross_value=gross, unrealized=stock - cost, realized=realized)

    def margin_at_worst(self, marks: Mapping[int, Decimal]) -> Decimal:
        """Initial margin if, contract by contract, the worse side of the working orders were all filled."""
        return sum((quantity * marks[con_id] for con_id, quantity in self.worst.items()), ZERO) * MARGIN_RATE
