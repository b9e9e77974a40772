"""The sockets: bytes between clients and the venue.

Rules: one turn of the event loop is one commit. Whatever arrived in a turn is answered by the venue, then everything is
made durable at once, and only then the answers are written. A connection that breaks the protocol, or that does not
read what it is sent, is closed alone; nobody waits for anybody.
"""

import asyncio
import contextlib
import logging

from gateway.paper.sessions import Session
from gateway.paper.venue import Venue

log = logging.getLogger(__name__)

ACCOUNT_DELAY = 0.05  # seconds from an execution to the account values that follow from it
MAX_UNREAD = 64 << 20  # bytes a client may leave unread before it is dropped
ENOUGH_UNREAD = 1 << 20  # bytes behind which no more of a long answer is put
# Seconds between two parts of a long answer: to a client that only listens; to one that traded within the last second,
# so that what its orders become does not wait behind it; until a slow reader is looked at again.
BREATH, WHILE_TRADING, PATIENCE = 0.001, 0.05, 0.1


class Connection(asyncio.Protocol):
    """One client's socket."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self.transport: asyncio.Transport
        self.session: Session
        self._telling = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.session = self._server.venue.connect(self._server.loop.time())
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            wait = self._server.venue.receive(self.session, data, self._server.loop.time())
        except Exception:  # our mistake, and still this client's alone
            log.exception("session %s: request failed", self.session.number)
            self.session.close("internal error")
            wait = 0.0
        if wait:
            self.transport.pause_reading()
            self._server.loop.call_later(wait, self._go_on)
        self._server.answer_soon()

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._server.venue.disconnect(self.session)
        self._server.answer_soon()

    def flush(self) -> None:
        """Write what the venue has for this client."""
        data = self.session.connection.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)
        if self.transport.get_write_buffer_size() > MAX_UNREAD:
            self.session.close("the client does not read")
            self.transport.abort()
        elif self.session.closing:
            self.transport.close()
        elif self.session.unsaid and not self._telling:
            self._telling = True
            self._server.loop.call_later(self._until_more(), self._tell_more)

    def _until_more(self) -> float:
        if self._reads_slowly():
            return PATIENCE
        return WHILE_TRADING if self._server.loop.time() - self.session.traded < 1.0 else BREATH

    def _tell_more(self) -> None:
        self._telling = False
        if not self.transport.is_closing():
            if not self._reads_slowly():
                self.session.say_more()
            self._server.answer_soon()

    def _reads_slowly(self) -> bool:
        return self.transport.get_write_buffer_size() > ENOUGH_UNREAD


class Server:
    """Listens, and lets the market beat every `tick` seconds (0: never). `finished` ends when it should stop."""

    def __init__(self, venue: Venue, *, tick: float) -> None:
        self.venue = venue
        self.connections: set[Connection] = set()
        self.loop = asyncio.get_running_loop()
        self._tick = tick
        self.finished: asyncio.Future[None] = self.loop.create_future()
        self._answering = False
        self._refreshing = False
        self._listener: asyncio.Server | None = None
        self._beating: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which is chosen when 0 was asked for."""
        self._listener = await self.loop.create_server(lambda: Connection(self), host, port)
        if self._tick:
            self._beating = self.loop.create_task(self._beat())
            self._beating.add_done_callback(self._beat_ended)
        listening: int = self._listener.sockets[0].getsockname()[1]
        return listening

    def answer_soon(self) -> None:
        """Commit and write at the end of this turn of the loop."""
        if not self._answering:
            self._answering = True
            self.loop.call_soon(self._answer)

    def _answer(self) -> None:
        self._answering = False
        try:
            self.venue.commit()
        except OSError as error:  # what is not on disk must not be answered, now or ever
            self.fail(error)
            return
        for connection in list(self.connections):
            connection.flush()
        if self.venue.traded and not self._refreshing:
            self._refreshing = True
            self.loop.call_later(ACCOUNT_DELAY, self._refresh_accounts)

    def _refresh_accounts(self) -> None:
        self._refreshing = False
        self.venue.refresh_accounts()
        self._answer()

    def fail(self, error: BaseException) -> None:
        """Hang up on everybody and end with this error."""
        for connection in list(self.connections):
            connection.transport.abort()
        if not self.finished.done():
            self.finished.set_exception(error)

    def finish(self) -> None:
        """Let whoever awaits `finished` go on, to `stop`."""
        if not self.finished.done():
            self.finished.set_result(None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._tick)
            self.venue.step()
            self._answer()

    def _beat_ended(self, beating: asyncio.Task[None]) -> None:
        if not beating.cancelled() and (error := beating.exception()):
            self.fail(error)

    async def stop(self) -> None:
        """Stop listening, say goodbye by closing, write the last lines."""
        if self._listener is not None:
            self._listener.close()
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating
        self._answer()
        for connection in list(self.connections):
            self.venue.disconnect(connection.session, "the gateway stops")
            connection.transport.close()
        self.venue.commit()
