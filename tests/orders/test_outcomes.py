from decimal import Decimal

import pytest

from orders import dispatch, intake, outcomes
from orders.outcomes import CONNECTION_FAILED, Verdict
from orders.reports import apply_report
from orders.vocabulary import Actor
from orders.withdrawal import withdraw
from tests.orders.builders import (
    BRACKET,
    CLIENT_ID,
    asked,
    error,
    execution,
    open_order,
    order_status,
    placed,
)

pytestmark = pytest.mark.django_db


def sent(desk, *legs, **changes):
    orders = placed(*legs, **changes)
    dispatch.submit(orders[0].request_id, desk=desk)
    for order in orders:
        order.refresh_from_db()
    return orders


def apply(*reports):
    for report in reports:
        apply_report(report, session="", client_id=CLIENT_ID)


def verdict(orders):
    return outcomes.of_placement(orders[0].request_id)


def test_pending_until_acknowledged(desk):
    orders = sent(desk)
    assert verdict(orders).verdict is Verdict.PENDING

    apply(open_order(orders[0]))
    assert (verdict(orders).verdict, verdict(orders).perm_ids) == (Verdict.DONE, [1788680597])


def test_placed_stays_placed_when_cancelled_since(desk):
    orders = sent(desk)
    apply(open_order(orders[0]), order_status(1788680597, "Cancelled"))

    assert verdict(orders).verdict is Verdict.DONE


def test_filled_before_the_acknowledgement(desk):
    orders = sent(desk)
    apply(execution(orders[0]))

    assert verdict(orders).verdict is Verdict.DONE


def test_rejected(desk):
    orders = sent(desk)
    apply(error(orders[0].broker_order_id, 110, "The price does not conform"))

    assert (verdict(orders).verdict, verdict(orders).reason) == (Verdict.FAILED, "The price does not conform")


def test_withdrawn():
    orders = placed()
    withdraw(orders[0].request_id, reason=CONNECTION_FAILED, actor=Actor.API)

    assert (verdict(orders).verdict, verdict(orders).reason) == (Verdict.FAILED, CONNECTION_FAILED)


def test_unknown_symbol(desk):
    orders = sent(desk, symbol="INVALID")

    assert verdict(orders).reason == "Could not qualify contract for symbol: INVALID"


def test_cancelled_without_ever_being_acknowledged(desk):
    orders = sent(desk)
    apply(open_order(orders[0], status="Cancelled"))

    assert verdict(orders).verdict is Verdict.FAILED


def test_bracket_needs_every_leg(desk):
    orders = sent(desk, *BRACKET)
    for number, order in enumerate(orders[:2]):
        apply(open_order(order, perm_id=500 + number))
    assert verdict(orders).verdict is Verdict.PENDING

    apply(open_order(orders[2], perm_id=502))
    assert (verdict(orders).verdict, verdict(orders).perm_ids) == (Verdict.DONE, [500, 501, 502])


def test_bracket_has_failed_only_when_no_leg_works(desk):
    orders = sent(desk, *BRACKET)
    apply(open_order(orders[0], perm_id=500), error(orders[1].broker_order_id, 110, "bad tick"))
    apply(open_order(orders[2], perm_id=502))
    assert verdict(orders).verdict is Verdict.PENDING

    apply(order_status(500, "Cancelled"), order_status(502, "Cancelled"))
    assert (verdict(orders).verdict, verdict(orders).reason) == (Verdict.FAILED, "bad tick")


@pytest.fixture
def working(desk):
    (order,) = sent(desk)
    apply(open_order(order))
    intake.request_cancel(asked(), perm_id=1788680597, client_id=CLIENT_ID)
    return order


@pytest.mark.parametrize(
    ("case", "reports", "expected"),
    [
        ("nothing yet", [], Verdict.PENDING),
        ("confirmed", [("status", "Cancelled")], Verdict.DONE),
        ("only pending", [("status", "PendingCancel")], Verdict.PENDING),
        ("refused", [("error", 161)], Verdict.FAILED),
        ("lost to the fill", [("fill", 10)], Verdict.GONE),
        ("partly filled, then confirmed", [("fill", 4), ("status", "Cancelled")], Verdict.DONE),
    ],
)
def test_cancel(working, case, reports, expected):
    for kind, value in reports:
        apply(
            {
                "status": lambda value=value: order_status(1788680597, value),
                "error": lambda value=value: error(working.broker_order_id, value, "not now"),
                "fill": lambda value=value: execution(working, quantity=Decimal(value)),
            }[kind]()
        )

    outcome = outcomes.of_cancel(working.pk)

    assert outcome.verdict is expected
    assert outcome.reason == ("not now" if case == "refused" else "")
