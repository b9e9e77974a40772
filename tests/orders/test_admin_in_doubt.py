"""The two decisions about an order in doubt, as the admin offers them."""

import html

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orders import journal
from orders.models import Order
from tests.orders.assertions import assert_history
from tests.orders.builders import open_order
from tests.orders.factories import advance, order_in
from tests.orders.worker import tell

pytestmark = pytest.mark.django_db

ORDERS = "/admin/orders/order/"
REASON = "TWS lists it as working, with our stamp"
PLACED = {"perm_id": "1788680597", "reason": REASON, "confirmed": "on"}
NOT_PLACED = {"reason": REASON, "confirmed": "on"}


@pytest.fixture
def order():
    return order_in("IN_DOUBT", symbol="AMD", quantity=200, order_ref="dip_amd")


def staff(name, *permissions):
    user = User.objects.create(username=name, is_staff=True)  # without a password: to hash one takes long
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def decider(client):
    client.force_login(staff("ada", "view_order", "resolve_in_doubt"))
    return client


@pytest.fixture
def reviewer(client):
    client.force_login(staff("bob", "view_order", "change_order"))
    return client


def page(browser, order):
    response = browser.get(f"{ORDERS}{order.pk}/change/")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def decide(browser, order, decision, given, **kwargs):
    return browser.post(f"{ORDERS}{order.pk}/decide/{decision}/", given, **kwargs)


# What the page shows


def test_what_was_sent_and_what_was_answered_since(reviewer, order):
    sent = order.events.get(kind="SENT")
    advance(order, "STILL_IN_DOUBT", rounds=3, doubts=["the position is 200 and not 0", "and more"])
    advance(order, "ERROR_REPORTED", code=100, text="Max rate of messages per second has been exceeded")

    text = page(reviewer, order).split('<section class="panel doubt">')[1].split("</section>")[0]

    assert 'role="alert"' in text
    assert "Buy 200 AMD, Limit 150.25, Day" in text
    assert f"{order.broker_order_id} of client 17" in text
    assert f"<code>dip_amd~{order.stamp}</code>" in text
    assert sent.payload["digest"] in text
    assert sent.session in text
    assert f"{sent.recorded_at:%Y-%m-%d %H:%M:%S}" in text
    since = text.split('<ol class="since">')[1].split("</ol>")[0]
    assert since.count("<li>") == 3
    assert "Whether it exists cannot be told: not listed" in since
    assert "asked 3 times on this connection, last 31 s after it was ready" in since
    assert "Against “not placed”: the position is 200 and not 0; and more." in since
    assert "Max rate of messages per second has been exceeded" in since


@pytest.mark.parametrize("status", ["NEW", "PENDING_NEW", "NOT_PLACED"])
def test_no_panel_and_no_form_without_a_doubt(decider, status):
    text = page(decider, order_in(status))

    assert "panel doubt" not in text
    assert "/decide/" not in text


def test_forms_are_for_those_who_may_decide(decider, order):
    text = page(decider, order)

    assert text.count('<form method="post" action="/admin/orders/order/') == 2
    assert text.count('name="csrfmiddlewaretoken"') >= 2
    assert "they may send the order again. If the broker has it after all, there are two orders then." in text
    assert "are told that it was placed" in text


def test_others_see_the_evidence_and_no_form(reviewer, order):
    text = page(reviewer, order)

    assert "What was asked and answered since" in text
    assert "/decide/" not in text
    assert "needs the permission “Can decide what became of an order in doubt”" in text


def test_queries_do_not_grow_with_the_story(decider, order):
    def count():
        with CaptureQueriesContext(connection) as queries:
            page(decider, order)
        return len(queries)

    page(decider, order)
    before = count()
    for number in range(10):
        advance(order, "STILL_IN_DOUBT", rounds=number)

    assert count() == before <= 24


# Deciding


def test_placed(decider, order):
    response = decide(decider, order, "placed", PLACED, headers={"X-Request-Id": "ada-1"}, follow=True)

    assert response.redirect_chain == [(f"{ORDERS}{order.pk}/change/", 302)]
    text = html.unescape(response.content.decode())
    assert "Recorded: It was placed. The order is New now." in text
    assert f"A person decided that the broker holds it under permId 1788680597: {REASON}" in text
    assert_history(order, "received sent in_doubt resolved_placed")
    event = order.events.get(kind="RESOLVED_PLACED")
    assert (event.actor, event.request_id, event.from_status) == ("user:ada", "ada-1", "IN_DOUBT")
    assert event.payload == {"perm_id": 1788680597, "reason": REASON}
    assert journal.replay(order) == order.state()


def test_not_placed(decider, order):
    response = decide(decider, order, "not-placed", NOT_PLACED)

    assert "The order is Not placed now." in page(decider, order)
    assert_history(order, "received sent in_doubt resolved_not_placed")
    event = order.events.get(kind="RESOLVED_NOT_PLACED")
    assert (event.actor, event.payload) == ("user:ada", {"reason": REASON})
    assert event.request_id == response["X-Request-Id"]


