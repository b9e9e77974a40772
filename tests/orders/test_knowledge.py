"""An order as it was known at an instant: of the record, by the API and in the admin."""

import html
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders import events, journal, knowledge
from orders.errors import BrokenRecord, NotOnRecordYet
from orders.models import Order
from orders.vocabulary import OrderStatus
from tests.orders.factories import advance, at, charge, execute, order_in

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def story():
    """Received at noon, then an event a second; the second fill happened with the first and was heard of last."""
    with at(NOON):
        order = order_in("RECEIVED")
    steps = [
        lambda: advance(order, "SENT"),
        lambda: advance(order, "ACCEPTED"),
        lambda: execute(Order.objects.get(), quantity=4, price="150", exec_id="a.01"),
        lambda: execute(Order.objects.get(), quantity=3, price="149", exec_id="a.02"),
        lambda: advance(order, "CANCEL_REQUESTED"),
        lambda: advance(order, "CANCELED"),
    ]
    for number, step in enumerate(steps, start=1):
        with at(NOON + number * SECOND):
            step()
    return Order.objects.get()


def known_at(order, seconds):
    return knowledge.at(order, NOON + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "status", "filled", "fills", "later"),
    [
        (0, "RECEIVED", "0", [], 6),
        (0.999999, "RECEIVED", "0", [], 6),
        (1, "PENDING_NEW", "0", [], 5),
        (2, "NEW", "0", [], 4),
        (3.5, "PARTIALLY_FILLED", "4", [("a.01", "4", "150")], 3),
        (4, "PARTIALLY_FILLED", "3", [("a.02", "3", "149")], 2),
        (5, "PENDING_CANCEL", "3", [("a.02", "3", "149")], 1),
        (6, "CANCELED", "3", [("a.02", "3", "149")], 0),
        (99, "CANCELED", "3", [("a.02", "3", "149")], 0),
    ],
)
def test_what_was_known(story, seconds, status, filled, fills, later):
    known = known_at(story, seconds)

    assert (known.order.status, known.order.filled_quantity) == (status, Decimal(filled))
    assert [(fill.exec_id, fill.quantity, fill.price) for fill in known.fills] == [
        (name, Decimal(quantity), Decimal(price)) for name, quantity, price in fills
    ]
    assert len(known.later) == later
    assert len(known.known) + later == 7
    assert known.order.last_sequence == len(known.known)


def test_at_the_end_it_is_the_row(story):
    assert known_at(story, 6).order.state() == story.state() == journal.replay(story)


def test_before_it_was_on_record(story):
    with pytest.raises(NotOnRecordYet, match="was not on record at 2026-01-15T11:59:59"):
        known_at(story, -1)


def test_what_was_late_is_marked():
    """Two fills of one moment: the second was only heard of an hour later."""
    with at(NOON):
        order = order_in("NEW")
    with at(NOON + SECOND):
        execute(order, quantity=4, exec_id="a.01", commission=None)
    happened = NOON + SECOND
    with at(NOON + timedelta(hours=1)):
        advance(order, "STATUS_REPORTED")
    late = journal.record(
        order.pk, _trade(Order.objects.get(), occurred_at=happened), origin=journal.Origin(actor="broker")
    )

    known = knowledge.at(late, NOON + 2 * SECOND)

    assert [(event.row.kind, event.late) for event in known.later] == [("STATUS_REPORTED", False), ("FILL", True)]
    assert known.order.filled_quantity == 4


def _trade(order, *, occurred_at):
    return events.Fill(
        exec_id="late.01",
        quantity=order.state().leaves_quantity,
        price=Decimal(150),
        perm_id=order.perm_id,
        occurred_at=occurred_at,
    )


@given(seconds=st.floats(min_value=0, max_value=8, allow_nan=False))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_page_of_orders_shows_what_each_alone_does(story, seconds):
    instant = NOON + timedelta(seconds=seconds)

    (listed,) = knowledge.as_known([story], instant)

    alone = knowledge.at(story, instant).order
    assert listed.state() == alone.state()
    assert listed.last_sequence == alone.last_sequence


