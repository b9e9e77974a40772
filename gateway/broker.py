"""The port: all that the rest of the house may ask of a broker session.

Rules: nothing here blocks without a time-out; every question either ends with its end marker or raises QueryFailed;
`transmit` and `cancel` raise NothingSent only when that is certain. Thread-safe: called from Celery's threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from gateway.reports import Query, SessionState
from gateway.tickets import Instrument, OrderTicket


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """A look at the session, free of any wait. `connection` grows by one with each accepted connection."""

    state: SessionState
    reason: str
    connection: int
    heard_seconds_ago: float | None
    next_order_id: int  # the lowest id the gateway and this session would accept next
    accounts: tuple[str, ...]
    ready_since: float | None = None  # time.monotonic() when it last became READY; None while it is not
    time_zone: tzinfo = UTC  # the gateway's own, in which its trading day ends

    def trading_day(self, moment: datetime) -> str:
        """The gateway's date at that moment: what it lists of completed orders and executions is of one such day."""
        return moment.astimezone(self.time_zone).date().isoformat()


class Broker(Protocol):
    """What dispatch and reconcile need of a session; implemented by gateway.session.BrokerSession."""

    def status(self) -> SessionStatus: ...

    def room(self, messages: int, *, timeout: float) -> int:
        """Wait until so many wire messages may be written, or may be by the time they are claimed, and tell how many
        may; none is taken.

        Raises: NothingSent when that is not so in time.
        """

    def qualify(self, symbol: str, *, timeout: float) -> Instrument:
        """The one US stock of that symbol (SMART, USD); answers are kept for the life of the process.

        Raises: ContractNotFound, NotConnected, QueryFailed, QueryTimedOut.
        """

    def transmit(self, tickets: Sequence[OrderTicket], *, connection: int, before: float) -> None:
        """Write the tickets in order, in one go, on that connection only, and before that moment (time.monotonic()).

        Raises: NothingSent when certain that no byte left (other connection, not READY, send queue not empty, too
        late), SendUncertain in every other failure.
        """

    def cancel(self, order_id: int, *, connection: int, while_recovering: bool = False) -> None:
        """Ask for the cancellation of an order of this client id. Raises as `transmit`; may be repeated.

        `while_recovering` lets it out before READY too: recovery cancels the legs a broken bracket left behind.
        """

    def ask(self, query: Query, *, timeout: float, connection: int | None = None) -> None:
        """Put a question and return once its whole answer *has been applied* by the report consumer.

        `timeout` is for the broker's answer, and then for each step of the consumer: one that gets on is waited for.

        Concurrent calls of the same query share one question only when it was put after the call. With `connection`
        it is asked on that connection or not at all: recovery must not mix the answers of two. Not for the consumer.
        Raises: NotConnected, QueryTimedOut; QueryFailed when the connection or its link was lost meanwhile, or a
        part of the answer could not be read or applied.
        """
