"""The halt where orders are taken in, claimed, written and withdrawn, and what is cancelled with it."""

import html
import threading
import time

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection

from accounts.halts import switch
from accounts.halts.models import Halt, HaltedOrder, Resumption, Scope
from gateway.reports import SessionState
from orders import dispatch, intake, recall
from orders.models import Order, OrderRequest
from orders.reports import apply_report
from orders.sweep import sweep, withdraw_halted
from tests.orders.assertions import assert_history
from tests.orders.builders import BRACKET, CLIENT_ID, asked, open_order, placement, session_row
from tests.orders.factories import external_order, order_in
from tests.orders.test_api_input import GOOD, post
from tests.orders.worker import working

pytestmark = pytest.mark.django_db

WHY = {"reason": "it sends what it should not", "actor": "user:ada"}
SCOPES = [("ALL", ""), ("ACCOUNT", "DU1000001"), ("SYMBOL", "AAPL"), ("KEY", "k1")]
ELSEWHERE = [("ACCOUNT", "DU2"), ("SYMBOL", "MSFT"), ("KEY", "k2")]


@pytest.fixture(autouse=True)
def no_file(settings, tmp_path):
    settings.HALT_FILE = tmp_path / "HALT"


def waiting(actor="key:k1", *legs):
    session_row(epoch=1)
    return intake.place(asked(actor=actor), placement(*legs))


def halt(scope="ALL", value=""):
    return switch.halt(Scope(scope), value, **WHY)


# In the claim and at the write


@pytest.mark.parametrize(("scope", "value"), SCOPES)
def test_what_waits_is_not_claimed_once_it_is_halted(desk, broker, scope, value):
    (order,) = waiting()
    row = halt(scope, value)

    dispatch.submit(order.request_id, desk=desk)

    assert broker.transmitted == []
    assert_history(order, "received not_placed")
    order.refresh_from_db()
    assert order.reason == row.words


@pytest.mark.parametrize(("scope", "value"), ELSEWHERE)
def test_a_halt_elsewhere_stops_nothing(desk, broker, scope, value):
    (order,) = waiting()
    halt(scope, value)

    dispatch.submit(order.request_id, desk=desk)

    assert len(broker.transmitted) == 1


def test_a_bracket_is_stopped_whole(desk, broker):
    orders = waiting("api", *BRACKET)
    halt("SYMBOL", "AAPL")

    dispatch.submit(orders[0].request_id, desk=desk)

    assert broker.transmitted == []
    for order in orders:
        assert_history(order, "received not_placed")


def test_resumed_is_sent(desk, broker):
    row = halt()
    switch.resume(row.pk, **WHY)
    (order,) = waiting()

    dispatch.submit(order.request_id, desk=desk)

    assert len(broker.transmitted) == 1


def test_the_file_is_looked_at_right_before_the_write(desk, broker, settings, tmp_path):
    settings.KILL_POINTS = str(tmp_path)
    (tmp_path / "worker.claimed").write_text("sleep 0.5")
    (order,) = waiting()
    hand = threading.Timer(0.2, settings.HALT_FILE.touch)
    hand.start()

    dispatch.submit(order.request_id, desk=desk)

    hand.join()
    assert broker.transmitted == []
    assert_history(order, "received sent not_placed")


def test_the_file_stops_the_claim(desk, broker, settings):
    (order,) = waiting()
    settings.HALT_FILE.write_text("fire in the house")

    dispatch.submit(order.request_id, desk=desk)

    assert broker.transmitted == []
    assert_history(order, "received not_placed")
    order.refresh_from_db()
    assert "fire in the house" in order.reason


def test_a_write_that_is_late_does_not_trust_its_look(desk, broker):
    """A process that was stopped in the broker's library, behind our last look."""
    (order,) = waiting()
    broker.before_transmit = lambda: time.sleep(dispatch.LOOK_HOLDS_SECONDS + 0.1)

    dispatch.submit(order.request_id, desk=desk)

    assert broker.transmitted == []
    assert_history(order, "received sent not_placed")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("pressed", "sent"), [(True, 0), (False, 1)])
