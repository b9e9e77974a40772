"""The answers to what was executed and completed today, which the broker repeats in full whenever it is asked.

Rules
1. Its parts are put aside and written together, a page at a time, before anything that comes after them is applied.
2. An execution remembered to be on record is passed over. Only what is committed is remembered, and nothing on record
   is ever taken back; what is not remembered is looked up, so forgetting costs time and nothing else.
3. The same words on a completed order are passed over while its row is as they left it, which is looked up once for
   an answer: what changes a row meanwhile has it looked at with the next answer.
4. A part that cannot be written does not keep the others out, and the answer does not count as complete.
Used by the consumer of reports alone.
"""

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeGuard

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet

from accounts.models import GatewaySession
from database import prepared
from gateway.reports import (
    AnswerComplete,
    CommissionReport,
    CompletedOrderReport,
    ExecutionReport,
    Query,
    Report,
    SessionChanged,
)
from orders import attribution, fills, reports
from orders.errors import AnswerIncomplete
from orders.fills import Outcome
from orders.models import Commission, Execution, Order

log = logging.getLogger(__name__)

PAGE = 100
REMEMBERED = 200_000  # executions, and as many commissions: about 60 MB
NUMBERS = "SELECT perm_id, last_sequence FROM orders_order WHERE perm_id = ANY(%(perm_ids)s)"
TALLIED = {
    Outcome.KNOWN: "known",
    Outcome.TRADE: "new",
    Outcome.CORRECTION: "corrections",
    Outcome.OVERTAKEN: "corrections",
}

Part = ExecutionReport | CommissionReport | CompletedOrderReport


class Day:
    """One gateway's day, for one owner."""

    def __init__(self, *, gateway: str, epoch: int, page: int = PAGE, remembered: int = REMEMBERED) -> None:
        self._gateway = gateway
        self._epoch = epoch
        self._page = page
        self._memory = _Memory(remembered)
        self._parts: list[tuple[Part, str]] = []
        self._answering = False
        self._lost = 0
        self._tally: Counter[str] = Counter()  # what the answer was made of

    def gather(self, report: Report, *, session: str) -> bool:
        """Take a part of the answer; false for everything else, which then has its turn.

        May be called again with the same report when the database was away. Raises: AnswerIncomplete.
        """
        ends = isinstance(report, AnswerComplete) and report.query is Query.EXECUTIONS
        gathered = self._is_part(report) and self._put_aside(report, session)
        if not gathered or len(self._parts) >= self._page:
            self._write()
        if ends:
            self._end()
        elif isinstance(report, SessionChanged):  # an answer that was cut off says nothing of the next
            self._begin_anew()
        if isinstance(report, AnswerComplete | SessionChanged):
            self._memory.look_anew()
        return gathered

    def learn(self, reports: Iterable[Report]) -> None:
        """Remember what came by itself and is on record: it is a part of the next answer."""
        self._memory.keep(reports)

    def takes(self, report: Report) -> bool:
        """Whether it is a part of the answer; not yet taken."""
        if isinstance(report, ExecutionReport):
            return not report.live
        return isinstance(report, CompletedOrderReport) or (self._answering and isinstance(report, CommissionReport))

    def _is_part(self, report: Report) -> TypeGuard[Part]:
        self._answering |= isinstance(report, ExecutionReport) and not report.live
        return self.takes(report)

    def _put_aside(self, part: Part, session: str) -> bool:
        if self._memory.has(part):
            self._tally["known"] += isinstance(part, ExecutionReport)
        elif not self._parts or self._parts[-1][0] is not part:
            self._parts.append((part, session))
        return True

    def _write(self) -> None:
        try:
            self._record(self._parts)
        except (OperationalError, InterfaceError):
            raise  # all of them are tried again
        except Exception:
            log.exception("a page of executions could not be written; each is tried alone")
            self._record_each()
        self._parts.clear()

    def _record_each(self) -> None:
        for part in self._parts:
            try:
                self._record([part])
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                self._lost += 1
                log.exception("a part of an answer could not be applied: %r", part)

    def _record(self, parts: Sequence[tuple[Part, str]]) -> None:
        self._complete([(part, session) for part, session in parts if isinstance(part, CompletedOrderReport)])
        executions = [(part, session) for part, session in parts if isinstance(part, ExecutionReport)]
        commissions = [part for part, _ in parts if isinstance(part, CommissionReport)]
        outcomes = fills.record_all([fills.said(part, session=session) for part, session in executions])
        self._tally.update(TALLIED[outcome] for outcome in outcomes)
        if commissions:
            fills.record_commissions(commissions)
            self._tally["commissions"] += len(commissions)
        self._memory.keep(part for part, _ in parts)

    def _complete(self, parts: Sequence[tuple[CompletedOrderReport, str]]) -> None:
        if not parts:
            return
        found = attribution.Found(((part.order_ref, part.perm_id) for part, _ in parts), lock=False)
        strangers = []
        for part, session in parts:
            order = found.of(part.order_ref, part.perm_id, part.account)
            if order is None:
                strangers.append((part, session))
            else:
                self._memory.keep_completed(part, reports.apply_completed(part, order, session=session))
        if not strangers:
            return
        with transaction.atomic():  # they are all new rows: nobody waits for them
            # Looked for again: the page may tell of one twice.
            adopted = [
                (part, reports.apply_completed(part, reports.order_of(part), session=session))
                for part, session in strangers
            ]
        for part, order in adopted:
            self._memory.keep_completed(part, order)

    def _end(self) -> None:
        if lost := self._lost:
            self._begin_anew()
            raise AnswerIncomplete(f"{lost} executions or commissions of the answer could not be written")
        session = GatewaySession.objects.filter(pk=self._gateway, epoch=self._epoch)
        session.update(executions_tally=dict(self._tally))
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._answering, self._lost, self._tally = False, 0, Counter()


