"""Executions, from whoever tells of them: each is stored once and counted once, as a trade or as its correction.

Rules
1. An execution is known by account and exec_id. What is known changes nothing, however often it is told.
2. Of a family (orders.families) the highest revision counts, in whatever order its members come: one that comes after
   its correction is stored and counts nothing, one whose predecessor never came counts as the trade itself.
3. The row, what it does to its order and what it adds to the contract's total are one transaction. Whoever records
   executions of a contract does so one at a time: two that tell of one trade at once see each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from database import prepared
from gateway import dialect
from gateway.reports import CommissionReport, ContractFacts, ExecutionReport
from orders import attribution, events, journal, lifecycle, totals, trail
from orders.families import place_of
from orders.models import Commission, Execution, Order
from orders.vocabulary import Actor, EventKind, ExecutionSource, OrderStatus, Side

COUNTED = (
    EventKind.PARTIAL_FILL,
    EventKind.FILL,
    EventKind.TRADE_CORRECTED,
    EventKind.FILLED_BY_CORRECTION,
    EventKind.OPENED_BY_CORRECTION,
)


CHARGED = prepared.Selection(Commission, "exec_id = ANY(%(exec_ids)s)", without=frozenset({"raw"}))
ON_RECORD = """
    SELECT account, family, exec_id, side, quantity, price, revision FROM orders_execution
    WHERE account = ANY(%(accounts)s) AND family = ANY(%(families)s) ORDER BY revision, id