def test_a_claim_that_was_stopped_looks_again(desk, broker, settings, tmp_path, pressed, sent):
    settings.KILL_POINTS = str(tmp_path)
    (tmp_path / "worker.claimed").write_text("sleep 1.5")
    (order,) = waiting()

    def press():
        try:
            halt()
        finally:
            connection.close()

    hand = threading.Timer(0.5, press if pressed else lambda: None)
    hand.start()
    dispatch.submit(order.request_id, desk=desk)

    hand.join()
    assert Halt.objects.exists() is pressed
    assert len(broker.transmitted) == sent
    assert_history(order, "received sent not_placed" if pressed else "received sent")


def test_cancels_are_never_halted(desk, broker, settings):
    (order,) = waiting()
    dispatch.submit(order.request_id, desk=desk)
    order.refresh_from_db()
    apply_report(open_order(order, perm_id=99), session="s", client_id=CLIENT_ID)
    halt()
    settings.HALT_FILE.touch()
    intake.request_cancel(asked(endpoint="/order/cancel"), perm_id=99, client_id=CLIENT_ID)

    dispatch.cancel(order.pk, desk=desk)

    assert len(broker.cancelled) == 1


# What waits


@pytest.mark.parametrize("state", [SessionState.READY, SessionState.DISCONNECTED])
def test_what_waits_is_withdrawn_at_once_and_the_rest_goes_on(desk, broker, state):
    (ours,) = waiting()
    (other,) = intake.place(asked(), placement(symbol="MSFT"))
    row = halt("SYMBOL", "AAPL")
    broker.state = state

    withdraw_halted(desk)
    sweep(desk)

    assert_history(ours, "received not_placed")
    ours.refresh_from_db()
    assert ours.reason == row.words
    assert_history(other, "received sent" if state is SessionState.READY else "received")


# Intake


@pytest.mark.parametrize(("scope", "value"), [*SCOPES[:3]])
def test_clients_are_told_at_once(client, scope, value):
    session_row()
    row = halt(scope, value)

    response = post(client, "/order/limit", GOOD["/order/limit"])

    assert response.status_code == 403
    assert response.json() == {"detail": f"Failed to place limit order: {row.words}"}
    order = Order.objects.get()
    assert_history(order, "denied")
    assert order.reason == row.words
    assert order.request.answers.get().status_code == 403


@pytest.mark.parametrize("actor", ["key:k1", "key:k2"])
def test_a_key_is_halted_by_its_id(actor):
    session_row()
    halt("KEY", "k1")

    (order,) = waiting(actor)

    assert order.status == ("DENIED" if actor == "key:k1" else "RECEIVED")


def test_the_file_is_looked_at_by_the_web_process_too(client, settings):
    session_row()
    settings.HALT_FILE.write_text("fire in the house")

    response = post(client, "/order/bracket", GOOD["/order/bracket"])

    assert (response.status_code, response.json()["detail"]) == (
        403,
        "Failed to place bracket order: trading is halted (everything): fire in the house",
    )
    assert {order.status for order in Order.objects.all()} == {"DENIED"}


# What works at the broker


def working_order(**terms):
    return order_in("NEW", **terms)


def test_what_works_is_asked_for_and_each_outcome_kept():
    ours = working_order(symbol="AAPL")
    doubtful = order_in("IN_DOUBT", symbol="AAPL")
    theirs = external_order(symbol="AAPL")
    waits = order_in("PENDING_CANCEL", symbol="AAPL")
    over, elsewhere = order_in("FILLED", symbol="AAPL"), working_order(symbol="MSFT")
    row = halt("SYMBOL", "AAPL")

    recall.recall(row, actor="user:ada", request_id="ada-1")

    found = {each.order: each.problem for each in HaltedOrder.objects.all()}
    assert set(found) == {ours.pk, doubtful.pk, theirs.pk, waits.pk}
    assert found[ours.pk] == found[waits.pk] == ""
    assert "not known yet" in found[doubtful.pk]
    assert "client" in found[theirs.pk]
    ours.refresh_from_db()
    assert ours.status == "PENDING_CANCEL"
    event = ours.events.latest("sequence")
    assert (event.kind, event.actor, event.request_id) == ("CANCEL_REQUESTED", "user:ada", "ada-1")
    assert f"halt #{row.pk}" in event.payload["reason"]
    for untouched in (doubtful, theirs, over, elsewhere):
        assert untouched.events.filter(kind="CANCEL_REQUESTED").count() == 0
    assert recall.recall(row, actor="user:ada") == []  # once for each


