"""One connection to the gateway: opened once, lost once, never used again.

Rules: lives on the session's loop; whoever ends it first says why (`lost`); what still waits in its send buffer at the
end does not leave later. A new connection gets new library objects, so nothing of an old one can leak into it.
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from gateway import times
from gateway.errors import NotConnected, NothingSent, SendUncertain
from gateway.library import Client, Contract, ContractDetails, Order
from gateway.questions import Questions
from gateway.reports import (
    FIRST_REQUEST_ID,
    Cause,
    ErrorReport,
    ExecutionReport,
    OpenOrderReport,
    OrderStatusReport,
    Raw,
    Report,
)
from gateway.tap import Tap, TapDecoder

log = logging.getLogger(__name__)

CLIENT_ID_TAKEN = 326
LINK_BROKEN = frozenset({1100, 2110})  # between the gateway and the broker; our socket still stands
LINK_RESTORED = frozenset({1101, 1102})
CONNECTION_OVER = frozenset({507, 1300})
# A setting of the gateway's API. The code is that of any request that did not validate: its words tell.
NOT_VALIDATED, READ_ONLY = 321, "read-only"


class LinkLost(Exception):
    """The connection is over, or never came to be; the text says why, in words for people."""

    def __init__(self, why: str, cause: Cause = Cause.CONNECTION_LOST) -> None:
        super().__init__(why)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and as whom."""

    host: str
    port: int
    client_id: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Watcher(NamedTuple):
    """What the session wants to know of a link, called on the loop."""

    heard: Callable[[datetime], None]
    report: Callable[[Report], None]
    broken: Callable[[str], None]  # LINK_BROKEN
    restored: Callable[[str], None]  # LINK_RESTORED


