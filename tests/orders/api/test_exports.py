"""Lists as files: every row, as a stream, and nothing that a spreadsheet would run."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from audit.models import Draft
from orders import intake
from orders.api.v1 import exports
from orders.models import Execution, Order, OrderEvent, OrderRequest
from tests.orders.factories import asked, at, charge, execute, order_in

pytestmark = pytest.mark.django_db

MODELS = {"orders": Order, "requests": OrderRequest, "events": OrderEvent, "executions": Execution}


@pytest.fixture
def export(client):
    """The text of an export."""

    def get(path, **headers):
        response = client.get(f"/api/v1{path}", headers=headers)
        assert response.status_code == 200, getattr(response, "content", "")
        assert response.streaming
        return b"".join(response.streaming_content).decode()

    return get


def table(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(exports, "ROWS_AT_A_TIME", 2)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_row_is_there_once(client, export, name, count):
    for _ in range(count):
        order_in("FILLED")
    rows = client.get(f"/api/v1/{name}?limit=1000").json()["results"]

    assert objects(export(f"/{name}?format=jsonl")) == rows
    assert [row["id"] for row in table(export(f"/{name}?format=csv"))] == [str(row["id"]) for row in rows]
    assert len(rows) == MODELS[name].objects.count()


@pytest.mark.usefixtures("small_chunks")
def test_in_the_order_asked_for_and_filtered(export):
    wanted = [order_in("RECEIVED", symbol="MSFT").pk for _ in range(5)]
    order_in("RECEIVED")

    assert [row["id"] for row in objects(export("/orders?format=jsonl&symbol=msft"))] == wanted[::-1]
    assert [row["id"] for row in objects(export("/orders?format=jsonl&symbol=msft&sort=received_at"))] == wanted


@pytest.mark.parametrize(
    ("query", "accept", "media_type", "name"),
    [
        ("?format=csv", "*/*", "text/csv; charset=utf-8", "orders.csv"),
        ("", "text/csv", "text/csv; charset=utf-8", "orders.csv"),
        ("?format=jsonl", "*/*", "application/jsonl; charset=utf-8", "orders.jsonl"),
        ("", "application/jsonl", "application/jsonl; charset=utf-8", "orders.jsonl"),
    ],
)
def test_by_parameter_or_accept(client, query, accept, media_type, name):
    response = client.get(f"/api/v1/orders{query}", headers={"Accept": accept})

    assert response.status_code == 200
    assert response.headers["Content-Type"] == media_type
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response.headers["X-As-Of"]
    list(response.streaming_content)


def test_a_table(export):
    order = execute(order_in("NEW", order_ref='he said "no", twice\n'.strip()), quantity=4, price="149.95")

    (row,) = table(export("/orders?format=csv"))

    assert row["order_ref"] == 'he said "no", twice'
    assert (row["quantity"], row["filled_quantity"], row["stop_price"]) == ("10", "4", "")
    assert row["perm_id"] == str(order.perm_id)
    (execution,) = table(export("/executions?format=csv"))
    assert execution["effective"] == "true"
    event = table(export("/events?format=csv"))[0]
    assert json.loads(event["payload"])["quantity"] == "4"


FORMULAS = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠A1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(export, text):
    intake.refuse(asked(body=text), reason=text, status_code=400)

    (row,) = table(export("/requests?format=csv"))
    (same,) = objects(export("/requests?format=jsonl"))

    assert (row["body"], row["refusal"]) == (f"'{text}", f"'{text}")
    assert (same["body"], same["refusal"]) == (text, text)  # for programs, as it is


@pytest.mark.parametrize("text", ["", "plain", "'=1", " =1", "a=1", "{}", "1-2"])
def test_other_cells_stay_as_they_are(export, text):
    intake.refuse(asked(body=text), reason="no", status_code=400)

    assert [row["body"] for row in table(export("/requests?format=csv"))] == [text]


def test_negative_numbers_stay_numbers(export):
    order_in("NEW")
    execute(Order.objects.get(), quantity=4, exec_id="x.01", commission=None)
    charge("x.01", "-0.25")

    assert table(export("/executions?format=csv"))[0]["commission"] == "-0.25"


@pytest.mark.usefixtures("small_chunks")
def test_what_comes_after_the_beginning_is_not_in_it(client):
    with at(timezone.now() - timedelta(minutes=1)):
        before = [order_in("RECEIVED").pk for _ in range(3)]
    answer = client.get("/api/v1/orders?format=jsonl&sort=received_at")
    lines = iter(answer.streaming_content)
    first = next(lines)
    with at(timezone.now() + timedelta(minutes=1)):
        order_in("RECEIVED")

    rest = b"".join([first, *lines])

    assert [row["id"] for row in objects(rest.decode())] == before


@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_is_read_when_the_one_before_it_was_taken(client, django_assert_num_queries):
    for _ in range(6):
        order_in("RECEIVED")
    lines = iter(client.get("/api/v1/orders?format=jsonl").streaming_content)

    with django_assert_num_queries(4):  # a savepoint, its time limit, the rows, its end
        next(lines)
        next(lines)
    with django_assert_num_queries(4):
        next(lines)


@pytest.mark.usefixtures("small_chunks")
def test_one_that_cannot_be_finished_breaks_off(client):
    """A short file would be taken for the whole."""
    for _ in range(4):
        order_in("RECEIVED")
    lines = iter(client.get("/api/v1/orders?format=csv").streaming_content)
    taken = [next(lines) for _ in range(3)]  # the heading and the first chunk

    def fail(execute, sql, params, many, context):
        raise OperationalError("the server is gone")

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        next(lines)
    assert len(taken) == 3


def test_a_year_in_the_past_is_empty(export):
    with at(datetime(2026, 1, 15, tzinfo=UTC)):
        order_in("RECEIVED")

    assert export("/orders?format=jsonl&as_of=2025-01-01") == ""
    assert len(export("/orders?format=csv&as_of=2025-01-01").splitlines()) == 1


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_stands_in_the_trail_before_its_first_row_leaves(client, form):
    order_in("NEW")
    Draft.objects.all().delete()

    response = client.get(f"/api/v1/orders?symbol=AAPL&format={form}")

    assert response.streaming
    draft = Draft.objects.get()
    assert (draft.chain, draft.kind) == ("site", "export")
    said = json.loads(draft.facts)
    assert said["actor"] == "api"
    assert said["details"] == {
        "list": "orders",
        "format": form,
        "asked": {"symbol": "AAPL", "format": form},
        "address": "127.0.0.1",
        "request_id": response["X-Request-Id"],
    }
    response.close()


@pytest.mark.parametrize("query", ["format=csv&limit=5", "format=csv&nosuch=1", "format=xml", ""])
def test_what_is_no_export_leaves_nothing_in_the_trail(client, query):
    order_in("NEW")
    Draft.objects.all().delete()

    client.get(f"/api/v1/orders?{query}")

    assert not Draft.objects.exists()
