from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from orders import evidence
from orders.evidence import ROUNDS, Claim, Observation

SETTLED_AFTER = timedelta(seconds=30)

CLAIM = Claim(epoch=1, connection=1, broker_order_id=7, trading_day="2026-01-15", unexplained=Decimal(10))
PROOF = Observation(
    epoch=1,
    connection=2,
    rounds=ROUNDS,
    settled_for=SETTLED_AFTER,
    offered_order_id=7,
    trading_day="2026-01-15",
    unexplained=Decimal(10),
)


def doubts(claim, seen):
    return evidence.doubts(claim, seen, settled_after=SETTLED_AFTER)


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("a later connection", {}),
        ("a later owner, whose connections count from one", {"epoch": 2, "connection": 1}),
        ("the gateway rolled its ids back", {"offered_order_id": 3}),
        ("it said itself that there is no such order", {"offered_order_id": 9, "disowned": True}),
    ],
)
def test_no_doubt_is_left(case, changes):
    assert doubts(CLAIM, replace(PROOF, **changes)) == []


@pytest.mark.parametrize(
    ("case", "changes", "words"),
    [
        ("same connection", {"connection": 1}, "still stands"),
        ("an earlier owner's", {"epoch": 0, "connection": 9}, "still stands"),
        ("asked once", {"rounds": ROUNDS - 1}, "was not asked"),
        ("asked too soon", {"settled_for": SETTLED_AFTER - timedelta(seconds=1)}, "was not asked"),
        ("another day", {"trading_day": "2026-01-16"}, "earlier trading day"),
        ("the gateway counts on from it", {"offered_order_id": 8}, "as if it had seen 7"),
        ("however far", {"offered_order_id": 13}, "as if it had seen 7"),
        ("no connection since", {"offered_order_id": None}, "no order id was offered since"),
        ("more was executed than we know", {"unexplained": Decimal(20)}, "holds 20 beyond its executions on record"),
    ],
)
def test_doubt(case, changes, words):
    (doubt,) = doubts(CLAIM, replace(PROOF, **changes))

    assert words in doubt


def test_every_doubt_is_named():
    assert len(doubts(CLAIM, replace(PROOF, connection=1, rounds=0, trading_day="", unexplained=Decimal(0)))) == 4
