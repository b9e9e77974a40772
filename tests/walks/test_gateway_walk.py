"""A gateway that is down, one that comes back, and processes that die."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.walks.house import Gateway, House, running, until

LIMIT = {"symbol": "AAPL", "action": "BUY", "quantity": 10, "limit_price": 200.0, "order_ref": "my_trade_001"}
AWAY = {"detail": "Failed to connect to IB Gateway"}


@pytest.fixture(scope="module")
def lonely_house(tmp_path_factory):
    with running(tmp_path_factory.mktemp("own")) as house:
        yield house


@pytest.fixture
def own_house(lonely_house):
    """A house of this module's own, ready, whatever the test before did to its processes."""
    if lonely_house.gateway.process is None:
        lonely_house.gateway.start()
    lonely_house.wait_ready()
    return lonely_house


def test_gateway_goes_and_comes_back(own_house):
    house = own_house
    before = placements(house)
    resting = house.post("/order/limit", LIMIT).json()["permId"]
    filled = house.post("/order/market", {"symbol": "MSFT", "action": "BUY", "quantity": 1}).json()["permId"]
    until(lambda: house.status(filled) == "FILLED")

    house.gateway.stop(signal.SIGKILL)
    until(lambda: "nothing listens" in house.get("/health/ready").text, why="no word on the missing gateway")

    assert house.get("/health/ready").status_code == 503
    for path in ("/account", "/positions", "/orders"):
        answer = house.get(path)
        assert (answer.status_code, answer.json()) == (500, AWAY)
    answer = house.get("/executions")
    assert answer.status_code == 200
    assert answer.headers["X-Session-State"] != "READY"
    assert "MSFT" in [row["symbol"] for row in answer.json()["executions"]]
    for path, body in (("/order/limit", LIMIT), ("/order/cancel", {"perm_id": resting})):
        answer = house.post(path, body)
        assert (answer.status_code, answer.json()) == (500, AWAY)

    house.gateway.start()
    house.wait_ready()

    # What was refused was not sent, and is not sent now; what rested still rests.
    assert [row["permId"] for row in house.get("/orders").json()["orders"]] == [resting]
    assert house.post("/order/cancel", {"perm_id": resting}).status_code == 200
    assert placements(house) == before + 2


def test_worker_dies_and_orders_go_on(own_house):
    house = own_house
    (worker,) = processes_of(house, "celery", "worker")

    ((epoch,),) = house.rows("SELECT epoch FROM accounts_gatewaysession")

    worker.send_signal(signal.SIGKILL)
    until(lambda: house.rows("SELECT epoch FROM accounts_gatewaysession") == [(epoch + 1,)], seconds=30)
    house.wait_ready()

    answer = house.post("/order/limit", LIMIT)
    assert answer.status_code == 200, answer.text
    assert house.post("/order/cancel", {"perm_id": answer.json()["permId"]}).status_code == 200


def test_a_second_worker_stands_by(own_house, tmp_path):
    house = own_house
    environment = os.environ | {
        "ENV_FILE": "",
        "DATA_DIR": str(house.directory),
        "DATABASE_URL": (house.directory / "database_url").read_text().strip(),
        "REDIS_URL": (house.directory / "redis_url").read_text().strip(),
        "IB_PORT": str(house.gateway.port),
    }
    with (tmp_path / "standby.log").open("w+") as log:
        standby = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "ibkr_site", "worker"], env=environment, stdout=log, stderr=log
        )
        try:
            until(lambda: "standing by" in (tmp_path / "standby.log").read_text(), seconds=20)
            answer = house.post("/order/limit", LIMIT)
            assert answer.status_code == 200, answer.text
            house.post("/order/cancel", {"perm_id": answer.json()["permId"]})
        finally:
            standby.terminate()
            standby.wait(timeout=20)
    sessions = [line for line in house.gateway.ledger() if line["kind"] == "session_open"]
    assert {line["clientId"] for line in sessions} == {17}


def test_nothing_is_left_behind(tmp_path):
    gateway = Gateway(tmp_path / "gateway")
    gateway.start()
    house = House(tmp_path, gateway)
    house.start()
    house.wait_ready()
    pids = [process.pid for process in processes_of(house)]
    assert len(pids) >= 5

    house.stop()
    gateway.stop()

    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def placements(house):
    return len([line for line in house.gateway.ledger() if line["kind"] == "placement"])


def processes_of(house, *words):
    """The processes of the stack whose command line holds all the words; masters before their children."""
    below = psutil.Process(house.process.pid).children(recursive=True)
    found = [process for process in below if all(word in " ".join(process.cmdline()) for word in words)]
    return [process for process in found if process.parent() not in found]
