"""Limits over the whole stack: set by command, looked at in the claim, and nothing of what they refuse on the wire."""

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.walks.house import ROOT, Gateway, House, until
from tests.walks.test_gateway_walk import processes_of

LIMIT = {"symbol": "IBM", "action": "BUY", "quantity": 10, "limit_price": 50.0, "order_ref": "limits"}


def set_limits(house, *options):
    """With the command, as a person does."""
    environment = {
        **os.environ,
        **house.environment,
        "ENV_FILE": "",
        "DATA_DIR": str(house.directory),
        "IB_PORT": str(house.gateway.port),
        "DATABASE_URL": (house.directory / "database_url").read_text().strip(),
    }
    argv = [sys.executable, "manage.py", "limits", "set", *options, "--reason", "for this walk"]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def limits(house):
    """Sets limits, and takes them away again."""
    yield lambda *options: set_limits(house, *options)
    set_limits(house, "--position", "none", "--order-quantity", "none")


@pytest.fixture
def live_house(tmp_path):
    """A house that takes the paper gateway for a live one, because it serves an account that is called like one."""
    gateway = Gateway(tmp_path / "gateway")
    gateway.options = ["--accounts", LIVE_ACCOUNT]
    house = House(tmp_path, gateway, TRADING_MODE="live", IB_ACCOUNT=LIVE_ACCOUNT)
    try:
        gateway.start()
        house.start()
        house.wait_ready()
        yield house
    finally:
        house.stop()
        gateway.stop()


LIVE_ACCOUNT = "U1000001"


def test_real_money_waits_for_a_person_to_set_limits(live_house):
    house = live_house

    refused = house.post("/order/limit", LIMIT)

    assert refused.status_code == 403
    assert refused.json()["detail"].startswith(
        "Failed to place limit order: live trading begins with limits of zero, and nobody has set any for U1000001"
    )
    assert refused.headers["X-Trading-Mode"] == "live"
    assert placed(house) == []

    most = {"order-value": 1000, "order-quantity": 1000, "position": 1000, "working-orders": 9}
    most |= {f"orders-per-{span}": 9 for span in ("second", "minute", "day")} | {"daily-loss": "none"}
    set_limits(house, LIVE_ACCOUNT, *(f"--{name}={value}" for name, value in most.items()))

    assert house.post("/order/limit", LIMIT).status_code == 200
    assert house.post("/order/limit", LIMIT | {"quantity": 21}).status_code == 403
    assert len(placed(house)) == 1
    assert " INFO live ibkr_site.request_context: " in (house.directory / "house.log").read_text()


def test_twenty_at_once_stop_at_the_limit(house, limits):
    limits("--position", "50")
    before, others = len(placed(house)), Counter(histories(house, "limits"))

    def ask(_):
        return requests.post(f"{house.base}/order/limit", json=LIMIT, timeout=30)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))

    assert Counter(answer.status_code for answer in answers) == {200: 5, 403: 15}
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert "IBM could come to 60 long; 50 is allowed (limits of all accounts, version" in refused.json()["detail"]
    assert {answer.headers["X-Trading-Mode"] for answer in answers} == {"paper"}
    assert len(placed(house)) == before + 5
    ends = Counter(histories(house, "limits")) - others
    assert ends["RECEIVED SENT ACCEPTED"] == 5
    assert ends["RECEIVED DENIED"] + ends["DENIED"] == 15


def test_an_order_that_waits_is_held_against_the_limits_of_now(house, limits):
    before = len(placed(house))
    workers = processes_of(house, "celery", "worker")
    assert workers
    for worker in workers:
        worker.suspend()
    try:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(house.post, "/order/limit", LIMIT | {"order_ref": "waits"})
            until(lambda: histories(house, "waits") == ["RECEIVED"])
            # Not by the command, which takes its time to start: the order waits for some seconds only.
            house.rows(LOWERED)
            for worker in workers:
                worker.resume()
            answer = asked.result()
    finally:
        for worker in workers:
            worker.resume()

    assert answer.status_code == 403
    assert "a quantity of 10 is above the limit of 9" in answer.json()["detail"]
    assert answer.headers["X-Order-State"] == "DENIED"
    assert histories(house, "waits") == ["RECEIVED DENIED"]
    assert len(placed(house)) == before


LOWERED = """
INSERT INTO accounts_limitversion
    (account, version, set_at, set_by, reason, order_quantity, short_selling, refuse_unknown)
SELECT '', coalesce(max(version), 0) + 1, clock_timestamp(), 'walk', 'for this walk', 9, true, false
FROM accounts_limitversion WHERE account = '' RETURNING version
"""


def test_a_bracket_over_a_limit_never_reaches_the_gateway(house, limits):
    limits("--order-quantity", "9")
    before = len(placed(house))

    answer = house.post("/order/bracket", BRACKET)

    assert answer.status_code == 403
    assert answer.headers["X-Order-State"] == "DENIED,DENIED,DENIED"
    assert len(placed(house)) == before


BRACKET = {
    "symbol": "IBM",
    "action": "BUY",
    "quantity": 10,
    "entry_price": 50.0,
    "stop_loss": 40.0,
    "take_profit": 60.0,
    "order_ref": "limits",
}


def placed(house):
    return [entry for entry in house.gateway.ledger() if entry["kind"] == "placement"]


def histories(house, order_ref):
    rows = house.rows(
        "SELECT string_agg(e.kind, ' ' ORDER BY e.sequence) FROM orders_orderevent e "
        "JOIN orders_order o ON o.id = e.order_id WHERE o.order_ref = %s GROUP BY o.id",
        order_ref,
    )
    return [history for (history,) in rows]
