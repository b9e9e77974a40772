"""A limit order book: the better price first, at one price the earlier order.

Rules: quantities and prices are Decimal. A key names one resting order and is the caller's. The book never rests an
order that could trade (`add` refuses a crossing price), so takers come first to `take`, one trade at a time: between
two trades the caller may change the book, which is how one-cancels-all groups block their other members. The trade's
price is always the resting order's.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """FIX tag 54, in words."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


@dataclass(frozen=True, slots=True)
class Trade:
    """One match against a resting order."""

    maker: int
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Level:
    """All that rests at one price."""

    price: Decimal
    quantity: Decimal


class _Half:
    """One side of the book. A rank is the price, negated for asks, so that the best is always the last."""

    __slots__ = ("_queues", "_ranks", "_sign")

    def __init__(self, side: Side) -> None:
        self._sign = 1 if side is Side.BUY else -1
        self._ranks: list[Decimal] = []
        # An OrderedDict and not a dict: popping from the front of a dict again and again is quadratic.
        self._queues: dict[Decimal, OrderedDict[int, Decimal]] = {}

    def add(self, key: int, price: Decimal, quantity: Decimal) -> None:
        rank = self._sign * price
        queue = self._queues.get(rank)
        if queue is None:
            queue = self._queues[rank] = OrderedDict()
            insort(self._ranks, rank)
        queue[key] = quantity

    def quantity(self, key: int, price: Decimal) -> Decimal:
        return self._queues[self._sign * price][key]

    def set(self, key: int, price: Decimal, quantity: Decimal) -> None:
        self._queues[self._sign * price][key] = quantity

    def remove(self, key: int, price: Decimal) -> Decimal:
        rank = self._sign * price
        queue = self._queues[rank]
        quantity = queue.pop(key)
        if not queue:
            del self._queues[rank]
            del self._ranks[bisect_left(self._ranks, rank)]
        return quantity

    def first(self) -> tuple[int, Decimal, Decimal] | None:
        """Key, price and quantity of the order that trades next."""
        if not self._ranks:
            return None
        rank = self._ranks[-1]
        queue = self._queues[rank]
        key = next(iter(queue))
        return key, self._sign * rank, queue[key]

    def best(self) -> Decimal | None:
        return self._sign * self._ranks[-1] if self._ranks else None

    def levels(self) -> Iterator[Level]:
        for rank in reversed(self._ranks):
            yield Level(self._sign * rank, sum(self._queues[rank].values(), Decimal(0)))

    def reaches(self, price: Decimal, limit: Decimal | None) -> bool:
        """Whether a resting order at this price is good enough for a taker with that limit (None: any price)."""
        return limit is None or self._sign * price >= self._sign * limit


class Book:
    """The resting orders of one instrument."""

    def __init__(self) -> None:
        self._halves = {side: _Half(side) for side in Side}
        self._places: dict[int, tuple[Side, Decimal]] = {}

    def __contains__(self, key: int) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, key: int, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Rest an order behind those already at its price."""
        if key in self._places or quantity <= 0 or self.would_trade(side, price):
            raise ValueError(f"order {key} cannot rest: {side} {quantity} at {price}")
        self._halves[side].add(key, price, quantity)
        self._places[key] = side, price

    def quantity(self, key: int) -> Decimal:
        """What an order still has."""
        side, price = self._places[key]
        return self._halves[side].quantity(key, price)

    def reduce(self, key: int, quantity: Decimal) -> None:
        """Lower an order to that quantity; it keeps its turn."""
        side, price = self._places[key]
        if not 0 < quantity <= self.quantity(key):
            raise ValueError(f"order {key} can only be reduced")
        self._halves[side].set(key, price, quantity)

    def remove(self, key: int) -> Decimal:
        """Take an order out; what it still had."""
        side, price = self._places.pop(key)
        return self._halves[side].remove(key, price)

    def would_trade(self, side: Side, limit: Decimal | None) -> bool:
        resting = self._halves[side.opposite]
        best = resting.best()
        return best is not None and resting.reaches(best, limit)

    def take(self, side: Side, quantity: Decimal, limit: Decimal | None = None) -> Trade | None:
        """Trade with the first order of the other side, if its price is within the limit (None: any price)."""
        resting = self._halves[side.opposite]
        first = resting.first()
        if first is None or not resting.reaches(first[1], limit):
            return None
        key, price, offered = first
        traded = min(quantity, offered)
        if traded == offered:
            self.remove(key)
        else:
            resting.set(key, price, offered - traded)
        return Trade(key, price, traded)

    def available(self, side: Side, limit: Decimal | None = None) -> Decimal:
        """How much a taker of that side could trade at once."""
        resting = self._halves[side.opposite]
        total = Decimal(0)
        for level in resting.levels():
            if not resting.reaches(level.price, limit):
                break
            total += level.quantity
        return total

    def best(self, side: Side) -> Level | None:
        return next(self._halves[side].levels(), None)

    def levels(self, side: Side) -> list[Level]:
        """Best first."""
        return list(self._halves[side].levels())