def test_those_not_yet_on_record_are_left_out(story):
    assert knowledge.as_known([story], NOON - SECOND) == []


def _rewrite(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, parameters)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_a_clock_that_was_set_back_makes_no_hole(story):
    """Event 4 was recorded an hour ahead of those around it: what is known ends before it."""
    ahead = NOON + timedelta(hours=1)
    _rewrite("UPDATE orders_orderevent SET recorded_at = %s WHERE order_id = %s AND sequence = 4", ahead, story.pk)

    known = known_at(story, 10)

    assert [row.sequence for row in known.known] == [1, 2, 3]
    assert [event.row.sequence for event in known.later] == [4, 5, 6, 7]
    assert knowledge.as_known([story], NOON + 10 * SECOND)[0].state() == known.order.state()
    assert knowledge.at(story, ahead).order.state() == story.state()
    _rewrite("UPDATE orders_orderevent SET recorded_at = %s WHERE order_id = %s AND sequence = 4", NOON, story.pk)


@pytest.fixture
def damaged(story):
    kept = story.events.get(sequence=3).payload
    _rewrite("UPDATE orders_orderevent SET payload = '[]' WHERE order_id = %s AND sequence = 3", story.pk)
    yield story
    _rewrite(
        "UPDATE orders_orderevent SET payload = %s WHERE order_id = %s AND sequence = 3", json.dumps(kept), story.pk
    )


def test_a_damaged_record_is_said_to_be(damaged, client):
    with pytest.raises(BrokenRecord, match=f"Event 3 of order {damaged.pk} cannot be replayed"):
        known_at(damaged, 6)
    response = client.get(f"/api/v1/orders/{damaged.pk}")

    assert response.status_code == 500
    assert response.json()["code"] == "broken_record"
    assert response.json()["detail"].endswith(f"Run manage.py replay_orders {damaged.pk}.")
    assert known_at(damaged, 1).order.status == "PENDING_NEW"  # what came before it can still be read


# --- By the API ---------------------------------------------------------------------------------------------------


def stamp(seconds):
    return quote((NOON + timedelta(seconds=seconds)).isoformat())


def test_an_order_as_of(client, story):
    response = client.get(f"/api/v1/orders/{story.pk}?as_of={stamp(3.5)}")

    body = response.json()
    assert body["as_of"] == "2026-01-15T12:00:03.500000Z"
    assert response.headers["X-As-Of"] == "2026-01-15T12:00:03.500Z"
    assert (body["order"]["status"], body["order"]["filled_quantity"], body["order"]["average_price"]) == (
        "PARTIALLY_FILLED",
        "4",
        "150",
    )
    assert body["order"]["last_sequence"] == 4
    assert body["fills"] == [
        {
            "exec_id": "a.01",
            "quantity": "4",
            "price": "150",
            "occurred_at": "2026-01-15T12:00:03.000000Z",
            "recorded_at": "2026-01-15T12:00:03.000000Z",
        }
    ]
    assert [event["kind"] for event in body["later"]] == ["TRADE_CORRECTED", "CANCEL_REQUESTED", "CANCELED"]
    assert body["later"][1] == {
        "sequence": 6,
        "kind": "CANCEL_REQUESTED",
        "to_status": "PENDING_CANCEL",
        "occurred_at": None,
        "recorded_at": "2026-01-15T12:00:05.000000Z",
        "late": False,
    }


def test_an_order_as_of_now(client, story):
    body = client.get(f"/api/v1/orders/{story.pk}").json()

    assert (body["order"]["status"], body["later"]) == ("CANCELED", [])
    assert body["order"] == client.get("/api/v1/orders").json()["results"][0]


def test_an_order_before_it_was_on_record(client, story):
    response = client.get(f"/api/v1/orders/{story.pk}?as_of={stamp(-1)}")

    assert response.status_code == 404
    assert response.json() == {
        "detail": f"Order {story.pk} was not on record at 2026-01-15T11:59:59+00:00: "
        "its first event was recorded at 2026-01-15T12:00:00+00:00.",
        "code": "not_found",
    }


