"""What a person decides about a break.

Rules
1. Only while it is open, by compare-and-set; who decided and why stands in the event, and a decision needs a reason.
2. An order that the broker lists no more is not closed over: the person says how it ended, and that is an event of the
   order, through the journal. The broker keeps the last word: if it lists the order again, the order works again.
3. A position is closed by counting it in: from then on the difference belongs to what should be held.
"""

from django.db import transaction
from django.utils import timezone

from audit.record import record_site
from orders import events, journal
from orders.breaks.models import OPEN, AnchoredHolding, Break, PositionAnchor
from orders.breaks.register import Origin, change
from orders.breaks.vocabulary import BreakEventKind, BreakKind, Source
from orders.errors import BreakNotOpen, InvalidDecision
from orders.models import Order
from orders.resolution import checked_reason
from orders.vocabulary import OrderStatus

Ending = events.ResolvedCanceled | events.ResolvedExpired
WORKING = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL})


def needs_an_ending(row: Break) -> bool:
    """Whether closing it means to say how its order ended."""
    return row.kind == BreakKind.MISSING_AT_BROKER and row.order is not None and row.order.status in WORKING


def can_be_counted_in(row: Break) -> bool:
    """Whether it is a position of now. One at the end of a statement's day is not what counting rests on."""
    return row.kind == BreakKind.POSITION and row.source == Source.BROKER


def close(break_pk: int, *, reason: str, actor: str, request_id: str) -> Break:
    """Close a break that needs no other decision. Raises: InvalidDecision, BreakNotOpen."""
    reason = checked_reason(reason)
    with transaction.atomic():
        row = _locked(break_pk)
        if needs_an_ending(row):
            raise InvalidDecision("reason", "Say how the order ended: it still counts as working here.")
        if can_be_counted_in(row):
            _count_in(row)
        _close(row, reason=reason, actor=actor, request_id=request_id)
    return row


def end_order(break_pk: int, ending: type[Ending], *, reason: str, actor: str, request_id: str) -> Break:
    """Close a break by saying how its order ended. Raises: InvalidDecision, BreakNotOpen."""
    reason = checked_reason(reason)
    with transaction.atomic():
        row = _locked(break_pk)
        # Locked after the break and read again: the broker may be just telling what became of it.
        order = Order.objects.select_for_update(of=("self",)).filter(breaks=row, status__in=WORKING).first()
        if row.kind != BreakKind.MISSING_AT_BROKER or order is None:
            raise InvalidDecision("reason", "Its order is over already: nothing is left to be decided about it.")
        journal.record_all([(order, ending(reason=reason))], origin=journal.Origin(actor=actor, request_id=request_id))
        _close(row, reason=reason, actor=actor, request_id=request_id)
    return row


def _locked(break_pk: int) -> Break:
    row = Break.objects.select_for_update().filter(OPEN, pk=break_pk).first()
    if row is None:
        raise BreakNotOpen(break_pk)
    return row


def _close(row: Break, *, reason: str, actor: str, request_id: str) -> None:
    now = timezone.now()
    row.closed_at, row.closed_by, row.close_reason = now, actor, reason
    record_site("decision", actor, {"break": row.pk, "kind": row.kind, "reason": reason})
    change(row, BreakEventKind.CLOSED, Origin(at=now, actor=actor, request_id=request_id), reason=reason)


def _count_in(row: Break) -> None:
    """Add the gap to what should be held."""
    assert row.con_id is not None  # a position is of a contract
    assert row.gap is not None  # and differs by a figure
    AnchoredHolding.objects.create(
        anchor=PositionAnchor.objects.get(account=row.account),
        con_id=row.con_id,
        symbol=row.symbol,
        security_type=row.security_type,
        quantity=row.gap,
        because=row,
    )
