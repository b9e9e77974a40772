"""What a row of each list shows, and which rows a filter leaves."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from django.utils import timezone

from accounts.models import AccountValue, BrokerAccount, Position
from accounts.snapshots.models import PositionSnapshot
from orders import intake
from orders.breaks import register
from orders.breaks.books import Comparison
from orders.breaks.vocabulary import Source
from orders.models import Execution, OrderEvent, OrderRequest
from tests.orders.api.samples import MONDAY, difference, snapshot, stamp
from tests.orders.builders import execution
from tests.orders.factories import (
    ACCOUNT,
    asked,
    at,
    bracket,
    broker_account,
    charge,
    execute,
    external_order,
    order_in,
    place,
)
from tests.orders.worker import tell

pytestmark = pytest.mark.django_db


# Rows


def test_an_order(read):
    with at(MONDAY):
        order = order_in("NEW", symbol="MSFT", quantity="1500.50", order_ref="my_trade_001")
        order = execute(order, quantity=400, price="149.5")
        order = execute(order, quantity=200, price="149.51")

    (row,) = read("/orders")["results"]

    assert row == {
        "id": order.pk,
        "request": order.request_id,
        "role": "SINGLE",
        "account": ACCOUNT,
        "symbol": "MSFT",
        "security_type": "STK",
        "currency": "USD",
        "side": "BUY",
        "order_type": "LIMIT",
        "time_in_force": "DAY",
        "order_ref": "my_trade_001",
        "stamp": order.stamp,
        "received_at": "2026-01-12T15:30:00.000000Z",
        "valid_until": "2026-01-12T15:30:10.000000Z",
        "status": "PARTIALLY_FILLED",
        "quantity": "1500.5",
        "limit_price": "150.25",
        "stop_price": None,
        "filled_quantity": "600",
        "average_price": "149.50333333",
        "client_id": 17,
        "broker_order_id": order.pk,
        "perm_id": order.perm_id,
        "broker_status": "Submitted",
        "reason": "",
        "last_sequence": 5,
    }


def test_an_order_from_elsewhere(read):
    order = external_order(order_ref="theirs")

    (row,) = read("/orders")["results"]

    assert (row["id"], row["request"], row["stamp"], row["order_ref"]) == (order.pk, None, None, "theirs")


def test_an_event(read):
    order = order_in("RECEIVED")
    event = order.events.get()

    (row,) = read("/events")["results"]

    assert row == {
        "id": event.pk,
        "order": order.pk,
        "sequence": 1,
        "kind": "RECEIVED",
        "from_status": None,
        "to_status": "RECEIVED",
        "actor": "api",
        "occurred_at": None,
        "recorded_at": stamp(event.recorded_at),
        "payload": {"quantity": "10", "limit_price": "150.25", "limits": event.payload["limits"]},
        "session": "",
        "request_id": order.request.request_id,
    }


def test_an_execution_with_what_it_cost(read):
    order = execute(order_in("NEW"), quantity=4, price="149.95", exec_id="x.01", commission=None)
    before = read("/executions")["results"][0]
    charge("x.01", "1.25", realized_pnl=Decimal("-3.5"))

    (row,) = read("/executions")["results"]

    assert (before["commission"], before["commission_currency"], before["realized_pnl"]) == (None, None, None)
    assert (row["commission"], row["commission_currency"], row["realized_pnl"]) == ("1.25", "USD", "-3.5")
    assert (row["order"], row["quantity"], row["price"], row["effective"]) == (order.pk, "4", "149.95", True)
    assert "raw" not in row


def test_a_corrected_execution(read):
    order = execute(order_in("NEW"), quantity=4, price="149.95", exec_id="x.01")
    execute(order, quantity=3, price="149.95", exec_id="x.02")

    shown = [(row["exec_id"], row["replaces"], row["effective"]) for row in read("/executions")["results"]]

    assert shown == [("x.02", "x.01", True), ("x.01", "", False)]


def test_a_request_with_its_orders_and_answers(read):
    orders = bracket(request=asked('{"symbol": "AAPL"}', idempotency_key="key", endpoint="/order/bracket"))
    request = orders[0].request
    intake.answer(request, status_code=200, body={"status": "sent"}, settled=True)

    (row,) = read("/requests")["results"]

    assert row["orders"] == [order.pk for order in orders]
    assert (row["endpoint"], row["body"], row["idempotency_key"]) == ("/order/bracket", '{"symbol": "AAPL"}', "key")
    (answer,) = row["answers"]
    assert (answer["status_code"], answer["body"], answer["settled"]) == (200, {"status": "sent"}, True)


def test_an_account_with_its_figures_and_positions(read):
    account = broker_account()
    now = timezone.now()
    AccountValue.objects.create(account=account, key="NetLiquidation", currency="USD", value="201879.04", as_of=now)
    held = {"account": account, "security_type": "STK", "currency": "USD", "as_of": now}
    Position.objects.create(**held, con_id=1, symbol="AAPL", quantity=Decimal("-5"), average_cost=Decimal("230.50"))
    Position.objects.create(**held, con_id=2, symbol="MSFT", quantity=Decimal(0))

    (row,) = read("/accounts")["results"]
    page = read(f"/accounts/{ACCOUNT}")

    assert row == {"id": ACCOUNT, "gateway": "default", "first_seen_at": stamp(account.first_seen_at)}
    assert [(value["key"], value["value"]) for value in page["values"]] == [("NetLiquidation", "201879.04")]
    assert [(one["symbol"], one["quantity"], one["average_cost"]) for one in page["positions"]] == [
        ("AAPL", "-5", "230.5")
    ]


@pytest.mark.parametrize(("path", "model"), [("/events", OrderEvent), ("/executions", Execution)])
def test_one_row_has_the_raw_message_too(read, path, model):
    execute(order_in("NEW"), quantity=4)
    row = model.objects.order_by("-pk").first()

    page = read(f"{path}/{row.pk}")

    assert page["raw"] == list(row.raw)
    assert page["id"] == row.pk


def test_one_request(read):
    order = order_in("RECEIVED")

    assert read(f"/requests/{order.request_id}") == read("/requests")["results"][0]


# Filters


def test_filters_of_orders(ids, read):
    BrokerAccount.objects.create(pk="DU2", session=broker_account().session)
    filled = order_in("FILLED", symbol="MSFT", order_ref="a b")
    other = order_in("NEW", account="DU2")

    everything = [other.pk, filled.pk]
    assert ids("/orders") == everything
    assert ids("/orders?account=DU2") == [other.pk]
    assert ids("/orders?symbol=msft") == [filled.pk]
    assert ids("/orders?status=FILLED") == [filled.pk]
    assert ids("/orders?symbol=MSFT&status=NEW") == []
    assert ids("/orders?order_ref=a+b") == [filled.pk]
    assert ids("/orders?order_ref=a") == []
    assert ids(f"/orders?perm_id={other.perm_id}") == [other.pk]
    assert ids(f"/orders?request={filled.request_id}") == [filled.pk]


def test_filters_of_events(ids):
    order, other = order_in("NEW"), order_in("RECEIVED")

    assert ids(f"/events?order={order.pk}&sort=recorded_at") == list(
        order.events.order_by("sequence").values_list("pk", flat=True)
    )
    assert ids("/events?kind=ACCEPTED") == [order.events.get(kind="ACCEPTED").pk]
    assert ids(f"/events?request_id={other.request.request_id}") == [other.events.get().pk]


def test_filters_of_executions(ids):
    BrokerAccount.objects.create(pk="DU2", session=broker_account().session)
    order = execute(order_in("NEW", symbol="MSFT"), quantity=1, exec_id="a.01")
    other = execute(order_in("NEW", account="DU2"), quantity=1, exec_id="b.01")
    a, b = (Execution.objects.get(exec_id=name).pk for name in ("a.01", "b.01"))

    assert ids("/executions") == [b, a]
    assert ids("/executions?account=DU2") == [b]
    assert ids("/executions?symbol=msft") == [a]
    assert ids(f"/executions?order={order.pk}") == [a]
    assert ids(f"/executions?perm_id={other.perm_id}") == [b]
    assert ids("/executions?exec_id=a.01") == [a]


def test_filters_of_requests(ids):
    request = place(request=asked(idempotency_key="k 1", endpoint="/order/stop"))
    intake.refuse(asked(), reason="no such field", status_code=400)
    refusal = OrderRequest.objects.exclude(refusal="").get()

    assert ids("/requests") == [refusal.pk, request.pk]
    assert ids("/requests?endpoint=/order/stop") == [request.pk]
    assert ids(f"/requests?request_id={refusal.request_id}") == [refusal.pk]
    assert ids("/requests?idempotency_key=k+1") == [request.pk]
    assert ids("/requests?refused=true") == [refusal.pk]
    assert ids("/requests?refused=false") == [request.pk]


def test_filter_of_accounts(ids):
    broker_account()

    assert ids("/accounts?gateway=default") == [ACCOUNT]
    assert ids("/accounts?gateway=other") == []


def test_a_range_has_its_beginning_and_not_its_end(ids):
    days = [MONDAY + timedelta(days=number) for number in range(3)]
    orders = []
    for day in days:
        with at(day):
            orders.append(order_in("RECEIVED").pk)

    assert ids("/orders?received_from=2026-01-13") == [orders[2], orders[1]]
    assert ids(f"/orders?received_from={stamp(days[0])}&received_to={stamp(days[2])}") == [orders[1], orders[0]]
    assert ids(f"/orders?received_to={quote('2026-01-12T16:30:00.000001+01:00')}") == [orders[0]]


def test_executions_by_when_they_were_executed(ids):
    """A range of executed_at comes in its order, whenever they were recorded."""
    order = order_in("NEW")
    rows = {}
    for name, day in (("late", 14), ("early", 12)):
        with at(datetime(2026, 1, day, tzinfo=UTC)):
            execute(order, quantity=1, exec_id=f"{name}.01")
        rows[name] = Execution.objects.get(exec_id=f"{name}.01").pk
    tell(execution(order_id=0, client_id=0, perm_id=9, executed_at=None))  # whose time could not be read

    assert len(ids("/executions")) == 3
    assert ids("/executions?sort=executed_at") == [rows["early"], rows["late"]]
    assert ids("/executions?executed_from=2026-01-12") == [rows["late"], rows["early"]]
    assert ids("/executions?executed_from=2026-01-12&executed_to=2026-01-13&sort=executed_at") == [rows["early"]]


def test_a_break_with_its_history(ids, read):
    point = difference()
    register.keep(Comparison(differences=[point]), source=Source.BROKER)
    still_open = ids("/breaks?open=true")
    register.keep(Comparison(agreed=frozenset({point.id})), source=Source.BROKER)

    (row,) = read("/breaks")["results"]
    page = read(f"/breaks/{row['id']}")

    assert still_open == [row["id"]]
    assert (row["kind"], row["expected"], row["actual"], row["gap"], row["severity"]) == (
        "QUANTITY",
        "4",
        "6",
        "2",
        "CRITICAL",
    )
    assert [(event["sequence"], event["kind"]) for event in page["events"]] == [(1, "OPENED"), (2, "AGREED")]
    for query, found in (
        ("open=true", False),
        ("open=false", True),
        (f"account={ACCOUNT}", True),
        ("account=DU2", False),
        ("kind=QUANTITY", True),
        ("kind=PRICE", False),
        ("order=5", False),
        ("opened_from=2999-01-01", False),
    ):
        assert ids(f"/breaks?{query}") == ([row["id"]] if found else []), query


def test_a_snapshot_with_what_was_held(ids, read):
    taken = snapshot()
    PositionSnapshot.objects.create(
        snapshot=taken, con_id=1, symbol="AAPL", security_type="STK", currency="USD", quantity=Decimal("-5.50")
    )

    (row,) = read("/snapshots")["results"]
    page = read(f"/snapshots/{taken.pk}")

    assert (row["net_liquidation"], row["total_cash"], row["taken_at"]) == ("201879.04", None, stamp(taken.taken_at))
    assert [(held["symbol"], held["quantity"]) for held in page["positions"]] == [("AAPL", "-5.5")]
    assert ids(f"/snapshots?account={ACCOUNT}") == [taken.pk]
    assert ids("/snapshots?account=DU2") == ids("/snapshots?as_of=2020-01-01") == []
