from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ibkr_site import today
from orders.vocabulary import Side
from tests.orders.factories import at, execute, order_in

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)


def test_orders_of_the_day_are_counted_by_status_and_drawn_by_the_hour():
    for hours, status in ((-13, "FILLED"), (-12, "FILLED"), (-2, "NEW"), (-2, "CANCELED"), (-1, "REJECTED")):
        with at(NOON + timedelta(hours=hours)):
            order_in(status)

    found = today.orders(NOON)

    assert (found.day, found.total, found.all_counted) == ("2026-01-12", 4, True)
    assert found.counts == {"NEW": 1, "FILLED": 1, "CANCELED": 1, "REJECTED": 1}
    bars = [(bar.sort, bar.words) for bar in found.chart.bars]
    assert bars == [
        ("filled", "00:00 to 01:00 UTC: 1 filled"),
        ("gone", "10:00 to 11:00 UTC: 1 gone"),
        ("working", "10:00 to 11:00 UTC: 1 working"),
        ("refused", "11:00 to 12:00 UTC: 1 refused"),
    ]
    below, above = found.chart.bars[1:3]
    assert (found.chart.highest, below.height + above.height) == (2, today.HEIGHT - today.BOTTOM - today.TOP)
    assert above.y + above.height == below.y


def test_fills_count_once_by_side_and_what_was_replaced_stands_beside():
    with at(NOON - timedelta(hours=1)):
        bought, sold = order_in("NEW"), order_in("NEW", side=Side.SELL)
        execute(bought, quantity=4, exec_id="0001.01.01")
        execute(bought, quantity=5, exec_id="0001.01.02")
        execute(sold, quantity=Decimal(10))

    found = today.fills(NOON)

    assert found.counts == {"buy": 1, "sell": 1, "replaced": 1}
    assert [bar.sort for bar in found.chart.bars] == ["buy", "sell"]


def test_no_more_is_read_than_is_counted(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(today, "COUNTED", 3)
    with at(NOON - timedelta(hours=1)):
        for _ in range(5):
            order_in("FILLED")

    with django_assert_num_queries(2):
        orders, fills = today.orders(NOON), today.fills(NOON)

    assert (orders.total, orders.all_counted) == (3, False)
    assert (fills.total, fills.all_counted) == (3, False)


def test_a_day_without_anything_is_an_empty_chart():
    found = today.orders(NOON)

    assert (found.total, found.counts, found.chart.bars, found.all_counted) == (0, {}, (), True)
