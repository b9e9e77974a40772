"""Lists of /api/v1/: what a row shows, filters, pages, and that each page costs the same."""

import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AccountValue, BrokerAccount, Position
from accounts.snapshots.models import AccountSnapshot, PositionSnapshot
from orders import intake
from orders.api.v1.pages import Sort
from orders.breaks import register
from orders.breaks.books import Comparison, Point
from orders.breaks.vocabulary import BreakKind, Source
from orders.models import Execution, Order, OrderEvent, OrderRequest
from tests.orders.builders import execution
from tests.orders.factories import (
    ACCOUNT,
    advance,
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

MONDAY = datetime(2026, 1, 12, 15, 30, tzinfo=UTC)
LISTS = ["/orders", "/requests", "/events", "/executions", "/accounts", "/snapshots", "/breaks"]
TIMES = dict(
    zip(
        LISTS,
        ["received_at", "received_at", "recorded_at", "recorded_at", "first_seen_at", "taken_at", "opened_at"],
        strict=True,
    )
)
each_list = pytest.mark.parametrize("path", LISTS)


def stamp(moment):
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def some_of_each(count=1):
    for number in range(count):
        order_in("FILLED")
        snapshot(due_at=MONDAY + timedelta(minutes=number))
        register.keep(Comparison(differences=[difference(key=f"order {number} filled quantity")]), source=Source.BROKER)


def snapshot(**changes):
    now = timezone.now()
    moments = {"due_at": now, "taken_at": now, "as_of": now} | changes
    worth = {"currency": "USD", "net_liquidation": Decimal("201879.04"), "position_count": 1}
    return AccountSnapshot.objects.create(account=broker_account(), epoch=1, connection=1, **worth, **moments)


def difference(**changes):
    values = {
        "kind": BreakKind.QUANTITY,
        "key": "order 5 filled quantity",
        "account": ACCOUNT,
        "symbol": "AAPL",
        "subject": "Filled quantity of order 17",
        "expected": Decimal(4),
        "actual": Decimal(6),
    }
    return Point(**values | changes)


# --- Rows ---------------------------------------------------------------------------------------------------------


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


# --- Filters ------------------------------------------------------------------------------------------------------


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


# --- Pages --------------------------------------------------------------------------------------------------------


def walk(client, path):
    """All ids, page by page, by the addresses that the answers give."""
    found, pages = [], 0
    address = f"/api/v1{path}"
    while address is not None:
        body = client.get(address).json()
        found += [row["id"] for row in body["results"]]
        pages += 1
        address = body["next"] and f"{urlsplit(body['next']).path}?{urlsplit(body['next']).query}"
    return found, pages


@each_list
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_have_every_row_once(client, path, sign):
    some_of_each(3)
    sort = f"{sign}{TIMES[path]}"
    whole, _ = walk(client, f"{path}?sort={sort}")

    found, pages = walk(client, f"{path}?sort={sort}&limit=2")

    assert found == whole
    assert pages == -(-len(whole) // 2)


def test_rows_of_one_moment_are_told_apart(client):
    with at(MONDAY):
        orders = [order_in("RECEIVED").pk for _ in range(5)]

    assert walk(client, "/orders?limit=2") == (orders[::-1], 3)
    assert walk(client, "/orders?limit=2&sort=received_at") == (orders, 3)


def test_what_comes_meanwhile_moves_nothing(client, read):
    orders = [order_in("RECEIVED").pk for _ in range(3)]
    first = read("/orders?limit=2")
    order_in("RECEIVED")

    rest = client.get(first["next"]).json()

    assert [row["id"] for row in rest["results"]] == [orders[0]]
    assert rest["next"] is None


def test_filters_go_along_to_the_next_page(client):
    wanted = [order_in("RECEIVED", symbol="MSFT").pk for _ in range(3)]
    order_in("RECEIVED")

    assert walk(client, "/orders?limit=1&symbol=MSFT") == (wanted[::-1], 3)


def test_a_full_last_page_has_no_next(read):
    some_of_each(2)

    assert read("/orders?limit=2")["next"] is None


def test_answers_say_of_which_moment_they_are(client):
    before = timezone.now() - timedelta(seconds=1)

    response = client.get("/api/v1/orders")

    assert response.headers["X-As-Of"] >= f"{before.isoformat(timespec='milliseconds')[:23]}Z"


@pytest.mark.parametrize(
    ("path", "queries"),
    # A savepoint, the time, the page, the savepoint's end; requests have their answers and orders, accounts no more.
    [*((path, 4) for path in LISTS if path != "/requests"), ("/requests", 6)],
)
@pytest.mark.parametrize("count", [1, 6])
def test_a_page_costs_the_same_number_of_queries(client, django_assert_num_queries, path, queries, count):
    some_of_each(count)

    with django_assert_num_queries(queries):
        assert client.get(f"/api/v1{path}").status_code == 200


def test_a_page_as_of_costs_one_query_more(client, django_assert_num_queries):
    some_of_each(3)

    with django_assert_num_queries(5):
        assert client.get(f"/api/v1/orders?as_of={stamp(timezone.now())}").status_code == 200


# --- Indexes ------------------------------------------------------------------------------------------------------

BY_TIME = {"received_from": "2026-01-01", "received_to": "2026-12-31"}
RECORDED = {"recorded_from": "2026-01-01", "recorded_to": "2026-12-31"}
FILTERS = {
    "/orders": [
        *({name: value} for name, value in {"account": "A", "symbol": "A", "status": "NEW", "order_ref": "A"}.items()),
        {"perm_id": "1"},
        {"request": "1"},
        BY_TIME,
        {"as_of": "2026-01-01"},
        {"symbol": "A", "status": "NEW", "account": "A", **BY_TIME},
    ],
    "/requests": [
        {"endpoint": "A"},
        {"request_id": "A"},
        {"idempotency_key": "A"},
        {"refused": "true"},
        {"refused": "false"},
        BY_TIME,
        {"as_of": "2026-01-01"},
    ],
    "/events": [{"order": "1"}, {"kind": "SENT"}, {"request_id": "A"}, RECORDED, {"as_of": "2026-01-01"}],
    "/executions": [
        {"account": "A"},
        {"symbol": "A"},
        {"order": "1"},
        {"perm_id": "1"},
        {"exec_id": "A"},
        RECORDED,
        {"executed_from": "2026-01-01", "symbol": "A"},
        {"executed_from": "2026-01-01", "account": "A"},
        {"executed_from": "2026-01-01"},
        {"as_of": "2026-01-01"},
    ],
    "/snapshots": [{"account": "A"}, {"taken_from": "2026-01-01", "taken_to": "2026-12-31"}, {"as_of": "2026-01-01"}],
    "/breaks": [
        {"account": "A"},
        {"kind": "PRICE"},
        {"order": "1"},
        {"open": "true"},
        {"open": "false"},
        {"opened_from": "2026-01-01", "opened_to": "2026-12-31"},
    ],
}
# What the condition of the index must name, where the parameter is not called like its column.
COLUMNS = {
    "request": "request_id",
    "order": "order_id",
    "as_of": "_at",
    "executed_from": "executed_at",
    "refused": "read_refused_requests",
}
FEW = {"perm_id", "request", "request_id", "idempotency_key", "order", "exec_id"}  # found by an index, then sorted
CASES = [(path, query) for path, queries in FILTERS.items() for query in [{}, *queries]]


# What other tests left to the planner: an empty table makes every index as good as any other.
FORGET_STATISTICS = """
    DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relname ~ '^(orders|accounts)_');
    SELECT pg_clear_relation_stats('public', relname) FROM pg_class
    WHERE relname ~ '^(orders|accounts)_' AND relkind = 'r'
"""


def scans(plan):
    """The steps of a plan that read a table of ours, or sort."""
    here = [plan] if "Scan" in plan["Node Type"] or "Sort" in plan["Node Type"] else []
    return here + [found for part in plan.get("Plans", []) for found in scans(part)]


@pytest.mark.parametrize(
    ("path", "query"), CASES, ids=lambda value: value if isinstance(value, str) else "+".join(value)
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_filter_has_an_index_in_the_order_of_the_list(client, django_capture_page, path, query, sign):
    """Without a table's scan and without a sort, as far as an index can do without them, for first and later pages."""
    column = "executed_at" if "executed_from" in query else TIMES[path]
    sort = Sort(column, sign == "-")
    at_some_row = base64.urlsafe_b64encode(json.dumps([str(sort), "2026-01-15T00:00:00+00:00", 7]).encode()).decode()
    for more in ({}, {"cursor": at_some_row}):
        (sql, parameters) = django_capture_page(f"/api/v1{path}", {**query, "sort": str(sort), **more})
        with connection.cursor() as cursor:
            cursor.execute(FORGET_STATISTICS)
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            if not FEW & query.keys():
                cursor.execute("SET LOCAL enable_sort = off")
                cursor.execute("SET LOCAL enable_incremental_sort = off")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
            plan = cursor.fetchone()[0][0]["Plan"]
        steps = scans(plan)
        ours = [step for step in steps if step.get("Alias") == step.get("Relation Name")]  # not the subqueries'
        looked_up = " ".join(f"{step.get('Index Name')} {step.get('Index Cond')}" for step in ours)
        for name in query if len(query) == 1 and "false" not in query.values() else ():
            assert COLUMNS.get(name, name) in looked_up
        kinds = [step["Node Type"] for step in steps]
        assert not [kind for kind in kinds if "Seq Scan" in kind]
        if not FEW & query.keys():
            assert not [kind for kind in kinds if "Sort" in kind]


@pytest.fixture
def django_capture_page(client):
    """The statement that reads a page."""

    def capture(path, query):
        seen = []

        def look(execute, sql, params, many, context):
            if "LIMIT" in sql and sql.startswith("SELECT"):
                seen.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(look):
            response = client.get(path, query)
        assert response.status_code == 200, response.content
        return seen[0]

    return capture


# --- What is refused ----------------------------------------------------------------------------------------------


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
    ("breaks as of", "/breaks?as_of=2026-01-01", "unknown_parameter", "'as_of' is not a parameter here"),
    ("neither open nor closed", "/breaks?open=1", "bad_parameter", "open: Select a valid choice."),
    ("as_of where none is", "/accounts?as_of=2026-01-01", "unknown_parameter", "'as_of' is not a parameter here"),
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
    ("bad as_of", "/orders?as_of=now", "bad_parameter", "as_of: This must be a time in ISO 8601"),
    ("bad as_of of one", "/orders/1?as_of=now", "bad_parameter", "as_of: This must be a time in ISO 8601"),
    ("future", "/orders?as_of=2999-01-01", "bad_parameter", "as_of: This lies in the future"),
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


# --- From a browser -----------------------------------------------------------------------------------------------


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
