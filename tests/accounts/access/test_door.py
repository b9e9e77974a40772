"""Who is let in, over HTTP, and what of it is written down."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.access import authentication, credentials, register, tally
from accounts.access.models import ApiKey, ApiKeyGrant, ApiKeyUse, Scope
from accounts.models import AccountValue
from audit.models import Draft
from orders.models import Order, OrderRequest
from tests.accounts.access.conftest import bearer
from tests.orders.builders import session_row
from tests.orders.test_api_input import GOOD

pytestmark = pytest.mark.django_db

GETS = ["/account", "/positions", "/orders", "/executions", "/api/v1/orders", "/api/v1/accounts", "/api/v1/requests"]
POSTS = ["/order/limit", "/order/market", "/order/stop", "/order/bracket", "/order/cancel"]
OPEN = ["/health/live", "/docs", "/redoc", "/openapi.json"]


def site_chain():
    """What the site's chain is told of by this test, as (kind, actor, details); requests stand there otherwise."""
    drafts = Draft.objects.filter(chain="site").order_by("pk").values_list("kind", "facts")
    told = [(kind, json.loads(facts)) for kind, facts in drafts]
    return [(kind, facts["actor"], facts["details"]) for kind, facts in told if "details" in facts]


def refusals():
    return [(d["reason"], d["key"], d["times"]) for kind, _, d in site_chain() if kind == "api use refused"]


def ask(client, path, *, headers, **more):
    if path in POSTS:
        return send(client, path, GOOD[path], headers=headers, **more)
    return client.get(path, headers=headers, **more)


def send(client, path, body, **more):
    return client.post(path, body, content_type="application/json", **more)


@pytest.mark.parametrize("path", [*GETS, *POSTS])
@pytest.mark.parametrize(
    "header",
    [{}, {"Authorization": "Basic abc"}, {"Authorization": "Token x"}, {"Cookie": "key=x"}],
    ids=str,
)
def test_without_a_key(client, keys_mode, path, header):
    session_row()
    response = ask(client, path, headers=header)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert "Authorization: Bearer" in response.json()["detail"]
    assert not OrderRequest.objects.exists()
    assert not Order.objects.exists()


@pytest.mark.parametrize("path", OPEN)
def test_open_without_a_key(client, keys_mode, path):
    assert client.get(path, headers={"Authorization": "Bearer nonsense"}).status_code == 200


def test_a_login_in_the_admin_is_no_key(client, keys_mode):
    client.force_login(User.objects.create_superuser("root"))

    assert client.get("/executions").status_code == 401


def test_a_key_lets_in(client, new_key):
    session_row()
    _, header = new_key()

    assert client.get("/executions", headers=header).status_code == 200
    assert client.get("/executions", headers={"Authorization": header["Authorization"].replace("B", "b", 1)}).json()
    assert refusals() == []


def _expire(key, header, settings):
    ApiKey.objects.filter(pk=key.pk).update(expires_at=key.created_at)


REFUSED = {
    "unknown": (lambda *_: bearer(credentials.new()), 401, "not known", "unknown key"),
    "no key": (lambda *_: {"Authorization": "Bearer x"}, 401, "not known", "unknown key"),
    "wrong secret": (lambda key, *_: bearer(credentials.new(key.pk)), 401, "not known", "wrong secret"),
    "revoked": (lambda key, *_: register.revoke(key.pk, actor="SYSTEM") and None, 401, "revoked", "revoked key"),
    "expired": (_expire, 401, "expired", "expired key"),
    "elsewhere": (
        lambda key, *_: ApiKey.objects.filter(pk=key.pk).update(networks=["10.0.0.0/8"]) and None,
        403,
        "may not be used from 127.0.0.1",
        "address not allowed",
    ),
}


