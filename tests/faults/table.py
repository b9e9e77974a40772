"""A fault as one line: what is armed, what is asked meanwhile, what may be answered, and where orders may end.

docs/reliability.md is written from these lines: `python -m tests.faults.table`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults.checker import REST_SECONDS, Findings, check
from tests.faults.house import House, Run
from tests.walks.house import until

PLACED, NOT_PLACED, UNKNOWN, SILENCE, REFUSED = "placed", "not placed", "unknown", "silence", "refused"
CANCELLED, GONE = "cancelled", "gone"
NO_ORDER = "no order"  # among the ends: none needs to be on record

Act = Callable[[Run], object]


def nothing(run: Run) -> None:
    """Nothing is armed, or nothing has to be mended."""


def one_limit(run: Run) -> None:
    run.client.limit()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`promise` is the clause that it is about; `happens` says in a few words what becomes of the order.

    `arm` before the load, `mend` after it (what lasts must end by itself or here), then everything is healed. `said`
    and `ends` hold every answer and every final status that is allowed; no `ends`: no order comes of it.
    """

    name: str
    promise: int
    happens: str
    arm: Act = nothing
    load: Act = one_limit
    mend: Act = nothing
    said: frozenset[str] | set[str] = frozenset({PLACED})
    ends: frozenset[str] | set[str] = frozenset({"NEW"})
    doubt: bool = False
    then: Callable[[Run, Findings], None] = lambda _run, _found: None
    finding: str = ""  # a known defect: the test is expected to fail until it is mended


def endure(fault: Fault, house: House) -> None:
    """Let it happen, heal the house, and look at what is left."""
    house.heal()
    run = Run(house, fault.name)
    fault.arm(run)
    fault.load(run)
    fault.mend(run)
    for thread in run.background:
        thread.join(timeout=30)
    until(lambda: all(map(house.taken, run.armed)), why=f"not all reached: {run.armed}")
    until(lambda: not house.proxy.idle_rules(), why="a rule of the proxy had nothing to do")
    house.heal()
    found = check(run, doubt=fault.doubt, rest_seconds=12 if fault.finding else REST_SECONDS)
    said = {exchange.said for exchange in run.client.exchanges}
    told = [(e.said, e.status, e.answer or e.failure) for e in run.client.exchanges if e.said not in fault.said]
    assert said <= set(fault.said), told
    ends = set(found.statuses()) or {NO_ORDER}
    assert ends <= (set(fault.ends) or {NO_ORDER}), ends
    fault.then(run, found)


def each(faults: list[Fault]):
    """Parametrise a test by a table of faults."""
    assert len({fault.name for fault in faults}) == len(faults)
    return pytest.mark.parametrize(
        "fault",
        [
            pytest.param(
                fault,
                id=fault.name,
                marks=[pytest.mark.xfail(strict=True, run=False, reason=fault.finding)] if fault.finding else [],
            )
            for fault in faults
        ],
    )
