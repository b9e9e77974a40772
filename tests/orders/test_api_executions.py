"""GET /executions: one ledger from four sources, with the gateway and without."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import BrokerAccount, Position
from gateway.reports import ContractFacts
from orders.models import Order
from tests.orders.builders import AAPL, ACCOUNT, NOW, completed_order, execution, open_order, placed, session_row
from tests.orders.factories import advance
from tests.orders.worker import tell

pytestmark = pytest.mark.django_db
MSFT = ContractFacts(con_id=272093, symbol="MSFT", security_type="STK", currency="USD")


@pytest.fixture(autouse=True)
def session(db):
    return session_row()


def executions(client, query=""):
    response = client.get(f"/executions{query}")
    assert response.status_code == 200, response.content
    return response.json()["executions"]


def working_order(perm_id=1788680597, **changes) -> Order:
    (order,) = placed(**changes)
    order = advance(order, "SENT", broker_order_id=5)
    tell(open_order(order, perm_id=perm_id))
    return Order.objects.get(pk=order.pk)


def hold(quantity, *, contract=AAPL, account=ACCOUNT, average_cost="230.5"):
    Position.objects.create(
        account_id=account,
        con_id=contract.con_id,
        symbol=contract.symbol,
        security_type=contract.security_type,
        currency=contract.currency,
        quantity=quantity,
        average_cost=average_cost and Decimal(average_cost),
        as_of=timezone.now(),
    )


@pytest.mark.parametrize("path", ["/executions", "/executions/"])
def test_an_execution_of_ours(client, path):
    tell(
        execution(working_order(order_ref="my trade ~ 001"), executed_at=datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC))
    )

    response = client.get(path)

    assert response.status_code == 200
    assert response.content == (
        b'{"executions":[{"symbol":"AAPL","side":"BUY","qty":10,"price":229.95,"time":"20240115 14:30:25",'
        b'"orderId":5,"orderRef":"my trade ~ 001","source":"trades()"}]}'
    )


def test_a_reference_that_was_cut_on_the_wire_comes_back_whole(client):
    reference = "a reference much longer than the forty characters of the wire"
    tell(execution(working_order(order_ref=reference)))

    assert executions(client)[0]["orderRef"] == reference


@pytest.mark.parametrize(("live", "source"), [(True, "trades()"), (False, "reqExecutions")])
def test_the_source_is_where_it_was_first_seen(client, live, source):
    report = execution(live=live)
    tell(report)
    tell(execution(exec_id=report.exec_id, live=not live))

    assert [row["source"] for row in executions(client)] == [source]


@pytest.mark.parametrize(
    ("order_ref", "shown"), [("", None), ("theirs", "theirs"), ("lost~ABCDEFGHIJKLM", "lost"), ("~ABCDEFGHIJKLM", None)]
)
def test_an_execution_without_an_order_of_ours(client, order_ref, shown):
    tell(execution(order_ref=order_ref, order_id=0, client_id=0, perm_id=9))

    (row,) = executions(client)

    assert row.get("orderRef") == shown
    assert ("orderRef" in row) == (shown is not None)
    assert row["orderId"] == 0


def test_what_is_not_known_is_left_out(client):
    tell(execution(executed_at=None))

    assert set(executions(client)[0]) == {"symbol", "side", "qty", "price", "orderId", "source"}


def test_a_correction_replaces(client):
    family = "0000e0d5.00000001.01"
    tell(execution(exec_id=f"{family}.01", quantity=Decimal(10)))
    tell(execution(exec_id=f"{family}.02", quantity=Decimal(8), price=Decimal("231.5")))
    tell(execution(exec_id=f"{family}.10", quantity=Decimal(9)))

    assert [(row["qty"], row["price"]) for row in executions(client)] == [(9, 229.95)]


def test_a_correction_may_come_first(client):
    tell(execution(exec_id="a.b.01.02", quantity=Decimal(8)))
    tell(execution(exec_id="a.b.01.01", quantity=Decimal(10)))

    assert [row["qty"] for row in executions(client)] == [8]


def test_ids_of_another_form_correct_nothing(client):
    tell(execution(exec_id="one"))
    tell(execution(exec_id="two"))
    tell(execution(exec_id="x.one"))

    assert len(executions(client)) == 3


def test_oldest_first(client):
    for minutes in (3, 1, 2):
        tell(execution(executed_at=NOW + timedelta(minutes=minutes)))

    assert [row["time"] for row in executions(client)] == [f"20260115 14:3{n}:00" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("", ["AAPL", "MSFT"]),
        ("?symbol=", ["AAPL", "MSFT"]),
        ("?symbol=AAPL", ["AAPL"]),
        ("?symbol=msft", ["MSFT"]),
        ("?symbol=AAP", []),
        ("?symbol=%25", []),
        ("?symbol=AAPL%20", []),
        ("?symbol=AAPL'--", []),
    ],
)
def test_by_symbol(client, query, symbols):
    tell(execution())
    hold(-3, contract=MSFT)

    assert sorted(row["symbol"] for row in executions(client, query)) == symbols


@pytest.mark.parametrize("symbol", ["%00", "x" * 41])
def test_no_symbol_at_all(client, symbol):
    response = client.get(f"/executions?symbol={symbol}")

    assert response.status_code == 400
    assert response.json()["detail"].startswith("symbol: ")


# --- Orders said to be filled, whose executions are gone ------------------------------------------------------------


def filled_unseen(**changes):
    tell(completed_order(**{"status": "Filled", "perm_id": 77, "side": "SELL"} | changes))
    return Order.objects.get(perm_id=77)


def asked_since():
    session_row(executions_as_of=timezone.now())


def test_a_filled_order_without_executions(client):
    filled_unseen(order_ref="strategy_2")
    asked_since()

    assert executions(client) == [
        {
            "symbol": "AAPL",
            "side": "SELL",
            "qty": 10,
            "price": 230,
            "orderRef": "strategy_2",
            "source": "reqCompletedOrders",
        }
    ]


def test_not_before_its_executions_were_asked_for(client):
    session_row(executions_as_of=timezone.now())
    filled_unseen()

    assert executions(client) == []


def test_not_once_an_execution_is_known(client):
    filled_unseen()
    tell(execution(perm_id=77, quantity=Decimal(4)))
    asked_since()

    assert [(row["qty"], row["source"]) for row in executions(client)] == [(4, "trades()")]


def test_not_without_a_price(client):
    filled_unseen(order_type="MKT", limit_price=Decimal(0))
    asked_since()

    assert executions(client) == []


def test_ours_said_to_be_filled(client):
    order = working_order(perm_id=77, order_ref="mine")
    tell(completed_order(order, perm_id=77, status="Filled"))
    asked_since()

    (row,) = executions(client)

    assert (row["orderId"], row["orderRef"], row["source"]) == (5, "mine", "reqCompletedOrders")


# --- Holdings that nothing explains ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("quantity", "side"), [(Decimal("7"), "BUY"), (Decimal("-7"), "SELL")])
def test_an_unexplained_holding(client, quantity, side):
    hold(quantity)

    assert executions(client) == [{"symbol": "AAPL", "side": side, "qty": 7, "price": 230.5, "source": "positions()"}]


def test_a_holding_that_an_execution_explains(client):
    tell(execution())
    hold(10)

    assert [row["source"] for row in executions(client)] == ["trades()"]


def test_a_holding_that_a_filled_order_explains(client):
    filled_unseen()
    asked_since()
    hold(-10)

    assert [row["source"] for row in executions(client)] == ["reqCompletedOrders"]


@pytest.mark.parametrize(("quantity", "average_cost"), [(0, "230.5"), (10, None)])
def test_no_holding_or_no_cost(client, quantity, average_cost):
    hold(quantity, average_cost=average_cost)

    assert executions(client) == []


# --- Whose, and when ------------------------------------------------------------------------------------------------


def test_of_our_account_alone(client, session, settings):
    BrokerAccount.objects.create(pk="DU1000002", session=session)
    session_row(accounts=["DU1000001", "DU1000002"])
    tell(execution())
    tell(execution(account="DU1000002", quantity=Decimal(3)))
    hold(5, contract=MSFT, account="DU1000002")
    unchosen = client.get("/executions")
    settings.IB_ACCOUNT = "DU1000001"

    assert unchosen.status_code == 500
    assert [row["qty"] for row in executions(client)] == [10]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "READY"),
        ({"state": "DISCONNECTED"}, "DISCONNECTED"),
        ({"state": "LINK_DOWN"}, "LINK_DOWN"),
        ({"heard_at": NOW}, "DISCONNECTED"),  # whoever wrote READY has fallen silent
    ],
)
def test_answers_while_the_gateway_is_away(client, changes, state):
    tell(execution())
    session = session_row(**changes)

    response = client.get("/executions")

    assert len(response.json()["executions"]) == 1
    assert response.headers["X-Session-State"] == state
    assert response.headers["X-As-Of"] == f"{session.heard_at.isoformat(timespec='milliseconds')[:23]}Z"


def test_before_the_first_worker(client, session):
    BrokerAccount.objects.all().delete()
    known_no_account = client.get("/executions")
    session.delete()

    response = client.get("/executions")

    assert known_no_account.json() == response.json() == {"executions": []}
    assert response.headers["X-Session-State"] == "DISCONNECTED"
    assert response.headers["X-As-Of"]


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_grow(client, django_assert_num_queries, count):
    working_order()
    for _ in range(count):
        tell(execution(order_ref="x"))
    asked_since()

    with django_assert_num_queries(4):
        client.get("/executions")
