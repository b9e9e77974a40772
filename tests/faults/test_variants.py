"""The checker can fail: the protocol with one rule taken out is found out, and with all its rules it is not.

Each variant is put to a fault that the rule is there for. The same fault, with a sound worker, must pass.
"""

import sys
import threading
import time

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.faults import proxy as wire
from tests.faults.broken_worker import VARIANTS
from tests.faults.checker import Broken, check
from tests.faults.house import SOUND_WORKER, Run, running
from tests.faults.test_halt import press, statuses
from tests.walks.house import until

HIDDEN = (wire.OPEN_ORDER, wire.ORDER_STATUS, wire.COMPLETED_ORDER)


def killed_after_the_write(run: Run) -> None:
    run.house.arm("worker.written", "kill")
    run.client.limit()


def acknowledged_late(run: Run) -> None:
    """The acknowledgement takes two seconds."""
    run.house.proxy.rules.append(wire.delay(wire.TO_CLIENT, 2, wire.OPEN_ORDER, times=1))
    run.client.limit()


def listed_late(run: Run) -> None:
    """The connection is lost with the acknowledgement, and the gateway lists the order seconds later."""

    def sent(passed: wire.Frame):
        run.house.proxy.rules.append(wire.drop(wire.TO_CLIENT, *HIDDEN, seconds=6))
        threading.Timer(0.4, run.house.proxy.cut).start()
        return (passed.data,)

    run.house.proxy.rules.append(wire.on(wire.TO_GATEWAY, wire.PLACE_ORDER, times=1)(sent))
    run.client.limit()
    time.sleep(3)


def lost_with_its_owner(run: Run) -> None:
    """The owner dies with a claim that was never written."""
    run.house.arm("worker.claimed", "kill")
    run.client.limit()


def cut_between_claim_and_write(run: Run) -> None:
    run.client.limit()
    run.house.arm("worker.claimed", "sleep 1.5")
    cutting = threading.Timer(0.7, run.house.proxy.cut)
    cutting.start()
    run.client.limit()
    time.sleep(2)


def halted_while_it_waits(run: Run) -> None:
    run.house.arm("worker.before_claim", "sleep 3")
    run.meanwhile(lambda: (until(lambda: "RECEIVED" in statuses(run)), press(run)))
    run.client.limit()


def one_order(run: Run) -> None:
    run.client.limit()


SCENARIOS = {
    "no-write-ahead": (killed_after_the_write, {"I1", "I2", "I11"}),
    "auto-retry": (acknowledged_late, {"I1"}),
    "resend-when-not-listed": (listed_late, {"I1"}),
    "recovery-on-another-client-id": (lost_with_its_owner, {"I5"}),
    "no-settle-time": (listed_late, {"I4"}),
    "old-claim-after-reconnect": (cut_between_claim_and_write, {"I12"}),
    "deaf-to-halts": (halted_while_it_waits, {"I20"}),
    "one-account-for-all": (one_order, {"I21"}),
}


def test_every_variant_is_put_to_the_test():
    assert SCENARIOS.keys() == VARIANTS.keys()


@pytest.fixture(scope="module")
def broken_house(tmp_path_factory):
    """Another house: what broken workers leave behind is no part of the record of sound ones."""
    with running(tmp_path_factory.mktemp("broken")) as house:
        yield house


@pytest.mark.parametrize("variant", SCENARIOS)
def test_variant_is_caught(variant, broken_house):
    scenario, invariants = SCENARIOS[variant]
    broken_house.employ([sys.executable, "-m", "tests.faults.broken_worker", variant])
    run = Run(broken_house, variant)
    scenario(run)
    broken_house.heal()

    with pytest.raises(Broken) as caught:
        check(run, rest_seconds=6)

    found = {line.partition(":")[0] for line in str(caught.value).splitlines()}
    assert found & invariants, str(caught.value)


# What to change as the owner of the database, how to put it right again, and the verdict of the verifier.
TAMPERING = {
    "DIFFERS": (
        "UPDATE orders_orderevent SET actor = 'user:nobody' WHERE order_id = {order} AND kind = 'SENT'",
        "UPDATE orders_orderevent SET actor = '{actor}' WHERE order_id = {order} AND kind = 'SENT'",
    ),
    "REWRITTEN": (
        "UPDATE audit_entry SET body = replace(body, 'SENT', 'KEPT') WHERE subject = 'order:{order}'",
        "UPDATE audit_entry SET body = replace(body, 'KEPT', 'SENT') WHERE subject = 'order:{order}'",
    ),
}


@pytest.mark.parametrize("verdict", TAMPERING)
def test_tampering_is_caught(verdict, broken_house):
    broken_house.employ(SOUND_WORKER)
    run = Run(broken_house, verdict)
    run.client.limit()
    ((order, actor),) = [
        (row["order_id"], row["actor"])
        for row in broken_house.rows("SELECT * FROM orders_orderevent WHERE order_id > %s", run.orders_from)
        if row["kind"] == "SENT"
    ]
    change, put_right = (statement.format(order=order, actor=actor) for statement in TAMPERING[verdict])
    with psycopg.connect(broken_house.database_url) as application, pytest.raises(InsufficientPrivilege):
        application.execute(change)

    broken_house.execute(f"SET session_replication_role = replica; {change}")
    with pytest.raises(Broken, match=f"I17: {verdict}"):
        check(run)

    broken_house.execute(f"SET session_replication_role = replica; {put_right}")
    # The notary may have seen it too: what it said stands until its next round.
    until(lambda: not broken_house.rows("SELECT 1 FROM audit_checkpointrun WHERE problem <> ''"), why="not signed")
    check(run)


@pytest.mark.parametrize("scenario", sorted({scenario.__name__ for scenario, _ in SCENARIOS.values()}))
def test_sound_worker_stands(scenario, house):
    house.heal()
    run = Run(house, scenario)
    globals()[scenario](run)
    house.heal()

    check(run)
