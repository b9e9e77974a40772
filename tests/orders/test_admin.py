import html
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.display import amount
from accounts.models import AccountValue, Position
from accounts.review import BoundedPaginator
from audit.models import CheckpointRun, Verification
from orders import intake, timeline
from orders.models import Execution, Order, OrderEvent
from orders.vocabulary import OrderStatus, OrderType, Side
from tests.orders import factories
from tests.orders.factories import ACCOUNT, advance, asked, at, bracket, execute, external_order, order_in, place

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 1, 12, 15, 30, tzinfo=UTC)
ORDERS = "/admin/orders/order/"
EVENTS = "/admin/orders/orderevent/"
EXECUTIONS = "/admin/orders/execution/"
REQUESTS = "/admin/orders/orderrequest/"
HOSTILE = "<script>alert('order_ref')</script>"


@pytest.fixture
def browser(client):
    # Without a password: to hash one takes longer than the test.
    client.force_login(User.objects.create(username="reviewer", is_staff=True, is_superuser=True))
    return client


def listed(browser, url):
    """The primary keys that a list shows, newest first."""
    response = browser.get(url)
    assert response.status_code == 200, response.headers.get("Location")
    return [row.pk for row in response.context["cl"].result_list]


def page_of(browser, row):
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    response = browser.get(reverse(name, args=[row.pk]))
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def cells(response, number=0):
    """The texts of a row of a list, by column."""
    changelist = response.context["cl"]
    admin_class, row = changelist.model_admin, changelist.result_list[number]
    values = {}
    for name in admin_class.list_display:
        shown = getattr(admin_class, name, None)
        values[name] = shown(row) if callable(shown) else getattr(row, name)
    return values


def count_queries(browser, url):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert browser.get(url).status_code == 200
    return len(queries)


# Orders: the list


def test_list_columns(browser):
    order = order_in("NEW", symbol="MSFT", quantity=1500, order_ref="my_trade_001")
    execute(order, quantity=400, price="149.5")
    execute(order, quantity=200, price="149.51")

    response = browser.get(ORDERS)

    row = cells(response)
    assert row["id"] == order.pk
    assert (row["of_account"], row["symbol"], row["side"]) == (ACCOUNT, "MSFT", "BUY")
    assert (row["ordered"], row["filled"], row["average"]) == ("1,500", "600", "149.5033")
    assert row["prices"] == "150.25"
    assert row["status_now"] == '<span class="badge badge-partially_filled">Partially filled</span>'
    text = response.content.decode()
    assert "1,500" in text
    assert "my_trade_001" in text
    assert str(Order.objects.get().perm_id) in text


@pytest.mark.parametrize(
    ("order_type", "shown"),
    [("MARKET", "–"), ("LIMIT", "150.25"), ("STOP", "145 stop"), ("STOP_LIMIT", "145 stop, 150.25 limit")],
)
def test_prices(browser, order_type, shown):
    order_in("RECEIVED", order_type=OrderType(order_type))

    assert cells(browser.get(ORDERS))["prices"] == shown


def test_list_is_newest_first(browser):
    orders = [order_in("RECEIVED"), order_in("NEW"), order_in("FILLED")]

    assert listed(browser, ORDERS) == [order.pk for order in reversed(orders)]


def test_in_doubt_stands_out(browser, commit):
    order, other = order_in("IN_DOUBT"), order_in("NEW")
    commit()

    assert "badge-in_doubt" in browser.get(ORDERS).content.decode()
    assert 'role="alert"' in page_of(browser, order)
    assert 'role="alert"' not in page_of(browser, other)


@pytest.fixture
def mixed():
    """Orders that differ in everything one filters by, by name."""
    with at(MONDAY):
        monday = order_in("FILLED", symbol="MSFT", side=Side.SELL)
    with at(MONDAY.replace(hour=0, minute=0)):
        midnight = order_in("CANCELED")
    with at(MONDAY.replace(hour=0, minute=0) + timedelta(days=1)):
        tuesday = order_in("NEW", account="DU1000002")
    return {"monday": monday, "midnight": midnight, "tuesday": tuesday, "external": external_order(symbol="IBM")}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "external tuesday monday midnight"),
        ("status__exact=FILLED", "monday"),
        ("status__exact=FILLED&status__exact=CANCELED", "monday midnight"),
        ("account=DU1000002", "tuesday"),
        ("symbol=msft", "monday"),
        ("symbol=MSF", ""),
        ("side__exact=SELL", "external monday"),
        ("day=2026-01-12", "monday midnight"),
        ("day=2026-01-13", "tuesday"),
        ("day=2026-01-14", ""),
        ("day=9999-12-30", ""),
        ("origin=external", "external"),
        ("origin=ours", "tuesday monday midnight"),
        ("origin=ours&side__exact=SELL&day=2026-01-12", "monday"),
    ],
)
def test_filters(browser, mixed, query, names):
    expected = [mixed[name].pk for name in names.split()]

    assert listed(browser, f"{ORDERS}?{query}") == expected  # by the time of receipt, whatever the ids


