"""The market maker: seeded, two-sided, finite, and a client of the book like others."""

from decimal import Decimal

import pytest

from gateway.paper.book import Book, Level, Side
from gateway.paper.catalogue import ContractAsk, Listing, read_catalogue
from gateway.paper.liquidity import LEVELS, MarketMaker


def listing(symbol: str = "AAPL") -> Listing:
    found = read_catalogue().find(ContractAsk(symbol=symbol))
    assert found is not None
    return found


def quotes(maker: MarketMaker, steps: int) -> list[list[Level]]:
    book = Book()
    seen = []
    for _ in range(steps):
        assert not list(maker.step(book))
        seen += [book.levels(Side.BUY), book.levels(Side.SELL)]
    return seen


def test_the_same_seed_gives_the_same_market() -> None:
    assert quotes(MarketMaker(listing(), 7), 50) == quotes(MarketMaker(listing(), 7), 50)


@pytest.mark.parametrize(("symbol", "seed"), [("AAPL", 8), ("MSFT", 7)])
def test_another_seed_or_symbol_gives_another_market(symbol: str, seed: int) -> None:
    assert quotes(MarketMaker(listing(), 7), 5) != quotes(MarketMaker(listing(symbol), seed), 5)


@pytest.mark.parametrize("symbol", ["AAPL", "F", "BRK B"])
def test_every_quote_is_on_tick_finite_and_uncrossed(symbol: str) -> None:
    stock = listing(symbol)
    seen = quotes(MarketMaker(stock, 1), 200)

    for bids, asks in zip(seen[::2], seen[1::2], strict=True):
        assert len(bids) == len(asks) == LEVELS
        assert bids[0].price < asks[0].price
        assert all(stock.on_tick(level.price) and 0 < level.quantity <= 5_000 for level in bids + asks)


def test_the_price_moves_and_comes_back() -> None:
    maker = MarketMaker(listing(), 1)
    book = Book()
    prices = []
    for _ in range(5_000):
        list(maker.step(book))
        prices.append(maker.fair)

    assert len(set(prices)) > 50
    assert max(abs(price / Decimal("231.50") - 1) for price in prices) < Decimal("0.02")


def test_it_trades_with_what_crosses_its_new_quotes() -> None:
    maker, book = MarketMaker(listing(), 1), Book()
    list(maker.quote(book))
    maker.withdraw(book)
    book.add(5, Side.BUY, Decimal("240.00"), Decimal(150))

    trades = list(maker.quote(book))

    assert {trade.maker for trade in trades} == {5}
    assert {trade.price for trade in trades} == {Decimal("240.00")}
    assert sum(trade.quantity for trade in trades) == 150
    assert book.best(Side.SELL) is not None


def test_a_step_leaves_no_old_quotes() -> None:
    maker, book = MarketMaker(listing(), 1), Book()
    for _ in range(20):
        list(maker.step(book))

    assert len(book) == 2 * LEVELS
