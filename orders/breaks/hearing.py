"""The broker's book, heard: what it says between a question and the last end marker, on one connection.

What is atomic
1. Reports are applied by one thread, in the order in which the broker sent them. At the last end marker, in that
   thread, everything heard before is on record and nothing after it: there, and nowhere else, both books are of one
   moment, and there ours is read.
2. The last word on an order counts: one that was listed as working and then told as filled is filled. What other
   clients do is told by no live message, so their orders may move between two questions; a second look clears that up.
3. What is not followed by its end marker was not heard.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

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

Read = Callable[[BrokerBook], OurBook]


@dataclass(slots=True)
class _Notes:
    """What has been heard so far."""

    connection: int
    since: datetime
    read: Read
    orders: dict[AccountOrder, ListedOrder] = field(default_factory=dict)
    executions: dict[AccountExecution, ListedExecution] = field(default_factory=dict)
    holdings: dict[AccountContract, Holding] = field(default_factory=dict)
    answered: set[Query] = field(default_factory=set)
    accounts_of: dict[int, str] = field(default_factory=dict)  # by permId: orderStatus does not say the account
    books: tuple[BrokerBook, OurBook] | None = None


class Hearing:
    """Listens while somebody asks. `apply` is called by the thread that applies reports; the rest by who asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: _Notes | None = None

    def begin(self, *, connection: int, since: datetime, read: Read) -> None:
        """Listen from now on, and read our book when all is said."""
        with self._lock:
            self._notes = _Notes(connection=connection, since=since, read=read)

    def end(self) -> tuple[BrokerBook, OurBook]:
        """Both books, as they were at the last end marker. Raises: QueryFailed when not all was said."""
        with self._lock:
            notes, self._notes = self._notes, None
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
        if notes is None or report.connection != notes.connection or notes.books is not None:
            return
        if isinstance(report, AnswerComplete):
            if report.started_at >= notes.since:
                notes.answered.add(report.query)
            if notes.answered.issuperset(QUERIES):
                theirs = BrokerBook(orders=notes.orders, executions=notes.executions, holdings=notes.holdings)
                notes.books = theirs, notes.read(theirs)
            return
        _note(report, notes)


def _note(report: Report, notes: _Notes) -> None:
    match report:
        case OpenOrderReport() | CompletedOrderReport() if report.perm_id > 0:
            before = notes.orders.get((report.account, report.perm_id))
            notes.orders[report.account, report.perm_id] = _listed(report, before)
            notes.accounts_of[report.perm_id] = report.account
        case OrderStatusReport() if report.perm_id in notes.accounts_of:
            key = notes.accounts_of[report.perm_id], report.perm_id
            standing = _standing(report.status)
            terms = notes.orders[key].terms if standing is Standing.WORKING else None
            notes.orders[key] = replace(notes.orders[key], standing=standing, filled=report.filled, terms=terms)
        case ExecutionReport():
            notes.executions[report.account, report.exec_id] = _execution(report)
        case PositionReport():
            notes.holdings[report.account, report.contract.con_id] = Holding(
                symbol=report.contract.symbol,
                security_type=report.contract.security_type,
                quantity=report.quantity,
            )


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
