"""POST /order/limit, market, stop, bracket: what is told is what the rows say, with a worker and without."""

from datetime import UTC, time, timedelta
from decimal import Decimal
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.calendar import Calendar, Kind, Window
from accounts.models import BrokerAccount
from gateway.errors import NothingSent
from orders import intake, outcomes, resolution, stamps
from orders.models import Order, OrderRequest
from tests.orders.assertions import assert_history, history
from tests.orders.builders import error, open_order, session_row
from tests.orders.factories import advance
from tests.orders.test_api_input import GOOD, post
from tests.orders.worker import acknowledge, quiet, tell, working

pytestmark = pytest.mark.django_db(transaction=True)

SENT = {"limit": "✅ Limit order sent", "market": "✅ Market order sent", "stop": "✅ Stop order sent"}


@pytest.fixture(autouse=True)
def short_waits(settings):
    settings.PLACEMENT_WAIT_SECONDS = 5.0


def refuse(order):
    """The broker takes it and says no a moment later."""
    tell(error(order.broker_order_id, 201, "Order rejected - reason:no funds"))


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("kind", SENT)
def test_placed(client, desk, kind, slash):
    with working(desk):
        response = post(client, f"/order/{kind}{slash}", GOOD[f"/order/{kind}"])

    order = Order.objects.get()
    assert response.status_code == 200
    assert response.json() == {"status": SENT[kind], "permId": order.perm_id}
    assert (response.headers["X-Order-Id"], response.headers["X-Order-State"]) == (str(order.pk), "NEW")
    assert_history(order, "received sent accepted")
    answer = order.request.answers.get()
    assert (answer.status_code, answer.body, answer.settled) == (200, response.json(), True)


@pytest.mark.parametrize(
    ("path", "changes", "terms"),
    [
        ("/order/limit", {}, ("BUY", "LIMIT", "10", "230", None)),
        (
            "/order/limit",
            {"action": "sell", "quantity": 0.5, "limit_price": 9.99},
            ("SELL", "LIMIT", "0.5", "9.99", None),
        ),
        ("/order/market", {}, ("BUY", "MARKET", "10", None, None)),
        ("/order/stop", {"stop_price": 225.25}, ("SELL", "STOP", "10", None, "225.25")),
    ],
)
def test_what_is_ordered_is_what_was_asked(client, desk, broker, path, changes, terms):
    with working(desk):
        post(client, path, GOOD[path] | {"symbol": "aapl", "order_ref": "my ref"} | changes)

    side, order_type, quantity, limit_price, stop_price = terms
    (ticket,) = broker.transmitted
    assert (ticket.side, ticket.order_type, ticket.quantity) == (side, order_type, Decimal(quantity))
    assert ticket.limit_price == (limit_price and Decimal(limit_price))
    assert ticket.stop_price == (stop_price and Decimal(stop_price))
    assert (ticket.instrument.symbol, ticket.time_in_force, ticket.account) == ("AAPL", "DAY", "DU1000001")
    assert stamps.split(ticket.order_ref)[0] == Order.objects.get().order_ref == "my ref"


@pytest.mark.parametrize(
    ("action", "away", "prices"), [("BUY", "SELL", (225, 230, 240)), ("SELL", "BUY", (240, 230, 225))]
)
@pytest.mark.parametrize("exits", ["DAY", "GTC"])
def test_bracket(client, desk, broker, settings, action, away, prices, exits):
    settings.BRACKET_EXIT_TIME_IN_FORCE = exits
    stop_loss, entry, take_profit = prices
    body = {"action": action, "stop_loss": stop_loss, "entry_price": entry, "take_profit": take_profit}

    with working(desk):
        response = post(client, "/order/bracket", GOOD["/order/bracket"] | body)

    legs = {leg.role: leg for leg in Order.objects.all()}
    ids = [legs[role].perm_id for role in ("ENTRY", "STOP_LOSS", "TAKE_PROFIT")]
    assert response.status_code == 200
    assert response.json() == {"status": "✅ Bracket order sent", "permIds": ids}
    assert response.headers["X-Order-State"] == "NEW,NEW,NEW"
    assert [
        (t.side, t.order_type, t.limit_price, t.stop_price, t.time_in_force, t.transmit) for t in broker.transmitted
    ] == [
        (action, "LIMIT", entry, None, "DAY", False),
        (away, "STOP", None, stop_loss, exits, False),
        (away, "LIMIT", take_profit, None, exits, True),
    ]
    parent = broker.transmitted[0].order_id
    assert [ticket.parent_id for ticket in broker.transmitted] == [0, parent, parent]


