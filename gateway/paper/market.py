"""The market of one listing: its book, its market maker, and the orders that wait beside the book.

Rules: a stop waits here until the last price reaches it (a buy at or above, a sell at or below) and is elected in the
order of price, then time. A market order that emptied the book waits here for the next quotes, first come first
served. `last` is the last trade, and after each step the maker's fair price: the trading of everybody else.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal

from gateway.paper.book import Book, Side
from gateway.paper.catalogue import Listing
from gateway.paper.liquidity import MarketMaker
from gateway.paper.orders import Order


class Market:
    """Where the orders of one listing meet."""

    def __init__(self, listing: Listing, seed: int) -> None:
        self.listing = listing
        self.book = Book()
        self.maker = MarketMaker(listing, seed)
        self.last = self.maker.fair
        self.last_size = Decimal(100)
        self.waiting: OrderedDict[int, Order] = OrderedDict()
        # Sorted by rank: the stop that is elected first is the first.
        self._stops: dict[Side, list[tuple[Decimal, int]]] = {side: [] for side in Side}
        self._armed: dict[int, tuple[tuple[Decimal, int], Order]] = {}

    def reopen_at(self, price: Decimal) -> None:
        """Take up the price of an earlier run; before the first quotes."""
        self.maker.fair = price
        self.last = self.maker.fair

    def reached(self, order: Order) -> bool:
        """Whether the last price is at or through the order's stop price."""
        stop = order.stop_price
        assert stop is not None
        return self.last >= stop if order.side is Side.BUY else self.last <= stop

    def arm(self, order: Order) -> None:
        """Let a stop order wait for its price."""
        assert order.stop_price is not None
        rank = (order.stop_price if order.side is Side.BUY else -order.stop_price), order.entered
        insort(self._stops[order.side], rank)
        self._armed[order.entered] = rank, order

    def elected(self) -> Iterator[Order]:
        """Take out, one by one, the stops whose price has been reached."""
        for side in Side:
            stops = self._stops[side]
            while stops and self.reached(self._armed[stops[0][1]][1]):
                yield self._armed.pop(stops.pop(0)[1])[1]

    def withdraw(self, order: Order) -> None:
        """Take an order out of wherever it waits."""
        if order.perm_id in self.book:
            self.book.remove(order.perm_id)
        self.waiting.pop(order.perm_id, None)
        if order.entered in self._armed:
            rank, _ = self._armed.pop(order.entered)
            stops = self._stops[order.side]
            del stops[bisect_left(stops, rank)]