@pytest.mark.parametrize("query", ["day=tomorrow", "day=9999-12-31", "nonsense=1"])
def test_a_filter_that_makes_no_sense_is_dropped(browser, query):
    response = browser.get(f"{ORDERS}?{query}")

    assert (response.status_code, response["Location"]) == (302, f"{ORDERS}?e=1")


@pytest.mark.parametrize(
    "term",
    ["{0.pk}", "{0.perm_id}", "{0.order_ref}", " {0.order_ref}", "{0.stamp}", "x~{0.stamp}", " {0.perm_id} "],
)
def test_search_finds(browser, term):
    order = order_in("NEW", order_ref="my_trade_001")
    order_in("NEW", order_ref="another")

    assert listed(browser, f"{ORDERS}?q={term.format(order)}") == [order.pk]


@pytest.mark.parametrize(
    "term", ["17", "99999999999999999999999", "²", "nobody", "reference", "REFERENCE 170", "%", "_", "'"]
)
def test_search_finds_nothing(browser, term):
    order = order_in("NEW", order_ref="reference 170")
    assert order.pk != 17

    assert listed(browser, f"{ORDERS}?q={term}") == []


def test_search_for_a_number_finds_it_as_a_reference_too(browser):
    order = order_in("NEW", order_ref="20260112")

    assert listed(browser, f"{ORDERS}?q=20260112") == [order.pk]


# Orders: the page


def test_page_tells_the_story(browser):
    order = order_in("NEW", order_ref="my_trade_001", quantity=10)
    order = execute(order, quantity=4, price="150.1", commission="1.07")
    order = advance(order, "CANCEL_REQUESTED")
    order = advance(order, "CANCELED", reason="by hand")

    text = page_of(browser, order)

    titles = [
        "<strong>Received</strong>",
        "<strong>Sent</strong>",
        "<strong>Accepted</strong>",
        "<strong>Partial fill</strong>",
        "<strong>Cancel requested</strong>",
        "<strong>Canceled</strong>",
    ]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert "Persisted: 10, limit 150.25. Nothing was sent yet." in text
    assert f"Claimed as order {order.broker_order_id} of client 17" in text
    assert f"The broker holds it under permId {order.perm_id}, as Submitted." in text
    assert "4 at 150.1, execution" in text
    assert "The broker says Cancelled. by hand" in text
    assert "1.07 USD" in text
    assert "4 of 10 at 150.1 on average" in text
    assert order.stamp in text


def test_raw_message_is_folded_field_by_field(browser):
    order = order_in("NEW")
    raw = order.events.get(kind="ACCEPTED").raw

    text = page_of(browser, order)

    assert f"The broker's message: openOrder (5), {len(raw)} fields" in text
    fields = text.split('<ol class="raw-fields">')[1].split("</ol>")[0]
    assert fields.count("<li") == len(raw)
    for position, value in enumerate(raw, start=1):
        assert f'<span class="position">{position}</span> <code>{value}</code>' in fields


def test_page_shows_the_request_and_its_answers(browser):
    request = place(request=asked('{"symbol": "AAPL", "quantity": 10}', idempotency_key="key-1", actor="desk-7"))
    intake.answer(request, status_code=500, body={"detail": "outcome unknown"}, settled=False)
    intake.answer(request, status_code=200, body={"permId": 5})

    text = page_of(browser, request.orders.get())

    assert '{\n  "symbol": "AAPL",\n  "quantity": 10\n}' in text
    assert '"detail": "outcome unknown"' in text
    assert "outcome unknown then" in text
    assert '"permId": 5' in text
    assert "key-1" in text
    assert "by <bdi>desk-7</bdi> from 127.0.0.1" in text


def test_page_shows_who_asked_to_cancel(browser):
    order = order_in("NEW")
    intake.request_cancel(asked(endpoint="/order/cancel", actor="desk-8"), perm_id=order.perm_id, client_id=17)

    assert "by <bdi>desk-8</bdi> from 127.0.0.1" in page_of(browser, order)


