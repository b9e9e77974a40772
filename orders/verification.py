"""Is the record what the audit trail says it is? Rows against entries, states against events, executions against fills.

Rules
1. Each event, execution, commission, answer, and request without an order has one entry, and says what the entry
   says; none is without. A request with orders stands in the entries of their first events.
2. Rows that are older than the trail (`trail.append_opening`) are covered by the digest in its opening entry.
3. Everything is read from one snapshot, so that it may run while orders are placed, and as a stream: neither many
   orders nor one with many events take more memory.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from audit import canonical
from audit import chain as chains
from audit.models import OPENING, Entry
from audit.note import Checkpoint
from audit.verification import (
    LISTED_AT_MOST,
    ChainCheck,
    Report,
    Verdict,
    by_chain,
    check_signed,
    check_subject,
    facts_of,
    names,
)
from orders import refold, trail
from orders.models import Execution, Order, OrderEvent, OrderRequest, RequestAnswer
from orders.trade_check import ORDERS_AT_A_TIME, TradeCheck

LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to look at; nothing given: everything."""

    account: str = ""
    order: int | None = None
    since: datetime | None = None

    def __str__(self) -> str:
        parts = (
            f"account {self.account}" if self.account else "",
            f"order {self.order}" if self.order is not None else "",
            f"since {self.since:%Y-%m-%d %H:%M:%S}" if self.since else "",
        )
        return ", ".join(part for part in parts if part)


@dataclass
class Verifier:
    """One verification. `progress` is told what was done so far, now and then."""

    scope: Scope
    checkpoints: Sequence[Checkpoint] = ()
    progress: Callable[[str], None] = lambda _line: None
    report: Report = field(default_factory=Report)
    _found: Counter[str] = field(default_factory=Counter)  # rows by kind
    _gone: Counter[int] = field(default_factory=Counter)

    def run(self) -> Report:
        """Look at everything in scope."""
        in_tests = connection.in_atomic_block
        with transaction.atomic():
            if not in_tests:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self._check_entries()
            self._check_whole_orders_gone()
            if self.scope.order is None and self.scope.since is None:
                self._check_rows_without_entries()
            self._check_orders()
        return self.report

    def _check_entries(self) -> None:
        checkpoints = by_chain(self.checkpoints)
        if self.scope.order is not None:
            self._check_entries_of(self.scope.order, checkpoints)
            return
        every = [chains.of_account(self.scope.account)] if self.scope.account else names(self.checkpoints)
        for name in every:
            ChainCheck(name, self.report, self._compare, checkpoints.get(name, ()), self.scope.since).run()

    def _check_entries_of(self, order_pk: int, checkpoints: Mapping[str, Sequence[Checkpoint]]) -> None:
        found = check_subject(trail.subject(order_pk), self.report, self._compare)
        # The chain in which they should be, too: there may be none left.
        accounts = Order.objects.filter(pk=order_pk).values_list("account_id", flat=True)
        for name in sorted(found | {chains.of_account(account) for account in accounts}):
            check_signed(name, self.report, checkpoints.get(name, ()))

    def _compare(self, batch: Sequence[Entry]) -> None:
        """Entries that are right with the rows they tell of."""
        compared = compare(batch)
        self._found += compared.found
        for entry, now, then in compared.unlike:
            if now is None:
                self._missing(entry, then)
            else:
                self._changed(entry, now, then)
        for entry in batch:
            if entry.kind == OPENING:
                self._check_before_the_trail(json.loads(facts_of(entry)))
        if batch:
            self.progress(f"{self.report.entries:,} entries, up to {batch[-1].chain} {batch[-1].seq}")

    def _missing(self, entry: Entry, facts: dict[str, Any]) -> None:
        if entry.kind == trail.EVENT and not Order.objects.filter(pk=facts["order"]).exists():
            self._gone[facts["order"]] += 1  # said once, of the whole order
            return
        words = f"{_name(entry.kind, facts)} is in the trail ({entry.chain} {entry.seq}) and gone from the record"
        self.report.add(Verdict.DIFFERS, words)

    def _changed(self, entry: Entry, now: dict[str, Any], then: dict[str, Any]) -> None:
        for key in sorted({*now, *then}):
            if now.get(key) != then.get(key):
                words = f"{key} is {_short(now.get(key))} and was {_short(then.get(key))} ({entry.chain} {entry.seq})"
                self.report.add(Verdict.DIFFERS, f"{_name(entry.kind, then)} was changed: {words}")

    def _check_before_the_trail(self, facts: dict[str, Any]) -> None:
        for kind, then in facts.items():
            now = trail.before(trail.MODELS[kind], last=then["last"])
            if now != then:
                words = f"of what is older than the trail, something was changed among the {then['count']} {kind}s"
                self.report.add(Verdict.DIFFERS, f"{words} up to number {then['last']}; now there are {now['count']}")

    def _check_whole_orders_gone(self) -> None:
        for order_pk, count in sorted(self._gone.items()):
            words = f"order {order_pk} is gone from the record with all its events, of which the trail has {count}"
            self.report.add(Verdict.DIFFERS, words)

    def _check_rows_without_entries(self) -> None:
        older = trail.opened()
        for kind, model in trail.MODELS.items():
            rows = _rows(model, self.scope.account).filter(pk__gt=older.get(kind, 0))
            count = rows.count()
            self.progress(f"{count:,} rows of kind {kind} counted")
            if count == self._found[kind]:
                continue
            entries = Entry.objects.filter(kind=kind, record=OuterRef("pk"))
            for row in rows.filter(~Exists(entries)).order_by("pk")[:LISTED_AT_MOST]:
                name = _name(kind, trail.facts(row))
                self.report.add(Verdict.DIFFERS, f"{name} is in the record, and the trail has nothing of it")

    def _check_orders(self) -> None:
        trades = TradeCheck()
        for done, (order, rows) in enumerate(refold.stories(_orders(self.scope)), start=1):
            replay = refold.Replay()
            for row in rows:
                replay.step(row)
                self._differ(trades.add(order, row))
            self._differ(f"order {order.pk}: {difference}" for difference in replay.differences(order))
            self._differ(trades.end(order))
            if done % ORDERS_AT_A_TIME == 0 or replay.sequence > ORDERS_AT_A_TIME:
                self.progress(f"{done:,} orders replayed, up to {order.pk}")
        self._differ(trades.finish())

    def _differ(self, found: Iterable[str]) -> None:
        for words in found:
            self.report.add(Verdict.DIFFERS, words)


