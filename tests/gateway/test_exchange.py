"""The exchange: what it tells, in which order, for all that can happen to an order."""

from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.paper.book import Side
from gateway.paper.catalogue import ContractAsk
from gateway.paper.orders import Failed, Opened, Order, Placement, Status
from tests.gateway.trading import Floor

D = Decimal
FILLED_AT_ONCE = ["fill 10", "oO Filled", "Filled 10/10", "oO Filled", "Filled 10/10", "commission"]
ARMED = ["oO PreSubmitted", "PreSubmitted trigger 0/10"] * 2
RESTING = ["oO Submitted", "Submitted 0/10"]
CANCELLED = ["PendingCancel 0/10", "Cancelled 0/10", "error 202"]


@pytest.fixture
def floor() -> Floor:
    return Floor()


# The sequences of a real gateway


def test_market(floor: Floor) -> None:
    receipt = floor.place(1, "BUY", 10)

    assert floor.history() == ["oO PreSubmitted", "PreSubmitted 0/10", *FILLED_AT_ONCE]
    assert receipt.perm_id == 1788680597
    assert floor.order(1).average_price == D("231.51")


def test_limit_rests(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230.00")

    assert floor.history() == RESTING


def test_marketable_limit(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="240")

    assert floor.history() == RESTING + FILLED_AT_ONCE
    assert floor.order(1).average_price == D("231.51")


def test_stop_waits_and_is_elected(floor: Floor) -> None:
    floor.place(1, "SELL", 10, "STP", stop="225")
    assert floor.history() == ARMED

    floor.fair("224.90")

    assert floor.history() == RESTING + FILLED_AT_ONCE


def test_stop_limit_rests_once_elected(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "STP LMT", stop="235", limit="230")
    assert floor.history() == ARMED

    floor.fair("235.10")

    assert floor.history() == RESTING
    assert floor.order(1).remaining == 10


@pytest.mark.parametrize(("side", "stop"), [("SELL", "250"), ("BUY", "200")])
def test_stop_already_reached_trades_at_once(floor: Floor, side: str, stop: str) -> None:
    floor.place(1, side, 10, "STP", stop=stop)

    assert floor.history() == RESTING + FILLED_AT_ONCE


def test_modified_to_marketable_is_filled_before_its_execution(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230")
    floor.history()

    receipt = floor.place(1, "BUY", 10, "LMT", limit="240")

    assert receipt.modified
    assert floor.history() == [*RESTING, "oO Filled", "Filled 10/10", "fill 10", "commission"]


def test_cancel(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230")
    floor.history()

    floor.cancel(1)

    assert floor.told[-1] == Failed(1, 1, 202, "Order Canceled - reason:")
    assert floor.history() == CANCELLED


def test_partial_fills(floor: Floor) -> None:
    levels = floor.market().book.levels(Side.SELL)[:2]
    total = int(levels[0].quantity + levels[1].quantity) + 50

    floor.place(1, "BUY", total, "LMT", limit=levels[1].price)

    first, both = levels[0].quantity, levels[0].quantity + levels[1].quantity
    assert floor.history() == [
        "oO Submitted",
        f"Submitted 0/{total}",
        f"fill {first}",
        "oO Submitted",
        f"Submitted {first}/{total}",
        "commission",
        f"fill {levels[1].quantity}",
        "oO Submitted",
        f"Submitted {both}/{total}",
        "commission",
    ]
    assert len({execution.exec_id for execution in floor.executions()}) == 2


def test_ioc_unfilled(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230", time_in_force="IOC")

    assert floor.history() == [*RESTING, "PendingCancel 0/10", "Cancelled 0/10"]


def test_ioc_keeps_what_it_got(floor: Floor) -> None:
    best = floor.market().book.levels(Side.SELL)[0]

    floor.place(1, "BUY", best.quantity + 1, "LMT", limit=best.price, time_in_force="IOC")

    assert floor.order(1).status is Status.CANCELLED
    assert floor.order(1).filled == best.quantity


def test_fok_is_all_or_nothing(floor: Floor) -> None:
    best = floor.market().book.levels(Side.SELL)[0]

    floor.place(1, "BUY", best.quantity + 1, "LMT", limit=best.price, time_in_force="FOK")
    assert floor.history()[2:] == ["oO Inactive", f"Inactive 0/{best.quantity + 1}"]

    floor.place(2, "BUY", best.quantity, "LMT", limit=best.price, time_in_force="FOK")
    assert floor.order(2).status is Status.FILLED


def test_market_order_larger_than_the_book_waits_for_the_next_quotes() -> None:
    floor = Floor(cash="100000000")
    offered = sum(level.quantity for level in floor.market().book.levels(Side.SELL))

    floor.place(1, "BUY", offered + 100)
    assert floor.order(1).filled == offered
    assert floor.order(1).status is Status.SUBMITTED

    floor.step()
    assert floor.order(1).status is Status.FILLED


def test_a_resting_order_is_filled_when_the_market_comes_to_it(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230")
    floor.history()

    floor.fair("229.50")

    assert floor.history() == FILLED_AT_ONCE
    assert floor.executions()[0].price == D("230")
    assert floor.executions()[0].adds_liquidity


def test_two_clients_trade_with_each_other(floor: Floor) -> None:
    inside = floor.best(Side.SELL) - D("0.01")
    floor.place(1, "SELL", 10, "LMT", limit=inside, client=1)
    floor.place(1, "BUY", 4, "MKT", client=2)

    assert [(e.client_id, e.side, e.quantity, e.price) for e in floor.executions()] == [
        (2, Side.BUY, 4, inside),
        (1, Side.SELL, 4, inside),
    ]


# What never becomes an order


@pytest.mark.parametrize(
    ("case", "code", "terms"),
    [
        ("unknown symbol", 200, {"symbol": "NOPE"}),
        ("price between ticks", 110, {"order_type": "LMT", "limit": "230.005"}),
        ("stop between ticks", 110, {"order_type": "STP", "stop": "230.005"}),
        ("unknown type", 321, {"order_type": "FOO"}),
        ("no type", 321, {"order_type": ""}),
        ("a type we do not have", 387, {"order_type": "TRAIL"}),
        ("no quantity", 321, {"quantity": 0}),
        ("unset quantity", 321, {"quantity": None}),
        ("less than nothing", 321, {"quantity": -5}),
        ("beyond all numbers", 321, {"quantity": "1e300"}),
        ("a part of a share", 10243, {"quantity": "1.5"}),
        ("no limit price", 321, {"order_type": "LMT"}),
        ("limit price 0", 321, {"order_type": "LMT", "limit": 0}),
        ("limit price beyond all numbers", 321, {"order_type": "LMT", "limit": "1e300"}),
        ("no stop price", 321, {"order_type": "STP"}),
        ("stop limit without its limit", 321, {"order_type": "STP LMT", "stop": 225}),
        ("unknown side", 321, {"side": "HOLD"}),
        ("unknown time in force", 321, {"time_in_force": "GTX"}),
        ("unknown account", 321, {"account": "DU9"}),
        ("unknown OCA type", 321, {"oca_group": "g", "oca_type": 4}),
        ("unknown parent", 10006, {"parent_id": 77}),
        ("its own parent", 10006, {"parent_id": 5}),
    ],
)
def test_refused_at_validation(floor: Floor, case: str, code: int, terms: dict[str, object]) -> None:
    asked: dict[str, object] = {"side": "BUY", "quantity": 10} | terms

    receipt = floor.place(5, **asked)  # type: ignore[arg-type]

    assert receipt.code == code
    assert receipt.perm_id == 0
    assert floor.history() == [f"error {code}"]
    assert not floor.exchange.register.working
    assert floor.place(5, "BUY", 10).accepted  # the id was not used up


@pytest.mark.parametrize(("case", "order_id"), [("used", 5), ("below", 3), ("zero", 0), ("negative", -1)])
def test_an_id_not_above_the_highest_is_a_duplicate(floor: Floor, case: str, order_id: int) -> None:
    floor.place(5, "BUY", 10, "LMT", limit="230")
    floor.cancel(5)
    floor.history()

    receipt = floor.place(order_id, "BUY", 10)

    assert (receipt.code, receipt.text) == (103, "Duplicate order id")
    assert floor.history() == ["error 103"]


def test_ids_belong_to_a_client(floor: Floor) -> None:
    floor.place(5, "BUY", 10, client=1)

    assert floor.place(1, "BUY", 10, client=2).accepted
    assert floor.exchange.register.next_valid_id(1) == 6
    assert floor.exchange.register.next_valid_id(2) == 2
    assert floor.exchange.register.next_valid_id(3) == 1


def test_with_several_accounts_one_must_be_named() -> None:
    floor = Floor(accounts=("DU1", "DU2"))

    assert floor.place(1, "BUY", 10).code == 435
    assert floor.place(1, "BUY", 10, account="DU2").accepted
    assert floor.order(1).account == "DU2"


def test_short_of_funds(floor: Floor) -> None:
    receipt = floor.place(1, "BUY", 100_000)

    assert receipt.code == 201
    assert receipt.perm_id > 0
    assert "YOUR ORDER IS NOT ACCEPTED" in receipt.text
    assert floor.history() == ["oO Inactive", "Inactive 0/100000", "error 201"]
    assert not floor.executions()


def test_working_orders_count_against_funds(floor: Floor) -> None:
    for order_id in range(1, 4):
        assert floor.place(order_id, "BUY", 1_000, "LMT", limit="230").accepted

    assert floor.place(4, "BUY", 1_000, "LMT", limit="230").code == 201
    floor.cancel(1)
    assert floor.place(5, "BUY", 1_000, "LMT", limit="230").accepted


def test_closing_a_position_needs_no_funds(floor: Floor) -> None:
    floor.place(1, "BUY", 3_400, "LMT", limit="240")
    while not floor.order(1).done:
        floor.step()
    floor.fair("200")

    assert floor.place(2, "BUY", 1).code == 201
    assert floor.place(3, "SELL", 3_400).accepted


# Modification


@pytest.mark.parametrize(
    ("case", "code", "terms"),
    [
        ("other side", 105, {"side": "SELL"}),
        ("other symbol", 105, {"symbol": "MSFT"}),
        ("other group", 105, {"oca_group": "g"}),
        ("other type", 329, {"order_type": "MKT"}),
        ("price between ticks", 110, {"limit": "229.999"}),
        ("beyond the funds", 201, {"quantity": 100_000}),
        ("nothing", 321, {"quantity": 0}),
    ],
)
def test_a_refused_modification_leaves_the_order(floor: Floor, case: str, code: int, terms: dict[str, object]) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230")
    floor.history()
    asked: dict[str, object] = {"side": "BUY", "quantity": 10, "order_type": "LMT", "limit": "230"} | terms

    assert floor.place(1, **asked).code == code  # type: ignore[arg-type]

    assert len(floor.history()) == 1
    assert floor.order(1).limit_price == 230
    assert floor.order(1).status is Status.SUBMITTED


def test_a_filled_order_cannot_be_modified(floor: Floor) -> None:
    floor.place(1, "BUY", 10)
    floor.history()

    assert floor.place(1, "BUY", 20).code == 104
    assert floor.history() == ["error 104"]


def test_an_order_cannot_become_smaller_than_what_is_filled(floor: Floor) -> None:
    best = floor.market().book.levels(Side.SELL)[0]
    floor.place(1, "BUY", best.quantity + 10, "LMT", limit=best.price)

    assert floor.place(1, "BUY", best.quantity, "LMT", limit=best.price).code == 104
    assert floor.order(1).remaining == 10


def test_a_smaller_order_keeps_its_turn_and_a_larger_one_loses_it(floor: Floor) -> None:
    inside = floor.best(Side.SELL) - D("0.01")
    floor.place(1, "SELL", 10, "LMT", limit=inside)
    floor.place(2, "SELL", 10, "LMT", limit=inside)

    floor.place(1, "SELL", 5, "LMT", limit=inside)
    floor.place(1, "BUY", 2, client=2)
    assert floor.order(1).filled == 2

    floor.place(1, "SELL", 50, "LMT", limit=inside)
    floor.place(2, "BUY", 10, client=2)
    assert (floor.order(1).filled, floor.order(2).filled) == (2, 10)


def test_a_stop_is_rearmed_at_its_new_price(floor: Floor) -> None:
    floor.place(1, "SELL", 10, "STP", stop="225")
    floor.history()

    floor.place(1, "SELL", 10, "STP", stop="220")
    assert floor.history() == ARMED

    floor.fair("224")
    assert not floor.order(1).done
    floor.fair("219.90")
    assert floor.order(1).status is Status.FILLED


def test_a_modification_shows_in_the_revision(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230")
    floor.place(1, "BUY", 10, "LMT", limit="229")

    opened = [event.order for event in floor.told if isinstance(event, Opened)]
    assert [(order.revision, order.limit_price) for order in opened] == [(0, 230), (1, 229)]


# Cancelling


def test_cancel_of_the_unknown(floor: Floor) -> None:
    receipt = floor.cancel(9)

    assert receipt.code == 10147
    assert receipt.text == "OrderId 9 that needs to be cancelled is not found."


def test_cancel_of_another_clients_order(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230", client=1)

    assert floor.cancel(1, client=2).code == 10147
    assert not floor.order(1).done


def test_cancel_of_the_done(floor: Floor) -> None:
    floor.place(1, "BUY", 10)
    floor.place(2, "BUY", 10, "LMT", limit="230")
    floor.cancel(2)
    floor.place(3, "BUY", 100_000)

    assert floor.cancel(1).text == "OrderId 1 that needs to be cancelled can not be cancelled, state: Filled."
    assert floor.cancel(2).text == "OrderId 2 that needs to be cancelled can not be cancelled, state: Cancelled."
    assert floor.cancel(2).code == 10148
    assert floor.cancel(3).code == 161
    assert str(floor.order(3).perm_id) in floor.cancel(3).text


def test_global_cancel_takes_everybodys_orders(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230", client=1)
    floor.place(1, "BUY", 10, "LMT", limit="229", client=2)
    floor.place(2, "BUY", 10, "LMT", limit="230", client=2, transmit=False)
    floor.history()

    floor.cancel_all()

    assert floor.history() == [*CANCELLED, *CANCELLED, "Cancelled 0/10", "error 202"]
    assert not floor.exchange.register.working
    assert not floor.exchange.register.held


# Accounts


def test_money_and_profit(floor: Floor) -> None:
    floor.place(1, "BUY", 100)
    floor.place(2, "SELL", 100)

    bought, sold = floor.executions()
    account = floor.exchange.accounts["DU1000001"]
    assert bought.realized is None
    assert (bought.commission, sold.commission) == (1, 1)
    assert sold.realized == (sold.price - bought.price) * 100 - 2
    assert account.cash == 200_000 + sold.realized
    assert not list(account.holdings())


def test_short_positions(floor: Floor) -> None:
    floor.place(1, "SELL", 100)

    (held,) = floor.exchange.accounts["DU1000001"].holdings()
    assert held.quantity == -100
    assert held.average_cost == floor.executions()[0].price - D("0.01")


# Time


def test_a_day_order_ends_with_the_day_and_gtc_stays(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230", time_in_force="DAY")
    floor.place(2, "BUY", 10, "LMT", limit="230", time_in_force="GTC")
    floor.place(3, "BUY", 10)
    floor.history()

    floor.wait(days=1)
    floor.step()

    assert floor.history() == ["Cancelled 0/10", "error 202"]
    assert [order.order_id for order in floor.exchange.register.working.values()] == [2]
    assert not floor.executions()
    assert not floor.exchange.register.completed
    assert floor.place(3, "BUY", 10).code == 103


def test_the_same_commands_give_the_same_market() -> None:
    def run() -> tuple[list[str], list[Decimal]]:
        floor = Floor(seed=3)
        for order_id in range(1, 30):
            floor.place(order_id, "BUY" if order_id % 3 else "SELL", order_id * 40, symbol="TSLA")
            floor.step()
        return floor.history(), [execution.price for execution in floor.executions()]

    assert run() == run()


def test_pending_quantities_are_those_of_the_working_orders() -> None:
    floor = Floor(cash="100000000")
    for order_id in range(1, 200):
        side, kind = ("BUY", "SELL")[order_id % 2], ("MKT", "LMT", "STP", "LMT")[order_id % 4]
        price = D("231.50") + D(order_id % 11 - 5) / 50
        floor.place(order_id, side, order_id * 37 % 900 + 1, kind, limit=price, stop=price)
        if order_id % 5 == 0:
            floor.step()
        if order_id % 7 == 0:
            floor.cancel(order_id - 3)

    account = floor.exchange.accounts["DU1000001"]
    orders = list(floor.exchange.register.working.values())
    assert orders
    for side in Side:
        expected = sum((order.remaining for order in orders if order.side is side), D(0))
        assert sum((left for (_, own), left in account.pending.items() if own is side), D(0)) == expected
    held = floor.exchange.accounts["DU1000001"].positions[265598].quantity
    traded = sum(e.quantity if e.side is Side.BUY else -e.quantity for e in floor.executions())
    assert held == traded


def test_what_was_told_does_not_change_afterwards(floor: Floor) -> None:
    floor.place(1, "BUY", 10, "LMT", limit="230")
    first = next(event for event in floor.told if isinstance(event, Opened))

    floor.cancel(1)

    assert isinstance(first.order, Order)
    assert first.order.status is Status.SUBMITTED


def test_a_what_if_changes_nothing(floor: Floor) -> None:
    order, figures, change, fee = floor.exchange.what_if(
        Placement(
            client_id=1,
            order_id=1,
            contract=ContractAsk(symbol="AAPL"),
            side="BUY",
            quantity=D(100),
            order_type="MKT",
        )
    )

    assert (order.perm_id, figures.equity, fee) == (0, 200_000, 1)
    assert change == D("231.50") * 25
    assert not floor.exchange.accounts["DU1000001"].pending
    assert floor.place(1, "BUY", 1).accepted


def test_executions_carry_the_time_of_the_clock(floor: Floor) -> None:
    floor.wait(seconds=90)
    floor.place(1, "BUY", 10)

    assert floor.executions()[0].at - timedelta(seconds=90) == Floor().now
