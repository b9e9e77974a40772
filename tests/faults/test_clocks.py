"""Clocks that are wrong: the worker's by an hour, the database's by half a minute."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.house import WORKERS, House, Run
from tests.faults.table import NOT_PLACED, PLACED, UNKNOWN, Fault, each, endure

SOURCE = Path(__file__).with_name("shifted_clock.c")


@dataclass(frozen=True, kw_only=True)
class WrongClock(Fault):
    parts: tuple[str, ...]
    seconds: int


@pytest.fixture(scope="session")
def shim() -> Path:
    """A library that moves the clock of the process it is loaded into; where the database's account can read it."""
    library = Path(os.environ["EMBEDDED_SHARED_DIR"]) / "shifted_clock.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@contextmanager
def clocks_moved(house: House, fault: WrongClock, shim: Path) -> Iterator[None]:
    """Those parts with the wrong clock; with the right one again afterwards."""
    try:
        with house.altered(fault.parts, LD_PRELOAD=str(shim), CLOCK_SHIFT=str(fault.seconds)):
            if "postgres" in fault.parts:
                house.database_ahead = timedelta(seconds=fault.seconds)
            house.heal()
            yield
    finally:
        house.database_ahead = timedelta()


def all_kinds(run: Run) -> None:
    """What rests, what fills, a bracket and a cancel; then the owner dies in the middle of a placement."""
    placed = run.client.limit()
    run.client.market()
    run.client.bracket()
    if placed.perm_ids:
        run.client.cancel(placed.perm_ids[0])
    run.arm("worker.claimed", "kill")
    run.client.limit()


FAULTS = [
    WrongClock(
        name=f"the workers' clock is an hour {word}",
        promise=3,
        happens="nobody asks it: what is valid, recorded and fresh is said by the database's",
        parts=WORKERS,
        seconds=seconds,
        load=all_kinds,
        said={PLACED, "cancelled", UNKNOWN, NOT_PLACED},
        ends={"NEW", "FILLED", "CANCELED", "NOT_PLACED"},
    )
    for word, seconds in (("fast", 3600), ("slow", -3600))
] + [
    WrongClock(
        name="the database's clock is 30 s slow",
        promise=1,
        happens="all that is timed is timed by it alone",
        parts=("postgres",),
        seconds=-30,
        load=all_kinds,
        said={PLACED, "cancelled", UNKNOWN, NOT_PLACED},
        ends={"NEW", "FILLED", "CANCELED", "NOT_PLACED"},
    )
]


@each(FAULTS)
def test_clocks(fault, house, shim):
    with clocks_moved(house, fault, shim):
        endure(fault, house)
