"""The market maker: a client of the book like any other, with a fair price that wanders.

Rules: everything is drawn from a generator seeded by (seed, symbol), so that the same seed gives the same quotes
whatever else is listed; all arithmetic is in whole ticks. Each step withdraws the old quotes, moves the fair price (a
random walk pulled back to the reference price) and quotes several levels on both sides. Sizes are finite: a large
order walks the book and waits for the next step. Keys of the maker's orders are negative; clients' are positive.
"""

from collections.abc import Iterator
from decimal import Decimal
from random import Random

from gateway.paper.book import Book, Side, Trade
from gateway.paper.catalogue import Listing

LEVELS = 5
LOT = 100
LOTS_PER_LEVEL = 10  # at most, times the level's number: depth grows away from the best price
STEP_DIVISOR = 4_000  # one step moves the price by at most 1/4000 of itself (or one tick)
SPREAD_DIVISOR = 20_000  # between two levels 1/20000 of the price (or one tick)
PULL_DIVISOR = 250  # each step returns 1/250 of the way to the reference price


class MarketMaker:
    """Quotes one listing. `fair` and `last` are prices; `step` moves them."""

    def __init__(self, listing: Listing, seed: int) -> None:
        self.listing = listing
        self._random = Random(f"{seed}:{listing.symbol}")  # noqa: S311 - a simulation, not a secret
        self._reference = int(listing.reference_price / listing.tick)
        self._fair = self._reference
        self._keys: list[int] = []
        self._last_key = 0

    @property
    def fair(self) -> Decimal:
        return self._fair * self.listing.tick

    @fair.setter
    def fair(self, price: Decimal) -> None:
        self._fair = max(1, int(price / self.listing.tick))

    def step(self, book: Book) -> Iterator[Trade]:
        """One step of the market. Yields the trades with clients' resting orders as they happen."""
        self._walk()
        yield from self.quote(book)

    def quote(self, book: Book) -> Iterator[Trade]:
        """Replace all quotes around the fair price as it stands."""
        self.withdraw(book)
        gap = max(1, self._fair // SPREAD_DIVISOR)
        for level in range(LEVELS):
            for side in Side:
                size = Decimal(LOT * self._random.randint(1, LOTS_PER_LEVEL * (level + 1)))
                ticks = self._fair + (-1 if side is Side.BUY else 1) * gap * (level + 1)
                if ticks > 0:
                    yield from self._submit(book, side, ticks * self.listing.tick, size)

    def withdraw(self, book: Book) -> None:
        for key in self._keys:
            if key in book:
                book.remove(key)
        self._keys.clear()

    def _walk(self) -> None:
        stride = max(1, self._reference // STEP_DIVISOR)
        # Rounded by chance, not downwards: else there would be no pull at all near the reference.
        pull = (self._reference - self._fair + self._random.randrange(PULL_DIVISOR)) // PULL_DIVISOR
        self._fair = max(1, self._fair + pull + self._random.randint(-stride, stride))

    def _submit(self, book: Book, side: Side, price: Decimal, size: Decimal) -> Iterator[Trade]:
        while size > 0 and (trade := book.take(side, size, price)):
            size -= trade.quantity
            yield trade
        if size > 0:
            self._last_key -= 1
            book.add(self._last_key, side, price, size)
            self._keys.append(self._last_key)
