"""The session with the gateway, for the threads of the house: `gateway.broker.Broker`, on ib_insync.

Rules: one thread owns the loop and everything of the library, from `start` to `stop` or `suspend`; other threads reach
it by a hop that can tell "did not happen" from "may have happened"; a write happens in one turn of that loop with the
checks it rests on; reports go to the sink from one consumer thread, in order.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from gateway import pacing, translation
from gateway.asking import Asking
from gateway.broker import SessionStatus
from gateway.delivery import Delivery
from gateway.errors import NotConnected, NothingSent, QueryFailed, QueryTimedOut, SendUncertain
from gateway.keeper import Keeper, Timing
from gateway.link import Endpoint, Link
from gateway.pacing import Pacer
from gateway.reports import Query, Report, SessionState
from gateway.tickets import Instrument, OrderTicket

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_SENDS = frozenset({SessionState.READY})
_ASKS = frozenset({SessionState.READY, SessionState.RECOVERING})


class BrokerSession:
    """Connects, recovers, keeps and restores the session with one gateway under one client id.

    `recover(session, connection)` is called in a thread of its own after each accepted connection and after each
    restored link; the session is READY once it returns, and connects anew if it raises. `sink(report)` is handed
    every report, `together(reports)` first what has piled up. An empty `account` accepts any. Ids of questions start
    at `reports.FIRST_REQUEST_ID`, so order ids are the dispatcher's alone.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        client_id: int,
        account: str = "",
        name: str = "gateway",
        sink: Callable[[Report], None],
        together: Callable[[Sequence[Report]], None] | None = None,
        recover: Callable[["BrokerSession", int], None],
        messages_per_second: int = pacing.LIMIT,
        timing: Timing | None = None,
    ) -> None:
        self._name = name
        self._timing = timing or Timing()
        self._pacer = Pacer(limit=messages_per_second)  # counts at the write, whatever was waited for before
        self._delivery = Delivery(sink, together=together, name=f"{name}-reports")
        self._asking = Asking(self._pacer, self._delivery, account=account, limit=self._timing.answer)
        self._keeper = Keeper(
            Endpoint(host, port, client_id),
            account=account,
            name=name,
            timing=self._timing,
            pacer=self._pacer,
            delivery=self._delivery,
            recover=lambda connection: recover(self, connection),
        )
        self._lifecycle = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._life: asyncio.Task[None] | None = None
        self._farewell = "stopped"
        self._at_work: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Connect, and stay connected until told otherwise. Returns at once; harmless when already started."""
        with self._lifecycle:
            if self._thread is not None and self._thread.is_alive():
                return
            self._delivery.start()
            begun = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(begun,), name=f"{self._name}-session", daemon=True)
            self._thread.start()
            begun.wait()

    def suspend(self, reason: str, *, timeout: float = 5.0) -> bool:
        """Drop the connection and stay away until `start`. Once true, nothing more can be sent."""
        with self._lifecycle:
            thread, loop, life = self._thread, self._loop, self._life
            if thread is None or loop is None or life is None:
                return True
            self._farewell = reason
            try:
                loop.call_soon_threadsafe(life.cancel)
            except RuntimeError:
                pass  # it has ended by itself
            thread.join(timeout)
            if thread.is_alive():
                log.error("%s: the session did not end within %g s", self._name, timeout)
                return False
            self._thread = self._loop = self._life = None
            return True

    def stop(self, *, timeout: float = 10.0) -> bool:
        """Disconnect, hand over every report received, end all threads. False when they did not end in time."""
        deadline = time.monotonic() + timeout
        ended = self.suspend("stopped", timeout=timeout)
        ended &= self._delivery.stop(timeout=max(0.1, deadline - time.monotonic()))
        recovery = self._keeper.recovery
        if recovery is not None and recovery is not threading.current_thread():
            recovery.join(max(0.1, deadline - time.monotonic()))
            ended &= not recovery.is_alive()
        return ended

    def status(self) -> SessionStatus:
        return self._keeper.status()

    def room(self, messages: int, *, timeout: float) -> int:
        if free := self._pacer.wait_for(messages, timeout=timeout, ahead=pacing.AHEAD):
            return free
        raise NothingSent(f"no room for {messages} more message(s) to the gateway within {timeout:g} s")

    def qualify(self, symbol: str, *, timeout: float) -> Instrument:
        known = self._asking.known(symbol)
        return known or self._answer(lambda link: self._asking.qualify(link, symbol), timeout=timeout)

    def ask(self, query: Query, *, timeout: float, connection: int | None = None) -> None:
        if self._delivery.is_consumer():
            raise RuntimeError("the consumer cannot wait for an answer that only it can apply")
        for applied in self._answer(lambda link: self._asking.ask(link, query), timeout=timeout, connection=connection):
            self._wait_until_applied(applied, query, patience=timeout)

    def _wait_until_applied(self, applied: Future[None], query: Query, *, patience: float) -> None:
        """Wait as long as the consumer gets on: a day's worth takes it minutes. Raises: QueryTimedOut, QueryFailed."""
        while True:
            handled = self._delivery.handled
            try:
                return applied.result(patience)
            except TimeoutError:
                if self._delivery.handled == handled:
                    why = f"the answer to {query} was not applied: nothing moved for {patience:g} s"
                    raise QueryTimedOut(why) from None

    def transmit(self, tickets: Sequence[OrderTicket], *, connection: int, before: float) -> None:
        try:
            orders = [(translation.contract_of(ticket.instrument), translation.order_of(ticket)) for ticket in tickets]
        except (ValueError, ArithmeticError) as problem:
            raise NothingSent(f"the order cannot be written: {problem}") from problem

        def write() -> None:
            link = self._keeper.usable(connection, _SENDS)
            if time.monotonic() >= before:  # looked at here, because a process can be paused anywhere before
                raise NothingSent("the order was no longer valid when it could have been sent")
            link.write_orders(orders)

        room = before - time.monotonic()
        if not self._pacer.take(len(orders), timeout=room):
            raise NothingSent(f"no room for {len(orders)} more message(s) to the gateway within {room:g} s")
        self._write(write)

    def cancel(self, order_id: int, *, connection: int, while_recovering: bool = False) -> None:
        states = _ASKS if while_recovering else _SENDS
        if not self._pacer.take(1, timeout=pacing.WINDOW):
            raise NothingSent(f"no room for a message to the gateway within {pacing.WINDOW:g} s")
        self._write(lambda: self._keeper.usable(connection, states).write_cancel(order_id))

    def _run(self, begun: threading.Event) -> None:
        async def live() -> None:
            self._loop, self._life = asyncio.get_running_loop(), asyncio.current_task()
            begun.set()
            try:
                await self._keeper.keep()
            finally:
                self._keeper.leave(self._farewell)

        try:
            asyncio.run(live())
        except asyncio.CancelledError:
            pass  # as `suspend` wished

    def _write(self, write: Callable[[], None]) -> None:
        """Run a write on the loop. Raises: NothingSent, SendUncertain."""
        done: Future[None] = Future()

        def take_up() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                write()
            except BaseException as problem:
                done.set_exception(problem)
            else:
                done.set_result(None)

        self._begin(take_up)
        try:
            done.result(self._timing.hop)
        except TimeoutError:
            # Either it had not begun, and now never will, or it had, and what came of it is not known.
            if done.cancel():
                raise NothingSent("the session did not get round to sending") from None
            raise SendUncertain("the write was begun and did not end") from None

    def _answer(
        self,
        ask: Callable[[Link], Coroutine[Any, Any, Answer]],
        *,
        timeout: float,
        connection: int | None = None,
    ) -> Answer:
        """Raises: NotConnected, QueryFailed, QueryTimedOut."""
        answer: Future[Answer] = Future()

        async def put() -> None:
            try:
                answer.set_result(await ask(self._keeper.usable(connection, _ASKS)))
            except asyncio.CancelledError:
                answer.set_exception(QueryFailed("the session ended"))
                raise
            except Exception as problem:
                answer.set_exception(problem)

        self._begin(lambda: self._in_background(put()))
        try:
            return answer.result(timeout)
        except TimeoutError:
            raise QueryTimedOut(f"the gateway did not answer within {timeout:g} s") from None

    def _begin(self, callback: Callable[[], object]) -> None:
        loop = self._loop
        try:
            if loop is None:
                raise RuntimeError
            loop.call_soon_threadsafe(callback)
        except RuntimeError:  # none, or closed
            raise NotConnected(f"no session with the gateway: {self._keeper.status().reason}") from None

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._at_work.add(task)  # the loop itself keeps no hold of its tasks
        task.add_done_callback(self._at_work.discard)
