"""The admin's lists as files: what the list shows, for who may see it, and never without a word in the trail."""

import csv
import io
import json
from datetime import UTC, datetime
from functools import partial

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection

from audit.models import Draft
from orders import intake
from orders.api.v1 import exports
from orders.api.v1.pages import bounded
from orders.models import Execution
from orders.vocabulary import Side
from tests.orders.factories import asked, at, execute, order_in

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 1, 12, 15, 30, tzinfo=UTC)
LISTS = {"order": "orders", "orderevent": "events", "execution": "executions", "orderrequest": "requests"}


@pytest.fixture
def reviewer(client, settings):
    settings.API_AUTH = "keys"
    user = User.objects.create(username="mia", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{name}" for name in LISTS]))
    client.force_login(user)
    return client


@pytest.fixture
def export(reviewer):
    """The text of an export."""

    def get(path):
        response = reviewer.get(f"/admin/orders/{path}")
        assert response.status_code == 200, getattr(response, "content", "")
        assert response.streaming
        return b"".join(response.streaming_content).decode()

    return get


def table(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def exported():
    """What the trail says of exports."""
    return [json.loads(draft.facts) for draft in Draft.objects.filter(kind="export")]


@pytest.mark.parametrize("name", LISTS)
def test_the_file_is_the_read_apis_own(reviewer, export, settings, monkeypatch, name):
    monkeypatch.setattr(exports, "ROWS_AT_A_TIME", 2)
    order_in("FILLED")
    order_in("REJECTED")

    files = [export(f"{name}/export/{form}/") for form in ("csv", "jsonl")]

    settings.API_AUTH = "loopback"
    for text, form in zip(files, ("csv", "jsonl"), strict=True):
        same = reviewer.get(f"/api/v1/{LISTS[name]}?format={form}")
        assert b"".join(same.streaming_content).decode() == text
        assert len(text.splitlines()) > 1 or name == "execution"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "sell buy monday"),
        ("?side__exact=SELL", "sell"),
        ("?symbol=msft", "monday"),
        ("?day=2026-01-12", "monday"),
        ("?status__exact=FILLED&status__exact=NEW", "sell monday"),
        ("?q=ref_buy", "buy"),
        ("?q=ref_buy&side__exact=SELL", ""),
        ("?p=2&o=-2", "sell buy monday"),  # of a page there is nothing in a file
    ],
)
def test_the_filters_and_the_search_of_the_list_hold(export, query, names):
    with at(MONDAY):
        order_in("FILLED", symbol="MSFT", order_ref="monday")
    order_in("REJECTED", order_ref="ref_buy")
    order_in("NEW", side=Side.SELL, order_ref="sell")

    rows = table(export(f"order/export/csv/{query}"))

    assert [row["order_ref"].removeprefix("ref_") for row in rows] == names.split()


def test_executions_of_a_day_and_events_of_an_order(export):
    with at(MONDAY):
        order = execute(order_in("NEW"), quantity=1)
    execute(order_in("NEW"), quantity=1)
    wanted = Execution.objects.get(order=order)

    assert [row["id"] for row in table(export("execution/export/csv/?day=2026-01-12"))] == [str(wanted.pk)]
    events = table(export(f"orderevent/export/csv/?order={order.pk}"))
    assert [row["sequence"] for row in events] == ["4", "3", "2", "1"]


def test_a_list_links_to_its_files_with_its_filters(reviewer):
    order_in("NEW")

    text = reviewer.get("/admin/orders/order/?symbol=AAPL&p=1").content.decode()

    for form in ("csv", "jsonl"):
        assert f'href="/admin/orders/order/export/{form}/?symbol=AAPL"' in text


def test_an_export_stands_in_the_trail_before_its_first_row_leaves(reviewer):
    order_in("NEW")

    response = reviewer.get("/admin/orders/order/export/csv/?symbol=AAPL")

    (said,) = exported()
    assert said["actor"] == "user:mia"
    assert said["details"] == {
        "list": "orders",
        "format": "csv",
        "asked": {"symbol": "AAPL"},
        "address": "127.0.0.1",
        "request_id": response["X-Request-Id"],
    }
    response.close()


