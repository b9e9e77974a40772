"""GET /account and GET /positions, from rows as the worker writes them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import AccountValue, BrokerAccount, Position
from tests.orders.builders import ACCOUNT, session_row

pytestmark = pytest.mark.django_db


def values(account=ACCOUNT, *, currency="USD", as_of=None, **figures):
    for key, value in figures.items():
        AccountValue.objects.create(
            account_id=account, key=key, currency=currency, value=value, as_of=as_of or timezone.now()
        )


def hold(symbol, quantity, cost, *, account=ACCOUNT, **changes):
    defaults = {"con_id": abs(hash(symbol)) % 2**31, "security_type": "STK", "currency": "USD"}
    Position.objects.create(
        account_id=account,
        symbol=symbol,
        quantity=Decimal(quantity),
        average_cost=None if cost is None else Decimal(cost),
        as_of=timezone.now(),
        **defaults | changes,
    )


@pytest.mark.parametrize("path", ["/account", "/account/"])
def test_account(client, path):
    session_row()
    values(NetLiquidation="201879.04", AvailableFunds="200000.0", TotalCashValue="150000", BuyingPower="800000")

    response = client.get(path)

    assert response.status_code == 200
    assert response.content == b'{"balance":201879.04,"cash":200000}'


def test_cash_is_the_total_where_available_funds_are_unknown(client):
    session_row()
    values(NetLiquidation="201879.04", TotalCashValue="-150.25")

    assert client.get("/account").json() == {"balance": 201879.04, "cash": -150.25}


def test_account_is_as_of_the_older_figure(client):
    session_row()
    old = timezone.now() - timedelta(minutes=3)
    values(NetLiquidation="1", as_of=old)
    values(AvailableFunds="2")

    as_of = client.get("/account").headers["X-As-Of"]

    assert as_of == f"{old.isoformat(timespec='milliseconds')[:23]}Z"


@pytest.mark.parametrize("figures", [{}, {"NetLiquidation": "1"}, {"AvailableFunds": "1"}])
def test_no_figure_is_made_up(client, figures):
    session_row()
    values(**figures)

    response = client.get("/account")

    assert (response.status_code, response.json()) == (500, {"detail": "Failed to connect to IB Gateway"})


@pytest.mark.parametrize("value", ["", "NaN", "n/a", "Infinity"])
def test_a_figure_that_is_no_number_is_not_given_out(client, value):
    session_row()
    values(NetLiquidation=value, AvailableFunds="1")

    assert client.get("/account").status_code == 500


@pytest.mark.parametrize("path", ["/positions", "/positions/"])
def test_positions(client, path):
    session = session_row()
    hold("MSFT", "-5", "350.20")
    hold("AAPL", "10", "230.50")
    hold("TSLA", "0", "250")
    hold("EUR", "0.5", "1.0825", security_type="CASH")

    response = client.get(path)

    assert response.status_code == 200
    assert response.content == (
        b'{"positions":['
        b'{"symbol":"AAPL","qty":10,"avg_cost":230.5,"market_value":2305},'
        b'{"symbol":"EUR","qty":0.5,"avg_cost":1.0825,"market_value":0.54125},'
        b'{"symbol":"MSFT","qty":-5,"avg_cost":350.2,"market_value":-1751}'
        b"]}"
    )
    assert response.headers["X-As-Of"] == f"{session.heard_at.isoformat(timespec='milliseconds')[:23]}Z"


def test_no_positions(client):
    session_row()

    assert client.get("/positions").json() == {"positions": []}


def test_a_cost_that_is_unknown_is_not_zero(client):
    session_row()
    hold("AAPL", "10", None)

    assert client.get("/positions").json() == {
        "positions": [{"symbol": "AAPL", "qty": 10, "avg_cost": None, "market_value": None}]
    }


@pytest.mark.parametrize("path", ["/account", "/positions"])
@pytest.mark.parametrize(
    "changes",
    [
        {"state": "DISCONNECTED"},
        {"state": "CONNECTING"},
        {"state": "RECOVERING"},
        {"state": "LINK_DOWN"},
        {"heard_at": None},
        {"heard_at": timezone.now() - timedelta(days=1)},
    ],
    ids=["disconnected", "connecting", "recovering", "link-down", "never-heard", "heard-yesterday"],
)
def test_nothing_stale_is_shown(client, path, changes):
    session_row(**changes)
    values(NetLiquidation="1", AvailableFunds="1")

    response = client.get(path)

    assert (response.status_code, response.json()) == (500, {"detail": "Failed to connect to IB Gateway"})
    assert "X-As-Of" not in response.headers


@pytest.mark.parametrize("path", ["/account", "/positions", "/orders"])
def test_before_the_first_worker(client, path):
    response = client.get(path)

    assert (response.status_code, response.json()) == (500, {"detail": "Failed to connect to IB Gateway"})


def test_several_accounts_are_never_summed(client, settings):
    session = session_row()
    BrokerAccount.objects.create(pk="DU1000002", session=session)
    session_row(accounts=["DU1000001", "DU1000002"])
    values(NetLiquidation="100", AvailableFunds="50")
    values("DU1000002", NetLiquidation="7", AvailableFunds="3")
    hold("AAPL", "1", "1")
    hold("AAPL", "2", "1", account="DU1000002")

    unchosen = client.get("/account")
    settings.IB_ACCOUNT = "DU1000002"

    assert unchosen.status_code == 500
    assert "set IB_ACCOUNT" in unchosen.json()["detail"]
    assert client.get("/account").json() == {"balance": 7, "cash": 3}
    assert [row["qty"] for row in client.get("/positions").json()["positions"]] == [2]


def test_an_account_that_the_gateway_does_not_serve(client, settings):
    session_row()
    settings.IB_ACCOUNT = "DU9"

    response = client.get("/positions")

    assert response.status_code == 500
    assert "IB_ACCOUNT is DU9" in response.json()["detail"]


@pytest.mark.parametrize("count", [1, 30])
def test_the_number_of_queries_does_not_grow(client, django_assert_num_queries, count):
    session_row()
    for number in range(count):
        hold(f"S{number}", "1", "1", con_id=number)

    with django_assert_num_queries(2):
        client.get("/positions")