def test_orders_as_of(client, story):
    with at(NOON + 4 * SECOND):
        order_in("RECEIVED")

    rows = client.get(f"/api/v1/orders?as_of={stamp(2)}").json()["results"]

    assert [(row["id"], row["status"], row["perm_id"]) for row in rows] == [(story.pk, "NEW", story.perm_id)]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (2.5, []),
        (3.5, [("a.01", True, "1")]),
        (5, [("a.02", True, "1"), ("a.01", False, "1")]),
        (99, [("a.02", True, "1"), ("a.01", False, "2")]),
    ],
)
def test_executions_as_of(client, story, seconds, shown):
    """Which counted, and what they were said to cost, by then."""
    with at(NOON + 10 * SECOND):
        charge("a.01", "2")

    rows = client.get(f"/api/v1/executions?as_of={stamp(seconds)}").json()["results"]

    assert [(row["exec_id"], row["effective"], row["commission"]) for row in rows] == shown


@pytest.mark.parametrize(("path", "seconds", "count"), [("/events", 2, 3), ("/requests", -1, 0), ("/requests", 0, 1)])
def test_other_lists_as_of(client, story, path, seconds, count):
    assert len(client.get(f"/api/v1{path}?as_of={stamp(seconds)}").json()["results"]) == count


def test_an_export_of_orders_as_of(client, story):
    answer = client.get(f"/api/v1/orders?as_of={stamp(2)}&format=csv")

    _, line = b"".join(answer.streaming_content).decode().splitlines()

    assert ",NEW," in line
    assert story.status == OrderStatus.CANCELED


# --- In the admin -------------------------------------------------------------------------------------------------


@pytest.fixture
def page(client, story):
    client.force_login(User.objects.create(username="reviewer", is_staff=True, is_superuser=True))

    def get(query=""):
        response = client.get(f"/admin/orders/order/{story.pk}/change/{query}")
        assert response.status_code == 200
        return html.unescape(response.content.decode())

    return get


def section(text):
    return text.partition('id="then"')[2].partition("</section>")[0]


def test_the_page_asks_for_a_time(page, story):
    text = page()

    assert "As it was known at an earlier time" in text
    assert 'type="datetime-local"' in section(text)
    assert f'/change/?as_of={quote((NOON + 2 * SECOND).isoformat())}#then"' in text


def test_the_page_as_of(page):
    then = section(page("?as_of=2026-01-15T12:00:03.500"))

    assert "As it was known at 2026-01-15 12:00:03.500 UTC" in then
    assert 'value="2026-01-15T12:00:03.500"' in then
    assert "badge-partially_filled" in then
    assert "a.01" in then.partition("Came on record later")[0]
    assert "a.02" not in then.partition("Came on record later")[0]
    assert "Trade corrected" in then.partition("Came on record later")[2]


def test_the_page_marks_what_was_late(page, story):
    with at(NOON + timedelta(hours=1)):
        journal.record(story.pk, _trade(story, occurred_at=NOON + 3 * SECOND), origin=journal.Origin(actor="broker"))

    then = section(page("?as_of=2026-01-15T12:00:30"))

    assert "badge-late" in then
    assert "it had happened by then, at 2026-01-15 12:00:03.000 by the broker's clock" in then


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("?as_of=yesterday", "This must be a time in ISO 8601"),
        ("?as_of=<script>alert(1)</script>", "This must be a time in ISO 8601"),
        ("?as_of=2026-01-15T11:59", "was not on record at 2026-01-15T11:59:00+00:00"),
        ("?as_of=2999-01-01", "That lies in the future"),
    ],
)
def test_the_page_says_what_is_wrong(page, query, problem):
    then = section(page(query))

    assert problem in then
    assert 'role="alert"' in then
    assert "<script>" not in then


def test_the_page_shows_the_present_as_ever(page):
    assert page("?as_of=2026-01-15T12:00:02").partition('id="then"')[0].count("badge-canceled")
