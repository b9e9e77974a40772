"""The connection is cut at a byte, stalls, repeats itself, or says what no gateway should."""

import os
import random
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice

import pytest

from tests.faults import proxy as wire
from tests.faults.checker import check
from tests.faults.house import Run
from tests.faults.table import NOT_PLACED, PLACED, UNKNOWN, Fault, each, endure
from tests.walks.house import until

SWEEP_SAMPLE = int(os.environ.get("SWEEP_SAMPLE", "4"))  # offsets per sweep; 0: every byte
SEED = int(os.environ.get("FAULT_SEED", "20260415"))


def rule(made) -> object:
    """Arm one rule of the proxy; `made` builds it when the test begins."""
    return lambda run: run.house.proxy.rules.append(made())


def rules(*made) -> object:
    return lambda run: run.house.proxy.rules.extend(build() for build in made)


def limit_and_market(run: Run) -> None:
    run.client.limit()
    run.client.market()


def everything_once(run: Run) -> None:
    run.client.limit()
    run.client.market()
    placed = run.client.bracket()
    if placed.perm_ids:
        run.client.cancel(placed.perm_ids[0])


def slowly(run: Run) -> None:
    run.house.proxy.one_byte_at_a_time = True


def half_open(run: Run) -> None:
    """Neither direction moves any more and nobody hangs up; the order was received."""
    run.house.proxy.rules += [
        wire.freeze(wire.TO_CLIENT, wire.OPEN_ORDER),
        wire.freeze(wire.TO_GATEWAY, "49"),
    ]


def cut_at_leg(number: int) -> wire.Rule:
    """Cut as the nth placement is about to pass."""
    seen = [0]

    def happens(passed: wire.Frame) -> Iterable[wire.Step]:
        seen[0] += 1
        return (wire.Pause(0.05), wire.Cut()) if seen[0] == number else (passed.data,)

    return wire.on(wire.TO_GATEWAY, wire.PLACE_ORDER)(happens)


def for_seconds(seconds: float):
    return lambda _run: time.sleep(seconds)


def mangled(change) -> object:
    """Once, instead of the acknowledgement, something unreadable; then the acknowledgement is lost too."""
    return rule(lambda: wire.on(wire.TO_CLIENT, wire.OPEN_ORDER, times=1)(change))


def flapping(run: Run) -> None:
    over = threading.Event()

    def flap() -> None:
        while not over.wait(2):
            run.house.proxy.cut()

    thread = threading.Thread(target=flap)
    thread.start()
    for _ in range(24):
        run.client.limit()
        time.sleep(0.3)
    over.set()
    thread.join()


