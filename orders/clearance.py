"""May this be placed? The limits, at the two moments they are looked at.

Rules
1. When an order is asked for this is an early word: what is asked for at the same time is not seen. In the claim it is
   the gate: claims come one after the other, each sees what was claimed before, and the limits of that moment hold.
2. What was decided on goes into the order's event, whichever way it went.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from orders import events, exposure
from orders.exposure import Seen
from orders.models import Order
from orders.risk import checks
from orders.risk.values import HALT, Breach, Decision, Ticket
from orders.schedule import last_midnight


def at_intake(ticket: Ticket, seen: Seen) -> Decision:
    """Whether what is asked for may be placed. A halt speaks alone: while it lasts the limits do not matter."""
    decision = checks.decide(ticket, seen.limits, seen.exposure)
    if seen.halted:
        return replace(decision, breaches=[Breach(limit=HALT, reason=seen.halted)])
    return decision


def in_claim(orders: Sequence[Order], *, now: datetime, zone: tzinfo) -> tuple[Seen, Decision]:
    """Whether the orders of a request, which are locked, may be sent now, as far as limits go; and what was seen."""
    first = orders[0]
    ticket = Ticket(account=first.account_id, symbol=first.symbol, quantity=first.quantity, legs=orders)
    actor = first.request.actor if first.request is not None else ""
    seen = exposure.look(
        ticket, actor=actor, waiting=False, day_began=last_midnight(now, zone), received_at=first.received_at
    )
    return seen, checks.decide(ticket, seen.limits, seen.exposure)


def denial(order: Order, decision: Decision) -> events.Denied:
    """The event of an order that waited to be sent and may not be."""
    return events.Denied(
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        reason=decision.reason,
        limits=decision.payload(),
    )