def test_page_of_a_bracket_links_the_other_legs(browser):
    entry, stop, target = bracket()

    text = page_of(browser, stop)

    for leg in (entry, target):
        assert f'<a href="{ORDERS}{leg.pk}/change/">{leg}</a>' in text
    legs = text.split("All legs of the request")[1].split("</section>")[0]
    assert f"{ORDERS}{stop.pk}/change/" not in legs
    assert f"<strong>{stop}</strong>" in legs


def test_page_of_an_external_order(browser):
    order = external_order(order_ref="typed in TWS")

    text = page_of(browser, order)

    assert "Nobody asked for it through this API" in text
    assert "First seen at the broker, as Submitted: 5, limit 170." in text
    assert "All legs" not in text


@pytest.mark.parametrize("status", OrderStatus)
def test_every_event_has_words(status):
    for entry in timeline.entries(order_in(status).events.order_by("sequence")):
        assert entry.words.endswith((".", "no funds", "allowed", "listed", "sent")), entry.kind
        assert entry.kind
        assert entry.actor in ("API client", "Gateway worker", "Broker")


def test_an_event_that_cannot_be_read_is_shown_all_the_same(browser):
    order = order_in("NEW")
    event = OrderEvent(
        order=order, sequence=4, kind="FILL", to_status="FILLED", actor="broker", payload={"odd": [1]}, raw=["11", 7]
    )

    (entry,) = timeline.entries([event])

    assert entry.words == ""
    assert entry.payload == [("odd", "[1]")]
    assert entry.raw == [(1, "11"), (2, "7")]


def test_hostile_texts_are_inert(browser):
    request = place(order_ref=HOSTILE, request=asked(HOSTILE, actor=HOSTILE, idempotency_key=HOSTILE))
    intake.answer(request, status_code=500, body={"detail": HOSTILE})
    order = advance(advance(request.orders.get(), "SENT"), "REJECTED", reason=HOSTILE)
    order = execute(order, quantity=1, exec_id=HOSTILE)
    execution = Execution.objects.get()
    refused = intake.refuse(asked(HOSTILE), reason=HOSTILE, status_code=400)

    for url in (
        ORDERS,
        EVENTS,
        EXECUTIONS,
        REQUESTS,
        f"{ORDERS}{order.pk}/change/",
        f"{EVENTS}{order.events.latest('sequence').pk}/change/",
        f"{EXECUTIONS}{execution.pk}/change/",
        f"{REQUESTS}{request.pk}/change/",
        f"{REQUESTS}{refused.pk}/change/",
        f"{ORDERS}?q={HOSTILE}",
        f"{ORDERS}?symbol={HOSTILE}",
        "/admin/",
    ):
        text = browser.get(url).content.decode()
        assert "<script>alert" not in text, url
        assert "alert('order_ref')" not in text, url


# Executions and requests


def test_executions_list(browser):
    order = order_in("NEW", quantity=10)
    execute(order, quantity=4, price="150.10", exec_id="f.1.01.01", commission="1.25")
    execute(order, quantity=3, price="150.10", exec_id="f.1.01.02", commission=None, live=False)

    response = browser.get(EXECUTIONS)

    corrected, first = cells(response, 0), cells(response, 1)
    assert first["standing"] == '<span class="badge badge-replaced">replaced</span>'
    assert corrected["standing"] == '<span class="badge badge-effective">effective</span>'
    assert (first["shares"], first["at_price"], first["commission"]) == ("4", "150.1", "1.25")
    assert (corrected["commission"], corrected["source"]) == ("–", "reqExecutions")
    assert f'<a href="{ORDERS}{order.pk}/change/">' in first["of_order"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("symbol=aapl", 1),
        ("account=DU1000001", 2),
        ("account=DU1000002", 0),
        ("side__exact=SELL", 1),
        ("day=2026-01-12", 1),
        ("source__exact=trades()", 1),
        ("q=0000e0d5", 0),
        ("q=f.1.01.01", 1),
        ("q=mine", 1),
        ("q=min", 0),
    ],
)
def test_executions_filters(browser, query, count):
    with at(MONDAY):
        execute(order_in("NEW", order_ref="mine"), quantity=1, exec_id="f.1.01.01")
    execute(order_in("NEW", symbol="IBM", side=Side.SELL), quantity=1, live=False)

    assert len(listed(browser, f"{EXECUTIONS}?{query}")) == count


