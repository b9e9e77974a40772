"""The web process dies or stops at each step of a request, and clients do what clients do."""

import time

from tests.faults.client import Exchange
from tests.faults.house import Run
from tests.faults.table import NO_ORDER, NOT_PLACED, PLACED, REFUSED, SILENCE, UNKNOWN, Fault, each, endure
from tests.faults.test_worker import at


def one_key_at_once(run: Run) -> None:
    body = {"symbol": "AAPL", "action": "BUY", "quantity": 1, "limit_price": 200.0, "order_ref": "once"}
    run.together(20, lambda _: run.client.post(Exchange("/order/limit", dict(body), run.key("once"), 1)))


def same_key_other_body(run: Run) -> None:
    run.client.limit(key=run.key("k"), order_ref="first")
    run.client.limit(key=run.key("k"), order_ref="second")


def asked_again_with_its_key(run: Run) -> None:
    """The client asks again until it is told: 409 says that the first request may still be running."""
    body = {"symbol": "AAPL", "action": "BUY", "quantity": 1, "limit_price": 200.0, "order_ref": "again"}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answered = run.client.post(Exchange("/order/limit", dict(body), run.key("again"), 1))
        if answered.said in (PLACED, NOT_PLACED):
            return
        time.sleep(1)


def once_and_placed(run: Run, found) -> None:
    assert len(found.at_broker) == 1
    assert any(exchange.said == PLACED for exchange in run.client.exchanges)


def impatient(run: Run) -> None:
    run.client.limit(patience=0.3)
    time.sleep(1)


FAULTS = [
    Fault(
        name="web kill -9 before the insert",
        promise=1,
        happens="no answer and no trace: a client that retries places its first order",
        arm=at("web.before_insert"),
        said={SILENCE},
        ends=set(),
    ),
    Fault(
        name="web kill -9 in the transaction",
        promise=1,
        happens="rolled back: no answer and no order",
        arm=at("web.in_transaction"),
        said={SILENCE},
        ends=set(),
    ),
    Fault(
        name="web kill -9 after the commit, before the bell",
        promise=1,
        happens="the worker's sweep finds the order and places it",
        arm=at("web.committed"),
        said={SILENCE},
        ends={"NEW"},
    ),
    Fault(
        name="web kill -9 after the acknowledgement, before the answer",
        promise=2,
        happens="placed; asked again with its key, the answer says so",
        arm=at("web.acknowledged"),
        load=asked_again_with_its_key,
        said={SILENCE, REFUSED, PLACED},
        ends={"NEW"},
        then=once_and_placed,
    ),
    Fault(
        name="client gone while waiting",
        promise=1,
        happens="the order is placed and on record",
        arm=at("worker.before_claim", "sleep 0.8"),
        load=impatient,
        said={SILENCE},
        ends={"NEW"},
    ),
    Fault(
        name="one key twenty times at once",
        promise=2,
        happens="one order; the others are told to wait, or get its answer",
        load=one_key_at_once,
        said={PLACED, REFUSED},
        ends={"NEW"},
        then=once_and_placed,
    ),
    Fault(
        name="same key with another body",
        promise=2,
        happens="the second is refused",
        load=same_key_other_body,
        said={PLACED, REFUSED},
        ends={"NEW"},
        then=once_and_placed,
    ),
    Fault(
        name="web SIGSTOP while a request is served",
        promise=1,
        happens="the worker's sweep places the order; the answer comes when the process goes on",
        arm=at("web.committed", "stop"),
        load=lambda run: run.client.limit(patience=8),
        said={SILENCE, PLACED, UNKNOWN},
        ends={"NEW"},
    ),
    Fault(
        name="web SIGSTOP of all its processes",
        promise=1,
        happens="whoever asks waits in vain; what is served late is placed once, or refused",
        arm=lambda run: run.house.parts["web"].freeze(),
        load=lambda run: run.client.limit(patience=8),
        said={SILENCE},
        ends={"NEW", "NOT_PLACED", NO_ORDER},  # who asked has hung up: it may not be served at all
    ),
]


@each(FAULTS)
def test_web(fault, house):
    endure(fault, house)
