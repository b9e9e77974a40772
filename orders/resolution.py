"""What a person decides about an order in doubt: the broker holds it, or the broker never had it.

Rules
1. Only from IN_DOUBT, by compare-and-set: when the broker or somebody else was faster, nothing is changed.
2. Who decided and why stands in the event; a decision without a reason is none.
3. The broker keeps the last word: what it reports later of the order applies as ever.
"""

from django.db import transaction

from audit.record import record_site
from orders import events, journal
from orders.errors import InvalidDecision, NotInDoubt
from orders.models import Order
from orders.vocabulary import OrderStatus

SHORTEST_REASON = 10
LONGEST_REASON = 500
# IB's are far smaller; above this JSON's numbers are no longer exact, and the trail is JSON.
PERM_ID_LIMIT = 2**53


def resolve_placed(order_pk: int, *, perm_id: int, reason: str, actor: str, request_id: str) -> Order:
    """Record that a person saw the order at the broker, under that permanent id; it is NEW from now on.

    Raises: InvalidDecision, NotInDoubt.
    """
    if not 0 < perm_id < PERM_ID_LIMIT:
        raise InvalidDecision("perm_id", "A permId is a whole number above 0 and below 2^53.")
    event = events.ResolvedPlaced(perm_id=perm_id, reason=checked_reason(reason))
    return _record(order_pk, event, origin=journal.Origin(actor=actor, request_id=request_id))


def resolve_not_placed(order_pk: int, *, reason: str, actor: str, request_id: str) -> Order:
    """Record that a person is sure that the broker never had the order; it is NOT_PLACED from now on.

    Raises: InvalidDecision, NotInDoubt.
    """
    event = events.ResolvedNotPlaced(reason=checked_reason(reason))
    return _record(order_pk, event, origin=journal.Origin(actor=actor, request_id=request_id))


def _record(order_pk: int, event: events.ResolvedPlaced | events.ResolvedNotPlaced, *, origin: journal.Origin) -> Order:
    with transaction.atomic():
        # All that are in doubt, so that decisions come one after the other: no permId is given to two orders.
        in_doubt = Order.objects.filter(status=OrderStatus.IN_DOUBT).order_by("pk").select_for_update()
        order = next((order for order in in_doubt if order.pk == order_pk), None)
        if order is None:
            raise NotInDoubt(order_pk, Order.objects.get(pk=order_pk).get_status_display())
        if isinstance(event, events.ResolvedPlaced):
            _refuse_another_orders(event.perm_id, order)
        journal.record_all([(order, event)], origin=origin)
        record_site("decision", origin.actor, {"order": order.pk, "kind": event.kind, "reason": event.reason})
    return order


def _refuse_another_orders(perm_id: int, order: Order) -> None:
    if order.perm_id not in (None, perm_id):
        raise InvalidDecision("perm_id", f"The broker has named this order {order.perm_id} already.")
    other = Order.objects.filter(perm_id=perm_id).exclude(pk=order.pk).first()
    if other is not None:
        raise InvalidDecision("perm_id", f"That is the permId of another order: {other}.")


def checked_reason(reason: str) -> str:
    """The reason as it is recorded. Raises: InvalidDecision."""
    reason = reason.strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise InvalidDecision(
            "reason",
            f"Say in {SHORTEST_REASON} to {LONGEST_REASON} characters where you looked and what you saw.",
        )
    if not reason.isprintable():
        raise InvalidDecision("reason", "Use one line of plain text: something in it cannot be printed.")
    return reason
