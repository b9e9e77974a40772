"""The worker dies, stops or fails at each step of a placement; another one stands by."""

import time

from tests.faults import proxy as wire
from tests.faults.house import Run
from tests.faults.table import NOT_PLACED, PLACED, UNKNOWN, Fault, each, endure


def at(point: str, instruction: str = "kill"):
    return lambda run: run.arm(point, instruction)


def when(kind: str, point: str, instruction: str = "kill", *, nth: int = 1):
    """Arm the point as the nth such message of the gateway passes."""

    def arm(run: Run) -> None:
        seen = [0]

        def passing(passed: wire.Frame):
            seen[0] += 1
            if seen[0] == nth:
                run.arm(point, instruction)
            return (passed.data,)

        run.house.proxy.rules.append(wire.on(wire.TO_CLIENT, kind)(passing))

    return arm


def sigstop_past_validity(run: Run) -> None:
    run.client.limit()
    time.sleep(4)


FAULTS = [
    Fault(
        name="worker kill -9 before the claim",
        promise=1,
        happens="the standby claims and sends it",
        arm=at("worker.before_claim"),
        said={PLACED, NOT_PLACED},
        ends={"NEW", "NOT_PLACED"},
    ),
    Fault(
        name="worker kill -9 while the claim's commit is unknown",
        promise=2,
        happens="the claim is rolled back; the standby claims and sends it once",
        arm=at("worker.claim_uncommitted"),
        said={PLACED, NOT_PLACED},
        ends={"NEW", "NOT_PLACED"},
    ),
    Fault(
        name="worker kill -9 after the claim, before the write",
        promise=3,
        happens="in doubt, and not placed once the broker was asked on a later connection",
        arm=at("worker.claimed"),
        said={UNKNOWN, NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
    Fault(
        name="worker kill -9 after the write",
        promise=2,
        happens="the standby finds it at the broker by its stamp",
        arm=at("worker.written"),
        said={PLACED, UNKNOWN},
        ends={"NEW"},
    ),
    Fault(
        name="worker kill -9 as the acknowledgement comes",
        promise=1,
        happens="the standby finds it at the broker by its stamp",
        arm=when(wire.OPEN_ORDER, "worker.report"),
        said={PLACED, UNKNOWN},
        ends={"NEW"},
    ),
    Fault(
        name="exception while the acknowledgement is applied",
        promise=1,
        happens="the broker is asked again",
        arm=when(wire.OPEN_ORDER, "worker.report", "raise"),
        said={PLACED, UNKNOWN},
        ends={"NEW"},
    ),
    Fault(
        name="worker SIGSTOP after the claim, longer than the order is valid",
        promise=3,
        happens="nothing is sent any more",
        arm=at("worker.claimed", "stop"),
        load=sigstop_past_validity,
        said={UNKNOWN},
        ends={"NOT_PLACED"},
        finding="001: the write does not look at the validity again",
    ),
]


@each(FAULTS)
def test_worker(fault, house):
    endure(fault, house)
