"""The halt against the whole house: fifty orders waiting, a claim in flight, and a database that is gone."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
import requests

from tests.walks.house import running, until

QUEUED = ("AAPL", "AMZN", "GOOGL", "INTC", "TSLA") * 10  # no more than IB takes of one contract


@pytest.fixture(scope="module")
def halted_house(tmp_path_factory):
    """A house of its own, whose worker can be made to sleep."""
    points = tmp_path_factory.mktemp("points")
    environment = {
        "KILL_POINTS": str(points),
        "WEB_THREADS": "64",  # the two processes may share them out unevenly
        "PLACEMENT_WAIT_SECONDS": "20",
        "ORDER_VALID_SECONDS": "30",
    }
    with running(tmp_path_factory.mktemp("halted"), **environment) as house:
        house.points = points
        yield house


@pytest.fixture
def house(halted_house):
    for scope, value in halted_house.rows(
        "SELECT scope, value FROM accounts_halt h"
        " WHERE NOT EXISTS (SELECT 1 FROM accounts_resumption r WHERE r.halt_id = h.id)"
    ):
        raise AssertionError(f"{scope} {value} is still halted")
    halted_house.wait_ready()
    return halted_house


def arm(house, name, instruction):
    draft = house.points / f".{name}"
    draft.write_text(instruction)
    draft.rename(house.points / name)


def limit(house, symbol="AAPL"):
    body = {"symbol": symbol, "action": "BUY", "quantity": 1, "limit_price": 1}
    return requests.post(f"{house.base}/order/limit", json=body, timeout=40)


def placements(house):
    return [line for line in house.gateway.ledger() if line["kind"] == "placement"]


def press(house, **given):
    answer = house.post("/api/v1/halts", {"scope": "ALL", "reason": "a walk", **given})
    assert answer.status_code == 201
    return answer.json()


def resume(house):
    ((pk,),) = house.rows("SELECT max(id) FROM accounts_halt")
    page = house.http.get(f"{house.base}/health/ready", timeout=30).json()
    assert [each["scope"] for each in page["halts"]] == ["ALL"]
    house.manage("resume", "--all", "--reason", "the walk goes on")
    assert house.rows("SELECT halt_id FROM accounts_resumption WHERE halt_id = %s", pk)


def statuses(house, *symbols):
    question = "SELECT status, count(*) FROM orders_order WHERE symbol = ANY(%s) GROUP BY 1"
    return dict(house.rows(question, list(symbols)))


def test_pressed_with_fifty_queued_none_is_sent(house):
    assert limit(house, "MSFT").status_code == 200  # the contract is known, the worker works
    before = len(placements(house))
    arm(house, "worker.before_claim", "sleep 10")
    with ThreadPoolExecutor(len(QUEUED)) as clients:
        answers = [clients.submit(limit, house, symbol) for symbol in QUEUED]
        until(lambda: statuses(house, *QUEUED) == {"RECEIVED": len(QUEUED)}, why="they are not all waiting")
        halt = press(house)
        told = [answer.result() for answer in answers]

    assert {answer.status_code for answer in told} == {500}
    assert all("trading is halted (everything): a walk" in answer.json()["detail"] for answer in told)
    assert statuses(house, *QUEUED) == {"NOT_PLACED": len(QUEUED)}
    assert len(placements(house)) == before
    # And promptly: withdrawn as soon as anybody looks, long before they would have lost their validity.
    ((last,),) = house.rows(
        "SELECT max(recorded_at) FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id"
        " WHERE o.symbol = ANY(%s) AND e.kind = 'NOT_PLACED'",
        list(QUEUED),
    )
    assert (last - datetime.fromisoformat(halt["halted_at"])).total_seconds() < 5
    assert limit(house).status_code == 403
    resume(house)
    assert limit(house).status_code == 200


def test_a_claim_in_flight_is_not_sent_a_second_later(house):
    before = len(placements(house))
    arm(house, "worker.claimed", "sleep 2.5")
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(limit, house, "NVDA")
        until(lambda: statuses(house, "NVDA").get("PENDING_NEW"))
        press(house)
        told = answer.result()

    assert told.status_code == 500
    assert "trading is halted" in told.json()["detail"]
    assert statuses(house, "NVDA") == {"NOT_PLACED": 1}
    assert len(placements(house)) == before
    resume(house)


def test_what_works_is_cancelled_with_the_halt(house):
    perm_id = limit(house, "AMD").json()["permId"]

    press(house, cancel=True)

    until(lambda: house.status(perm_id) == "CANCELED", why=house.log_tail())
    ((problem,),) = house.rows(
        "SELECT problem FROM accounts_haltedorder h JOIN orders_order o ON o.id = h.order WHERE o.perm_id = %s", perm_id
    )
    assert problem == ""
    resume(house)


def test_the_file_works_while_the_database_is_gone(house):
    before = len(placements(house))
    file = house.directory / "HALT"
    arm(house, "worker.claimed", "sleep 4")
    answers = []
    client = threading.Thread(target=lambda: answers.append(limit(house, "META")))
    client.start()
    until(lambda: statuses(house, "META").get("PENDING_NEW"))
    ((postmaster,),) = house.rows("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int")
    os.kill(postmaster, signal.SIGQUIT)  # at once; the house starts another one
    file.write_text("the database is on fire\n")
    client.join()

    try:
        closed = {"NOT_PLACED": 1}
        until(lambda: _answered(house) and statuses(house, "META") == closed, seconds=60, why=house.log_tail())
        assert len(placements(house)) == before
        assert answers[0].status_code != 200
        reasons = house.get("/health/ready").json()["reasons"]
        assert any("the database is on fire" in reason for reason in reasons)
        refused = limit(house, "META")
        assert (refused.status_code, "on fire" in refused.json()["detail"]) == (403, True)
        assert len(placements(house)) == before
    finally:
        file.unlink()
    house.wait_ready()
    assert limit(house, "META").status_code == 200


def _answered(house):
    return house.get("/health/ready").json()["database"] == "ok"
