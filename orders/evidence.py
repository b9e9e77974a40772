"""When may an order that was claimed be called not placed? Only when every line here says so. Pure.

The order's bytes may have left, and the broker does not list it. That alone proves nothing: gateways list late, lose
and forget. What proves it is that the broker, asked on the same client id by a later connection, after the old one
is gone and things have settled, knows neither the order nor anything that only the order would explain.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was about to be sent: by which owner on which connection, under which order id."""

    epoch: int
    connection: int
    broker_order_id: int
    trading_day: str
    unexplained: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What has been seen since, on the connection of now.

    `rounds` counts complete rounds of questions that did not find the order, `settled_for` is how long the link had
    been up when the last of them was put. `offered_order_id` is the id the gateway offered on the first connection
    after the claim's, before anything was sent on it: a later one may count later orders, and an order sent after this
    one on its own connection, if it arrived, proves that this one did. `unexplained` is what the account holds of the
    contract beyond its executions on record (orders.holdings). `disowned`: on this connection, the broker answered a
    cancellation with having no such order.
    """

    epoch: int
    connection: int
    rounds: int
    settled_for: timedelta
    offered_order_id: int | None
    trading_day: str
    unexplained: Decimal
    disowned: bool = False


def doubts(claim: Claim, seen: Observation, *, settled_after: timedelta) -> list[str]:
    """What still speaks against calling it not placed; empty when nothing does."""
    found = []
    if (seen.epoch, seen.connection) <= (claim.epoch, claim.connection):
        found.append("the connection it was sent on still stands")
    if seen.rounds < ROUNDS or seen.settled_for < settled_after:
        found.append(f"it was not asked for {ROUNDS} times over {settled_after.seconds} s of a quiet link yet")
    if seen.trading_day != claim.trading_day:
        found.append("it was sent on an earlier trading day, which the broker no longer lists")
    if seen.offered_order_id is None:
        found.append("no order id was offered since")
    elif seen.offered_order_id > claim.broker_order_id and not seen.disowned:
        found.append(f"the gateway offered order id {seen.offered_order_id}, as if it had seen {claim.broker_order_id}")
    if seen.unexplained != claim.unexplained:
        found.append(
            f"the account holds {seen.unexplained:f} beyond its executions on record, and held {claim.unexplained:f}"
        )
    return found
