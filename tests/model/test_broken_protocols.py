"""The explorer can fail: each way to break the protocol has a counterexample, of the kind that is to be expected."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.model.explorer import explore
from tests.model.rules import Rules
from tests.model.world import FOREVER, Budget, Scope


def overlooks(take_for_good):
    """Some evidence is not looked at: `take_for_good` says which values it is thought to have."""
    return Rules(blind=lambda claim, seen: replace(seen, **take_for_good(claim, seen)))


AT_ONCE = timedelta(seconds=30)

CUT = Scope(faults=Budget(cuts=1))
KILL = Scope(faults=Budget(kills=1))
LATE = Scope(faults=Budget(restarts=1), rolls_back=True)
MIDNIGHT = Scope(faults=Budget(restarts=1, midnights=1), rolls_back=True)
UNLISTED = Scope(faults=Budget(cuts=1, late=1), late=FOREVER)
UNLISTED_AFTER_ANOTHER = Scope(requests=(1, 1), faults=Budget(cuts=1, late=1), late=FOREVER)
FORGOTTEN_FILL = Scope(faults=Budget(fills=1, restarts=1), forgets_fills=True)
STANDBY = Scope(workers=2, faults=Budget(kills=1))
LOST_LOCK = Scope(workers=2, faults=Budget(cuts=1, failed_commits=1, lost_locks=1))
BRACKET = Scope(requests=(3,))

BROKEN = [
    # How orders have been lost and doubled elsewhere.
    ("no write-ahead", Rules(writes_ahead=False), KILL, "I11"),
    ("tries again after a time-out", Rules(retries_overdue=True), CUT, "I1"),
    ("sends again what is not listed", Rules(resends_unlisted=True), LATE, "I1"),
    ("no settle time", overlooks(lambda claim, seen: {"settled_for": AT_ONCE}), LATE, "I4"),
    ("no settle time, one round", overlooks(lambda claim, seen: {"settled_for": AT_ONCE, "rounds": 2}), LATE, "I4"),
    ("recovers under another client id", Rules(one_client_id=False), STANDBY, "I4"),
    ("writes an old claim on a new connection", Rules(writes_where_claimed=False), CUT, "I12"),
    # Each piece of evidence, overlooked.
    ("ids that the gateway offered", overlooks(lambda claim, seen: {"offered_order_id": 0}), UNLISTED, "I4"),
    (
        "the connection of the claim",
        overlooks(lambda claim, seen: {"epoch": claim.epoch + 1, "offered_order_id": 0}),
        Scope(),
        "I4",
    ),
    ("the trading day", overlooks(lambda claim, seen: {"trading_day": claim.trading_day}), MIDNIGHT, "I4"),
    (
        "the position",
        overlooks(lambda claim, seen: {"unexplained": claim.unexplained}),
        FORGOTTEN_FILL,
        "I4",
    ),
    # What was wrong here once.
    ("later orders explain the ids", Rules(explains_offers=True), UNLISTED_AFTER_ANOTHER, "I4"),
    ("decides on the session of now", Rules(decides_as_asked=False), LATE, "I4"),
    ("a round counts from its end", Rules(settled_when_asked=False), LATE, "I4"),
    ("closes what another owner claimed", Rules(closes_own_claims_only=False), LOST_LOCK, "I4"),
    ("withdraws a bracket leg by leg", Rules(withdraws_requests=False), BRACKET, "I15"),
]


@pytest.mark.parametrize(("case", "rules", "scope", "invariant"), BROKEN, ids=[case for case, *_ in BROKEN])
def test_broken_protocol_is_caught(case, rules, scope, invariant):
    found = explore(scope, rules).counterexample

    assert found is not None
    assert found.broken.startswith(f"{invariant}:"), f"\n{found}"


@pytest.mark.parametrize("scope", dict.fromkeys(scope for _, _, scope, _ in BROKEN))
def test_the_protocol_holds_where_broken_ones_do_not(scope):
    found = explore(scope).counterexample

    assert found is None, f"\n{found}"


def test_counterexample_is_told_in_numbered_steps():
    found = explore(LATE, overlooks(lambda claim, seen: {"settled_for": AT_ONCE})).counterexample

    first, *_, last_step, what = str(found).splitlines()
    assert first == "  1. worker 0: owns the client id, epoch 1"
    assert last_step.endswith("worker 0: settles: asks for the rest and decides")
    assert what.strip() == "BROKEN  I4: row 0 was called not placed and is at the broker as order 1"
