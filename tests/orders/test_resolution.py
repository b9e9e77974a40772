"""What a person decides about an order in doubt: recorded once, by rules, and never against the broker."""

import threading

import pytest
from django.db import connection

from orders import outcomes, resolution
from orders.errors import InvalidDecision, NotInDoubt
from orders.models import Order
from orders.vocabulary import OrderStatus
from tests.orders.assertions import assert_history
from tests.orders.builders import completed_order, error, execution, open_order, order_status
from tests.orders.factories import advance, order_in
from tests.orders.worker import tell

PERM_ID = 1788680597
REASON = "TWS lists it as working, with our stamp"
SAID = {"reason": REASON, "actor": "user:ada", "request_id": "request-of-ada"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def doubtful():
    return order_in("IN_DOUBT", order_ref="my_trade_001")


@pytest.fixture
def placed(doubtful):
    return resolution.resolve_placed(doubtful.pk, perm_id=PERM_ID, **SAID)


@pytest.fixture
def not_placed(doubtful):
    return resolution.resolve_not_placed(doubtful.pk, **SAID)


def test_placed(placed):
    assert_history(placed, "received sent in_doubt resolved_placed")
    assert (placed.status, placed.perm_id, placed.reason) == ("NEW", PERM_ID, "")
    event = placed.events.get(kind="RESOLVED_PLACED")
    assert event.payload == {"perm_id": PERM_ID, "reason": REASON}
    assert (event.actor, event.request_id, event.raw) == ("user:ada", "request-of-ada", None)
    assert outcomes.of_placement(placed.request_id).perm_ids == [PERM_ID]


def test_not_placed(not_placed):
    assert_history(not_placed, "received sent in_doubt resolved_not_placed")
    assert (not_placed.status, not_placed.perm_id) == ("NOT_PLACED", None)
    assert not_placed.reason == f"decided by a person: {REASON}"
    event = not_placed.events.get(kind="RESOLVED_NOT_PLACED")
    assert (event.payload, event.actor, event.request_id) == ({"reason": REASON}, "user:ada", "request-of-ada")


DECISIONS = [
    pytest.param(lambda pk, **said: resolution.resolve_placed(pk, **{"perm_id": PERM_ID} | said), id="placed"),
    pytest.param(resolution.resolve_not_placed, id="not placed"),
]


@pytest.mark.parametrize("decide", DECISIONS)
@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {"IN_DOUBT"}))
def test_only_what_is_in_doubt(decide, status):
    order = order_in(status)
    order_in("IN_DOUBT")
    before = order.last_sequence

    with pytest.raises(NotInDoubt, match=f"is not in doubt: it is {order.get_status_display()}"):
        decide(order.pk, **SAID)

    assert Order.objects.get(pk=order.pk).last_sequence == before


@pytest.mark.parametrize("decide", DECISIONS)
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("empty", ""),
        ("blanks", " " * 20),
        ("short", "  too short "),
        ("two lines", "looked in TWS\nand found it"),
        ("right to left", "looked in TWS \u202eand found it"),
        ("a null", "looked in TWS \x00 and found it"),
        ("long", "x" * 501),
    ],
)
def test_a_reason_is_needed(doubtful, decide, case, reason):
    with pytest.raises(InvalidDecision) as refusal:
        decide(doubtful.pk, **SAID | {"reason": reason})

    assert refusal.value.field == "reason"
    assert_history(doubtful, "received sent in_doubt")


@pytest.mark.parametrize("reason", ["ten chars!", "x" * 500, "вижу её в TWS, работает"])
def test_reasons_that_will_do(doubtful, reason):
    resolution.resolve_not_placed(doubtful.pk, **SAID | {"reason": f"  {reason} "})

    assert doubtful.events.last().payload == {"reason": reason}


@pytest.mark.parametrize("perm_id", [0, -1, 2**53, 2**63])
def test_no_permanent_id_of_the_brokers(doubtful, perm_id):
    with pytest.raises(InvalidDecision) as refusal:
        resolution.resolve_placed(doubtful.pk, perm_id=perm_id, **SAID)

    assert refusal.value.field == "perm_id"
    assert_history(doubtful, "received sent in_doubt")