class Link:
    """The library's client, our tap in it, and what is known of this connection."""

    def __init__(self, endpoint: Endpoint, number: int, watcher: Watcher) -> None:
        loop = asyncio.get_running_loop()
        self.endpoint = endpoint
        self.number = number
        self.zone: tzinfo | None = None
        self.questions = Questions()
        self.server_version = 0
        self.accounts: tuple[str, ...] = ()
        self.subscribed_account = ""
        self.next_order_id = 1
        self.first_offered_order_id = 0
        self.heard_at = time.monotonic()
        self.heard_at_utc = datetime.now(UTC)
        self.lost: asyncio.Future[LinkLost] = loop.create_future()
        self.up = asyncio.Event()
        self.up.set()
        self.disturbed = asyncio.Event()
        self.disturbance = ""
        self._closed: asyncio.Future[None] = loop.create_future()
        self._watcher = watcher
        self._greeting: bytes | None = b""
        tap = Tap(self)
        self.client = Client(tap)
        self.client.decoder = TapDecoder(tap, 0)
        self.client.MaxRequests = 0  # the session paces; a message that waits in the library vanishes with it
        self.client.apiError += self._complained
        self.client.conn.disconnected += self._gone
        self.client.conn.hasData += self._read_greeting

    async def open(self, patience: float) -> None:
        """Connect up to the first order id and the accounts. Raises: LinkLost."""
        host, port, client_id = self.endpoint.host, self.endpoint.port, self.endpoint.client_id
        attempt = asyncio.ensure_future(self.client.connectAsync(host, port, client_id, patience))
        try:
            await asyncio.wait({attempt, self.lost}, return_when=asyncio.FIRST_COMPLETED)
            problem = attempt.exception() if attempt.done() else None
        finally:
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        if problem is not None:
            raise self._loss_from(problem, patience) from problem
        if self.lost.done():
            raise self.lost.result()
        self.server_version = self.client.serverVersion()

    async def close(self) -> None:
        transport = self.client.conn.transport
        self.lose("the connection was closed")
        if transport is None:
            return
        try:
            self.client.disconnect()
        except OSError as problem:  # the other side was faster
            log.debug("while closing: %s", problem)
        if transport.get_write_buffer_size():
            transport.abort()
        await asyncio.wait({self._closed}, timeout=1.0)
        transport.abort()

    def lose(self, why: str, cause: Cause = Cause.CONNECTION_LOST) -> None:
        """This connection is over; whoever serves it is to close it."""
        if not self.lost.done():
            self.lost.set_result(LinkLost(why, cause))
        self.questions.fail_all(why)

    def write_orders(self, orders: Sequence[tuple[Contract, Order]]) -> None:
        """Write the orders in one go, all of them or none. Raises: NothingSent, SendUncertain."""
        self._check_open_for_writing()
        try:
            for contract, order in orders:
                self.client.placeOrder(order.orderId, contract, order)
                self._saw_order_id(order.orderId)
        except Exception as problem:
            raise SendUncertain(f"writing the order failed: {problem}") from problem

    def write_cancel(self, order_id: int) -> None:
        """Raises: NothingSent, SendUncertain."""
        self._check_open_for_writing()
        try:
            self.client.cancelOrder(order_id)
        except Exception as problem:
            raise SendUncertain(f"writing the cancellation failed: {problem}") from problem

    def _check_open_for_writing(self) -> None:
        # A write to a closing transport raises nothing and goes nowhere; one behind a full send buffer goes later,
        # when nobody may want it any more. The library's own queue is never filled, and looked at all the same.
        transport = self.client.conn.transport
        if self.lost.done() or transport is None or transport.is_closing() or not self.client.isReady():
            raise NotConnected("the connection to the gateway is going down")
        if transport.get_write_buffer_size() or self.client._msgQ:
            raise NothingSent("the gateway does not read what was sent before")

    # What the tap tells

    def heard(self, at: datetime) -> None:
        self.heard_at = time.monotonic()
        self.heard_at_utc = at
        self._watcher.heard(at)

    def report(self, report: Report) -> None:
        self._watcher.report(report)
        self.questions.see(report)
        match report:
            case OpenOrderReport() | OrderStatusReport():
                self._saw_order_id(report.order_id)  # of every client: IB wants ours above all it showed us
            case ExecutionReport() if report.client_id == self.endpoint.client_id:
                self._saw_order_id(report.order_id)
            case ErrorReport():
                self._react(report)

    def ended(self, raw: Raw, key: str) -> None:
        self.questions.ended(raw, key)

    def details(self, request_id: int, details: ContractDetails) -> None:
        self.questions.found(request_id, details)

    def offered_order_id(self, order_id: int) -> None:
        self.first_offered_order_id = self.first_offered_order_id or order_id
        self._saw_order_id(order_id - 1)

    def offered_accounts(self, accounts: tuple[str, ...]) -> None:
        self.accounts = accounts

    def _saw_order_id(self, order_id: int) -> None:
        if order_id < FIRST_REQUEST_ID - 1:  # IB's unset, and what would leave no room to count on
            self.next_order_id = max(self.next_order_id, order_id + 1)

    def _react(self, error: ErrorReport) -> None:
        if error.code == CLIENT_ID_TAKEN:
            self.lose(f"client id {self.endpoint.client_id} is taken by another session", Cause.CLIENT_ID_TAKEN)
        elif error.code == NOT_VALIDATED and READ_ONLY in error.text.lower():
            # It would not even list the open orders, so nothing could be recovered on this connection.
            self.lose("the gateway's API is read-only", Cause.READ_ONLY)
        elif error.code in CONNECTION_OVER:
            self.lose(f"the gateway ended the connection ({error.code}: {error.text})")
        elif error.code in LINK_BROKEN | LINK_RESTORED:
            self._disturb(error, restored=error.code in LINK_RESTORED)

    def _disturb(self, error: ErrorReport, *, restored: bool) -> None:
        change = "has its link to the broker again" if restored else "lost its link to the broker"
        self.disturbance = f"the gateway {change} ({error.code}: {error.text})"
        self.disturbed.set()
        if restored:
            self.up.set()
            self._watcher.restored(self.disturbance)
        else:
            self.up.clear()
            self._watcher.broken(self.disturbance)
            # What the gateway answers now is what it remembers, not what the broker knows.
            self.questions.fail_all(self.disturbance)

    # What the library's client tells

    def _complained(self, message: str) -> None:
        if not message.startswith("API connection failed"):  # that one `open` gets as an exception, with a type
            self.lose(message)

    def _gone(self, message: str) -> None:
        self.lose(message or "the gateway closed the connection")
        if not self._closed.done():
            self._closed.set_result(None)

    def _read_greeting(self, chunk: bytes) -> None:
        """The handshake tells the gateway's time zone, which the library throws away."""
        if self._greeting is None:
            return
        self._greeting += chunk
        size = int.from_bytes(self._greeting[:4], "big")
        if len(self._greeting) >= max(5, 4 + size):
            fields = self._greeting[4 : 4 + size].decode(errors="replace").split("\0")
            self.zone = times.zone_of(fields[1]) if len(fields) > 1 else None
            self._greeting = None

    def _loss_from(self, problem: BaseException, patience: float) -> LinkLost:
        if isinstance(problem, TimeoutError):
            if self.client.conn.numBytesSent:
                why = f"{self.endpoint} takes connections but did not answer within {patience:g} s"
                return LinkLost(why, Cause.NOT_ANSWERING)
            return LinkLost(f"{self.endpoint} could not be reached within {patience:g} s", Cause.UNREACHABLE)
        if isinstance(problem, socket.gaierror):
            return LinkLost(f"the host name {self.endpoint.host} is not known", Cause.UNREACHABLE)
        if isinstance(problem, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(problem):
            return LinkLost(f"nothing listens on {self.endpoint}", Cause.NOT_LISTENING)
        return LinkLost(f"{self.endpoint} cannot be reached: {problem}", Cause.UNREACHABLE)
