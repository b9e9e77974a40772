"""Questions in flight on one connection, and how each of the port's questions is asked on the wire.

Rules: an answer is complete at its end marker or not at all; a question stays open until that marker or the end of
the connection, whatever its askers' patience, because the markers of openOrder, completedOrder and position name no
question: put again too early, the late end of the first answer would pass for the end of the second.
"""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.errors import QueryFailed
from gateway.library import Client, ContractDetails, ExecutionFilter
from gateway.reports import (
    FIRST_REQUEST_ID,
    CompletedOrderReport,
    ErrorReport,
    ExecutionReport,
    OpenOrderReport,
    Query,
    Raw,
    Report,
    Undecodable,
)

# The library draws request ids and order ids from one counter. The dispatcher reserves order ids in the database, so
# request ids come from a range of their own, far above, one for the whole process and all connections.
_request_ids = itertools.count(FIRST_REQUEST_ID)


class Refused(QueryFailed):
    """The broker answered the question with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"the broker answered {code}: {text}")
        self.code = code


class Form(NamedTuple):
    """How a question looks on the wire: its end marker, and the messages its answer is made of."""

    end: str
    parts: frozenset[str]


FORMS = {
    # Both share one end marker that says nothing more: they wait for each other.
    Query.OPEN_ORDERS: Form("53", frozenset({"3", "5"})),
    Query.ALL_OPEN_ORDERS: Form("53", frozenset({"3", "5"})),
    Query.COMPLETED_ORDERS: Form("102", frozenset({"101"})),
    Query.EXECUTIONS: Form("55", frozenset({"11", "59"})),
    Query.POSITIONS: Form("62", frozenset({"61"})),
    Query.ACCOUNT: Form("54", frozenset({"6", "7"})),
}
CONTRACT_DETAILS = Form("52", frozenset({"10"}))


@dataclass(eq=False, slots=True)
class Question:
    """One question on the wire. `done` carries the fields of the end marker."""

    form: Form
    key: str
    done: asyncio.Future[Raw]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    heard_at: float = field(default_factory=time.monotonic)  # the last part known to be its own, or the question
    perm_ids: set[int] = field(default_factory=set)
    found: list[ContractDetails] = field(default_factory=list)
    unread: int = 0

    def see(self, report: Report) -> None:
        match report:
            case ExecutionReport() if report.raw[1:2] == (self.key,):  # the only part that names its question
                self.heard_at = time.monotonic()
            case Undecodable() if not report.raw or report.raw[0] in self.form.parts or not report.raw[0].isdigit():
                self.unread += 1
            case OpenOrderReport() | CompletedOrderReport() if report.raw[0] in self.form.parts and report.perm_id:
                self.perm_ids.add(report.perm_id)
            case ErrorReport() if str(report.request_id) == self.key and not 2100 <= report.code < 2200:
                self.fail(Refused(report.code, report.text))

    def end(self, raw: Raw) -> None:
        if self.unread:
            self.fail(QueryFailed(f"{self.unread} message(s) of the answer could not be read"))
        elif not self.done.done():
            self.done.set_result(raw)

    def fail(self, problem: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(problem)
            self.done.exception()  # an asker who has gone already is no error


class Questions:
    """All that is open on one connection."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Question] = {}
        self._lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lane(self, form: Form) -> asyncio.Lock:
        """Held by the one question that waits for this kind of end marker."""
        return self._lanes[form.end]

    def put(self, form: Form, send: Callable[[], None], *, key: str = "") -> Question:
        question = Question(form, key, asyncio.get_running_loop().create_future())
        self._open[form.end, key] = question
        send()
        return question

    def see(self, report: Report) -> None:
        for question in tuple(self._open.values()):
            question.see(report)

    def ended(self, raw: Raw, key: str) -> None:
        question = self._open.pop((raw[0], key), None)
        if question is not None:
            question.end(raw)

    def found(self, request_id: int, details: ContractDetails) -> None:
        question = self._open.get((CONTRACT_DETAILS.end, str(request_id)))
        if question is not None:
            question.found.append(details)

    def drop(self, question: Question) -> None:
        self._open.pop((question.form.end, question.key), None)

    def fail_all(self, why: str) -> None:
        for question in self._open.values():
            question.fail(QueryFailed(why))
        self._open.clear()


def new_request_id() -> int:
    return next(_request_ids)


def sender(client: Client, query: Query, *, key: str) -> Callable[[], None]:
    """What writes the question. `key` is the request id or the account, where the question has one."""
    match query:
        case Query.OPEN_ORDERS:
            return lambda: client.reqOpenOrders()
        case Query.ALL_OPEN_ORDERS:
            return lambda: client.reqAllOpenOrders()
        case Query.COMPLETED_ORDERS:
            return lambda: client.reqCompletedOrders(False)  # everybody's, not the API's alone
        case Query.EXECUTIONS:
            return lambda: client.reqExecutions(int(key), ExecutionFilter())
        case Query.POSITIONS:
            return lambda: client.reqPositions()
        case Query.ACCOUNT:
            return lambda: client.reqAccountUpdates(True, key)
