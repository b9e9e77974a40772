"""Closing the orders of a request that nobody claimed. All of them or none: a bracket is one thing until it is sent."""

from django.db import transaction

from orders import events, journal
from orders.models import Order
from orders.vocabulary import OrderStatus


def withdraw(request_pk: int, *, reason: str, actor: str, session: str = "") -> bool:
    """Call them NOT_PLACED, by compare-and-set; false when they were claimed, or closed already."""
    with transaction.atomic():
        orders = list(Order.objects.filter(request_id=request_pk).order_by("pk").select_for_update(of=("self",)))
        if not orders or any(order.status != OrderStatus.RECEIVED for order in orders):
            return False
        origin = journal.Origin(actor=actor, session=session)
        journal.record_all([(order, events.NotPlaced(reason=reason)) for order in orders], origin=origin)
    return True
