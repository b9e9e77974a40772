"""Trading is halted while orders wait, are claimed, or come; a second later nothing is sent any more."""

import requests

from tests.faults.house import Run
from tests.faults.table import NOT_PLACED, PLACED, REFUSED, UNKNOWN, Fault, each, endure
from tests.faults.test_worker import while_busy
from tests.walks.house import until

QUEUED = 50


def press(run: Run, scope: str = "ALL", value: str = "") -> None:
    wanted = {"scope": scope, "value": value, "reason": "a fault is tried"}
    answer = requests.post(f"{run.house.base}/api/v1/halts", json=wanted, timeout=30)
    assert answer.status_code == 201, answer.text


def statuses(run: Run) -> list[str]:
    return [row["status"] for row in run.house.rows("SELECT status FROM orders_order WHERE id > %s", run.orders_from)]


def with_many_waiting(run: Run) -> None:
    """The owner sleeps before it claims the first of them."""
    run.arm("worker.before_claim", "sleep 3")
    run.meanwhile(lambda: (until(lambda: statuses(run).count("RECEIVED") >= QUEUED, seconds=30), press(run)))
    run.together(QUEUED, lambda _: run.client.limit(patience=30))


def with_a_claim_in_flight(run: Run) -> None:
    """The owner sleeps between the claim and the write."""
    run.arm("worker.claimed", "sleep 2.5")
    run.meanwhile(lambda: (until(lambda: "PENDING_NEW" in statuses(run)), press(run)))
    run.client.limit()


def then_the_owner_dies(run: Run) -> None:
    press(run)
    run.house.owner().kill()


def one_symbol(run: Run) -> None:
    press(run, "SYMBOL", "AAPL")
    run.client.limit(symbol="AAPL")
    run.client.limit(symbol="MSFT")


FAULTS = [
    Fault(
        name=f"halt pressed with {QUEUED} queued",
        promise=5,
        happens="all are withdrawn; who waits is told that trading is halted",
        load=with_many_waiting,
        said={NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
    Fault(
        name="halt pressed between the claim and the write",
        promise=5,
        happens="the halts are looked at once more before the write: not placed",
        load=with_a_claim_in_flight,
        said={NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
    Fault(
        name="halt pressed under load, and the owner dies",
        promise=5,
        happens="what was sent before is found; the standby sends nothing more",
        load=while_busy(then_the_owner_dies),
        said={PLACED, UNKNOWN, NOT_PLACED, REFUSED},
        ends={"NEW", "NOT_PLACED", "DENIED"},
    ),
    Fault(
        name="halt of one symbol, Redis away",
        promise=5,
        happens="its orders are refused, those of others placed",
        arm=lambda run: run.house.parts["redis"].kill(),
        load=one_symbol,
        said={PLACED, REFUSED},
        ends={"NEW", "DENIED"},
    ),
]


@each(FAULTS)
def test_halt(fault, house):
    endure(fault, house)
