"""What the model's workers go by: the protocol as it is, and the ways to break it.

The decision itself is production's `orders.evidence.doubts`. A variant that ignores some evidence is shown an
observation in which that evidence is in order (`blind`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache

from orders import evidence
from tests.model.world import SETTLE_TICKS, TICK_SECONDS

SETTLED_AFTER = timedelta(seconds=SETTLE_TICKS * TICK_SECONDS)

Blind = Callable[[evidence.Claim, evidence.Observation], evidence.Observation]


def _open_eyed(claim: evidence.Claim, seen: evidence.Observation) -> evidence.Observation:
    return seen


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Each default is the protocol; each deviation is a way people have lost or doubled orders."""

    writes_ahead: bool = True  # the claim is committed before the first byte leaves
    retries_overdue: bool = False  # no acknowledgement in time: send it again
    resends_unlisted: bool = False  # recovery does not find it: send it again
    one_client_id: bool = True  # every worker connects with the same one
    writes_where_claimed: bool = True  # a claim is written on its own connection or never
    withdraws_requests: bool = True  # and not their legs one by one
    closes_own_claims_only: bool = True  # after a failed commit
    decides_as_asked: bool = True  # on what the session was when the questions were put
    settled_when_asked: bool = True  # a round counts from its first question, not from its last answer
    explains_offers: bool = False  # what later orders of ours explain is no sign of this one
    blind: Blind = _open_eyed


PROTOCOL = Rules()


@cache
def in_doubt(  # noqa: PLR0913 - the numbers of the model, one by one, so that they can be remembered
    rules: Rules,
    *,
    claimed: tuple[int, int],
    order_id: int,
    claim_day: int,
    claim_unexplained: int,
    asked: tuple[int, int],
    rounds: int,
    settled: int,
    offered: int | None,
    day: int,
    unexplained: int,
    disowned: bool,
) -> bool:
    """Whether production still doubts that the order was not placed."""
    claim = evidence.Claim(
        epoch=claimed[0],
        connection=claimed[1],
        broker_order_id=order_id,
        trading_day=str(claim_day),
        unexplained=Decimal(claim_unexplained),
    )
    seen = evidence.Observation(
        epoch=asked[0],
        connection=asked[1],
        rounds=rounds,
        settled_for=timedelta(seconds=settled * TICK_SECONDS),
        offered_order_id=offered,
        trading_day=str(day),
        unexplained=Decimal(unexplained),
        disowned=disowned,
    )
    return bool(evidence.doubts(claim, rules.blind(claim, seen), settled_after=SETTLED_AFTER))