def test_execution_page(browser):
    order = execute(order_in("NEW"), quantity=4, exec_id="f.1.01.01", commission="1.25")
    factories.charge("f.1.01.01", "1.25", realized_pnl=Decimal("-3.5"))

    text = page_of(browser, Execution.objects.get())

    assert f'<a href="{ORDERS}{order.pk}/change/">' in text
    assert "execDetails (11)" in text
    assert "1.25 USD, realized P&L -3.5" in text


def test_requests_list(browser):
    order = order_in("NEW")
    intake.answer(order.request, status_code=200, body={"permId": order.perm_id})
    intake.refuse(asked(endpoint="/order/stop", idempotency_key="k"), reason="quantity: is required", status_code=400)

    response = browser.get(REQUESTS)

    refused, placed = cells(response, 0), cells(response, 1)
    assert placed["answered"] == '<span class="badge badge-http-2">200</span>'
    assert str(order) in placed["led_to"]
    assert (refused["endpoint"], refused["refusal"]) == ("/order/stop", "quantity: is required")
    assert refused["answered"] == '<span class="badge badge-http-4">400</span>'
    assert refused["idempotency_key"] == "k"


def test_request_page_of_a_body_that_is_no_json(browser):
    refused = intake.refuse(asked("{not json \\xff"), reason="Malformed JSON", status_code=400)

    text = page_of(browser, refused)

    assert "<pre>{not json \\xff</pre>" in text
    assert "Refused: <bdi>Malformed JSON</bdi>" in text


# Reading only


def record_of_everything():
    order = order_in("FILLED")
    AccountValue.objects.create(account_id=ACCOUNT, key="Cash", value="1", as_of=MONDAY)
    Position.objects.create(
        account_id=ACCOUNT, con_id=1, symbol="IBM", security_type="STK", currency="USD", quantity=5, as_of=MONDAY
    )
    account = factories.broker_account()
    rows = [order, order.request, order.executions.get(), order.events.get(kind="FILL"), account, account.session]
    return [*rows, AccountValue.objects.get(), Position.objects.get()]


@pytest.mark.parametrize("number", range(8))
def test_nothing_can_be_changed(browser, number):
    row = record_of_everything()[number]
    before, count = type(row).objects.values().get(pk=row.pk), type(row).objects.count()
    base = f"/admin/{row._meta.app_label}/{row._meta.model_name}/"

    for url in (f"{base}add/", f"{base}{row.pk}/change/", f"{base}{row.pk}/delete/", base):
        posted = dict.fromkeys(before, "1") | {"post": "yes", "action": "delete_selected", "_save": "Save"}
        assert browser.post(url, posted | {"_selected_action": row.pk}).status_code == 403, url
    for url in (f"{base}add/", f"{base}{row.pk}/delete/"):
        assert browser.get(url).status_code == 403, url

    assert type(row).objects.values().get(pk=row.pk) == before
    assert type(row).objects.count() == count


@pytest.mark.parametrize("number", range(8))
def test_every_page_can_be_read(browser, number):
    row = record_of_everything()[number]

    assert row.pk in listed(browser, f"/admin/{row._meta.app_label}/{row._meta.model_name}/")
    assert 'name="_save"' not in page_of(browser, row)


def test_a_stranger_sees_nothing(client):
    order = order_in("NEW")

    for url in ("/admin/", ORDERS, f"{ORDERS}{order.pk}/change/", REQUESTS, EXECUTIONS):
        assert client.get(url)["Location"].startswith("/admin/login/")


def test_staff_without_permission_sees_nothing(client):
    order = order_in("IN_DOUBT")
    client.force_login(User.objects.create_user("clerk", is_staff=True))

    for url in (ORDERS, f"{ORDERS}{order.pk}/change/", REQUESTS, EXECUTIONS):
        assert client.get(url).status_code == 403
    assert "In doubt" not in client.get("/admin/").content.decode()
    assert "127.0.0.1:4002" not in client.get("/admin/").content.decode()


def test_users_and_groups_are_managed(browser):
    browser.post("/admin/auth/group/add/", {"name": "Reviewers"})
    password = "correct horse battery"
    browser.post(
        "/admin/auth/user/add/",
        {"username": "newcomer", "usable_password": "true", "password1": password, "password2": password},
    )

    assert Group.objects.filter(name="Reviewers").exists()
    assert User.objects.get(username="newcomer").check_password(password)
    assert browser.get(f"/admin/auth/user/{User.objects.get(username='newcomer').pk}/change/").status_code == 200