"""


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


class Said(NamedTuple):
    """An execution, and who said so."""

    fill: ExecutionReport | Fill
    source: ExecutionSource
    origin: journal.Origin


def record(fill: ExecutionReport | Fill, *, source: ExecutionSource, origin: journal.Origin) -> Outcome:
    """Store an execution that is not known yet, and count it."""
    return record_all([Said(fill, source, origin)])[0]


def record_all(said: Sequence[Said]) -> list[Outcome]:
    """Store and count executions in their order, all or none; a batch takes hardly more queries than one alone."""
    if not said:
        return []
    with transaction.atomic():
        page = Page([one.fill for one in said])
        outcomes = [page.take(one) for one in said]
        page.write()
    return outcomes


def record_commissions(reports: Sequence[CommissionReport]) -> None:
    """Keep what executions cost; a commission may come before its execution, and the same words are kept once."""
    now = timezone.now()
    keep_commissions(
        [
            Commission(
                exec_id=report.exec_id,
                amount=report.commission,
                currency=report.currency,
                realized_pnl=report.realized_pnl,
                raw=list(report.raw),
                recorded_at=now,
            )
            for report in reports
        ]
    )


def keep_commissions(rows: Sequence[Commission]) -> None:
    """Store those that say something new, whoever else does so at the same time."""
    words = attrgetter("exec_id", "amount", "currency", "realized_pnl")
    known = {words(row) for row, _ in CHARGED.read(exec_ids=[row.exec_id for row in rows])}
    fresh = {words(row): row for row in reversed(rows) if words(row) not in known}
    try:
        with transaction.atomic():
            trail.insert_commissions(list(fresh.values())[::-1])
    except IntegrityError:
        for row in fresh.values():  # somebody told of one of them just now
            _keep_alone(row)


def _keep_alone(row: Commission) -> None:
    try:
        with transaction.atomic():
            row.pk = None
            trail.insert_commissions([row])
    except IntegrityError:
        pass  # known by now


def said(report: ExecutionReport, *, session: str) -> Said:
    """By the broker, on that session."""
    source = ExecutionSource.LIVE if report.live else ExecutionSource.REQUESTED
    return Said(report, source, journal.Origin(actor=Actor.BROKER, session=session, raw=report.raw))


def count_earlier(order: Order, *, origin: journal.Origin) -> None:
    """Count what was on record of an adopted order before the order itself: executions can come first."""
    rows = Execution.objects.effective().of(order).filter(order=None).order_by("pk")
    with transaction.atomic():
        journal.record_all(((order, _trade(row, order)) for row in rows), origin=origin)


class _Told(NamedTuple):
    """A word on a trade that is on record; `counted`: to its order, or to none; not known for what is older."""

    exec_id: str
    side: str
    quantity: Decimal
    price: Decimal
    revision: int
    counted: bool | None = None


class Page:
    """What a batch of executions meets on record, locked, and what it adds; with whatever else is told between them.

    `named`: order references and permanent ids of what else is told. In a transaction of the caller.
    """

    def __init__(self, fills: Sequence[ExecutionReport | Fill], named: Iterable[tuple[str, int]] = ()) -> None:
        self._totals = totals.lock((fill.account, fill.contract) for fill in fills)  # first: it keeps others out
        named = [*((fill.order_ref, fill.perm_id) for fill in fills), *named]
        self.found = attribution.Found(named, lock=True)
        self._known, self._last = _on_record(fills)
        self._draft = journal.Draft(now=self.found.at)
        self._said: list[tuple[int, events.Event]] = []
        self._rows: list[Execution] = []

    def note(self, order: Order, event: events.Event, *, origin: journal.Origin) -> None:
        """Put down what else happened to an order."""
        self._said.append((order.pk, event))
        self._draft.add(order, event, origin=origin)

    def has(self, order: Order, event: events.Event) -> bool:
        """Whether just this was put down."""
        return (order.pk, event) in self._said

    def take(self, said: Said) -> Outcome:
        fill = said.fill
        if (fill.account, fill.exec_id) in self._known:
            return Outcome.KNOWN
        self._known.add((fill.account, fill.exec_id))
        family, revision = place_of(fill.exec_id)
        last = self._last.get((fill.account, family))
        replaced = last if last is not None and last.revision < revision else None
        order = self.found.of(fill.order_ref, fill.perm_id, fill.account)
        self._rows.append(_row(said, order=order, replaces=replaced.exec_id if replaced else ""))
        if last is not None and last.revision > revision:
            return Outcome.OVERTAKEN
        told = _Told(fill.exec_id, fill.side, fill.quantity, fill.price, revision, counted=order is not None)
        self._last[fill.account, family] = told
        total = self._totals[totals.key_of(fill.account, fill.contract)]
        total.quantity += _signed(told) - (_signed(replaced) if replaced else 0)
        if order is not None:
            self._count(said, order, replaced)
        return Outcome.CORRECTION if replaced else Outcome.TRADE

    def write(self) -> None:
        """Write what was taken and put down since the last time."""
        if self._rows:
            trail.insert_executions(self._rows)
            totals.write(self._totals.values())
        self._draft.write()
        self._rows, self._draft = [], journal.Draft()

    def _count(self, said: Said, order: Order, replaced: _Told | None) -> None:
        # What came before its order was known is on record and was not counted: its correction is the trade then.
        corrects = replaced is not None and _was_counted(replaced, order)
        event = _correction(said.fill, order, replaced) if replaced and corrects else _trade(said.fill, order)
        self._draft.add(order, event, origin=said.origin)
        if isinstance(event, events.OpenedByCorrection) and order.broker_status in dialect.CANCELED_STATUSES:
            gone = events.Canceled(broker_status=order.broker_status, reason="what had filled it was corrected")
            self._draft.add(order, gone, origin=said.origin)


def _on_record(
    fills: Sequence[ExecutionReport | Fill],
) -> tuple[set[tuple[str, str]], dict[tuple[str, str], _Told]]:
    """Which executions of these trades are known, by account and id, and the last word on each trade, by its family."""
    families = [place_of(fill.exec_id)[0] for fill in fills]
    rows = prepared.many(ON_RECORD, {"accounts": [fill.account for fill in fills], "families": families})
    known, last = set(), {}
    for account, family, *told in rows:
        word = _Told(*told)
        known.add((account, word.exec_id))
        last[account, family] = word
    return known, last


def _row(said: Said, *, order: Order | None, replaces: str) -> Execution:
    fill, contract = said.fill, said.fill.contract
    return Execution(
        account=fill.account,
        exec_id=fill.exec_id,
        replaces=replaces,
        order=order,
        perm_id=fill.perm_id,
        client_id=fill.client_id,
        broker_order_id=fill.order_id,
        symbol=contract.symbol,
        con_id=contract.con_id,
        security_type=contract.security_type,
        currency=contract.currency,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        exchange=fill.exchange,
        order_ref=order.order_ref if order is not None else fill.order_ref,
        executed_at=fill.executed_at,
        time_text=fill.time_text,
        source=said.source,
        raw=list(fill.raw),
        recorded_at=timezone.now(),
    )


def _signed(told: _Told) -> Decimal:
    return told.quantity if told.side == Side.BUY else -told.quantity


def _was_counted(told: _Told, order: Order) -> bool:
    if told.counted is not None:
        return told.counted
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


def _correction(fill: ExecutionReport | Fill, order: Order, replaced: _Told) -> events.Event:
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