@pytest.mark.parametrize("status", ["NEW", "FILLED", "CANCELED"])
def test_another_orders_permanent_id(doubtful, status):
    other = order_in(status)

    with pytest.raises(InvalidDecision, match=f"the permId of another order: #{other.pk} BUY 10 AAPL"):
        resolution.resolve_placed(doubtful.pk, perm_id=other.perm_id, **SAID)

    assert_history(doubtful, "received sent in_doubt")


def test_the_broker_named_it_already(doubtful):
    advance(doubtful, "STATUS_REPORTED", broker_status="Inactive", perm_id=4242)

    with pytest.raises(InvalidDecision, match="named this order 4242 already"):
        resolution.resolve_placed(doubtful.pk, perm_id=PERM_ID, **SAID)
    resolution.resolve_placed(doubtful.pk, perm_id=4242, **SAID)

    assert_history(doubtful, "received sent in_doubt status_reported resolved_placed")


# What the broker says afterwards


@pytest.mark.parametrize(
    ("case", "tells", "kinds", "status"),
    [
        ("listed with our stamp", lambda o: open_order(o), "status_reported", "NEW"),
        ("under another permId", lambda o: open_order(o, perm_id=99), "status_reported", "NEW"),
        ("by the permId alone", lambda o: order_status(PERM_ID, "Submitted"), "status_reported", "NEW"),
        ("filled, by the stamp", lambda o: execution(o), "fill", "FILLED"),
        ("filled, under another permId", lambda o: execution(o, perm_id=99), "fill", "FILLED"),
        ("filled, by the permId alone", lambda o: execution(order_ref="lost"), "fill", "FILLED"),
        ("cancelled meanwhile", lambda o: completed_order(o), "canceled", "CANCELED"),
        ("cancelled now", lambda o: order_status(PERM_ID, "Cancelled"), "canceled", "CANCELED"),
        ("refused", lambda o: error(o.broker_order_id, 201), "rejected", "REJECTED"),
    ],
)
def test_reports_of_an_order_resolved_as_placed_apply(placed, case, tells, kinds, status):
    report = tells(placed)
    tell(report)

    assert_history(placed, f"received sent in_doubt resolved_placed {kinds}")
    assert placed.status == status
    assert placed.perm_id == getattr(report, "perm_id", PERM_ID)


@pytest.mark.parametrize(
    ("case", "tells", "kinds", "status"),
    [
        ("listed", lambda o: open_order(o), "accepted", "NEW"),
        ("filled", lambda o: execution(o), "fill", "FILLED"),
        ("partly filled", lambda o: execution(o, quantity=4), "partial_fill", "PARTIALLY_FILLED"),
        ("cancelled", lambda o: completed_order(o), "canceled", "CANCELED"),
    ],
)
def test_the_broker_proves_a_person_wrong(not_placed, case, tells, kinds, status):
    tell(tells(not_placed))

    assert_history(not_placed, f"received sent in_doubt resolved_not_placed {kinds}")
    assert (not_placed.status, not_placed.perm_id) == (status, PERM_ID)


# At the same time


def at_once(*decisions):
    """Run them in threads of their own; the errors they raised."""
    start, raised = threading.Barrier(len(decisions)), []

    def run(decide):
        try:
            start.wait()
            decide()
        except (NotInDoubt, InvalidDecision) as error:
            raised.append(type(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(decide,)) for decide in decisions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.django_db(transaction=True)
def test_two_people_decide_one_order_at_once(doubtful):
    raised = at_once(
        lambda: resolution.resolve_placed(doubtful.pk, perm_id=PERM_ID, **SAID),
        lambda: resolution.resolve_not_placed(doubtful.pk, **SAID),
    )

    assert raised == [NotInDoubt]
    assert doubtful.events.filter(kind__startswith="RESOLVED").count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_permanent_id_is_given_to_two_orders_at_once():
    orders = [order_in("IN_DOUBT") for _ in range(5)]

    raised = at_once(
        *[lambda pk=order.pk: resolution.resolve_placed(pk, perm_id=PERM_ID, **SAID) for order in orders],
    )

    assert raised == [InvalidDecision] * 4
    assert Order.objects.filter(perm_id=PERM_ID).count() == 1
