"""Pre-trade checks. Pure: what speaks against an order, looked at when it is asked for and again in the claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# IB refuses more working orders per contract, side and account.
MOST_WORKING_ORDERS = 20


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that would be broken; `reason` is fit to be shown to the client."""

    reason: str


def breach(symbol: str, sides: Sequence[str], *, working: Mapping[str, int]) -> Breach | None:
    """Whether orders of these sides may be added to those that work already in the same contract and account."""
    for side in sorted(set(sides)):
        already = working.get(side, 0)
        if already + sides.count(side) > MOST_WORKING_ORDERS:
            return Breach(
                f"{already} {side} orders of {symbol} are working already, and IB allows {MOST_WORKING_ORDERS} per "
                "contract, side and account: cancel some first"
            )
    return None