@pytest.mark.parametrize("path", ["/executions", "/order/limit", "/order/cancel", "/api/v1/orders/1"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(client, new_key, settings, case, path):
    session_row()
    spoil, status, words, reason = REFUSED[case]
    key, header = new_key()
    header = spoil(key, header, settings) or header

    response = ask(client, path, headers=header)

    assert response.status_code == status
    assert words in response.json()["detail"]
    assert isinstance(response.json()["detail"], str)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    ((told, _, times),) = refusals()
    assert (told, times) == (reason, 1)
    assert not OrderRequest.objects.exists()
    assert not ApiKeyUse.objects.exists()


def test_a_key_used_from_where_it_may_be(client, new_key, settings):
    session_row()
    _, header = new_key(networks_allowed=["10.1.0.0/16"])
    settings.TRUSTED_PROXIES = [authentication.networks.network("127.0.0.1")]

    near, far = (
        client.get("/executions", headers={**header, "X-Forwarded-For": address})
        for address in ("10.1.2.3", "10.2.0.1")
    )

    assert (near.status_code, far.status_code) == (200, 403)
    assert ApiKeyUse.objects.get().address == "10.1.2.3"


def test_a_flood_of_refusals_is_a_few_entries(client, keys_mode):
    for _ in range(60):
        client.get("/executions", headers=bearer(credentials.new()))

    entries = refusals()
    assert len(entries) <= 21
    tally.refusals._ends = 0.0  # the minute is over
    client.get("/executions")
    assert sum(times for _, _, times in refusals()) == 60
    assert len(refusals()) <= 22


def test_uses_are_counted_without_a_write_for_each(client, new_key):
    session_row()
    key, header = new_key()
    client.get("/executions", headers=header)
    assert (ApiKeyUse.objects.get().times, ApiKeyUse.objects.get().address) == (1, "127.0.0.1")

    with CaptureQueriesContext(connection) as queries:
        client.get("/executions", headers=header)
    assert sum("accounts_apikey" in query["sql"] for query in queries) == 1
    assert not any(query["sql"].startswith(("INSERT", "UPDATE")) for query in queries)

    tally.uses._ends = 0.0
    client.get("/executions", headers=header)
    use = ApiKeyUse.objects.get()
    assert (use.key_id, use.times) == (key.pk, 2)  # the last one is counted, and written in a minute


@pytest.mark.parametrize(
    ("path", "scope"),
    [*((path, Scope.READ) for path in GETS), *((path, Scope.TRADE) for path in POSTS[:4]), (POSTS[4], Scope.CANCEL)],
)
def test_each_path_asks_for_its_scope(client, new_key, path, scope):
    session_row()
    AccountValue.objects.create(account_id="DU1000001", key="NetLiquidation", value="1", as_of="2026-01-15T00:00Z")
    key, header = new_key({other: ["*"] for other in Scope if other != scope})

    response = ask(client, path, headers=header)

    assert (response.status_code, "WWW-Authenticate" in response.headers) == (403, False)
    assert response.json()["detail"] == f"This API key does not have the scope {scope}: use one that has."
    assert refusals() == [("scope not granted", key.pk, 1)]
    assert not Order.objects.exists()
    # A known client's refused request is kept, as any other refused one.
    assert list(OrderRequest.objects.values_list("actor", flat=True)) == [f"key:{key.pk}"] * (path in POSTS)


def test_rotating(client, new_key):
    session_row()
    key, first = new_key()

    _, second = register.rotate(key.pk, overlap=timedelta(minutes=5), actor="user:alice")
    assert [client.get("/executions", headers=each).status_code for each in (first, bearer(second))] == [200, 200]

    ApiKey.objects.filter(pk=key.pk).update(old_until=key.created_at)
    assert [client.get("/executions", headers=each).status_code for each in (first, bearer(second))] == [401, 200]

    _, third = register.rotate(key.pk, overlap=timedelta(0), actor="user:alice")
    statuses = [client.get("/executions", headers=each).status_code for each in (first, bearer(second), bearer(third))]
    assert statuses == [401, 401, 200]


def test_revoking_ends_the_old_secret_too(client, new_key):
    key, first = new_key()
    _, second = register.rotate(key.pk, overlap=timedelta(minutes=5), actor="user:alice")

    register.revoke(key.pk, actor="user:alice")

    assert [client.get("/executions", headers=each).status_code for each in (first, bearer(second))] == [401, 401]
    for change in (
        lambda: register.revoke(key.pk, actor="x"),
        lambda: register.rotate(key.pk, overlap=timedelta(0), actor="x"),
    ):
        with pytest.raises(register.NoSuchKey, match="was revoked"):
            change()


def test_each_change_is_in_the_site_chain_and_no_secret_is_anywhere(new_key):
    key, header = new_key({Scope.READ: ["DU1", "DU2"]}, name="reports", actor="user:alice")
    _, second = register.rotate(key.pk, overlap=timedelta(seconds=60), actor="user:bob")
    register.revoke(key.pk, actor="user:carol")

    changes = [(kind, actor, details["key"]) for kind, actor, details in site_chain()]
    assert changes == [
        ("api key created", "user:alice", key.pk),
        ("api key rotated", "user:bob", key.pk),
        ("api key revoked", "user:carol", key.pk),
    ]
    stored = str([*ApiKey.objects.values(), *ApiKeyGrant.objects.values(), *site_chain()])
    for secret in (header["Authorization"].rpartition("_")[2], second.secret):
        assert secret not in stored


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"grants": {}}, "grants"),
        ({"grants": {Scope.READ: []}}, "grants"),
        ({"grants": {Scope.READ: ["DU 1"]}}, "grants"),
        ({"grants": {Scope.READ: ["**"]}}, "grants"),
        ({"networks_allowed": ["10.0.0.1/8"]}, "networks"),
        ({"networks_allowed": ["here"]}, "networks"),
    ],
    ids=str,
)
def test_keys_that_make_no_sense(db, terms, field):
    values = {"name": "a", "grants": {Scope.READ: ["*"]}, "actor": "SYSTEM"} | terms

    with pytest.raises(register.InvalidKeyTerms) as refusal:
        register.create(**values)

    assert refusal.value.field == field
    assert not ApiKey.objects.exists()
    assert site_chain() == []