@pytest.mark.parametrize("kind", ["limit", "market", "stop", "bracket"])
def test_unknown_symbol(client, desk, broker, kind):
    with working(desk):
        response = post(client, f"/order/{kind}", GOOD[f"/order/{kind}"] | {"symbol": "INVALID"})

    assert response.status_code == 500
    assert response.json()["detail"] == f"Failed to place {kind} order: Could not qualify contract for symbol: INVALID"
    assert set(Order.objects.values_list("status", flat=True)) == {"NOT_PLACED"}
    assert not broker.transmitted


@pytest.mark.parametrize("kind", ["limit", "market", "stop", "bracket"])
def test_refused_by_the_broker(client, desk, kind):
    with working(desk, answer=refuse):
        response = post(client, f"/order/{kind}", GOOD[f"/order/{kind}"])

    assert response.status_code == 500
    assert response.json() == {"detail": f"Failed to place {kind} order: Order rejected - reason:no funds"}
    assert set(Order.objects.values_list("status", flat=True)) == {"REJECTED"}


def test_nobody_takes_it(client, settings):
    session_row()
    settings.PLACEMENT_WAIT_SECONDS = 0.1

    response = post(client, "/order/limit", GOOD["/order/limit"])

    assert (response.status_code, response.json()) == (500, {"detail": "Failed to connect to IB Gateway"})
    order = Order.objects.get()
    assert_history(order, "received not_placed")
    assert order.request.answers.get().settled


def test_while_the_session_is_away_the_wait_is_short(client, monkeypatch):
    session_row(state="DISCONNECTED")
    monkeypatch.setattr("orders.api.guide.placing.AWAY_SECONDS", 0.1)
    began = timezone.now()

    response = post(client, "/order/limit", GOOD["/order/limit"])

    assert (response.status_code, response.json()) == (500, {"detail": "Failed to connect to IB Gateway"})
    assert timezone.now() - began < timedelta(seconds=2)
    assert_history(Order.objects.get(), "received not_placed")


def test_the_write_failed_before_its_first_byte(client, desk, broker):
    broker.failure = NothingSent("the socket is closed")

    with working(desk):
        response = post(client, "/order/limit", GOOD["/order/limit"])

    assert response.status_code == 500
    assert response.json()["detail"] == f"Failed to place limit order: {NothingSent('the socket is closed')}"


@pytest.mark.parametrize("kind", ["limit", "bracket"])
def test_sent_and_not_heard_of(client, desk, settings, kind):
    settings.PLACEMENT_WAIT_SECONDS = 0.5

    with working(desk, answer=quiet):
        response = post(client, f"/order/{kind}", GOOD[f"/order/{kind}"])

    orders = list(Order.objects.order_by("pk"))
    ids = [str(order.pk) for order in orders]
    assert response.status_code == 500
    assert f"our order {', '.join(ids)} may have reached the broker" in response.json()["detail"]
    assert "Do not send it again" in response.json()["detail"]
    assert response.headers["X-Order-Id"] == ",".join(ids)
    assert {order.status for order in orders} == {"PENDING_NEW"}
    assert not orders[0].request.answers.get().settled


def test_what_fails_after_the_commit_is_no_refusal(client):
    session_row()

    with mock.patch.object(outcomes, "of_placement", side_effect=OperationalError("down")):
        response = post(client, "/order/limit", GOOD["/order/limit"])

    order = Order.objects.get()
    assert response.status_code == 500
    assert f"our order {order.pk} may have reached the broker" in response.json()["detail"]
    assert OrderRequest.objects.get().refusal == ""
    assert history(order) == ["RECEIVED"]