def test_recalled_orders_are_cancelled_by_the_worker(desk, broker):
    order = working_order(symbol="AAPL")
    recall.recall(halt(), actor="user:ada")

    sweep(desk)

    assert broker.cancelled == [order.broker_order_id]


# GET and POST /api/v1/halts

ADDRESS = "/api/v1/halts"
BODY = {"scope": "SYMBOL", "value": "aapl", "reason": "it sends what it should not"}


def test_halted_over_http(client):
    response = post(client, ADDRESS, BODY)

    assert response.status_code == 201
    row = Halt.objects.get()
    assert response.json() == {
        "id": row.pk,
        "scope": "SYMBOL",
        "value": "AAPL",
        "reason": BODY["reason"],
        "halted_by": "api",
        "halted_at": response.json()["halted_at"],
        "orders": [],
    }
    assert row.request_id == response.headers["X-Request-Id"]
    assert client.get(f"{ADDRESS}/").json() == [response.json()]
    switch.resume(row.pk, **WHY)
    assert client.get(ADDRESS).json() == []


def test_halted_over_http_with_what_works(client):
    order = working_order()

    response = post(client, ADDRESS, BODY | {"cancel": True})

    assert response.json()["orders"] == [{"order": order.pk, "problem": ""}]
    order.refresh_from_db()
    assert order.status == "PENDING_CANCEL"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"scope": "WORLD"}, "scope:"),
        ({"scope": "ALL"}, "for ALL name none"),
        ({"value": ""}, "Name the account"),
        ({"reason": "x"}, "reason:"),
        ({"reason": "a\nb"}, "one line"),
        ({"resume": True}, "resume: This field is unknown."),
        ({"cancel": "yes, please"}, "cancel:"),
    ],
)
def test_what_is_refused_halts_nothing(client, changes, detail):
    response = post(client, ADDRESS, BODY | changes)

    assert response.status_code == 400
    assert detail in response.json()["detail"]
    assert not Halt.objects.exists()


@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_elsewhere_cannot_halt(client, headers):
    response = client.post(ADDRESS, BODY, content_type="application/json", headers=headers)

    assert response.status_code == 403
    assert not Halt.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_there_is_no_way_to_resume_over_http(client, method):
    halt()

    assert getattr(client, method)(ADDRESS).status_code == 405
    assert not Resumption.objects.exists()


# Health


def test_health_says_what_is_halted(client, settings):
    session_row()
    halt("SYMBOL", "AAPL")
    response = client.get("/health/ready")
    assert response.status_code == 200  # others may be sent
    assert [(each["scope"], each["value"]) for each in response.json()["halts"]] == [("SYMBOL", "AAPL")]

    row = halt()
    response = client.get("/health/ready")
    assert (response.status_code, response.json()["reasons"]) == (503, [row.words])
    switch.resume(row.pk, **WHY)
    settings.HALT_FILE.touch()
    assert client.get("/health/ready").status_code == 503


# The admin

LIST = "/admin/accounts/halt/"


def staff(name, *permissions):
    user = User.objects.create(username=name, is_staff=True)  # without a password: to hash one takes long
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def text_of(response):
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.fixture
def risk(client):
    client.force_login(staff("ada", "view_halt", "halt", "resume", "view_order"))
    return client


