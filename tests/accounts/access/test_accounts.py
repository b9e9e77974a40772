"""Whose accounts: a key sees, trades and cancels in those it is granted, and the others are not there."""

import csv
import io

import pytest

from accounts.access.callers import Caller, NotGranted, account_for, local
from accounts.access.models import Scope
from accounts.freshness import NoAccount, NoAccountYet
from accounts.models import BrokerAccount
from orders.models import Order, OrderRequest
from tests.accounts.access.test_door import send
from tests.accounts.test_api_account import hold, values
from tests.orders.builders import session_row
from tests.orders.factories import execute, order_in
from tests.orders.test_api_input import GOOD

pytestmark = pytest.mark.django_db

OURS, THEIRS = "DU1000001", "DU1000002"
BOTH = [OURS, THEIRS]


@pytest.fixture
def two_accounts(settings):
    """Each with money, a position, an order and an execution."""
    settings.PLACEMENT_WAIT_SECONDS = settings.CANCEL_WAIT_SECONDS = 0.05
    session = session_row()
    BrokerAccount.objects.get_or_create(pk=THEIRS, defaults={"session": session})
    session_row(accounts=BOTH)
    for number, account in enumerate(BOTH, start=1):
        values(account, NetLiquidation=str(number), AvailableFunds=str(number))
        hold("AAPL", str(number), "1", account=account)
        order = order_in("NEW", account=account, symbol=f"S{number}")
        execute(order, quantity=1)


def scopes(*accounts):
    return {scope: list(accounts) for scope in Scope}


@pytest.mark.parametrize(
    ("granted", "served", "configured", "account"),
    [
        ([OURS], BOTH, "", OURS),
        ([THEIRS], BOTH, "", THEIRS),
        ([THEIRS], BOTH, OURS, THEIRS),
        (BOTH, BOTH, THEIRS, THEIRS),
        (BOTH, [THEIRS], "", THEIRS),
        (["*"], BOTH, THEIRS, THEIRS),
        (["*"], [OURS], "", OURS),
        (BOTH, BOTH, "", NotGranted),
        ([], BOTH, OURS, NotGranted),
        (["*"], BOTH, "", NoAccount),
        ([THEIRS], [OURS], OURS, NoAccount),
        ([THEIRS], [], "", NoAccountYet),
    ],
)
def test_the_account_of_a_request_that_names_none(new_key, granted, served, configured, account):
    session = session_row(accounts=served)
    caller = Caller(actor="key:x", address="", grants={Scope.TRADE: frozenset(granted)})

    def chosen():
        return account_for(caller, Scope.TRADE, session=session, configured=configured)

    if isinstance(account, str):
        assert chosen() == account
    else:
        with pytest.raises(account):
            chosen()


def test_a_neighbour_may_do_everything():
    assert [local("").accounts(scope) for scope in Scope] == [None, None, None]


def test_what_a_guide_s_reader_sees(client, new_key, two_accounts):
    for number, account in enumerate(BOTH, start=1):
        _, header = new_key(scopes(account))

        assert client.get("/account", headers=header).json() == {"balance": number, "cash": number}
        assert [row["qty"] for row in client.get("/positions", headers=header).json()["positions"]] == [number]
        traded = client.get("/executions", headers=header).json()["executions"]
        assert {row["symbol"] for row in traded} == {f"S{number}", "AAPL"}


LISTS = ["orders", "requests", "events", "executions", "accounts"]


@pytest.mark.parametrize("name", LISTS)
def test_what_the_record_shows(client, new_key, two_accounts, name):
    everything = new_key(scopes("*"))[1]
    mine = new_key(scopes(OURS))[1]

    def ids(header, **query):
        found = client.get(f"/api/v1/{name}", query, headers=header)
        assert found.status_code == 200, found.content
        return [row["id"] for row in found.json()["results"]]

    shown, whole = ids(mine), ids(everything)
    assert set(shown) < set(whole)
    assert len(whole) == 2 * len(shown) > 0
    for row in whole:
        status = client.get(f"/api/v1/{name}/{row}", headers=mine).status_code
        assert status == (200 if row in shown else 404)
        assert client.get(f"/api/v1/{name}/{row}", headers=everything).status_code == 200
    if name in ("orders", "executions"):
        assert ids(mine, account=THEIRS) == []
    exported = client.get(f"/api/v1/{name}", {"format": "csv"}, headers=mine)
    rows = list(csv.DictReader(io.StringIO(b"".join(exported.streaming_content).decode())))
    assert sorted(row["id"] for row in rows) == sorted(map(str, shown))


