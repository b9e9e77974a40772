"""The limits at intake and in the claim, against the database; each limit alone: tests/orders/risk."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.limits import changing
from accounts.models import GatewaySession
from orders import dispatch, intake
from orders.errors import Overloaded
from orders.models import Order, OrderRequest
from orders.risk import checks
from tests.orders.assertions import assert_history
from tests.orders.builders import ACCOUNT, BRACKET, LIMIT, asked, placed, placement, session_row


@pytest.mark.django_db
def test_the_twenty_first_is_denied():
    for _ in range(20):
        placed()

    (denied,) = placed()
    (other,) = placed(symbol="MSFT")

    assert_history(denied, "denied")
    assert denied.status == "DENIED"
    assert denied.reason.startswith("20 BUY orders of AAPL are working already")
    assert_history(other, "received")


@pytest.mark.django_db
def test_a_bracket_is_denied_as_a_whole():
    for _ in range(20):
        placed()

    orders = placed(*BRACKET)

    assert {order.status for order in orders} == {"DENIED"}


@pytest.mark.django_db
def test_one_over_the_limit_is_not_claimed(desk, broker, monkeypatch):
    monkeypatch.setattr(checks, "MOST_WORKING_ORDERS", 2)
    orders = [placed()[0] for _ in range(2)]
    monkeypatch.setattr(checks, "MOST_WORKING_ORDERS", 1)  # as if both had been let in at the same moment

    for order in orders:
        dispatch.submit(order.request_id, desk=desk)

    assert_history(orders[0], "received sent")
    assert_history(orders[1], "received denied")
    assert len(broker.transmitted) == 1


@pytest.mark.django_db
def test_more_than_can_be_sent_in_time_is_refused_before_it_is_stored(monkeypatch, settings):
    settings.IB_MESSAGES_PER_SECOND = 1
    monkeypatch.setattr(intake, "OURS_TO_SEND", 1)
    for symbol in ("A", "B", "C", "D", "E", "F"):
        placed(symbol=symbol)
    requests = OrderRequest.objects.count()

    with pytest.raises(Overloaded, match="Nothing was placed") as refused:
        intake.place(asked(), placement(LIMIT, symbol="G"))

    assert refused.value.retry_after == 7
    assert (OrderRequest.objects.count(), Order.objects.count()) == (requests, 6)


@pytest.mark.django_db
def test_what_lost_its_validity_is_no_backlog(monkeypatch, settings):
    settings.IB_MESSAGES_PER_SECOND = 1
    monkeypatch.setattr(intake, "OURS_TO_SEND", 1)
    for symbol in ("A", "B", "C", "D", "E", "F"):
        placed(symbol=symbol, valid_for=timedelta(seconds=-1))

    (order,) = placed(symbol="G")

    assert order.status == "RECEIVED"


# Limits of ours, at both moments


def limit(account="", **changes):
    return changing.change(account, changes, by="user:risk", reason="a limit for this test")


def payload(order, kind):
    return order.events.get(kind=kind).payload


@pytest.mark.django_db
def test_what_was_decided_on_is_kept_with_each_step(desk):
    session_row()
    limit(order_quantity=Decimal(10))
    (order,) = placed()

    dispatch.submit(order.request_id, desk=desk)

    received, sent = payload(order, "RECEIVED")["limits"], payload(order, "SENT")["limits"]
    assert (received["version"], received["of"], received["inputs"]["price"]) == (1, "", "unknown")
    assert received["inputs"]["working"] == sent["inputs"]["working"] == {}
    assert "breaches" not in received | sent
    assert_history(order, "received sent")


@pytest.mark.django_db
def test_a_refused_order_says_which_limits(desk, broker):
    session_row()
    limit(order_quantity=Decimal(9), allowed_symbols=["MSFT"])

    (order,) = placed()
    dispatch.submit(order.request_id, desk=desk)

    assert_history(order, "denied")
    assert [b["limit"] for b in payload(order, "DENIED")["limits"]["breaches"]] == ["allowed_symbols", "order_quantity"]
    assert "a quantity of 10 is above the limit of 9" in order.reason
    assert broker.transmitted == []


@pytest.mark.django_db
@pytest.mark.parametrize("legs", [(LIMIT,), BRACKET])
def test_limits_that_were_lowered_hold_for_what_waits(desk, broker, legs):
    orders = placed(*legs)
    limit(order_quantity=Decimal(9))

    dispatch.submit(orders[0].request_id, desk=desk)

    for order in orders:
        assert_history(order, "received denied")
        denied = payload(order, "DENIED")
        assert (denied["limits"]["version"], denied["quantity"]) == (1, "10.00000000")
    assert broker.transmitted == []
    assert GatewaySession.objects.get().next_order_id == 1


@pytest.mark.django_db
def test_limits_that_were_raised_hold_for_what_waits(desk, broker):
    (order,) = placed()
    limit(order_quantity=Decimal(9))
    limit(order_quantity=Decimal(11))

    dispatch.submit(order.request_id, desk=desk)

    assert payload(order, "SENT")["limits"]["version"] == 2
    assert len(broker.transmitted) == 1


@pytest.mark.django_db
def test_an_accounts_own_limits_stand_in_the_place_of_the_general_ones():
    session_row()
    limit(order_quantity=Decimal(1))
    limit(ACCOUNT, order_quantity=Decimal(100))

    (order,) = placed()

    assert_history(order, "received")
    assert payload(order, "RECEIVED")["limits"]["of"] == ACCOUNT


@pytest.mark.django_db
def test_real_money_is_not_sent_before_somebody_set_limits(desk, broker, settings):
    settings.TRADING_MODE = "live"
    (refused,) = placed()
    limit(order_quantity=Decimal(10), position=Decimal(50), **ROOM)
    (order,) = placed()

    dispatch.submit(order.request_id, desk=desk)

    assert_history(refused, "denied")
    assert "manage.py limits set" in refused.reason
    assert_history(order, "received sent")
    assert len(broker.transmitted) == 1


ROOM = {"order_value": Decimal(10000), "daily_loss": None, "working_orders": 9} | {
    f"orders_per_{span}": 9 for span in ("second", "minute", "day")
}


def looks(queries):
    return sum("accounts_limitversion" in query["sql"] for query in queries)


@pytest.mark.django_db
def test_a_limit_costs_no_query_of_its_own(desk):
    session_row()
    with CaptureQueriesContext(connection) as before:
        placed(symbol="MSFT")
    limit(**ROOM | {"daily_loss": Decimal(1000), "duplicate_seconds": 1})
    with CaptureQueriesContext(connection) as learning:
        placed(symbol="TSLA")

    with CaptureQueriesContext(connection) as asking:
        (order,) = placed()
    with CaptureQueriesContext(connection) as claiming:
        dispatch.submit(order.request_id, desk=desk)

    assert looks(learning) <= 2  # that limits ask for more than they did is found out by looking
    assert looks(asking) == looks(claiming) == 1
    assert len(asking) == len(before)
    assert len(asking) <= QUERIES_TO_ASK
    assert len(claiming) <= QUERIES_TO_CLAIM
    assert_history(order, "received sent")


# What a placement costs; more is slower, and should be meant. The savepoints are the test's.
QUERIES_TO_ASK, QUERIES_TO_CLAIM = 18, 17


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "limits",
    [
        {"working_orders": 5},
        {"position": Decimal(50)},
        {"orders_per_minute": 5},
        {"orders_per_day": 5},
    ],
    ids=lambda limits: next(iter(limits)),
)
def test_twenty_at_once_do_not_pass_together(desk, broker, limits):
    session_row()
    limit(**limits)

    def ask(_):
        try:
            return intake.place(asked(), placement(LIMIT))[0].request_id
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        requests = list(pool.map(ask, range(20)))

    def claim(request_pk):
        try:
            dispatch.submit(request_pk, desk=desk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(claim, requests))

    statuses = Counter(Order.objects.values_list("status", flat=True))
    assert statuses == {"PENDING_NEW": 5, "DENIED": 15}
    assert len(broker.transmitted) == 5


@pytest.mark.django_db
def test_the_same_order_twice_is_sent_once(desk, broker):
    session_row()
    waiting = [placed()[0] for _ in range(2)]  # both were asked for before anybody minded
    limit(duplicate_seconds=60)
    (again,) = placed()
    (another,) = placed(quantity=Decimal(11))

    for order in (*waiting, another):
        dispatch.submit(order.request_id, desk=desk)

    assert_history(again, "denied")
    assert f"it is the same as order {waiting[1].pk}" in again.reason
    assert_history(waiting[0], "received sent")
    assert_history(waiting[1], "received denied")
    assert_history(another, "received sent")
    assert len(broker.transmitted) == 2
