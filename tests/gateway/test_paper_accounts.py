"""Commissions, average cost, realised P&L and margin."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.paper.accounts import Account, commission_due
from gateway.paper.book import Side
from gateway.paper.catalogue import ContractAsk, read_catalogue

D = Decimal
AAPL = read_catalogue().find(ContractAsk(symbol="AAPL"))
assert AAPL is not None


@pytest.mark.parametrize(
    ("case", "quantity", "value", "due"),
    [
        ("per share", 1000, 230_000, "5.000000"),
        ("the minimum", 10, 2_300, "1.000000"),
        ("one percent at most", 10, 50, "0.500000"),
        ("the minimum gives way to one percent", 1, 12, "0.120000"),
    ],
)
def test_commission(case: str, quantity: int, value: int, due: str) -> None:
    assert commission_due(D(quantity), D(value)) == D(due)


@pytest.mark.parametrize(
    ("case", "trades", "quantity", "average_cost", "realized"),
    [
        ("buy", [("BUY", 10, 100, 1)], 10, "100.1", [None]),
        ("buy more", [("BUY", 10, 100, 1), ("BUY", 10, 110, 1)], 20, "105.1", [None, None]),
        ("sell all", [("BUY", 10, 100, 1), ("SELL", 10, 110, 1)], 0, "0", [None, 98]),
        ("sell half", [("BUY", 10, 100, 0), ("SELL", 5, 90, 1)], 5, "100", [None, -51]),
        ("short", [("SELL", 10, 100, 1)], -10, "99.9", [None]),
        ("short more", [("SELL", 10, 100, 0), ("SELL", 10, 90, 0)], -20, "95", [None, None]),
        ("cover", [("SELL", 10, 100, 1), ("BUY", 10, 90, 1)], 0, "0", [None, 98]),
        ("turn around", [("BUY", 10, 100, 0), ("SELL", 20, 110, 2)], -10, "109.9", [None, 99]),
        ("turn around from short", [("SELL", 10, 100, 0), ("BUY", 20, 90, 2)], 10, "90.1", [None, 99]),
    ],
)
def test_positions(
    case: str, trades: list[tuple[str, int, int, int]], quantity: int, average_cost: str, realized: list[int | None]
) -> None:
    account = Account("DU1", D(0))

    got = [account.trade(AAPL, Side(side), D(size), D(price), D(fee)) for side, size, price, fee in trades]

    position = account.position(AAPL)
    assert (position.quantity, position.average_cost) == (quantity, D(average_cost))
    assert got == realized


@given(
    st.lists(
        st.tuples(st.sampled_from(Side), st.integers(1, 500), st.integers(1, 40_000), st.integers(0, 300)),
        min_size=1,
        max_size=30,
    )
)
def test_profit_is_the_money_that_came(trades: list[tuple[Side, int, int, int]]) -> None:
    account = Account("DU1", D(1_000_000))
    for side, quantity, cents, fee in trades:
        account.trade(AAPL, side, D(quantity), D(cents) / 100, D(fee) / 100)

    figures = account.figures({AAPL.con_id: D("123.45")})

    assert abs(figures.equity - D(1_000_000) - figures.realized - figures.unrealized) < D("0.000001")


def test_the_figures_of_an_account() -> None:
    account = Account("DU1", D(10_000))
    account.trade(AAPL, Side.BUY, D(100), D(200), D(1))

    figures = account.figures({AAPL.con_id: D(210)})

    assert figures.cash == -10_001
    assert figures.equity == 10_999
    assert figures.margin == 5_250
    assert figures.available == 5_749
    assert figures.buying_power == 22_996
    assert figures.unrealized == 999


def test_margin_counts_the_worse_side() -> None:
    account = Account("DU1", D(0))
    account.trade(AAPL, Side.BUY, D(100), D(200), D(0))
    account.expect(AAPL, Side.SELL, D(150))
    marks = {AAPL.con_id: D(200)}

    assert account.margin_at_worst(marks) == 5_000

    account.expect(AAPL, Side.SELL, D(150))
    assert account.margin_at_worst(marks) == 10_000

    account.expect(AAPL, Side.SELL, D(-300))
    assert not account.pending
