"""Closing the orders of a request that nobody claimed, and what is left of a bracket that lost a leg.

All of them or none: a bracket is one thing.
"""

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from database import prepared
from orders import events, journal
from orders.models import NOT_AT_REST, Order
from orders.vocabulary import Actor, EventKind, OrderStatus, Role


def withdraw(request_pk: int, *, reason: str, actor: str, session: str = "") -> bool:
    """Call them NOT_PLACED, by compare-and-set; false when they were claimed, or closed already."""
    with transaction.atomic():
        orders = list(Order.objects.filter(request_id=request_pk).order_by("pk").select_for_update(of=("self",)))
        if not orders or any(order.status != OrderStatus.RECEIVED for order in orders):
            return False
        origin = journal.Origin(actor=actor, session=session)
        journal.record_all([(order, events.NotPlaced(reason=reason)) for order in orders], origin=origin)
    return True


WORKING = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
BRACKET = (Role.ENTRY, Role.STOP_LOSS, Role.TAKE_PROFIT)


def _overdue() -> QuerySet[Order, Any]:
    overdue = Order.objects.filter(status=OrderStatus.RECEIVED, valid_until__lte=Now())
    return overdue.order_by("request_id").values_list("request_id").distinct()


def _broken() -> QuerySet[Order, Any]:
    # From what works to what was refused: of the one there are few, of the other ever more.
    refused = Order.objects.filter(
        request=OuterRef("request"), role__in=BRACKET, status__in=(OrderStatus.REJECTED, OrderStatus.NOT_PLACED)
    )
    working = Order.objects.filter(NOT_AT_REST, Exists(refused), role__in=BRACKET, status__in=WORKING)
    return working.values_list("request_id").distinct()


OVERDUE = prepared.Query(_overdue)
BROKEN = prepared.Query(_broken)


def expire_unsent() -> None:
    """Close the orders that were never claimed and may no longer be."""
    for (request_pk,) in OVERDUE.rows():
        withdraw(request_pk, reason="not sent before it lost its validity", actor=Actor.SYSTEM)


def withdraw_broken_brackets() -> None:
    """Ask for the cancellation of what is left of a bracket that lost a leg before its entry did anything.

    All or nothing: an entry must not work without its exits, nor exits without their entry.
    """
    for (request_pk,) in BROKEN.rows():
        legs = Order.objects.filter(request_id=request_pk)
        if legs.filter(role=Role.ENTRY, filled_quantity__gt=0).exists():
            continue  # a position stands behind the other exit now: leave it its protection
        # One that the broker refused to cancel is left to people: asking for ever would not change its mind.
        for leg in legs.filter(status__in=WORKING).exclude(events__kind=EventKind.CANCEL_REJECTED):
            journal.record(
                leg.pk,
                events.CancelRequested(reason="another leg of the bracket was refused"),
                origin=journal.Origin(actor=Actor.SYSTEM),
                only_from=frozenset(WORKING),
            )