def test_no_answer_about_another_account_names_it(client, new_key, two_accounts):
    header = new_key(scopes(OURS))[1]
    paths = ["/account", "/positions", "/executions", *(f"/api/v1/{name}" for name in LISTS)]
    paths += ["/api/v1/events?order=2", f"/api/v1/orders?account={THEIRS}", f"/api/v1/accounts/{THEIRS}"]

    for path in paths:
        answer = client.get(path, headers=header).content.decode()
        assert '"S2"' not in answer
        assert THEIRS not in answer.replace(f"account {THEIRS}", "")  # what was asked for is said back


def test_cancelling_in_another_account_is_the_404_of_an_order_that_is_not_there(client, new_key, two_accounts):
    theirs = Order.objects.get(account=THEIRS)
    key, header = new_key(scopes(OURS))
    reader, reading = new_key({Scope.READ: ["*"], Scope.CANCEL: [OURS]})

    answers = [
        send(client, "/order/cancel", {"perm_id": perm_id}, headers=each)
        for perm_id in (theirs.perm_id, 424242)
        for each in (header, reading)
    ]

    assert {(answer.status_code, answer.content) for answer in answers} == {
        (404, b'{"detail":"Order not found or already filled"}')
    }
    assert Order.objects.get(pk=theirs.pk).last_sequence == theirs.last_sequence
    # The refused requests are on record, and name their keys.
    actors = OrderRequest.objects.filter(endpoint="/order/cancel").values_list("actor", flat=True)
    assert sorted(actors) == sorted([f"key:{key.pk}", f"key:{reader.pk}"] * 2)


def test_an_order_goes_to_the_key_s_account_and_names_the_key(client, new_key, two_accounts, settings):
    settings.IB_ACCOUNT = OURS
    key, header = new_key(scopes(THEIRS))

    answer = send(client, "/order/limit", GOOD["/order/limit"], headers=header)

    assert answer.status_code == 500  # no worker here
    order = Order.objects.latest("pk")
    assert (order.account_id, order.request.actor, order.request.remote_address) == (
        THEIRS,
        f"key:{key.pk}",
        "127.0.0.1",
    )
    assert set(order.events.values_list("actor", flat=True)) == {f"key:{key.pk}"}


def test_a_key_for_several_accounts_is_told_what_to_do(client, new_key, two_accounts):
    header = new_key(scopes(*BOTH))[1]
    before = Order.objects.count()

    answer = send(client, "/order/limit", GOOD["/order/limit"], headers=header)

    assert answer.status_code == 403
    assert answer.json() == {
        "detail": f"This API key may trade in several accounts ({OURS}, {THEIRS}), of which IB_ACCOUNT names none: "
        "use a key that is for one of them."
    }
    assert Order.objects.count() == before


def test_the_same_idempotency_key_of_two_clients_is_two_keys(client, new_key, two_accounts):
    mine, yours = (new_key(scopes(account))[1] | {"Idempotency-Key": "k1"} for account in BOTH)
    other = GOOD["/order/limit"] | {"quantity": 3}

    first = send(client, "/order/limit", GOOD["/order/limit"], headers=mine)
    second = send(client, "/order/limit", other, headers=yours)
    again = send(client, "/order/limit", GOOD["/order/limit"], headers=mine)
    changed = send(client, "/order/limit", other, headers=mine)

    placed = Order.objects.filter(request__idempotency_key="k1")
    assert sorted(placed.values_list("account_id", "quantity")) == [(OURS, 10), (THEIRS, 3)]
    assert "Idempotent-Replayed" not in second.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Order-Id"] == first.headers["X-Order-Id"] != second.headers["X-Order-Id"]
    assert changed.status_code == 422