def test_several_accounts_and_none_chosen(client):
    session = session_row()
    BrokerAccount.objects.create(pk="DU1000002", session=session)
    session_row(accounts=["DU1000001", "DU1000002"])

    response = post(client, "/order/limit", GOOD["/order/limit"])

    assert response.status_code == 500
    assert "set IB_ACCOUNT" in response.json()["detail"]
    assert OrderRequest.objects.get().refusal == response.json()["detail"]
    assert not Order.objects.exists()


def test_the_same_twice_without_a_key_is_two_orders(client, desk):
    with working(desk):
        found = [post(client, "/order/market", GOOD["/order/market"]).json()["permId"] for _ in range(2)]

    assert len(set(found)) == 2
    assert Order.objects.count() == 2


# --- Idempotency-Key ------------------------------------------------------------------------------------------------


def test_a_replay_is_answered_and_not_done(client, desk, broker):
    with working(desk):
        first = post(client, "/order/limit", GOOD["/order/limit"], **{"Idempotency-Key": "k"})
        second = post(
            client,
            "/order/limit/",
            '{"order_ref":"a","limit_price":230.00, "quantity":1e1,"action":"BUY","symbol":"AAPL"}',
            **{"Idempotency-Key": "k"},
        )

    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["X-Order-Id"] == first.headers["X-Order-Id"]
    assert len(broker.transmitted) == Order.objects.count() == 1
    kept = OrderRequest.objects.order_by("pk").last()
    assert kept.refusal == f"Not done again: repeats request {Order.objects.get().request_id}"
    assert kept.answers.get().body == first.json()


def test_a_failure_is_replayed_as_well(client, desk):
    with working(desk, answer=refuse):
        first = post(client, "/order/stop", GOOD["/order/stop"], **{"Idempotency-Key": "k"})
    second = post(client, "/order/stop", GOOD["/order/stop"], **{"Idempotency-Key": "k"})

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert Order.objects.count() == 1


@pytest.mark.parametrize("resolve", [acknowledge, refuse])
def test_a_replay_tells_what_became_of_an_unknown_outcome(client, desk, settings, resolve):
    settings.PLACEMENT_WAIT_SECONDS = 0.5
    key = {"Idempotency-Key": "k"}
    with working(desk, answer=quiet):
        unknown = post(client, "/order/limit", GOOD["/order/limit"], **key)
    still = post(client, "/order/limit", GOOD["/order/limit"], **key)
    resolve(Order.objects.get())

    known = post(client, "/order/limit", GOOD["/order/limit"], **key)

    assert unknown.json() == still.json()
    assert still.headers["Idempotent-Replayed"] == known.headers["Idempotent-Replayed"] == "true"
    order = Order.objects.get()
    if resolve is acknowledge:
        assert known.json() == {"status": "✅ Limit order sent", "permId": order.perm_id}
    else:
        assert known.json() == {"detail": "Failed to place limit order: Order rejected - reason:no funds"}
    assert [answer.settled for answer in order.request.answers.order_by("pk")] == [False, False, True]


SAID = {"reason": "looked through TWS and the statement", "actor": "user:ada", "request_id": "ada-1"}


@pytest.mark.parametrize("placed", [True, False], ids=["placed", "not placed"])
def test_a_replay_tells_what_a_person_decided(client, desk, settings, placed):
    settings.PLACEMENT_WAIT_SECONDS = 0.5
    key = {"Idempotency-Key": "k"}
    with working(desk, answer=quiet):
        unknown = post(client, "/order/limit", GOOD["/order/limit"], **key)
    order = advance(Order.objects.get(), "IN_DOUBT")
    in_doubt = post(client, "/order/limit", GOOD["/order/limit"], **key)
    assert (in_doubt.status_code, in_doubt.json()) == (500, unknown.json())
    assert "may have reached the broker" in in_doubt.json()["detail"]
    assert in_doubt.headers["X-Order-State"] == "IN_DOUBT"

    if placed:
        resolution.resolve_placed(order.pk, perm_id=4242, **SAID)
    else:
        resolution.resolve_not_placed(order.pk, **SAID)
    known, again = (post(client, "/order/limit", GOOD["/order/limit"], **key) for _ in range(2))

    if placed:
        assert (known.status_code, known.json()) == (200, {"status": "✅ Limit order sent", "permId": 4242})
    else:
        reason = "Failed to place limit order: decided by a person: looked through TWS and the statement"
        assert (known.status_code, known.json()) == (500, {"detail": reason})
    assert (again.status_code, again.json()) == (known.status_code, known.json())
    assert [answer.settled for answer in order.request.answers.order_by("pk")] == [False, False, True]
    assert Order.objects.count() == 1


