from datetime import timedelta

import pytest

from orders import dispatch, intake, risk
from orders.errors import Overloaded
from orders.models import Order, OrderRequest
from tests.orders.assertions import assert_history
from tests.orders.builders import BRACKET, LIMIT, asked, placed, placement


@pytest.mark.parametrize(
    ("case", "sides", "working", "refused"),
    [
        ("the first", ["BUY"], {}, False),
        ("the twentieth", ["BUY"], {"BUY": 19}, False),
        ("one too many", ["BUY"], {"BUY": 20}, True),
        ("the other side is full", ["BUY"], {"SELL": 20}, False),
        ("a bracket needs two on one side", ["BUY", "SELL", "SELL"], {"SELL": 19}, True),
        ("and gets them", ["BUY", "SELL", "SELL"], {"SELL": 18, "BUY": 19}, False),
    ],
)
def test_working_orders_per_side(case, sides, working, refused):
    found = risk.breach("AAPL", sides, working=working)

    assert (found is not None) is refused


def test_breach_says_what_to_do():
    found = risk.breach("AAPL", ["BUY"], working={"BUY": 20})

    assert found is not None
    assert found.reason == (
        "20 BUY orders of AAPL are working already, and IB allows 20 per contract, side and account: cancel some first"
    )


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
    monkeypatch.setattr(risk, "MOST_WORKING_ORDERS", 2)
    orders = [placed()[0] for _ in range(2)]
    monkeypatch.setattr(risk, "MOST_WORKING_ORDERS", 1)  # as if both had been let in at the same moment

    dispatch.submit(orders[0].request_id, desk=desk)

    assert_history(orders[0], "received not_placed")
    assert broker.transmitted == []
    dispatch.submit(orders[1].request_id, desk=desk)
    assert_history(orders[1], "received sent")


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