def test_no_cell_is_a_formula(export):
    intake.refuse(asked(body="=1+1"), reason="@SUM(A1)", status_code=400)

    (row,) = table(export("orderrequest/export/csv/"))

    assert (row["body"], row["refusal"]) == ("'=1+1", "'@SUM(A1)")


@pytest.mark.parametrize("query", ["order/export/csv/?day=tomorrow", "orderevent/export/csv/?order=x"])
@pytest.mark.parametrize("more", ["", "&symbol=AAPL"])
def test_a_filter_that_makes_no_sense_exports_nothing(reviewer, query, more):
    order_in("NEW")

    response = reviewer.get(f"/admin/orders/{query}{more}", follow=True)

    assert not response.streaming
    assert "Nothing was exported: a filter was not understood." in response.content.decode()
    assert exported() == []


def test_what_takes_too_long_is_given_up(reviewer, monkeypatch):
    monkeypatch.setattr("orders.exporting.bounded", partial(bounded, 1))
    order_in("NEW")

    def slow(execute, sql, params, many, context):
        if "COUNT(" in sql:
            sql, params = "SELECT pg_sleep(60)", None
        return execute(sql, params, many, context)

    with connection.execute_wrapper(slow):
        response = reviewer.get("/admin/orders/order/export/csv/")

    assert (response.status_code, response["Location"]) == (302, "/admin/orders/order/")
    assert "Nothing was exported: This was not found within" in reviewer.get(response["Location"]).content.decode()
    assert exported() == []


def test_other_forms_and_methods_are_no_export(reviewer):
    assert reviewer.get("/admin/orders/order/export/xml/").status_code == 404
    assert reviewer.post("/admin/orders/order/export/csv/").status_code == 403
    assert reviewer.head("/admin/orders/order/export/csv/").status_code == 403
    assert exported() == []


@pytest.mark.parametrize("name", LISTS)
def test_who_may_not_see_the_list_gets_no_file(client, name):
    order_in("FILLED")
    address = f"/admin/orders/{name}/export/csv/"
    assert client.get(address)["Location"].startswith("/admin/login/")

    client.force_login(User.objects.create(username="clerk", is_staff=True))

    assert client.get(address).status_code == 403
    assert exported() == []


# The list of events


def test_events_are_listed_and_each_has_a_page(reviewer):
    order = order_in("REJECTED", order_ref="mine")
    order_in("NEW")
    event = order.events.get(sequence=2)

    text = reviewer.get(f"/admin/orders/orderevent/?order={order.pk}").content.decode()
    assert text.count(f"/admin/orders/order/{order.pk}/change/") == 3
    response = reviewer.get(f"/admin/orders/orderevent/?q={order.request.request_id}")
    assert {row.order_id for row in response.context["cl"].result_list} == {order.pk}
    page = reviewer.get(f"/admin/orders/orderevent/{event.pk}/change/").content.decode()
    assert f'href="/admin/orders/order/{order.pk}/change/"' in page
    assert "then written to the broker" in page


@pytest.mark.parametrize("given", ["x", "0", "-1", "1.5", "9" * 20, "9" * 5000, "²"])
def test_an_order_id_that_is_none_is_dropped(reviewer, given):
    response = reviewer.get("/admin/orders/orderevent/", {"order": given})

    assert (response.status_code, response["Location"]) == (302, "/admin/orders/orderevent/?e=1")


def test_a_long_story_leads_to_all_of_it(reviewer, monkeypatch):
    monkeypatch.setattr("orders.admin.FIRST_EVENTS", 1)
    monkeypatch.setattr("orders.admin.LAST_EVENTS", 1)
    order = order_in("FILLED")

    text = reviewer.get(f"/admin/orders/order/{order.pk}/change/").content.decode()

    assert f'<a href="/admin/orders/orderevent/?order={order.pk}">All of them</a>' in text
    assert "/api/v1/" not in text