class _Memory:
    """What is on record for certain, up to a number of rows."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._executions: defaultdict[str, set[str]] = defaultdict(set)  # ids by account
        self._commissions: set[str] = set()
        self._completed: dict[int, tuple[bytes, int]] = {}  # by permId: what was said, and the row's number after it
        self._numbers: dict[int, int] | None = None  # by permId: the row's number now
        self._is_empty = True

    def has(self, part: Part) -> bool:
        if self._is_empty:
            self._recall()
        if isinstance(part, ExecutionReport):
            return part.exec_id in self._executions[part.account]
        if isinstance(part, CompletedOrderReport):
            if self._numbers is None:
                self._numbers = dict(prepared.many(NUMBERS, {"perm_ids": list(self._completed)}))
            kept = self._completed.get(part.perm_id)
            return kept is not None and kept == (_digest(part), self._numbers.get(part.perm_id))
        return _words(part.exec_id, part.commission, part.currency, part.realized_pnl) in self._commissions

    def keep(self, parts: Iterable[Report]) -> None:
        for part in parts:
            if isinstance(part, ExecutionReport):
                self._executions[part.account].add(part.exec_id)
            elif isinstance(part, CommissionReport):
                self._commissions.add(_words(part.exec_id, part.commission, part.currency, part.realized_pnl))
        if max(len(self._commissions), sum(map(len, self._executions.values()))) > 2 * self._most:
            self._executions.clear()
            self._commissions.clear()
            self._is_empty = True

    def keep_completed(self, part: CompletedOrderReport, order: Order | None) -> None:
        if order is not None:
            if len(self._completed) > self._most:
                self._completed.clear()
            self._completed[part.perm_id] = _digest(part), order.last_sequence

    def look_anew(self) -> None:
        """Rows may have changed by the next answer."""
        self._numbers = None

    def _recall(self) -> None:
        """Two queries, in the place of one for each page of what is known already."""
        for account, exec_id in self._latest(Execution.objects.values_list("account", "exec_id")):
            self._executions[account].add(exec_id)
        columns = ("exec_id", "amount", "currency", "realized_pnl")
        self._commissions.update(_words(*row) for row in self._latest(Commission.objects.values_list(*columns)))
        self._is_empty = False

    def _latest(self, rows: QuerySet[Any, Any]) -> Iterator[Any]:
        return rows.order_by("-pk")[: self._most].iterator(chunk_size=10_000)


def _digest(part: CompletedOrderReport) -> bytes:
    return hashlib.sha256("\0".join(part.raw).encode()).digest()


def _words(exec_id: str, amount: Decimal, currency: str, realized_pnl: Decimal | None) -> str:
    """What the record tells two commissions apart by, as one text."""
    profit = "" if realized_pnl is None else realized_pnl.normalize()
    return f"{exec_id} {amount.normalize()} {currency} {profit}"
