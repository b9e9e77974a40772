"""Sixty orders, brackets, cancels and fills, and three faults in the middle of them, drawn from a seed that is printed.

FAULT_SEED=1234 replays one run; FAULT_SEEDS=50 runs as many, SOAK_MINUTES=30 for as long: `make soak`.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults import proxy as wire
from tests.faults.checker import check
from tests.faults.house import House, Run

ORDERS = 60
SECONDS = 5.0
SOAK_SECONDS = 60 * float(os.environ.get("SOAK_MINUTES") or 0)
BEGAN = time.monotonic()
KILL_POINTS = ("worker.before_claim", "worker.claim_uncommitted", "worker.claimed", "worker.written", "web.committed")


def _thaw_later(house: House, part: str, seconds: float) -> None:
    house.parts[part].freeze()
    threading.Timer(seconds, house.parts[part].thaw).start()


def _restart(house: House, part: str, how: signal.Signals) -> None:
    house.parts[part].kill(how)
    house.parts[part].start()


FAULTS: dict[str, Callable[[House, random.Random], object]] = {
    "kill point": lambda house, chance: house.arm(chance.choice(KILL_POINTS), "kill"),
    "owner killed": lambda house, _chance: house.owner().kill(),
    "owner stopped": lambda house, chance: _thaw_later(house, house.owner().program.name, chance.uniform(0.5, 3)),
    "cut": lambda house, _chance: house.proxy.cut(),
    "cut in a placement": lambda house, chance: house.proxy.rules.append(
        wire.cut_after(wire.TO_GATEWAY, wire.PLACE_ORDER, chance.randrange(900))
    ),
    "cut in an acknowledgement": lambda house, chance: house.proxy.rules.append(
        wire.cut_after(wire.TO_CLIENT, wire.OPEN_ORDER, chance.randrange(900))
    ),
    "acknowledgements lost": lambda house, _chance: house.proxy.rules.append(
        wire.drop(wire.TO_CLIENT, wire.OPEN_ORDER, wire.ORDER_STATUS, times=3)
    ),
    "everything twice": lambda house, _chance: house.proxy.rules.append(wire.duplicate(wire.TO_CLIENT, "3", "5", "11")),
    "gateway killed": lambda house, _chance: _restart(house, "gateway", signal.SIGKILL),
    "gateway restarted": lambda house, _chance: _restart(house, "gateway", signal.SIGTERM),
    "notary killed": lambda house, _chance: house.parts["notary"].kill(),
    "redis killed": lambda house, _chance: house.parts["redis"].kill(),
    "redis stopped": lambda house, chance: _thaw_later(house, "redis", chance.uniform(0.5, 2)),
    "postgres restarted": lambda house, _chance: _restart(house, "postgres", signal.SIGQUIT),
    "postgres stopped": lambda house, chance: _thaw_later(house, "postgres", chance.uniform(0.3, 1.5)),
}


def seeds() -> Iterator[int]:
    """The one that is asked for, or fixed ones for every run, or new ones for as long as asked."""
    if one := os.environ.get("FAULT_SEED"):
        yield int(one)
    elif many := "100000" if SOAK_SECONDS else os.environ.get("FAULT_SEEDS"):
        drawn_from = os.environ.get("PYTEST_XDIST_TESTRUNUID") or time.time_ns()  # the same in all that run a part
        yield from random.Random(drawn_from).sample(range(1_000_000), int(many))
    else:
        yield from (1, 2, 3, 4)


def one_order(run: Run, chance: random.Random) -> Callable[[], object]:
    """Something a client does, decided now and done later."""
    client, kind = run.client, chance.random()
    key = run.key(str(chance.random())) if chance.random() < 0.3 else None
    if kind < 0.45:
        return lambda: client.limit(key=key)
    if kind < 0.65:
        return lambda: client.market(key=key, action=chance.choice(("BUY", "SELL")))
    if kind < 0.8:
        return lambda: client.bracket(key=key)
    if kind < 0.9:  # more than is offered at that price: filled in part
        return lambda: client.limit(price=232.0, symbol="AAPL", quantity=chance.choice((5, 50, 5000)), key=key)
    return lambda: _cancel_one(run, chance)


def _cancel_one(run: Run, chance: random.Random) -> None:
    placed = [perm_id for exchange in list(run.client.exchanges) for perm_id in exchange.perm_ids]
    if placed:
        run.client.cancel(chance.choice(placed))


@pytest.mark.parametrize("seed", list(seeds()))
def test_random_run(seed, house):
    if SOAK_SECONDS and time.monotonic() - BEGAN > SOAK_SECONDS:
        pytest.skip("the time asked for is over")
    chance = random.Random(seed)
    house.heal()
    run = Run(house, f"seed {seed}")
    faults = sorted((chance.uniform(0.3, SECONDS), chance.choice(sorted(FAULTS))) for _ in range(3))
    asked = sorted((chance.uniform(0, SECONDS), number) for number in range(ORDERS))
    acts = [one_order(run, chance) for _ in asked]
    print(f"FAULT_SEED={seed}: {', '.join(f'{name} at {when:.1f} s' for when, name in faults)}")  # noqa: T201

    def disturb() -> None:
        for when, name in faults:
            time.sleep(max(0.0, run.began + when - time.monotonic()))
            try:
                FAULTS[name](house, chance)
            except AssertionError:
                pass  # nobody is connected just now: there is no owner to do it to

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    with ThreadPoolExecutor(max_workers=24) as pool:
        for (when, _), act in zip(asked, acts, strict=True):
            time.sleep(max(0.0, run.began + when - time.monotonic()))
            pool.submit(act)
    disturbing.join()
    time.sleep(3)  # what was stopped goes on
    house.heal()

    check(run)