def test_the_button(risk):
    assert 'id="press"' in text_of(risk.get(LIST))
    order = working_order()

    form = {"scope": "ACCOUNT", "value": "DU1000001", "reason": "by hand", "cancel": "on"}
    shown = text_of(risk.post(f"{LIST}press/", form, follow=True))

    row = Halt.objects.get()
    assert (row.scope, row.halted_by) == ("ACCOUNT", "user:ada")
    assert "Cancellations asked for: 1" in shown
    assert f"/admin/orders/order/{order.pk}/change/" in shown
    assert "PENDING_CANCEL" in shown
    first = text_of(risk.get("/admin/"))
    assert "Trading is halted" in first
    assert "Halted · paper trading" in first
    assert "Halted · paper trading" in text_of(risk.get("/admin/orders/order/"))  # on every page

    risk.post(f"{LIST}{row.pk}/resume/", {"reason": "put right"})
    assert Resumption.objects.get().resumed_by == "user:ada"
    assert "Trading is halted" not in text_of(risk.get("/admin/"))
    assert "put right" in text_of(risk.get(f"{LIST}{row.pk}/change/"))


def test_with_real_money_the_button_needs_two_to_be_undone(risk, settings):
    settings.TRADING_MODE = "live"
    risk.post(f"{LIST}press/", {"scope": "ALL", "value": "", "reason": "by hand"})
    row = Halt.objects.get()

    shown = text_of(risk.post(f"{LIST}{row.pk}/resume/", {"reason": "put right"}, follow=True))
    assert "another person resumes" in shown
    assert not Resumption.objects.exists()

    risk.force_login(staff("bob", "view_halt", "resume"))
    risk.post(f"{LIST}{row.pk}/resume/", {"reason": "put right"})
    assert Resumption.objects.get().resumed_by == "user:bob"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "SYMBOL", "value": "", "reason": "by hand"}, "Name the account"),
        ({"scope": "ALL", "value": "", "reason": ""}, "This field is required"),
        ({"scope": "ALL", "value": "", "reason": "x"}, "3 to 500"),
        ({"scope": "WORLD", "value": "", "reason": "by hand"}, "Select a valid choice"),
    ],
)
def test_a_form_that_is_wrong_halts_nothing(risk, form, error):
    assert error in text_of(risk.post(f"{LIST}press/", form))
    assert not Halt.objects.exists()


@pytest.mark.parametrize("permissions", [("view_halt",), ("halt", "resume"), ("view_halt", "change_halt", "add_halt")])
def test_who_may_not_is_refused(client, permissions):
    order, row = working_order(), halt()
    client.force_login(staff("eve", *permissions))

    assert client.post(f"{LIST}press/", {"scope": "SYMBOL", "value": "X", "reason": "by hand"}).status_code == 403
    assert client.post(f"{LIST}{row.pk}/resume/", {"reason": "put right"}).status_code == 403
    assert client.post(f"{LIST}{row.pk}/cancel/").status_code == 403
    assert Halt.objects.count() == 1
    assert not Resumption.objects.exists()
    order.refresh_from_db()
    assert order.status == "NEW"


def test_what_works_can_be_cancelled_later(risk):
    order, row = working_order(), halt()
    assert risk.get(f"{LIST}{row.pk}/cancel/").status_code == 302
    assert not HaltedOrder.objects.exists()

    risk.post(f"{LIST}{row.pk}/cancel/")

    order.refresh_from_db()
    assert order.status == "PENDING_CANCEL"


@pytest.mark.django_db(transaction=True)
def test_pressed_with_fifty_waiting(desk, broker):
    """Claims of one thread and the halt of another, as they meet."""
    for _ in range(50):
        intake.place(asked(), placement(symbol=f"S{OrderRequest.objects.count()}"))
    with working(desk, answer=lambda order: None):
        deadline = time.monotonic() + 20
        while len(broker.transmitted) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        halt()
        pressed = len(broker.transmitted)
        time.sleep(1.5)
        sent = len(broker.transmitted)

    assert 3 <= pressed <= sent <= pressed + 1  # one may have been on its way in that very moment
    assert sent < 50
    assert Order.objects.filter(status="RECEIVED").count() == 0
