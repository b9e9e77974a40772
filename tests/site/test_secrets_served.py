"""A web process with marked secrets: no mark in its log, its answers or the record; and no client writes its log."""

import json
import os
import re
import secrets
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection

from audit.models import Entry
from orders.models import Order, OrderEvent, OrderRequest
from tests.site.test_secrets import KEY, MARK, REDIS, ROOT
from tests.walks.house import free_port, until

PASSWORD = f"{MARK}role9pw"
CONSOLE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ paper [a-z][\w.]*: |    \| ")
FORGED = "2026-01-01 00:00:00.000Z CRITICAL orders.dispatch: forged"
HOSTILE = {
    "line feed": f"a\n{FORGED}",
    "carriage return": f"a\r{FORGED}",
    "line separator": f"a\u2028{FORGED}",
    "escape": f"a\x1b[2K\x1b[1A{FORGED}",
    "turned around": "a\u202eforged",
}


class Web:
    """A web process, what it answers and what it writes."""

    def __init__(self, log):
        self.port, self.log, self.said = free_port(), log, []

    def ask(self, method, path, **more):
        answer = requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=60, **more)
        self.said.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    def written(self):
        return self.log.read_text()


@contextmanager
def serving(tmp_path, database, **variables):
    web = Web(tmp_path / "web.log")
    environment = {
        "PATH": os.environ["PATH"], "ENV_FILE": "", "DATA_DIR": str(tmp_path), "SECRET_KEY": KEY, "TZ": "UTC",
        "DATABASE_URL": database, "REDIS_URL": f"redis://:{REDIS}@127.0.0.1:1/0", "PORT": str(web.port),
        "LOG_LEVEL": "DEBUG", "PLACEMENT_WAIT_SECONDS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "error"]
    command += ["--host", "127.0.0.1", "--port", str(web.port), "--workers", "1", "ibkr_site.wsgi:application"]
    with web.log.open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment | variables, stdout=log, stderr=log)
    try:
        until(lambda: _answers(web), seconds=90, why="the web process does not answer")
        yield web
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(web):
    try:
        return requests.get(f"http://127.0.0.1:{web.port}/health/live", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture
def database(transactional_db):
    """The test's database, through a role whose password carries the mark."""
    role = f"marked_{secrets.token_hex(4)}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    server = urlsplit(os.environ["DATABASE_URL"])
    yield f"postgres://{role}:{PASSWORD}@{server.hostname}:{server.port}/{connection.settings_dict['NAME']}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
        cursor.execute(f"DROP ROLE {role}")


@contextmanager
def table_away(name):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO {name}_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {name}_away RENAME TO {name}")


def order(**changes):
    return {"symbol": "AAPL", "action": "BUY", "quantity": 1, "limit_price": 10, "order_ref": "note"} | changes


def record():
    """All that the record holds of orders, and the chains, as text."""
    return str([list(model.objects.values()) for model in (OrderRequest, Order, OrderEvent, Entry)])


def test_a_database_that_is_not_there_tells_nobody_a_secret(tmp_path):
    with serving(tmp_path, f"postgres://ibkr_app:{PASSWORD}@127.0.0.1:1/ibkr") as web:
        answers = [web.ask("GET", path).status_code for path in ("/orders", "/health/ready")]
        answers.append(web.ask("POST", "/order/limit", json=order()).status_code)

    assert all(status >= 500 for status in answers)
    assert MARK not in web.written() + str(web.said)


def test_requests_that_fail_leave_no_secret_anywhere(tmp_path, database):
    with serving(tmp_path, database) as web:
        key = {"Authorization": f"Bearer ibk_{MARK}", "Cookie": f"sessionid={MARK}cookie"}
        placed = web.ask("POST", "/order/limit", json=order(), headers=key)
        web.ask("GET", "/account", headers=key)
        web.ask("POST", "/admin/login/", data={"username": "root", "password": f"{MARK}typed"})
        web.ask("GET", f"/executions?symbol={'A' * 50}")
        with table_away("orders_orderrequest"):
            failed = web.ask("POST", "/order/limit", json=order(), headers=key)

    assert placed.status_code == 500
    assert OrderRequest.objects.count() == 1
    assert failed.status_code == 500
    assert "Traceback" in web.written()  # it did fail, and says of what
    assert MARK not in web.written() + str(web.said) + record()


@pytest.mark.parametrize("look", ["console", "json"])
def test_an_order_of_a_hostile_client_writes_no_line_of_its_own(tmp_path, database, look):
    with serving(tmp_path, database, LOG_FORMAT=look) as web:
        for text in HOSTILE.values():
            for body in (order(order_ref=text), order(symbol=text), {text: 1}):
                assert web.ask("POST", "/order/limit", json=body).status_code in (400, 500)
            web.ask("GET", "/executions", params={"symbol": text})
            web.ask("GET", "/orders", headers={"X-Request-Id": "a\x1b[2K\t" + FORGED})

    lines = web.written().split("\n")[:-1]
    assert any("/order/limit" in line for line in lines)
    for line in lines:
        assert line.isprintable()
        if look == "json":
            assert json.loads(line)["logger"] != "orders.dispatch"
        else:
            assert CONSOLE.match(line)
            assert not line.startswith(FORGED)