@pytest.mark.parametrize("change", [{"quantity": 11}, {"order_ref": "b"}, {"symbol": "MSFT"}])
def test_a_key_is_for_one_body(client, desk, change):
    with working(desk):
        post(client, "/order/limit", GOOD["/order/limit"], **{"Idempotency-Key": "k"})
        response = post(client, "/order/limit", GOOD["/order/limit"] | change, **{"Idempotency-Key": "k"})

    assert response.status_code == 422
    assert "used before with another request" in response.json()["detail"]
    assert Order.objects.count() == 1


def test_a_key_is_for_one_endpoint(client, desk):
    body = GOOD["/order/market"]
    with working(desk):
        post(client, "/order/market", body, **{"Idempotency-Key": "k"})
        response = post(client, "/order/limit", body, **{"Idempotency-Key": "k"})

    assert response.status_code == 422


def test_a_key_whose_request_is_still_running(client, desk, settings):
    settings.PLACEMENT_WAIT_SECONDS = 0.1
    first = post(client, "/order/limit", GOOD["/order/limit"] | {"symbol": 5}, **{"Idempotency-Key": "k"})
    with mock.patch.object(intake, "answer", side_effect=OperationalError("died before it answered")):
        post(client, "/order/limit", GOOD["/order/limit"], **{"Idempotency-Key": "k"})

    response = post(client, "/order/limit", GOOD["/order/limit"], **{"Idempotency-Key": "k"})

    assert first.status_code == 400  # and did not use the key up
    assert response.status_code == 409
    assert Order.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb", "a\x7f"])
def test_a_key_that_is_none(client, key):
    session_row()

    response = post(client, "/order/limit", GOOD["/order/limit"], **{"Idempotency-Key": key})

    assert response.status_code == 400
    assert response.json() == {"detail": "Idempotency-Key must be 1 to 255 printable ASCII characters"}
    assert OrderRequest.objects.get().idempotency_key is None
    assert not Order.objects.exists()


@pytest.mark.parametrize("key", ["k", "x" * 255, "with spaces", '"quoted"', "~!@"])
def test_a_key_is_kept(client, desk, key):
    with working(desk):
        response = post(client, "/order/market", GOOD["/order/market"], **{"Idempotency-Key": key})

    assert response.status_code == 200
    assert OrderRequest.objects.get().idempotency_key == key


# --- Cancelling -----------------------------------------------------------------------------------------------------


@pytest.fixture
def standing_order(client, desk):
    with working(desk):
        post(client, "/order/limit", GOOD["/order/limit"])
    return Order.objects.get()


@pytest.mark.parametrize("path", ["/order/cancel", "/order/cancel/"])
def test_cancelled(client, desk, broker, standing_order, path):
    with working(desk):
        response = post(client, path, {"perm_id": standing_order.perm_id})

    assert response.status_code == 200
    assert response.json() == {"status": f"✅ Order {standing_order.perm_id} cancelled"}
    assert response.headers["X-Order-State"] == "CANCELED"
    assert broker.cancelled == [standing_order.broker_order_id]
    assert_history(standing_order, "received sent accepted cancel_requested cancel_sent canceled")


def test_cancelled_already(client, desk, standing_order):
    with working(desk):
        post(client, "/order/cancel", {"perm_id": standing_order.perm_id})
        response = post(client, "/order/cancel", {"perm_id": standing_order.perm_id})

    assert (response.status_code, response.json()) == (404, {"detail": "Order not found or already filled"})


