"""API keys on the running house, with two web processes and a gateway that serves two accounts."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
import requests

from tests.walks.house import OURS, ROOT, THEIRS, running

LIMIT = {"symbol": "AAPL", "action": "BUY", "quantity": 10, "limit_price": 20.0}
CLIENTS = 40
LEAST = 1000
AFTER_SECONDS = 2.0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    throttles = {"THROTTLE_PER_ADDRESS": "0", "THROTTLE_PER_KEY": "0"}
    with running(tmp_path_factory.mktemp("guarded"), API_AUTH="keys", IB_ACCOUNT="", **throttles) as house:
        yield house


def api_keys(house, *words):
    """What the command prints."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "REDIS_KEY_PREFIX")}
    environment = {**inherited, "ENV_FILE": "", "DATA_DIR": str(house.directory)}
    argv = [sys.executable, "manage.py", "api_keys", *words]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def key_for(house, *accounts):
    granted = [word for scope in ("read", "trade", "cancel") for word in (f"--{scope}", *accounts)]
    return api_keys(house, "create", "--name", "walk", *granted)


class Client:
    """Over HTTP, with one key."""

    def __init__(self, house, key):
        self.base = house.base
        self.headers = {"Authorization": f"Bearer {key}"}

    def get(self, path):
        return requests.get(self.base + path, headers=self.headers, timeout=30)

    def post(self, path, body, **headers):
        return requests.post(self.base + path, json=body, headers=self.headers | headers, timeout=30)


def test_two_keys_trade_in_two_accounts_and_do_not_meet(guarded):
    ours, theirs = (Client(guarded, key_for(guarded, account)) for account in (OURS, THEIRS))

    placed = {client: client.post("/order/limit", LIMIT, **{"Idempotency-Key": "same"}) for client in (ours, theirs)}

    assert {answer.status_code for answer in placed.values()} == {200}, [a.text for a in placed.values()]
    mine, yours = (placed[client].json()["permId"] for client in (ours, theirs))
    assert mine != yours
    accounts = dict(guarded.rows("SELECT perm_id, account_id FROM orders_order WHERE perm_id IS NOT NULL"))
    assert (accounts[mine], accounts[yours]) == (OURS, THEIRS)
    ledger = [row for row in guarded.gateway.ledger() if row.get("account") in (OURS, THEIRS)]
    assert {row["account"] for row in ledger} == {OURS, THEIRS}
    for client, own in ((ours, mine), (theirs, yours)):
        assert [row["permId"] for row in client.get("/orders").json()["orders"]] == [own]
        assert client.get("/account").json()["balance"] > 0
        assert [row["perm_id"] for row in client.get("/api/v1/orders").json()["results"]] == [own]

    assert theirs.post("/order/cancel", {"perm_id": mine}).status_code == 404
    assert guarded.status(mine) == "NEW"
    assert ours.post("/order/cancel", {"perm_id": mine}).status_code == 200
    assert theirs.post("/order/cancel", {"perm_id": yours}).status_code == 200
    actors = guarded.rows(
        "SELECT DISTINCT e.actor FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id"
        " WHERE o.perm_id = %s AND e.kind IN ('RECEIVED', 'CANCEL_REQUESTED')",
        mine,
    )
    ((actor,),) = actors
    assert actor == f"key:{ours.headers['Authorization'].split('_')[1]}"
    assert guarded.rows("SELECT count(DISTINCT key_id) FROM accounts_apikeyuse WHERE address = '127.0.0.1'") >= [(2,)]


def test_without_a_key_only_health_answers(guarded):
    statuses = {path: guarded.get(path).status_code for path in ("/account", "/orders", "/executions", "/health/ready")}

    assert statuses == {"/account": 401, "/orders": 401, "/executions": 401, "/health/ready": 200}
    assert guarded.post("/order/limit", LIMIT).status_code == 401


@pytest.mark.parametrize("head", [b"GET /executions HTTP/1.0\r\n\r\n", b"GET /executions HTTP/1.1\r\n\r\n"])
def test_a_request_that_names_no_host(guarded, head):
    connection = HTTPConnection("127.0.0.1", guarded.port, timeout=10)
    connection.connect()
    connection.sock.sendall(head)
    with connection.sock.makefile("rb") as stream:
        status = stream.readline().split()[1]
    connection.close()

    assert status == b"400"


def test_nobody_gets_in_a_second_after_the_key_was_revoked(guarded):
    key = key_for(guarded, OURS)
    key_id = key.split("_")[1]
    heard, over = [], threading.Event()

    def hammer(number):
        headers = {"Authorization": f"Bearer {key}"}
        with requests.Session() as http:
            while not over.is_set():
                began = time.time()
                if number % 2:
                    answer = http.post(
                        guarded.base + "/order/cancel", json={"perm_id": 424242}, headers=headers, timeout=60
                    )
                else:
                    answer = http.get(guarded.base + "/executions", headers=headers, timeout=60)
                heard.append((began, answer.status_code))

    with ThreadPoolExecutor(CLIENTS) as pool:
        running_clients = [pool.submit(hammer, number) for number in range(CLIENTS)]
        try:
            while len(heard) < LEAST // 2:
                time.sleep(0.01)
                assert not any(client.done() for client in running_clients)
            api_keys(guarded, "revoke", key_id)
            ended = time.time() + AFTER_SECONDS
            while time.time() < ended or len(heard) < LEAST:
                time.sleep(0.01)
        finally:
            over.set()
    for client in running_clients:
        client.result()

    ((revoked,),) = guarded.rows(
        "SELECT extract(epoch FROM revoked_at)::float FROM accounts_apikey WHERE id = %s", key_id
    )
    late = [status for began, status in heard if began > revoked + 1]
    assert len(heard) >= LEAST
    # One that began before may have waited for its turn until after.
    assert {status for began, status in heard if began < revoked} - {401} == {200, 404}
    assert set(late) == {401}
    ((kept_late,),) = guarded.rows(
        "SELECT count(*) FROM orders_orderrequest r JOIN accounts_apikey k ON r.actor = 'key:' || k.id"
        " WHERE k.id = %s AND r.received_at > k.revoked_at + interval '1 second'",
        key_id,
    )
    assert kept_late == 0
    ((refused,),) = guarded.rows(
        "SELECT count(*) FROM audit_entry WHERE kind = 'api use refused' AND body LIKE %s", f"%{key_id}%"
    )
    assert 1 <= refused <= 4  # a first one of each process, not one for each request
