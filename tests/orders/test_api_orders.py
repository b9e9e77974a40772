"""GET /orders: the broker's list of this moment, in the guide's words."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import BrokerAccount, GatewaySession
from orders.api.guide import pending
from orders.models import Order
from tests.orders.builders import BRACKET, error, open_order, placed, session_row
from tests.orders.factories import advance, order_in
from tests.orders.worker import quiet, tell, working

AWAY = {"detail": "Failed to connect to IB Gateway"}


@pytest.fixture(autouse=True)
def short_wait(monkeypatch):
    monkeypatch.setattr(pending, "ANSWER_SECONDS", 1.0)


@pytest.fixture
def listing(client, desk):
    """GET /orders while the broker lists these permanent ids."""

    def ask(*perm_ids, path="/orders"):
        with working(desk, answer=quiet, open_perm_ids=list(perm_ids)):
            response = client.get(path)
        assert response.status_code == 200, response.content
        return response.json()["orders"]

    return ask


def adopt(**changes) -> Order:
    """An order of TWS, as the broker lists it."""
    session_row()
    perm_id = changes.setdefault("perm_id", 500 + Order.objects.count())
    tell(open_order(**{"client_id": 0, "order_id": 0} | changes))
    return Order.objects.get(perm_id=perm_id)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/orders", "/orders/"])
def test_a_limit_order(client, desk, path):
    order = order_in("NEW", limit_price=Decimal("230.50"))

    with working(desk, open_perm_ids=[order.perm_id]):
        asked_at = timezone.now()
        response = client.get(path)

    assert response.status_code == 200
    assert response.content == (
        b'{"orders":[{"orderId":%d,"permId":%d,"symbol":"AAPL","action":"BUY","quantity":10,"type":"LMT",'
        b'"trigger":230.5,"status":"SUBMITTED"}]}' % (order.broker_order_id, order.perm_id)
    )
    assert response.headers["X-As-Of"] >= f"{asked_at.isoformat(timespec='milliseconds')[:23]}Z"


@pytest.mark.django_db(transaction=True)
def test_none(listing):
    assert listing() == []


@pytest.mark.django_db(transaction=True)
def test_everybodys_orders_and_no_others(listing):
    ours = order_in("NEW")
    theirs = adopt(client_id=3, order_id=8)
    by_hand = adopt(client_id=0, order_id=-2)
    gone = order_in("NEW")
    filled = order_in("FILLED")
    order_in("CANCELED")

    # `gone` was acknowledged before the broker was asked, and is not listed any more.
    found = listing(ours.perm_id, theirs.perm_id, by_hand.perm_id, filled.perm_id)

    assert [row["permId"] for row in found] == [ours.perm_id, theirs.perm_id, by_hand.perm_id]
    assert [row["orderId"] for row in found] == [ours.broker_order_id, 8, -2]
    assert gone.perm_id not in [row["permId"] for row in found]


@pytest.mark.django_db(transaction=True)
def test_ours_that_may_be_working(listing):
    sent = order_in("PENDING_NEW")
    doubtful = order_in("IN_DOUBT")

    rows = listing()

    assert [(row["orderId"], row["permId"], row["status"]) for row in rows] == [
        (sent.broker_order_id, 0, "PENDINGSUBMIT"),
        (doubtful.broker_order_id, 0, "PENDINGSUBMIT"),
    ]
    assert [row.get("inDoubt") for row in rows] == [None, True]
    assert "inDoubt" not in rows[0]


@pytest.mark.django_db(transaction=True)
def test_ours_that_a_person_decided_about(listing):
    placed, not_placed = order_in("IN_DOUBT"), order_in("IN_DOUBT")
    advance(placed, "RESOLVED_PLACED", perm_id=4242)
    advance(not_placed, "RESOLVED_NOT_PLACED")

    assert listing() == []  # the broker's list has the word, as for all that is acknowledged
    (row,) = listing(4242)
    assert (row["permId"], row["status"], "inDoubt" in row) == (4242, "SUBMITTED", False)


@pytest.mark.django_db(transaction=True)
def test_one_that_was_acknowledged_after_the_broker_was_asked(client, desk, monkeypatch):
    before = timezone.now() - timedelta(seconds=5)
    order = order_in("NEW")
    session_row(open_orders_as_of=before, open_perm_ids=[])
    monkeypatch.setattr(pending, "_ask", lambda: (before, []))

    assert [row["permId"] for row in client.get("/orders").json()["orders"]] == [order.perm_id]


@pytest.mark.django_db(transaction=True)
def test_the_legs_of_a_bracket(listing):
    legs = placed(*BRACKET)
    ids = []
    for number, leg in enumerate(legs):
        advance(leg, "SENT", broker_order_id=40 + number)
        tell(open_order(Order.objects.get(pk=leg.pk), perm_id=700 + number, status="PreSubmitted"))
        ids.append(700 + number)

    rows = listing(*ids)

    assert [(row["action"], row["type"], row["trigger"], row["status"]) for row in rows] == [
        ("BUY", "LMT", 230, "PRESUBMITTED"),
        ("SELL", "STP", 225, "PRESUBMITTED"),
        ("SELL", "LMT", 240, "PRESUBMITTED"),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "word", "trigger"),
    [
        ({"order_type": "LMT", "limit_price": Decimal("230.25")}, "LMT", Decimal("230.25")),
        ({"order_type": "MKT", "limit_price": None}, "MKT", "—"),
        ({"order_type": "MKT", "limit_price": Decimal(0), "aux_price": Decimal(0)}, "MKT", "—"),
        ({"order_type": "MOC", "limit_price": None}, "MOC", "—"),
        ({"order_type": "STP", "limit_price": Decimal(0), "aux_price": Decimal("225.5")}, "STP", Decimal("225.5")),
        ({"order_type": "STP LMT", "limit_price": Decimal(224), "aux_price": Decimal(225)}, "STP LMT", Decimal(225)),
        ({"order_type": "MIT", "limit_price": None, "aux_price": Decimal(220)}, "MIT", Decimal(220)),
        ({"order_type": "LIT", "limit_price": Decimal(221), "aux_price": Decimal(220)}, "LIT", Decimal(220)),
        (
            {"order_type": "TRAIL", "limit_price": None, "aux_price": Decimal(5), "trail_stop_price": Decimal(226)},
            "TRAIL",
            Decimal(226),
        ),
        ({"order_type": "TRAIL", "limit_price": None, "aux_price": Decimal(5)}, "TRAIL", "—"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_type_and_trigger(changes, word, trigger):
    row = pending.pending(adopt(**changes))

    assert (row.type, row.trigger) == (word, trigger)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ib_word", "status"),
    [
        ("PendingSubmit", "PENDINGSUBMIT"),
        ("PreSubmitted", "PRESUBMITTED"),
        ("Submitted", "SUBMITTED"),
        ("ApiPending", "APIPENDING"),
        ("PendingCancel", "SUBMITTED"),
    ],
)
def test_status_is_one_of_four(ib_word, status):
    assert pending.pending(adopt(status=ib_word)).status == status


@pytest.mark.django_db(transaction=True)
def test_a_partly_filled_order_shows_what_was_ordered(listing):
    order = order_in("PARTIALLY_FILLED")

    (row,) = listing(order.perm_id)

    assert (row["quantity"], row["status"]) == (10, "SUBMITTED")


@pytest.mark.django_db(transaction=True)
def test_orders_of_another_account_are_left_out(client, desk, settings):
    session = session_row()
    BrokerAccount.objects.create(pk="DU1000002", session=session)
    ours = adopt(perm_id=1)
    adopt(perm_id=2, account="DU1000002")
    settings.IB_ACCOUNT = "DU1000001"

    with working(desk, open_perm_ids=[1, 2]):
        rows = client.get("/orders").json()["orders"]

    assert [row["permId"] for row in rows] == [ours.perm_id]


@pytest.mark.django_db(transaction=True)
def test_no_answer_is_not_an_empty_list(client, monkeypatch):
    monkeypatch.setattr(pending, "ANSWER_SECONDS", 0.1)
    session_row(open_orders_as_of=timezone.now() - timedelta(seconds=1), open_perm_ids=[])

    response = client.get("/orders")

    assert (response.status_code, response.json()) == (500, AWAY)
    session = GatewaySession.objects.get()
    assert session.open_orders_wanted > session.open_orders_listed  # which is what the worker's sweep looks for


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["DISCONNECTED", "CONNECTING", "RECOVERING", "LINK_DOWN"])
def test_while_the_session_is_away(client, state):
    session_row(state=state)

    response = client.get("/orders")

    assert (response.status_code, response.json()) == (500, AWAY)
    assert GatewaySession.objects.get().open_orders_wanted == 0


@pytest.mark.django_db(transaction=True)
def test_a_refused_order_is_not_pending(listing):
    (order,) = placed()
    advance(order, "SENT", broker_order_id=5)
    tell(error(5, 201))

    assert listing() == []