@dataclass
class Compared:
    """`found`: how many rows, by kind. `unlike`: entry, what its row says now (None: it is gone), what it said."""

    found: Counter[str] = field(default_factory=Counter)
    unlike: list[tuple[Entry, dict[str, Any] | None, dict[str, Any]]] = field(default_factory=list)


def compare(entries: Sequence[Entry]) -> Compared:
    """Entries whose text is right with the rows they tell of."""
    compared = Compared()
    for kind, model in trail.MODELS.items():
        told = {entry.record: entry for entry in entries if entry.kind == kind and entry.record is not None}
        rows = model._default_manager.in_bulk(list(told))
        compared.found[kind] += len(rows)
        openings = _orders_of_first_events(rows.values())
        for key, entry in told.items():
            then, row = facts_of(entry), rows.get(key)
            now = canonical.dumps(trail.facts(row, openings.get(key))) if row is not None else None
            if now != then:
                compared.unlike.append((entry, json.loads(now) if now is not None else None, json.loads(then)))
    return compared


def _orders(scope: Scope) -> QuerySet[Order]:
    orders = Order.objects.all()
    if scope.order is not None:
        orders = orders.filter(pk=scope.order)
    if scope.account:
        orders = orders.filter(account_id=scope.account)
    if scope.since is not None:
        orders = orders.filter(Exists(OrderEvent.objects.filter(order=OuterRef("pk"), recorded_at__gte=scope.since)))
    return orders


def _rows(model: type[models.Model], account: str) -> QuerySet[Any]:
    """The rows that have an entry of their own; with an account, those of its chain."""
    rows = model._default_manager.all()
    if model is OrderRequest:
        # One with orders has neither a refusal nor an order to cancel: if it has, somebody gave it that.
        opens = Order.objects.filter(request=OuterRef("pk"))
        rows = rows.filter(~Exists(opens) | ~Q(refusal="") | Q(cancels__isnull=False))
    return rows if not account else rows.filter(_of_account(model, account))


def _of_account(model: type[models.Model], account: str) -> Q:
    if model is OrderEvent:
        return Q(order__account_id=account)
    if model is Execution:
        return Q(account=account)
    if model is OrderRequest:
        return Q(cancels__account_id=account)
    if model is RequestAnswer:
        theirs = Order.objects.filter(account_id=account)
        return Q(request__cancels__account_id=account) | Q(request__in=theirs.values("request"))
    # A commission names its execution only.
    return Q(exec_id__in=Execution.objects.filter(account=account).values("exec_id"))


def _orders_of_first_events(rows: Iterable[models.Model]) -> dict[int, Order]:
    """The orders whose terms stand in the entries of these events, by the event."""
    firsts = {row.pk: row.order_id for row in rows if isinstance(row, OrderEvent) and row.sequence == 1}
    orders = Order.objects.select_related("request").in_bulk(list(firsts.values()))
    return {key: orders[order_pk] for key, order_pk in firsts.items() if order_pk in orders}


def _name(kind: str, facts: dict[str, Any]) -> str:
    if kind == trail.EVENT:
        return f"order {facts['order']}, event {facts['sequence']} ({facts['kind']})"
    if kind == trail.REQUEST:
        return f"request {facts['id']} ({facts['endpoint']})"
    if kind == trail.ANSWER:
        return f"answer {facts['status_code']} to request {facts['request_id']}"
    about = f" of order {facts['order_id']}" if facts.get("order_id") else ""
    return f"{kind} {facts['exec_id']}{about}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