def test_a_cancel_that_is_not_confirmed_in_time(client, desk, settings, standing_order):
    settings.CANCEL_WAIT_SECONDS = 0.5
    key = {"Idempotency-Key": "c"}
    body = {"perm_id": standing_order.perm_id}

    with working(desk, answer=quiet):
        response = post(client, "/order/cancel", body, **key)
    acknowledge(Order.objects.get())
    later = post(client, "/order/cancel", body, **key)

    done = {"status": f"✅ Order {standing_order.perm_id} cancelled"}
    assert (response.status_code, response.json()) == (200, {**done, "order_status": "PENDINGCANCEL"})
    assert (later.status_code, later.json()) == (200, done)
    assert later.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("code", "status", "detail"),
    [
        (10147, 404, "Order not found or already filled"),
        (10148, 404, "Order not found or already filled"),
        (161, 500, "the broker's words"),
    ],
)
def test_a_cancel_that_the_broker_refuses(client, desk, standing_order, code, status, detail):
    with working(desk, answer=lambda order: tell(error(order.broker_order_id, code))):
        response = post(client, "/order/cancel", {"perm_id": standing_order.perm_id})

    assert (response.status_code, response.json()) == (status, {"detail": detail})


def test_a_cancel_that_nobody_sends(client, settings, standing_order):
    settings.CANCEL_WAIT_SECONDS = 0.1

    response = post(client, "/order/cancel", {"perm_id": standing_order.perm_id})

    assert (response.status_code, response.json()) == (500, {"detail": "Failed to connect to IB Gateway"})
    assert_history(standing_order, "received sent accepted cancel_requested cancel_rejected")
    assert standing_order.status == "NEW"


def test_a_cancel_while_the_session_is_away(client, standing_order):
    session_row(state="LINK_DOWN")

    response = post(client, "/order/cancel", {"perm_id": standing_order.perm_id})

    assert (response.status_code, response.json()) == (500, {"detail": "Failed to connect to IB Gateway"})
    assert_history(standing_order, "received sent accepted")
    assert OrderRequest.objects.order_by("pk").last().refusal == "Failed to connect to IB Gateway"


def test_another_clients_order(client):
    session_row()
    tell(open_order(client_id=3, perm_id=99))

    response = post(client, "/order/cancel", {"perm_id": 99})

    assert response.status_code == 500
    assert response.json()["detail"].startswith("Order 99 belongs to API client 3 of the gateway")
    assert_history(Order.objects.get(), "adopted")


def test_what_fails_after_the_cancel_was_committed(client, standing_order):
    with mock.patch.object(outcomes, "of_cancel", side_effect=OperationalError("down")):
        response = post(client, "/order/cancel", {"perm_id": standing_order.perm_id})

    assert response.status_code == 500
    assert f"Whether order {standing_order.perm_id} is cancelled is not known yet" in response.json()["detail"]
    assert_history(standing_order, "received sent accepted cancel_requested")


# Planned pauses


@pytest.mark.parametrize("kind", [*SENT, "bracket"])
def test_refused_during_a_planned_pause_and_nothing_is_kept(client, settings, kind):
    session_row()
    at = (timezone.now() - timedelta(seconds=100)).astimezone(UTC).time()
    window = Window(kind=Kind.LOGIN, zone=ZoneInfo("UTC"), at=at, lasts=timedelta(seconds=200))
    settings.GATEWAY_CALENDAR = Calendar(windows=(window,))

    response = post(client, f"/order/{kind}", GOOD[f"/order/{kind}"], **{"Idempotency-Key": "k"})

    assert response.status_code == 503
    assert 90 <= int(response.headers["Retry-After"]) <= 100
    detail = response.json()["detail"]
    assert detail.startswith("No orders are sent during the gateway's weekly login, until ")
    assert detail.endswith(" UTC: try again then. Nothing was placed.")
    assert not OrderRequest.objects.exists()  # so the same key is good for the next attempt


def test_a_replay_is_answered_during_a_planned_pause(client, desk, settings):
    with working(desk):
        first = post(client, "/order/limit", GOOD["/order/limit"], **{"Idempotency-Key": "k"})
    window = Window(kind=Kind.WEEKEND, zone=ZoneInfo("UTC"), at=time(), lasts=timedelta(days=1))
    settings.GATEWAY_CALENDAR = Calendar(windows=(window,))

    again = post(client, "/order/limit", GOOD["/order/limit"], **{"Idempotency-Key": "k"})

    assert (again.status_code, again.json()) == (200, first.json())