# --- Without keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "trusted", "status"),
    [
        ("127.0.0.1", False, 200),
        ("::1", False, 200),
        ("172.18.0.1", False, 403),
        ("172.18.0.1", True, 200),
        ("8.8.8.8", False, 403),
        ("8.8.8.8", True, 403),
    ],
)
def test_without_keys_only_neighbours_are_served(client, settings, address, trusted, status):
    session_row()
    settings.TRUST_NETWORK = trusted

    response = client.get("/executions", REMOTE_ADDR=address)
    placed = send(client, "/order/limit", {}, REMOTE_ADDR=address)

    assert response.status_code == status
    assert placed.status_code == (400 if status == 200 else 403)
    assert OrderRequest.objects.count() == (status == 200)


def test_without_keys_a_key_is_not_looked_at(client):
    session_row()

    assert client.get("/executions", headers={"Authorization": "Bearer nonsense"}).status_code == 200


# --- How often -----------------------------------------------------------------------------------------------------


def test_too_many_requests_from_an_address(client, settings):
    session_row()
    settings.THROTTLE_PER_ADDRESS, settings.THROTTLE_BURST_SECONDS, settings.WEB_WORKERS = 2, 2, 2

    answers = [send(client, "/order/limit", {}) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [400, 400, 429, 429, 429, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].json()["detail"] == "Too many requests from this address: try again in 1 s. Nothing was done."
    assert OrderRequest.objects.count() == 2
    assert refusals() == [("too many requests", "", 1)]
    assert client.get("/executions", REMOTE_ADDR="127.0.0.2").status_code == 200


def test_too_many_requests_with_a_key(client, new_key, settings):
    session_row()
    settings.THROTTLE_PER_KEY, settings.THROTTLE_BURST_SECONDS, settings.WEB_WORKERS = 1, 2, 1
    key, header = new_key()
    _, other = new_key()

    answers = [client.get("/executions", headers=header) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert refusals() == [("too many requests", key.pk, 1)]
    assert client.get("/executions", headers=other).status_code == 200


def test_a_flood_of_wrong_keys_does_not_reach_the_database(client, keys_mode, settings, django_assert_num_queries):
    settings.THROTTLE_PER_ADDRESS, settings.THROTTLE_BURST_SECONDS, settings.WEB_WORKERS = 1, 1, 1
    for _ in range(3):
        client.get("/executions", headers=bearer(credentials.new()))

    with django_assert_num_queries(0):
        assert client.get("/executions", headers=bearer(credentials.new())).status_code == 429
