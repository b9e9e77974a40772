"""The order book: price, then time; nothing is lost and nothing crosses."""

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.paper.book import Book, Level, Side, Trade

D = Decimal


def book_of(*orders: tuple[int, Side, str, int]) -> Book:
    book = Book()
    for key, side, price, quantity in orders:
        book.add(key, side, D(price), D(quantity))
    return book


def test_the_better_price_trades_first() -> None:
    book = book_of((1, Side.SELL, "10.02", 5), (2, Side.SELL, "10.01", 5), (3, Side.SELL, "10.03", 5))

    assert book.take(Side.BUY, D(5)) == Trade(2, D("10.01"), D(5))
    assert book.take(Side.BUY, D(5)) == Trade(1, D("10.02"), D(5))


def test_at_one_price_the_earlier_order_trades_first() -> None:
    book = book_of((7, Side.BUY, "10", 3), (2, Side.BUY, "10", 3))

    assert book.take(Side.SELL, D(4)) == Trade(7, D(10), D(3))
    assert book.take(Side.SELL, D(1)) == Trade(2, D(10), D(1))


def test_the_resting_order_makes_the_price() -> None:
    book = book_of((1, Side.BUY, "10.50", 5))

    assert book.take(Side.SELL, D(2), D("10.00")) == Trade(1, D("10.50"), D(2))


@pytest.mark.parametrize(
    ("case", "side", "limit", "trades"),
    [
        ("buy below the ask", Side.BUY, "10.00", False),
        ("buy at the ask", Side.BUY, "10.01", True),
        ("buy above the ask", Side.BUY, "10.02", True),
        ("sell above the bid", Side.SELL, "9.99", False),
        ("sell at the bid", Side.SELL, "9.98", True),
        ("sell at any price", Side.SELL, None, True),
    ],
)
def test_a_limit_is_kept(case: str, side: Side, limit: str | None, trades: bool) -> None:
    book = book_of((1, Side.SELL, "10.01", 5), (2, Side.BUY, "9.98", 5))

    price = None if limit is None else D(limit)

    assert book.would_trade(side, price) is trades
    assert (book.take(side, D(1), price) is not None) is trades


def test_a_partly_filled_order_keeps_its_turn() -> None:
    book = book_of((1, Side.BUY, "10", 5), (2, Side.BUY, "10", 5))
    book.take(Side.SELL, D(1))

    assert book.take(Side.SELL, D(9)) == Trade(1, D(10), D(4))


def test_a_reduced_order_keeps_its_turn() -> None:
    book = book_of((1, Side.BUY, "10", 5), (2, Side.BUY, "10", 5))
    book.reduce(1, D(2))

    assert book.take(Side.SELL, D(9)) == Trade(1, D(10), D(2))


@pytest.mark.parametrize("quantity", [0, -1, 6])
def test_an_order_can_only_be_reduced(quantity: int) -> None:
    book = book_of((1, Side.BUY, "10", 5))

    with pytest.raises(ValueError, match="only be reduced"):
        book.reduce(1, D(quantity))


@pytest.mark.parametrize(
    ("case", "key", "side", "price", "quantity"),
    [
        ("crosses", 9, Side.BUY, "10.01", 1),
        ("key in use", 1, Side.BUY, "9.00", 1),
        ("nothing to trade", 9, Side.BUY, "9.00", 0),
    ],
)
def test_what_may_not_rest(case: str, key: int, side: Side, price: str, quantity: int) -> None:
    book = book_of((1, Side.SELL, "10.01", 5))

    with pytest.raises(ValueError, match="cannot rest"):
        book.add(key, side, D(price), D(quantity))

    assert len(book) == 1


def test_levels_add_up_best_first() -> None:
    book = book_of((1, Side.SELL, "10.02", 5), (2, Side.SELL, "10.01", 2), (3, Side.SELL, "10.02", 1))

    assert book.levels(Side.SELL) == [Level(D("10.01"), D(2)), Level(D("10.02"), D(6))]
    assert book.best(Side.BUY) is None
    assert book.available(Side.BUY, D("10.01")) == 2
    assert book.available(Side.BUY) == 8


class BookMachine(RuleBasedStateMachine):
    """Random clients against the simplest model of a book: a list per side, sorted anew for each trade."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.resting: dict[int, tuple[Side, Decimal, int]] = {}  # key: side, price, turn
        self.left: dict[int, Decimal] = {}
        self.brought: dict[int, Decimal] = {}
        self.traded: defaultdict[int, Decimal] = defaultdict(Decimal)
        self.withdrawn: defaultdict[int, Decimal] = defaultdict(Decimal)
        self.keys = 0

    def expected_maker(self, side: Side) -> int:
        sign = 1 if side is Side.BUY else -1  # a buyer wants the lowest price
        others = [(sign * price, turn, key) for key, (own, price, turn) in self.resting.items() if own is not side]
        return min(others)[2]

    @rule(side=st.sampled_from(Side), ticks=st.integers(990, 1010), quantity=st.integers(1, 50))
    def submit(self, side: Side, ticks: int, quantity: int) -> None:
        self.keys += 1
        key, price, remaining = self.keys, D(ticks) / 100, D(quantity)
        self.brought[key] = remaining
        while remaining and (trade := self.book.take(side, remaining, price)):
            assert trade.maker == self.expected_maker(side)
            assert trade.price == self.resting[trade.maker][1]
            remaining -= trade.quantity
            self.traded[key] += trade.quantity
            self.traded[trade.maker] += trade.quantity
            self.left[trade.maker] -= trade.quantity
            if not self.left[trade.maker]:
                del self.left[trade.maker], self.resting[trade.maker]
        if remaining:
            self.book.add(key, side, price, remaining)
            self.resting[key], self.left[key] = (side, price, key), remaining

    @precondition(lambda self: self.resting)
    @rule(choice=st.randoms(use_true_random=False))
    def remove(self, choice: object) -> None:
        key = choice.choice(sorted(self.resting))  # type: ignore[attr-defined]
        self.withdrawn[key] += self.book.remove(key)
        del self.resting[key], self.left[key]

    @precondition(lambda self: self.resting)
    @rule(choice=st.randoms(use_true_random=False), part=st.integers(1, 50))
    def reduce(self, choice: object, part: int) -> None:
        key = choice.choice(sorted(self.resting))  # type: ignore[attr-defined]
        kept = min(D(part), self.left[key])
        self.book.reduce(key, kept)
        self.withdrawn[key] += self.left[key] - kept
        self.left[key] = kept

    @invariant()
    def never_crossed(self) -> None:
        bid, ask = self.book.best(Side.BUY), self.book.best(Side.SELL)
        assert bid is None or ask is None or bid.price < ask.price

    @invariant()
    def nothing_is_lost(self) -> None:
        for key, brought in self.brought.items():
            assert brought == self.traded[key] + self.withdrawn[key] + self.left.get(key, 0)
        for side in Side:
            resting = sum(self.left[key] for key, (own, _, _) in self.resting.items() if own is side)
            assert sum(level.quantity for level in self.book.levels(side)) == resting


BookMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_random_clients = BookMachine.TestCase
