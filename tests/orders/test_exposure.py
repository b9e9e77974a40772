"""What is found at stake: each figure from the rows it comes from."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.utils import timezone

from accounts.limits import changing, losses
from accounts.models import AccountValue, Position
from accounts.snapshots.models import AccountSnapshot
from orders import exposure, holdings
from orders.risk.values import Ticket
from tests.orders.builders import ACCOUNT, GATEWAY, LIMIT, session_row
from tests.orders.factories import advance, at, bracket, execute, external_order, order_in, place

pytestmark = pytest.mark.django_db

LOOKED_FOR = {"working_orders": 100, "orders_per_second": 100, "orders_per_minute": 100, "orders_per_day": 100}


def look(*, waiting=True, quantity=1, received_at=None, **limits):
    """What is at stake for one more buy of AAPL."""
    session_row()
    if limits:
        changing.change("", limits, by="user:risk", reason="so that it is looked for")
    ticket = Ticket(account=ACCOUNT, symbol="AAPL", quantity=D(quantity), legs=[LIMIT])
    return exposure.look(ticket, actor="api", waiting=waiting, day_began=None, received_at=received_at).exposure


def held(quantity=10, **changes):
    values = {"con_id": 265598, "symbol": "AAPL", "security_type": "STK", "currency": "USD", "as_of": timezone.now()}
    session_row()
    return Position.objects.create(account_id=ACCOUNT, quantity=D(quantity), **values | changes)


def test_nothing_is_at_stake_at_first():
    assert look(**LOOKED_FOR) == exposure.Exposure(
        working_in_account=0, sent={"second": 0, "minute": 0, "day": 0}, held=D(0), executed=D(0)
    )


def test_what_no_limit_asks_for_is_not_looked_up():
    place()

    found = look()

    assert (found.working_in_account, found.sent, found.repeats, found.day_result) == (None, {}, None, None)


def test_working_orders_by_side_and_in_all():
    for status in ("NEW", "PARTIALLY_FILLED", "PENDING_CANCEL", "IN_DOUBT", "PENDING_NEW", "FILLED", "REJECTED"):
        order_in(status)
    order_in("NEW", symbol="MSFT")
    external_order()

    found = look(**LOOKED_FOR)

    assert found.working == {"BUY": 5, "SELL": 1}
    assert found.working_in_account == 7
    assert found.leaves == {"BUY": D(45), "SELL": D(5)}  # of the one that is partly filled, half


def test_those_that_wait_count_when_one_more_is_asked_for_and_not_in_the_claim():
    place()

    early, claim = look(**LOOKED_FOR), look(waiting=False)

    assert (early.working, early.working_in_account, early.sent["minute"]) == ({"BUY": 1}, 1, 1)
    assert (claim.working, claim.working_in_account, claim.sent["minute"]) == ({}, 0, 0)


def test_what_was_sent_counts_even_when_it_is_over():
    order_in("FILLED")
    order_in("CANCELED", symbol="MSFT")
    order_in("DENIED")
    external_order()

    sent = look(waiting=False, **LOOKED_FOR).sent
    assert (sent["minute"], sent["day"]) == (2, 2)


def test_what_was_sent_counts_for_as_long_as_its_limit_says():
    now = timezone.now()
    for ago in (timedelta(seconds=30), timedelta(hours=2), timedelta(hours=25)):
        with at(now - ago):
            order_in("NEW")

    assert look(waiting=False, **LOOKED_FOR).sent == {"second": 0, "minute": 1, "day": 2}


def test_nothing_is_counted_further_than_its_limit():
    for _ in range(5):
        order_in("NEW")

    found = look(waiting=False, working_orders=2, orders_per_minute=1)

    assert (found.working_in_account, found.sent) == (3, {"minute": 2})


def test_exits_of_a_bracket_sell_what_its_entry_bought_and_once():
    entry, stop_loss, take_profit = bracket()
    for order in (entry, stop_loss, take_profit):
        advance(advance(order, "SENT"), "ACCEPTED")
    assert look().leaves == {"BUY": D(10), "SELL": D(0)}

    entry.refresh_from_db()
    entry = execute(entry, quantity=4)
    assert look().leaves == {"BUY": D(6), "SELL": D(4)}

    execute(entry, quantity=6)
    assert look().leaves == {"SELL": D(10)}

    take_profit.refresh_from_db()
    execute(take_profit, quantity=10)
    found = look()
    assert found.leaves == {"SELL": D(0)}  # the other one is still listed, for a moment
    assert found.working == {"SELL": 1}


def test_the_position_is_the_brokers_and_ours():
    held(7)
    order = order_in("NEW")
    execute(order, quantity=3)

    found = look()

    assert (found.held, found.executed) == (D(7), D(3))
    holdings.take(gateway=GATEWAY)  # what the broker holds beyond our executions is known from here on
    assert look().executed == D(7)


def test_the_last_price_is_the_newest_known():
    now = timezone.now()
    held(market_price=D(231), valued_at=now - timedelta(minutes=5))
    assert look().price == D(231)

    execute(order_in("NEW"), quantity=1, price="229.5")
    found = look()
    assert found.price == D("229.5")
    assert abs(found.priced_at - now) < timedelta(seconds=30)

    Position.objects.update(market_price=D(232), valued_at=now + timedelta(minutes=1))
    assert look().price == D(232)


@pytest.mark.parametrize(
    "changes",
    [
        {"valued_at": None},
        {"symbol": "MSFT"},
        {"security_type": "OPT"},
        {"currency": "CAD"},
        {"market_price": None},
        {"market_price": D(0)},
        {"days": 5},  # of last week
    ],
    ids=str,
)
def test_what_is_no_price_of_it_is_not_taken_for_one(changes):
    changes = dict(changes)
    valued_at = timezone.now() - timedelta(days=changes.pop("days", 0))
    held(**{"market_price": D(231), "valued_at": valued_at} | changes)

    found = look()

    assert (found.price, found.priced_at) == (None, None)


def test_the_same_again():
    order = order_in("NEW", symbol="AAPL", quantity=10, legs=[LIMIT])

    assert look(quantity=10, duplicate_seconds=60).repeats == order.pk
    assert look(quantity=11).repeats is None
    assert look(quantity=10, received_at=order.received_at + timedelta(seconds=61)).repeats is None


@pytest.mark.parametrize("status", ["DENIED", "NOT_PLACED", "REJECTED"])
def test_what_was_not_placed_may_be_asked_for_again(status):
    if status == "DENIED":
        order_in(status)
    else:
        order_in(status, symbol="AAPL", quantity=10, legs=[LIMIT])

    assert look(quantity=10, duplicate_seconds=60).repeats is None


def snapshot(hours, net_liquidation):
    moment = timezone.now() - timedelta(hours=hours)
    AccountSnapshot.objects.create(
        account_id=ACCOUNT,
        due_at=moment,
        taken_at=moment,
        as_of=moment,
        epoch=1,
        connection=1,
        currency="USD",
        net_liquidation=D(net_liquidation),
        position_count=0,
    )


def equity(value):
    AccountValue.objects.create(
        account_id=ACCOUNT, key="NetLiquidation", currency="USD", value=value, as_of=timezone.now()
    )


@pytest.mark.parametrize(
    ("now", "before", "result"),
    [
        ("98750.25", [(30, 90000), (25, 100000), (3, 99000)], D("-1249.75")),  # the last of the day before
        ("98750.25", [(3, 99000), (1, 1)], D("-249.75")),  # else the first of the day
        ("98750.25", [], None),
        (None, [(25, 100000)], None),
        ("n/a", [(25, 100000)], None),
        ("NaN", [(25, 100000)], None),
    ],
)
def test_the_days_result(now, before, result):
    session_row()
    for hours, value in before:
        snapshot(hours, value)
    if now is not None:
        equity(now)

    assert look(daily_loss=D(1000)).day_result == result
    assert losses.day_result(ACCOUNT, timezone.now() - timedelta(days=1)) == result  # which the watch looks at
