"""The broker's book, heard: what it says between a question and the last end marker, on one connection.

What is atomic
1. Reports are applied by one thread, in the order in which the broker sent them. At the last end marker, in that
   thread, everything heard before is on record and nothing after it: there, and nowhere else, both books are of one
   moment, and there ours is read.
2. The last word on an order counts: one that was listed as working and then told as filled is filled. What other
   clients do is told by no live message, so their orders may move between two questions; a second look clears that up.
3. What is not followed by its end marker was not heard.
4. What is over, completed orders and executions, grows all day. It is compared a page at a time while it is told, by
   the same thread and so of one moment too; where all of a page agrees, only our keys of it are kept. The rest waits
   for the last end marker.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from gateway import dialect
from gateway.errors import QueryFailed
from gateway.reports import (
    AnswerComplete,
    CompletedOrderReport,
    ExecutionReport,
    OpenOrderReport,
    OrderStatusReport,
    PositionReport,
    Query,
    Report,
)
from orders import reports, stamps
from orders.breaks import comparison
from orders.breaks.books import (
    AccountContract,
    AccountExecution,
    AccountOrder,
    BrokerBook,
    Holding,
    ListedExecution,
    ListedOrder,
    OurBook,
    Standing,
    Terms,
)
from orders.vocabulary import Side

# Orders before executions and those before positions: each answer can only be newer than what explains it.
QUERIES = (Query.ALL_OPEN_ORDERS, Query.COMPLETED_ORDERS, Query.EXECUTIONS, Query.POSITIONS)

PAGE = 100

log = logging.getLogger(__name__)

Key = TypeVar("Key")
Told = TypeVar("Told")
Over = AccountOrder | AccountExecution  # a permId is a number, the id of an execution is a text


class Reader(Protocol):
    """Our book, read by the thread that applies reports."""

    def named(self, theirs: BrokerBook) -> OurBook:
        """Only what `theirs` names."""

    def whole(self, theirs: BrokerBook) -> OurBook:
        """All there is to compare; what `theirs` says was found to agree is left out."""


@dataclass(slots=True)
class _Notes:
    """What has been heard so far, but for what was found to agree: of that `agreed_` keeps our keys."""

    connection: int
    since: datetime
    reader: Reader
    orders: dict[AccountOrder, ListedOrder] = field(default_factory=dict)
    executions: dict[AccountExecution, ListedExecution] = field(default_factory=dict)
    holdings: dict[AccountContract, Holding] = field(default_factory=dict)
    agreed_orders: set[int] = field(default_factory=set)
    agreed_executions: set[int] = field(default_factory=set)
    fresh: dict[Over, None] = field(default_factory=dict)  # not looked at yet, in the order in which it was told
    differs: dict[Over, None] = field(default_factory=dict)  # told in a page that did not agree
    answered: set[Query] = field(default_factory=set)
    accounts_of: dict[int, str] = field(default_factory=dict)  # by permId: orderStatus does not say the account
    books: tuple[BrokerBook, OurBook] | None = None
    problem: str = ""  # why our own book could not be read


class Hearing:
    """Listens while somebody asks. `apply` is called by the thread that applies reports; the rest by who asks."""

    def __init__(self, *, page: int = PAGE) -> None:
        self._page = page
        self._lock = threading.Lock()
        self._notes: _Notes | None = None

    def begin(self, *, connection: int, since: datetime, reader: Reader) -> None:
        """Listen from now on, and read our book when all is said."""
        with self._lock:
            self._notes = _Notes(connection=connection, since=since, reader=reader)

    def end(self) -> tuple[BrokerBook, OurBook]:
        """Both books, as they were at the last end marker. Raises: QueryFailed when not all was said."""
        with self._lock:
            notes, self._notes = self._notes, None
        if notes is not None and notes.problem:
            raise QueryFailed(f"our own book could not be read, see the worker's log: {notes.problem}")
        if notes is None or notes.books is None:
            raise QueryFailed("the broker did not say all that was asked")
        return notes.books

    def stop(self) -> None:
        """Listen no more."""
        with self._lock:
            self._notes = None

    def apply(self, report: Report) -> None:
        """Note a report, after it was applied to our own book."""
        notes = self._notes
        if notes is None or report.connection != notes.connection or notes.books is not None or notes.problem:
            return
        try:
            self._note(report, notes)
        except Exception as problem:
            # Whatever it was, this run fails of it and nobody else: the report is applied, and others wait for it too.
            log.exception("the comparison of the books is given up: our own could not be read")
            notes.problem = repr(problem)

    def _note(self, report: Report, notes: _Notes) -> None:
        if not isinstance(report, AnswerComplete):
            _note(report, notes)
            if len(notes.fresh) >= self._page:
                _look_at(list(notes.fresh), notes)
                notes.fresh.clear()
            return
        if report.started_at >= notes.since:
            notes.answered.add(report.query)
        # By now all that was told is on record, which not all of it was when its page was looked at.
        again = [*notes.differs, *notes.fresh]
        notes.differs.clear()
        notes.fresh.clear()
        for start in range(0, len(again), self._page):
            _look_at(again[start : start + self._page], notes)
        if notes.answered.issuperset(QUERIES):
            theirs = BrokerBook(
                orders=notes.orders,
                executions=notes.executions,
                holdings=notes.holdings,
                agreed_orders=notes.agreed_orders,
                agreed_executions=notes.agreed_executions,
            )
            notes.books = theirs, notes.reader.whole(theirs)


def _note(report: Report, notes: _Notes) -> None:
    match report:
        case OpenOrderReport() | CompletedOrderReport() if report.perm_id > 0:
            key = report.account, report.perm_id
            notes.orders[key] = _listed(report, notes.orders.get(key))
            notes.accounts_of[report.perm_id] = report.account
            notes.differs.pop(key, None)
            notes.fresh.pop(key, None)
            if isinstance(report, CompletedOrderReport):
                notes.fresh[key] = None
        case OrderStatusReport() if report.perm_id in notes.accounts_of:
            key = notes.accounts_of[report.perm_id], report.perm_id
            standing = _standing(report.status)
            terms = notes.orders[key].terms if standing is Standing.WORKING else None
            notes.orders[key] = replace(notes.orders[key], standing=standing, filled=report.filled, terms=terms)
        case ExecutionReport():
            told = report.account, report.exec_id
            notes.executions[told] = _execution(report)
            notes.differs.pop(told, None)
            notes.fresh[told] = None
        case PositionReport():
            notes.holdings[report.account, report.contract.con_id] = Holding(
                symbol=report.contract.symbol,
                security_type=report.contract.security_type,
                quantity=report.quantity,
            )


def _look_at(page: Sequence[Over], notes: _Notes) -> None:
    """Forget what the broker told of these where our book says the same of all of them."""
    theirs = BrokerBook(orders=_of(page, notes.orders), executions=_of(page, notes.executions))
    mine = notes.reader.named(theirs)
    if not comparison.agree(mine, theirs):
        notes.differs.update(dict.fromkeys(page))
        return
    notes.agreed_orders.update(order.pk for order in mine.orders)
    notes.agreed_executions.update(execution.pk for execution in mine.executions.values())
    for account, perm_id in theirs.orders:
        del notes.orders[account, perm_id]
        notes.accounts_of.pop(perm_id, None)
    for key in theirs.executions:
        del notes.executions[key]


def _of(page: Iterable[Any], told: Mapping[Key, Told]) -> dict[Key, Told]:
    return {key: told[key] for key in page if key in told}


def _listed(report: OpenOrderReport | CompletedOrderReport, before: ListedOrder | None) -> ListedOrder:
    standing = _standing(report.status)
    filled = before.filled if before is not None else None
    terms = None
    if isinstance(report, CompletedOrderReport):
        said = report.quantity if standing is Standing.FILLED else filled
        filled = said if report.filled is None else report.filled
    elif standing is Standing.WORKING:
        quantity, limit_price, stop_price = reports.terms(report)
        terms = Terms(quantity=quantity, limit_price=limit_price, stop_price=stop_price)
    return ListedOrder(
        account=report.account,
        perm_id=report.perm_id,
        symbol=report.contract.symbol,
        stamp=stamps.split(report.order_ref)[1],
        standing=standing,
        filled=filled,
        terms=terms,
    )


def _standing(broker_status: str) -> Standing | None:
    if broker_status in dialect.WORKING_STATUSES:
        return Standing.WORKING
    if broker_status in dialect.CANCELED_STATUSES:
        return Standing.ENDED
    return Standing.FILLED if broker_status == dialect.FILLED_STATUS else None


def _execution(report: ExecutionReport) -> ListedExecution:
    return ListedExecution(
        account=report.account,
        exec_id=report.exec_id,
        symbol=report.contract.symbol,
        quantity=report.quantity if report.side == Side.BUY else -report.quantity,
        price=report.price,
    )