FAULTS = [
    Fault(
        name="cut before the first byte of a placement",
        promise=3,
        happens="in doubt, then not placed: the broker, asked on a later connection, does not know it",
        arm=rule(lambda: wire.cut_instead(wire.TO_GATEWAY, wire.PLACE_ORDER)),
        said={UNKNOWN, NOT_PLACED},
        ends={"NOT_PLACED"},
    ),
    Fault(
        name="cut before the acknowledgement",
        promise=3,
        happens="adopted by its stamp when the worker is back",
        arm=rule(lambda: wire.cut_instead(wire.TO_CLIENT, wire.OPEN_ORDER)),
        said={PLACED, UNKNOWN},
    ),
    Fault(
        name="cut after the first leg of a bracket",
        promise=2,
        happens="the leg that the gateway holds back is cancelled; none of the three works",
        arm=rule(lambda: cut_at_leg(2)),
        load=lambda run: run.client.bracket(),
        said={UNKNOWN, NOT_PLACED},
        ends={"NOT_PLACED", "CANCELED"},
    ),
    Fault(
        name="cut after the second leg of a bracket",
        promise=2,
        happens="the legs that the gateway holds back are cancelled; none of the three works",
        arm=rule(lambda: cut_at_leg(3)),
        load=lambda run: run.client.bracket(),
        said={UNKNOWN, NOT_PLACED},
        ends={"NOT_PLACED", "CANCELED"},
    ),
    Fault(
        name="stalled acknowledgements, nobody hangs up",
        promise=1,
        happens="the worker drops the silent connection and recovers on a new one",
        arm=rule(lambda: wire.freeze(wire.TO_CLIENT, wire.OPEN_ORDER)),
        mend=for_seconds(8),
        said={PLACED, UNKNOWN},
    ),
    Fault(
        name="half open in both directions",
        promise=2,
        happens="the gateway refuses the new session while it believes in the old one; then the order is found",
        arm=half_open,
        mend=for_seconds(8),
        said={PLACED, UNKNOWN},
    ),
    Fault(
        name="one byte at a time",
        promise=1,
        happens="nothing but patience",
        arm=slowly,
        load=everything_once,
        said={PLACED, "cancelled"},
        ends={"NEW", "FILLED", "CANCELED"},
    ),
    Fault(
        name="every message of the gateway twice",
        promise=4,
        happens="what was applied is no news the second time",
        arm=rule(lambda: wire.duplicate(wire.TO_CLIENT, *["3", "4", "5", "11", "59", "61", "101"])),
        load=everything_once,
        said={PLACED, "cancelled"},
        ends={"NEW", "FILLED", "CANCELED"},
    ),
    Fault(
        name="order status before open order",
        promise=1,
        happens="a status without our stamp acknowledges nothing; the open order does",
        arm=rule(lambda: wire.swap(wire.TO_CLIENT, wire.OPEN_ORDER, wire.ORDER_STATUS)),
        load=limit_and_market,
        ends={"NEW", "FILLED"},
    ),
    Fault(
        name="execution before the acknowledgement",
        promise=4,
        happens="a fill is a fact, whatever came before it",
        arm=rule(lambda: wire.swap(wire.TO_CLIENT, wire.OPEN_ORDER, wire.EXECUTION)),
        load=lambda run: run.client.market(),
        said={PLACED, UNKNOWN},
        ends={"FILLED"},
    ),
    Fault(
        name="commission before its execution",
        promise=4,
        happens="kept, and joined with it by its id",
        arm=rule(lambda: wire.swap(wire.TO_CLIENT, wire.EXECUTION, wire.COMMISSION)),
        load=lambda run: run.client.market(),
        ends={"FILLED"},
    ),
    Fault(
        name="message of an unknown kind",
        promise=1,
        happens="kept out; what follows it is read",
        arm=rule(lambda: wire.before(wire.TO_CLIENT, wire.OPEN_ORDER, wire.frame(999, 1, "what"))),
    ),
    Fault(
        name="acknowledgement with too few fields",
        promise=3,
        happens="it acknowledges nothing; the order is found by asking",
        arm=mangled(lambda passed: (wire.frame(*passed.fields[:30]),)),
        said={PLACED, UNKNOWN},
    ),
    Fault(
        name="acknowledgement that is no UTF-8",
        promise=3,
        happens="it acknowledges nothing; the order is found by asking",
        arm=mangled(lambda passed: (passed.data[:60] + b"\xff\xfe" + passed.data[62:],)),
        said={PLACED, UNKNOWN},
    ),
    Fault(
        name="execution in a time zone nobody knows",
        promise=4,
        happens="stored with the broker's own text",
        arm=rule(
            lambda: wire.on(wire.TO_CLIENT, wire.EXECUTION)(
                lambda passed: (passed.data.replace(b" UTC\0", b" Middle-earth/Shire\0"),)
            )
        ),
        load=lambda run: run.client.market(),
        ends={"FILLED"},
        then=lambda run, found: _executions_stored(found),
    ),
    Fault(
        name="length prefix of 16 MB",
        promise=1,
        happens="the connection says nothing that can be read any more and is replaced",
        arm=mangled(lambda _passed: (b"\x01\x00\x00\x00" + b"5\0" * 8,)),
        said={PLACED, UNKNOWN},
        mend=for_seconds(8),
    ),
    Fault(
        name="connection flapping every 2 s",
        promise=2,
        happens="every order is placed once, or certainly not",
        load=flapping,
        said={PLACED, UNKNOWN, NOT_PLACED},
        ends={"NEW", "NOT_PLACED"},
    ),
]


def _executions_stored(found) -> None:
    assert found.executions


@each(FAULTS)
def test_wire(fault, house):
    endure(fault, house)


# --- Byte sweeps ---------------------------------------------------------------------------------------------------

TOGETHER = 80  # orders that may be in doubt, or work, at the same time: each counts among IB's twenty of its contract
SWEEPS = {
    "a placement, client to gateway": (wire.TO_GATEWAY, wire.PLACE_ORDER, "limit", 1),
    "a bracket, client to gateway": (wire.TO_GATEWAY, wire.PLACE_ORDER, "bracket", 3),
    "the acknowledgement, gateway to client": (wire.TO_CLIENT, wire.OPEN_ORDER, "limit", 1),
}


def offsets(length: int) -> Iterable[int]:
    """Every byte, or a seeded sample with both ends in it."""
    if not SWEEP_SAMPLE:
        return range(length + 1)
    inner = random.Random(SEED).sample(range(1, length), max(0, min(SWEEP_SAMPLE, length) - 2))
    return sorted({*inner, 1, length - 1})


def batched(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """They in their order, so many at a time."""
    rest = iter(numbers)
    while batch := list(islice(rest, size)):
        yield batch


@pytest.mark.parametrize("sweep", SWEEPS)
def test_cut_at_each_byte_of(sweep, house):
    direction, kind, endpoint, frames = SWEEPS[sweep]
    house.heal()
    run = Run(house, sweep)
    sizes: list[int] = []
    house.proxy.rules.append(
        wire.on(direction, kind, times=frames)(lambda passed: sizes.append(len(passed.data)) or (passed.data,))
    )
    getattr(run.client, endpoint)()
    until(lambda: len(sizes) == frames)

    check(run)
    for some in batched(offsets(sum(sizes)), TOGETHER):
        run = Run(house, sweep)
        for offset in some:
            house.proxy.clear()
            house.proxy.rules.append(wire.cut_after(direction, kind, offset))
            getattr(run.client, endpoint)()
            house.proxy.clear()
            house.wait_ready()

        found = check(run)
        assert set(found.statuses()) <= {"NEW", "NOT_PLACED", "CANCELED"}
