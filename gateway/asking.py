"""Puts questions on a link and turns their end into a report; shares what may be shared.

Rules: an answer is the broker's view of a moment after its question was put, so a caller may join a question that waits
to be put and never one that is out already. Who asked may give up; the question goes on (see `gateway.questions`).
Runs on the session's loop.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from gateway import translation
from gateway.delivery import Delivery
from gateway.errors import ContractNotFound, NotConnected, QueryTimedOut
from gateway.link import Link
from gateway.pacing import Pacer
from gateway.questions import CONTRACT_DETAILS, FORMS, Form, Question, Refused, new_request_id, sender
from gateway.reports import AnswerComplete, Query, Raw
from gateway.tickets import Instrument

NO_SUCH_CONTRACT = 200

Answer = TypeVar("Answer")
Applied = list[Future[None]]  # done once the consumer has passed the end of the answer on; one for each account asked


class Asking:
    """The questions of one session, over all its links."""

    def __init__(self, pacer: Pacer, delivery: Delivery, *, account: str, limit: float) -> None:
        self._pacer = pacer
        self._delivery = delivery
        self._account = account
        self._limit = limit
        self._shared: dict[tuple[int, str], asyncio.Task[Any]] = {}
        self._instruments: dict[str, Instrument] = {}

    def known(self, symbol: str) -> Instrument | None:
        """What `qualify` found before, from any thread: contracts do not change while a process lives."""
        return self._instruments.get(symbol)

    async def ask(self, link: Link, query: Query) -> Applied:
        """Raises: NotConnected, QueryFailed, QueryTimedOut."""
        return await self._share((link.number, query), lambda: self._put(link, query))

    async def qualify(self, link: Link, symbol: str) -> Instrument:
        """Raises: ContractNotFound, NotConnected, QueryFailed, QueryTimedOut."""
        return await self._share((link.number, f"contract {symbol}"), lambda: self._look_up(link, symbol))

    async def _share(self, key: tuple[int, str], begin: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        task: asyncio.Task[Answer] | None = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.create_task(begin())
            task.add_done_callback(lambda ended: self._forget(key, ended))
        return await asyncio.shield(task)

    def _forget(self, key: tuple[int, str], ended: asyncio.Task[Any]) -> None:
        if self._shared.get(key) is ended:
            del self._shared[key]
        if not ended.cancelled():
            ended.exception()  # every asker may have given up: then nobody else looks at it

    async def _put(self, link: Link, query: Query) -> Applied:
        async with link.questions.lane(FORMS[query]):
            if query is not Query.ACCOUNT:
                key = str(new_request_id()) if query is Query.EXECUTIONS else ""
                return [await self._put_one(link, query, key=key)]
            accounts = (self._account,) if self._account else link.accounts
            return [await self._put_account(link, account, keep=len(accounts) == 1) for account in accounts]

    async def _put_account(self, link: Link, account: str, *, keep: bool) -> Future[None]:
        # The gateway serves one account subscription at a time, and a download is sent when one begins.
        if link.subscribed_account:
            await self._pacer.pace(1)
            link.client.reqAccountUpdates(False, link.subscribed_account)
        link.subscribed_account = account
        applied = await self._put_one(link, Query.ACCOUNT, key=account)
        if not keep:
            await self._pacer.pace(1)
            link.client.reqAccountUpdates(False, account)
            link.subscribed_account = ""
        return applied

    async def _put_one(self, link: Link, query: Query, *, key: str) -> Future[None]:
        await self._pacer.pace(1)
        self._shared.pop((link.number, query), None)  # who comes from here on asks for a later moment
        failures = self._delivery.failures
        question = self._open(link, FORMS[query], sender(link.client, query, key=key), key=key)
        raw = await self._end_of(question, link, what=str(query))
        answer = AnswerComplete(
            connection=link.number,
            received_at=link.heard_at_utc,
            raw=raw,
            query=query,
            started_at=question.started_at,
            perm_ids=frozenset(question.perm_ids),
            account=key if query is Query.ACCOUNT else "",
        )
        return self._delivery.put_answer(answer, failures_before=failures)

    async def _look_up(self, link: Link, symbol: str) -> Instrument:
        try:
            contract = translation.us_stock(symbol)
        except ValueError:
            raise ContractNotFound(symbol) from None
        await self._pacer.pace(1)
        request_id = new_request_id()
        question = self._open(
            link,
            CONTRACT_DETAILS,
            lambda: link.client.reqContractDetails(request_id, contract),
            key=str(request_id),
        )
        try:
            await self._end_of(question, link, what=f"the contract of {symbol}")
        except Refused as refusal:
            if refusal.code == NO_SUCH_CONTRACT:
                raise ContractNotFound(symbol) from None
            raise
        if len(question.found) != 1:
            raise ContractNotFound(symbol)
        self._instruments[symbol] = found = translation.instrument(question.found[0])
        return found

    def _open(self, link: Link, form: Form, send: Callable[[], None], *, key: str) -> Question:
        if link.lost.done() or not link.up.is_set():
            raise NotConnected("the connection was lost before the question was put")
        try:
            return link.questions.put(form, send, key=key)
        except ConnectionError as problem:  # the library's word for a socket that went a moment ago
            raise NotConnected(str(problem)) from problem

    async def _end_of(self, question: Question, link: Link, *, what: str) -> Raw:
        try:
            # A long answer may take its time; one that stops in the middle may not.
            while (patience := question.heard_at + self._limit - time.monotonic()) > 0 and not question.done.done():
                await asyncio.wait({question.done}, timeout=patience)
            if question.done.done():
                return question.done.result()
            why = f"the gateway did not finish answering for {what}: nothing came for {self._limit:g} s"
            link.lose(why)
            raise QueryTimedOut(why)
        finally:
            link.questions.drop(question)
