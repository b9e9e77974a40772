"""What is refused, with a code and one sentence; and nothing can be written."""

import base64
import json

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.models import Order
from tests.orders.api.samples import LISTS, each_list
from tests.orders.factories import (
    advance,
    order_in,
)

pytestmark = pytest.mark.django_db


# What is refused


def cursor_of(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


BAD = [
    ("page size 0", "/orders?limit=0", "bad_parameter", "limit: This must be a whole number from 1 to 1000."),
    ("page size huge", "/orders?limit=1001", "bad_parameter", "limit: This must be"),
    ("page size long", "/orders?limit=00000000010", "bad_parameter", "limit: This must be"),
    ("page size negative", "/orders?limit=-5", "bad_parameter", "limit: This must be"),
    ("page size a word", "/orders?limit=all", "bad_parameter", "limit: This must be"),
    ("page size foreign digits", "/orders?limit=%D9%A1%D9%A2", "bad_parameter", "limit: This must be"),
    ("unknown filter", "/orders?statu=NEW", "unknown_parameter", "'statu' is not a parameter here: there are account"),
    ("unknown on a page", "/orders/1?symbol=A", "unknown_parameter", "'symbol' is not a parameter here: there are"),
    ("neither open nor closed", "/breaks?open=1", "bad_parameter", "open: Select a valid choice."),
    ("hostile name", "/orders?%00%3Cb%3E=1", "unknown_parameter", "'\\x00<b>' is not a parameter here"),
    ("given twice", "/orders?symbol=A&symbol=B", "bad_parameter", "symbol: This is given 2 times: give it once."),
    ("empty", "/orders?symbol=", "bad_parameter", "symbol: This is empty"),
    ("unknown status", "/orders?status=DONE", "bad_parameter", "status: Select a valid choice."),
    ("unknown kind", "/events?kind=fill", "bad_parameter", "kind: Select a valid choice."),
    ("neither true nor false", "/requests?refused=maybe", "bad_parameter", "refused: Select a valid choice."),
    ("no id", "/events?order=12x", "bad_parameter", "order: Enter a whole number."),
    ("id 0", "/events?order=0", "bad_parameter", "order: Ensure this value is greater than or equal to 1."),
    ("id too large", "/orders?perm_id=9223372036854775808", "bad_parameter", "perm_id: Ensure this value is less"),
    ("NUL", "/orders?symbol=A%00", "bad_parameter", "symbol: Null characters are not allowed."),
    (
        "NUL in a cursor",
        f"/accounts?cursor={cursor_of('-first_seen_at', '2026-01-01', chr(0))}",
        "bad_cursor",
        "cursor",
    ),
    ("bad date", "/orders?received_from=yesterday", "bad_parameter", "received_from: This must be a time in ISO 8601"),
    ("no such day", "/orders?received_from=2026-02-30", "bad_parameter", "received_from: This must be a time"),
    ("no offset", "/orders?received_to=2026-01-15T14:30:00", "bad_parameter", "received_to: This must be a time"),
    ("plus lost", "/orders?received_to=2026-01-15T14:30:00+00:00", "bad_parameter", "received_to: This must be"),
    ("before time", "/orders?received_to=0001-01-01T00:00:00%2B14:00", "bad_parameter", "received_to: This must"),
    *(
        (f"{case} of {path}", f"{path}?as_of={text}", "bad_parameter", f"as_of: {sentence}")
        for path in [*LISTS, *(f"{path}/1" for path in LISTS)]
        for case, text, sentence in [
            ("bad as_of", "now", "This must be a time in ISO 8601"),
            ("future", "2999-01-01", "This lies in the future"),
        ]
    ),
    ("status then", "/orders?as_of=2026-01-01&status=NEW", "bad_parameter", "status: This is an order's status now"),
    ("unknown sort", "/orders?sort=symbol", "bad_parameter", "sort: This must be one of received_at, -received_at."),
    ("two signs", "/orders?sort=--received_at", "bad_parameter", "sort: This must be one of"),
    (
        "two ranges",
        "/executions?recorded_from=2026-01-01&executed_to=2026-01-02",
        "bad_parameter",
        "sort: Ask for a range of recorded_at or executed_at, not of both.",
    ),
    (
        "range of another order",
        "/executions?executed_from=2026-01-01&sort=recorded_at",
        "bad_parameter",
        "sort: A range of executed_at comes in its order",
    ),
    ("cursor of nothing", "/orders?cursor=abc", "bad_cursor", "cursor: This is no cursor of this list"),
    ("cursor not base64", "/orders?cursor=%C3%A9%21", "bad_cursor", "cursor: This is no cursor"),
    ("cursor deep", f"/orders?cursor={cursor_of([[[[]]]])}", "bad_cursor", "cursor: This is no cursor"),
    ("cursor of 2", f"/orders?cursor={cursor_of('-received_at', '2026-01-01')}", "bad_cursor", "cursor: This is no"),
    (
        "cursor of another order",
        f"/orders?cursor={cursor_of('received_at', '2026-01-01T00:00:00Z', 1)}",
        "bad_cursor",
        "cursor: This is no cursor of this list in the order -received_at",
    ),
    (
        "cursor without a time",
        f"/orders?cursor={cursor_of('-received_at', 5, 1)}",
        "bad_cursor",
        "cursor: This is no cursor",
    ),
    (
        "cursor without an id",
        f"/orders?cursor={cursor_of('-received_at', '2026-01-01T00:00:00Z', 'x')}",
        "bad_cursor",
        "cursor: This is no cursor",
    ),
    ("format", "/orders?format=xml", "bad_parameter", "format: This must be one of json, csv, jsonl."),
    ("format of one", "/orders/1?format=csv", "bad_parameter", "format: This must be one of json."),
    ("export with a page size", "/orders?format=csv&limit=5", "bad_parameter", "limit: An export has every row"),
    ("export with a cursor", "/orders?format=jsonl&cursor=x", "bad_parameter", "cursor: An export has every row"),
    ("export of nonsense", "/orders?format=csv&statu=NEW", "unknown_parameter", "'statu' is not a parameter here"),
]


@pytest.mark.parametrize(("path", "code", "sentence"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input(refused, path, code, sentence):
    status, said, detail = refused(path)

    assert (status, said) == (400, code)
    assert detail.startswith(sentence)


@given(text=st.text(max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_no_cursor(client, text):
    response = client.get("/api/v1/orders", {"cursor": text})

    assert response.status_code == 400
    assert response.json()["code"] in ("bad_cursor", "bad_parameter")


def test_a_cursor_with_a_giant_id_ends_the_list(client):
    order_in("RECEIVED")

    answers = [
        client.get("/api/v1/orders", {"sort": sort, "cursor": cursor_of(sort, "2020-01-01T00:00:00Z", 10**30)})
        for sort in ("received_at", "-received_at")
    ]

    assert [len(answer.json()["results"]) for answer in answers] == [1, 0]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/orders/999999999", "There is no order 999999999."),
        ("/orders/99999999999999999999999", "There is no order 99999999999999999999999."),
        ("/requests/999999999", "There is no request 999999999."),
        ("/events/999999999", "There is no event 999999999."),
        ("/executions/999999999", "There is no execution 999999999."),
        ("/accounts/DU9", "There is no account DU9."),
        ("/snapshots/1", "There is no snapshot 1."),
        ("/breaks/1", "There is no break 1."),
        ("/orders/abc", "Nothing is at /api/v1/orders/abc; GET /docs lists what there is."),
        ("/trades", "Nothing is at /api/v1/trades; GET /docs lists what there is."),
    ],
)
def test_what_is_not_there(refused, path, sentence):
    assert refused(path) == (404, "not_found", sentence)


@pytest.mark.parametrize(
    ("path", "accept", "offered"),
    [
        ("/orders", "application/xml", "application/json, text/csv, application/jsonl"),
        ("/orders/1", "text/csv", "application/json"),
    ],
)
def test_an_accept_that_is_not_offered(refused, path, accept, offered):
    status, code, detail = refused(path, Accept=accept)

    assert (status, code) == (406, "not_acceptable")
    assert detail.endswith(f"ask for one of {offered}.")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*;q=0.1", "text/html, */*;q=0.8"])
def test_an_accept_that_is(read, accept):
    assert read("/orders", Accept=accept) == {"results": [], "next": None}


@each_list
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(client, path, method):
    response = getattr(client, method)(f"/api/v1{path}", data="{}", content_type="application/json")

    assert response.status_code == 405
    assert response.json() == {
        "detail": f"{method.upper()} is not allowed here: use GET, HEAD, OPTIONS.",
        "code": "method_not_allowed",
    }


def test_a_question_that_takes_too_long_is_given_up(refused, monkeypatch):
    monkeypatch.setattr("orders.api.v1.views.asked_instant", lambda *_, **__: sleep())

    status, code, detail = refused("/orders")

    assert (status, code) == (503, "too_slow")
    assert "ask for a shorter time" in detail


def sleep():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 50")
        cursor.execute("SELECT pg_sleep(5)")


def test_questions_have_a_time_limit(client):
    """As the transaction of a page has it."""
    limits = []

    def look(execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if "LIMIT" in sql:
            with connection.connection.cursor() as cursor:
                limits.append(cursor.execute("SHOW statement_timeout").fetchone()[0])
        return found

    with connection.execute_wrapper(look):
        client.get("/api/v1/orders")

    assert limits == ["5s"]


# From a browser


@each_list
def test_a_name_that_points_here_is_refused(refused, path):
    """A page elsewhere that made its own name resolve to this machine could read answers otherwise."""
    assert refused(path, Host="evil.example")[:2] == (400, "bad_request")


@each_list
def test_no_page_elsewhere_sees_an_answer(client, path):
    response = client.get(f"/api/v1{path}", headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})

    assert not [name for name in response.headers if name.startswith("Access-Control-")]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"


@each_list
def test_a_page_elsewhere_may_not_post(client, path):
    response = client.post(f"/api/v1{path}", headers={"Origin": "https://evil.example"})

    assert response.status_code == 403
    assert response.json()["code"] == "permission_denied"


@each_list
def test_both_forms_answer(client, path):
    assert client.get(f"/api/v1{path}/").json() == client.get(f"/api/v1{path}").json()


def test_the_newest_orders_are_read_as_they_are(read):
    order = advance(order_in("NEW"), "CANCEL_REQUESTED")

    assert read("/orders")["results"][0]["status"] == Order.objects.get(pk=order.pk).status == "PENDING_CANCEL"