# The first page


def test_first_page_shows_session_and_doubts(browser):
    factories.broker_account()
    assert "badge-ready" in browser.get("/admin/").content.decode()

    order = order_in("IN_DOUBT", symbol="NVDA")
    order_in("FILLED", symbol="IBM")
    text = browser.get("/admin/").content.decode()

    assert f'<a href="{ORDERS}{order.pk}/change/">' in text
    assert "1 order may still change" in text
    assert "Paper trading" in text


def test_a_worker_that_fell_silent_is_not_shown_as_ready(browser):
    session = factories.broker_account().session
    session.heard_at = MONDAY
    session.save()

    text = browser.get("/admin/").content.decode()

    assert "badge-ready" not in text
    assert "has not reported for some seconds" in text
    assert "has not reported for some seconds" in browser.get("/admin/accounts/gatewaysession/").content.decode()


def test_first_page_says_when_the_trail_was_looked_at(browser):
    text = browser.get("/admin/").content.decode()
    assert "Not verified yet" in text
    assert "No checkpoint was signed yet" in text

    verified = {"began_at": MONDAY, "entries": 12}
    Verification.objects.create(**verified, ended_at=MONDAY, verdict="INTACT")
    CheckpointRun.objects.create(at=MONDAY, chains=2, entries=12)
    text = browser.get("/admin/").content.decode()
    assert "Intact: 12 entries verified at" in text
    assert "Last checkpoint signed at" in text

    found = ["<order 7>: event 2 was changed"]
    Verification.objects.create(**verified, ended_at=MONDAY + timedelta(hours=1), verdict="REWRITTEN", findings=found)
    one_order = MONDAY + timedelta(hours=2)  # says nothing of the whole
    Verification.objects.create(**verified, ended_at=one_order, verdict="INTACT", scope="order 8")
    CheckpointRun.objects.update(problem="the key cannot be read")
    text = browser.get("/admin/").content.decode()
    assert "Rewritten</strong>" in text
    assert "&lt;order 7&gt;: event 2 was changed" in text
    assert "the key cannot be read" in text


def test_live_trading_is_said(browser, settings):
    settings.TRADING_MODE = "live"

    assert "Live trading" in browser.get(ORDERS).content.decode()


# Size


@pytest.mark.parametrize("url", [ORDERS, EVENTS, EXECUTIONS, REQUESTS, "/admin/"])
def test_queries_do_not_grow_with_rows(browser, url):
    order_in("FILLED")
    order_in("IN_DOUBT")
    before = count_queries(browser, url)

    for _ in range(10):
        order_in("FILLED")
        order_in("IN_DOUBT")

    assert count_queries(browser, url) == before <= 26


def test_queries_of_a_page_do_not_grow_with_its_story(browser):
    order = execute(order_in("NEW", quantity=1000), quantity=1)
    url = f"{ORDERS}{order.pk}/change/"
    browser.get(url)  # what a process looks up once, and remembers
    before = count_queries(browser, url)

    for _ in range(10):
        order = execute(order, quantity=1)

    assert count_queries(browser, url) == before <= 18


def test_no_list_counts_the_whole_table(browser, monkeypatch):
    monkeypatch.setattr("accounts.review.LISTED_AT_MOST", 3)
    for _ in range(5):
        order_in("RECEIVED")

    with CaptureQueriesContext(connection) as queries:
        response = browser.get(ORDERS)

    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert len(counts) == 1
    assert "LIMIT 3" in counts[0]
    assert "These are the first 3 matches" in response.content.decode()


def test_paginator_counts_what_is_there():
    for _ in range(3):
        order_in("RECEIVED")

    assert BoundedPaginator(Order.objects.order_by("pk"), 2).num_pages == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [("10.00000000", "10"), ("100", "100"), ("1234567.5", "1,234,567.5"), ("0", "0"), ("-0.00000001", "-0.00000001")],
)
def test_amount(value, text):
    assert amount(Decimal(value)) == text


def test_nothing_here_is_served_by_another_host(browser):
    order_in("FILLED")

    for url in ("/admin/", ORDERS, f"{ORDERS}{Order.objects.get().pk}/change/", REQUESTS, "/docs", "/redoc"):
        text = browser.get(url).content.decode()
        assert 'src="http' not in text, url
        assert 'src="//' not in text, url
        assert 'rel="stylesheet" href="http' not in text, url
