"""The worker dies, stops or fails at each step of a placement; another one stands by."""

import signal
import threading
import time

from tests.faults import proxy as wire
from tests.faults.house import WORKERS, Run
from tests.faults.table import NOT_PLACED, PLACED, UNKNOWN, Fault, each, endure
from tests.walks.house import until


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


def cut_in_flight(run: Run) -> None:
    """An order whose acknowledgement is lost with its connection: recovery has something to find."""
    run.house.proxy.rules.append(wire.cut_instead(wire.TO_CLIENT, wire.OPEN_ORDER))


def dies_after_question(kind: str, nth: int = 1):
    """The owner dies inside the recovery that follows, once that question was answered."""
    armed = when(kind, "worker.asked", nth=nth)

    def arm(run: Run) -> None:
        def cut(_passed: wire.Frame):
            armed(run)
            return (wire.Cut(),)

        run.house.proxy.rules.append(wire.on(wire.TO_CLIENT, wire.OPEN_ORDER, times=1)(cut))

    return arm


def lock_lost(run: Run) -> None:
    run.house.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")


def while_busy(disturb, *, post=lambda run, _number: run.client.limit(), count: int = 40, after: int = 5):
    """Many orders at once, and something happens when the first of them are on record."""

    def load(run: Run) -> None:
        def disturb_when_busy() -> None:
            until(lambda: len(run.house.rows("SELECT id FROM orders_order WHERE id > %s", run.orders_from)) >= after)
            disturb(run)

        disturbing = threading.Thread(target=disturb_when_busy)
        disturbing.start()
        run.together(count, lambda number: post(run, number))
        disturbing.join()

    return load


FAULTS = [
    Fault(
        name="worker kill -9 before the claim",
        promise=1,
        happens="the standby claims and sends it",
        arm=at("worker.before_claim"),
        said={PLACED, NOT_PLACED, UNKNOWN},  # claimed in time, and confirmed after the answer was due
        ends={"NEW", "NOT_PLACED"},
    ),
    Fault(
        name="worker kill -9 while the claim's commit is unknown",
        promise=2,
        happens="the claim is rolled back; the standby claims and sends it once",
        arm=at("worker.claim_uncommitted"),
        said={PLACED, NOT_PLACED, UNKNOWN},
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
    ),
    *(
        Fault(
            name=f"worker kill -9 inside recovery, {question}",
            promise=1,
            happens="the standby recovers from the start and finds the order",
            arm=dies_after_question(kind, nth),
            said={PLACED, UNKNOWN},
            ends={"NEW"},
        )
        for question, kind, nth in (
            ("own open orders told", wire.OPEN_ORDER_END, 1),
            ("all open orders told", wire.OPEN_ORDER_END, 2),
            ("completed orders told", wire.COMPLETED_END, 1),
            ("executions told", wire.EXECUTION_END, 1),
            ("positions told", wire.POSITION_END, 1),
            ("account told", wire.ACCOUNT_END, 1),
        )
    ),
    Fault(
        name="two owners on one client id",
        promise=2,
        happens="the lock's connection ends under load; the broker refuses the second session, each order is sent once",
        load=while_busy(lock_lost),
        said={PLACED, UNKNOWN, NOT_PLACED},
        ends={"NEW", "NOT_PLACED"},
    ),
    Fault(
        name="worker SIGTERM under load",
        promise=1,
        happens="it finishes what it began; the standby sends the rest",
        load=while_busy(lambda run: run.house.owner().kill(signal.SIGTERM)),
        said={PLACED, UNKNOWN, NOT_PLACED},
        ends={"NEW", "NOT_PLACED"},
    ),
    Fault(
        name="worker kill -9 under load",
        promise=2,
        happens="the standby sends what was not claimed and asks about what was",
        load=while_busy(lambda run: run.house.owner().kill()),
        said={PLACED, UNKNOWN, NOT_PLACED},
        ends={"NEW", "NOT_PLACED"},
    ),
    Fault(
        name="both workers kill -9",
        promise=1,
        happens="what was not claimed is refused when its time is up",
        arm=lambda run: [run.house.parts[name].kill() for name in WORKERS],
        said={NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
]


@each(FAULTS)
def test_worker(fault, house):
    endure(fault, house)
