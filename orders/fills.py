"""Executions, from whoever tells of them: each is stored once and counted once, as a trade or as its correction.

Rules
1. An execution is known by account and exec_id. What is known changes nothing, however often it is told.
2. Of a family (orders.families) the highest revision counts, in whatever order its members come: one that comes after
   its correction is stored and counts nothing, one whose predecessor never came counts as the trade itself.
3. The row, what it does to its order and what it adds to the contract's total are one transaction. Whoever records
   executions of a contract does so one at a time: two that tell of one trade at once see each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Value
from django.utils import timezone

from gateway import dialect
from gateway.reports import ContractFacts, ExecutionReport
from orders import attribution, events, journal, lifecycle, totals
from orders.families import family_of, revision_of
from orders.models import Execution, Order
from orders.vocabulary import EventKind, ExecutionSource, OrderStatus, Side

COUNTED = (
    EventKind.PARTIAL_FILL,
    EventKind.FILL,
    EventKind.TRADE_CORRECTED,
    EventKind.FILLED_BY_CORRECTION,
    EventKind.OPENED_BY_CORRECTION,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """An execution that no wire message told of; the fields are those of ExecutionReport. `quantity` 0 is a bust."""

    exec_id: str
    account: str
    perm_id: int  # 0: not known
    order_id: int | None = None
    client_id: int | None = None
    contract: ContractFacts
    side: str
    quantity: Decimal
    price: Decimal
    time_text: str
    executed_at: datetime | None
    exchange: str = ""
    order_ref: str = ""
    raw: Sequence[str]  # what was said, word by word


class Outcome(Enum):
    """What an execution was to the record."""

    KNOWN = "known"
    TRADE = "new"
    CORRECTION = "correction"
    OVERTAKEN = "overtaken"  # its correction came first


class Told(NamedTuple):
    """What was said of the same trade before; `ahead`: by how much its revision is higher than the one in hand."""

    exec_id: str
    side: str
    quantity: Decimal
    price: Decimal
    ahead: int


def record(fill: ExecutionReport | Fill, *, source: ExecutionSource, origin: journal.Origin) -> Outcome:
    """Store an execution that is not known yet, and count it."""
    with transaction.atomic():
        total = totals.lock(fill.account, fill.contract)
        order = attribution.find(fill.order_ref, fill.perm_id, fill.account, lock=True)
        family = _family(fill)
        if any(told.exec_id == fill.exec_id for told in family):
            return Outcome.KNOWN
        last = family[0] if family else None
        overtaken = last is not None and last.ahead > 0
        replaced = last if last is not None and last.ahead < 0 else None
        _store(fill, order=order, replaces=replaced.exec_id if replaced else "", source=source)
        if overtaken:
            return Outcome.OVERTAKEN
        totals.add(total, _signed(fill) - (_signed(replaced) if replaced else 0))
        if order is not None:
            _count(fill, order, replaced, origin=origin)
        return Outcome.CORRECTION if replaced else Outcome.TRADE


def count_earlier(order: Order, *, origin: journal.Origin) -> None:
    """Count what was on record of an adopted order before the order itself: executions can come first."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        for row in Execution.objects.effective().of(order).filter(order=None).order_by("pk"):
            journal.record_all([(order, _trade(row, order))], origin=origin)


def _family(fill: ExecutionReport | Fill) -> list[Told]:
    """All that is on record of the trade, the last word first."""
    asked = Value(fill.exec_id)
    rows = Execution.objects.filter(account=fill.account, family=family_of(asked))
    ranked = rows.annotate(ahead=F("revision") - revision_of(asked)).order_by("-revision", "pk")
    return [Told(*values) for values in ranked.values_list(*Told._fields)]


def _store(fill: ExecutionReport | Fill, *, order: Order | None, replaces: str, source: ExecutionSource) -> None:
    Execution.objects.create(
        account=fill.account,
        exec_id=fill.exec_id,
        replaces=replaces,
        order=order,
        perm_id=fill.perm_id,
        client_id=fill.client_id,
        broker_order_id=fill.order_id,
        symbol=fill.contract.symbol,
        con_id=fill.contract.con_id,
        security_type=fill.contract.security_type,
        currency=fill.contract.currency,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        exchange=fill.exchange,
        order_ref=order.order_ref if order is not None else fill.order_ref,
        executed_at=fill.executed_at,
        time_text=fill.time_text,
        source=source,
        raw=list(fill.raw),
        recorded_at=timezone.now(),
    )


def _signed(trade: ExecutionReport | Fill | Told) -> Decimal:
    return trade.quantity if trade.side == Side.BUY else -trade.quantity


def _count(fill: ExecutionReport | Fill, order: Order, replaced: Told | None, *, origin: journal.Origin) -> None:
    # What came before the order was known by its id is on record and was not counted: its correction is the trade then.
    counted = replaced is not None and _was_counted(replaced, order)
    event = _correction(fill, order, replaced) if replaced is not None and counted else _trade(fill, order)
    journal.record_all([(order, event)], origin=origin)
    if isinstance(event, events.OpenedByCorrection) and order.broker_status in dialect.CANCELED_STATUSES:
        gone = events.Canceled(broker_status=order.broker_status, reason="what had filled it was corrected")
        journal.record_all([(order, gone)], origin=origin)


def _was_counted(told: Told, order: Order) -> bool:
    return order.events.filter(kind__in=COUNTED, payload__exec_id=told.exec_id).exists()


def _trade(trade: ExecutionReport | Fill | Execution, order: Order) -> events.Event:
    return events.trade(
        exec_id=trade.exec_id,
        quantity=trade.quantity,
        price=trade.price,
        perm_id=trade.perm_id,
        leaves=order.state().leaves_quantity,
        occurred_at=trade.executed_at,
    )


def _correction(fill: ExecutionReport | Fill, order: Order, replaced: Told) -> events.Event:
    filled = order.filled_quantity + fill.quantity - replaced.quantity
    was_full, is_full = order.filled_quantity >= order.quantity, filled >= order.quantity
    kind: type[events.Correction] = events.TradeCorrected
    if is_full and not was_full and (order.status, EventKind.FILLED_BY_CORRECTION) in lifecycle.TABLE:
        kind = events.FilledByCorrection
    elif was_full and not is_full and order.status == OrderStatus.FILLED:
        kind = events.OpenedByCorrection
    return kind(
        exec_id=fill.exec_id,
        replaces=replaced.exec_id,
        quantity=fill.quantity,
        price=fill.price,
        replaced_quantity=replaced.quantity,
        replaced_price=replaced.price,
        occurred_at=fill.executed_at,
    )