@pytest.mark.parametrize(
    ("decision", "given", "problem"),
    [
        ("placed", PLACED | {"perm_id": ""}, "This field is required."),
        ("placed", PLACED | {"perm_id": "1,788"}, "Enter a whole number."),
        ("placed", PLACED | {"perm_id": "9" * 5000}, "Enter a whole number."),
        ("placed", PLACED | {"perm_id": "0"}, "A permId is a whole number above 0"),
        ("placed", PLACED | {"perm_id": "-5"}, "A permId is a whole number above 0"),
        ("placed", PLACED | {"perm_id": str(2**63)}, "A permId is a whole number above 0"),
        ("placed", PLACED | {"reason": "too short"}, "Say in 10 to 500 characters where you looked"),
        ("placed", PLACED | {"confirmed": ""}, "Confirm this first."),
        ("not-placed", NOT_PLACED | {"reason": ""}, "This field is required."),
        ("not-placed", NOT_PLACED | {"reason": "in doubt\u200b for days"}, "something in it cannot be printed"),
        ("not-placed", NOT_PLACED | {"reason": "a\x00b is not in TWS"}, "Null characters are not allowed."),
        ("not-placed", {"reason": REASON}, "Confirm this first."),
        ("not-placed", {}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_beside_what_was_typed(decider, order, decision, given, problem):
    response = decide(decider, order, decision, given)

    assert response.status_code == 200
    text = html.unescape(response.content.decode())
    (form,) = [part for part in text.split("<form")[1:] if f'id="{decision}"' in part.split(">")[0]]
    assert problem in form.split("</form>")[0]
    if given.get("reason") == REASON:
        assert f'value="{REASON}"' in form
    assert_history(order, "received sent in_doubt")


def test_the_permanent_id_of_another_order(decider, order):
    other = order_in("FILLED")

    response = decide(decider, order, "placed", PLACED | {"perm_id": str(other.perm_id)})

    assert f"That is the permId of another order: {other}." in html.unescape(response.content.decode())
    assert_history(order, "received sent in_doubt")


def test_sent_twice(decider, order):
    decide(decider, order, "not-placed", NOT_PLACED)
    response = decide(decider, order, "not-placed", NOT_PLACED, follow=True)

    assert f"Order {order.pk} is not in doubt: it is Not placed. Nothing was changed." in response.content.decode()
    assert_history(order, "received sent in_doubt resolved_not_placed")


@pytest.mark.parametrize(("decision", "given"), [("placed", PLACED), ("not-placed", NOT_PLACED)])
def test_the_broker_was_faster(decider, order, decision, given):
    page(decider, order)
    tell(open_order(order, perm_id=4242))

    response = decide(decider, order, decision, given, follow=True)

    assert "is not in doubt: it is New. Nothing was changed." in response.content.decode()
    assert_history(order, "received sent in_doubt accepted")
    assert Order.objects.get(pk=order.pk).perm_id == 4242


def test_wrong_input_for_an_order_that_is_no_longer_in_doubt(decider, order):
    tell(open_order(order))

    response = decide(decider, order, "placed", {})

    assert response.status_code == 200
    assert "/decide/" not in response.content.decode()


# Who may


@pytest.mark.parametrize(("decision", "given"), [("placed", PLACED), ("not-placed", NOT_PLACED)])
@pytest.mark.parametrize(
    "permissions",
    [(), ("view_order",), ("view_order", "change_order"), ("resolve_in_doubt",)],
    ids=lambda permissions: "+".join(permissions) or "none",
)
def test_not_without_the_permission(client, order, decision, given, permissions):
    client.force_login(staff("eve", *permissions))

    assert decide(client, order, decision, given).status_code == 403
    assert client.get(f"{ORDERS}{order.pk}/decide/{decision}/").status_code == 403
    assert_history(order, "received sent in_doubt")


def test_a_stranger_is_asked_to_log_in(client, order):
    response = decide(client, order, "placed", PLACED)

    assert response["Location"].startswith("/admin/login/")
    assert_history(order, "received sent in_doubt")


def test_a_form_of_another_site_is_refused(order):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(staff("ada", "view_order", "resolve_in_doubt"))
    page(browser, order)

    assert decide(browser, order, "placed", PLACED).status_code == 403
    assert_history(order, "received sent in_doubt")

    token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"].value}
    assert decide(browser, order, "placed", PLACED | token).status_code == 302
    assert_history(order, "received sent in_doubt resolved_placed")


def test_to_decide_is_not_to_change(decider, order):
    assert decider.post(f"{ORDERS}{order.pk}/change/", {"status": "NEW", "_save": "Save"}).status_code == 403


def test_a_look_at_the_address_of_a_form_leads_to_the_page(decider, order):
    response = decider.get(f"{ORDERS}{order.pk}/decide/placed/")

    assert (response.status_code, response["Location"]) == (302, f"{ORDERS}{order.pk}/change/")


@pytest.mark.parametrize(
    "path", ["{pk}/decide/perhaps/", "999999999/decide/placed/", "9999999999999999999999/decide/placed/"]
)
def test_what_is_not_there(decider, order, path):
    assert decider.post(f"{ORDERS}{path.format(pk=order.pk)}", PLACED).status_code == 404


def test_the_longest_name_fits(client, order):
    client.force_login(staff("n" * 150, "view_order", "resolve_in_doubt"))

    decide(client, order, "not-placed", NOT_PLACED)

    assert order.events.get(kind="RESOLVED_NOT_PLACED").actor == f"user:{'n' * 150}"


# The work list


def test_the_first_page_counts_and_leads_to_the_list(decider, order):
    order_in("IN_DOUBT")
    order_in("NEW")

    text = decider.get("/admin/").content.decode()

    assert f'<a href="{ORDERS}?status__exact=IN_DOUBT">2 orders in doubt: a person must decide</a>' in text
    listed = decider.get(f"{ORDERS}?status__exact=IN_DOUBT").context["cl"].result_list
    assert {row.status for row in listed} == {"IN_DOUBT"}
    assert len(listed) == 2
