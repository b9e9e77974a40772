"""The real exchange of the paper gateway behind a wire that exists in memory, in a time that only the test moves.

Production's dispatch, sweep, recovery and reports run on the port (`Session` is a `gateway.broker.Broker`) and on the
test database; only sockets, threads and clocks are left out. Wherever production calls the port, the connection may be
cut or the process killed: `Killed` is no Exception, so nothing catches it, and open transactions roll back as they
would.
"""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from accounts.live import LiveBook
from gateway import dialect
from gateway.broker import SessionStatus
from gateway.errors import NotConnected, NothingSent, QueryFailed
from gateway.paper.accounts import Position
from gateway.paper.catalogue import ContractAsk, Listing, read_catalogue
from gateway.paper.exchange import Exchange
from gateway.paper.orders import (
    Event,
    Executed,
    Execution,
    Failed,
    Opened,
    Order,
    Placement,
    PositionChanged,
    Receipt,
    StatusChanged,
)
from gateway.reports import (
    AnswerComplete,
    CompletedOrderReport,
    ContractFacts,
    ErrorReport,
    ExecutionReport,
    OpenOrderReport,
    OrderStatusReport,
    PositionReport,
    Query,
    Report,
    SessionChanged,
    SessionState,
)
from gateway.tickets import Instrument, OrderTicket
from orders import holdings, reports
from orders.desk import Desk
from tests.orders.builders import ACCOUNT, CLIENT_ID, GATEWAY

START = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


class Killed(BaseException):
    """The worker process is gone."""


@dataclass(slots=True)
class Clock:
    """Stands in for the module `time` in what is under test; `seconds` since the start."""

    seconds: float = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@dataclass(slots=True)
class Received:
    """A line of the ledger: a placement as the gateway read it, and what became of it."""

    placement: Placement
    receipt: Receipt


@dataclass(slots=True)
class Gateway:
    """The gateway with the exchange in it: one session of our client id at a time, and bytes not yet read."""

    clock: Clock
    chance: random.Random
    exchange: Exchange = field(init=False)
    session: "Session | None" = None
    inbound: deque[OrderTicket | int] = field(default_factory=deque)  # a placement, or the order id of a cancel
    ledger: list[Received] = field(default_factory=list)
    hidden_until: dict[int, float] = field(default_factory=dict)  # by permId

    def __post_init__(self) -> None:
        self.exchange = Exchange(
            catalogue=read_catalogue(), accounts=[ACCOUNT], cash=Decimal(10_000_000), seed=1, clock=self.clock.now
        )
        self.exchange.open()

    def read(self, *, late: float = 0.0) -> None:
        """Read the next message; `late`: seconds for which nobody is shown what it leads to."""
        message = self.inbound.popleft()
        if isinstance(message, int):
            self.exchange.cancel(CLIENT_ID, message)
        else:
            asked = _placement(message)
            receipt = self.exchange.place(asked)
            self.ledger.append(Received(asked, receipt))
            if late and receipt.perm_id and not receipt.held:
                self._hide_family(message, self.clock.seconds + late)
        self.tell()

    def step(self) -> None:
        self.exchange.step()
        self.tell()

    def tell(self) -> None:
        for event in self.exchange.take_events():
            if self.session is not None and not self._is_hidden(event):
                self.session.outbound.extend(self._told(event, self.session.connection))

    def _told(self, event: Event, connection: int) -> Iterator[Report]:
        match event:
            case Opened(order):
                yield _open_order(order, connection)
            case StatusChanged(order):
                yield _status(order, connection)
            case Executed(execution):
                yield _executed(execution, connection, live=True)
            case PositionChanged(account, listing):
                yield self.position(self.exchange.accounts[account].position(listing), connection)
            case Failed(_, order_id, code, text):
                yield ErrorReport(**_common(connection), request_id=order_id, code=code, text=text)

    def position(self, position: Position, connection: int) -> PositionReport:
        return PositionReport(
            **_common(connection, at=self.clock.now()),
            account=ACCOUNT,
            contract=_facts(position.listing),
            quantity=position.quantity,
            average_cost=None,
        )

    def restart(self, *, rolls_back: bool, late: float) -> None:
        """All that was on the wire is gone, held orders too; what it had is listed late."""
        self.drop()
        register = self.exchange.register
        register.held.clear()
        if rolls_back:
            register.counters.highest_order_id.clear()
        for perm_id in (*register.working, *register.completed):
            self.hidden_until[perm_id] = max(self.hidden_until.get(perm_id, 0.0), self.clock.seconds + late)

    def drop(self) -> None:
        """The connection ends here, and with it what was not read."""
        self.inbound.clear()
        self.session = None

    def shown(self, orders: dict[int, Order]) -> list[Order]:
        return [order for order in orders.values() if not self._hides(order.perm_id)]

    def executions(self) -> list[Execution]:
        return [e for e in self.exchange.register.executions if not self._hides(e.perm_id)]

    def _hide_family(self, ticket: OrderTicket, until: float) -> None:
        family = (ticket.order_id, ticket.parent_id)
        for order in (*self.exchange.register.working.values(), *self.exchange.register.completed.values()):
            if order.client_id == CLIENT_ID and (
                order.order_id in family or (ticket.parent_id and order.parent_id == ticket.parent_id)
            ):
                self.hidden_until[order.perm_id] = until

    def _hides(self, perm_id: int) -> bool:
        return self.hidden_until.get(perm_id, 0.0) > self.clock.seconds

    def _is_hidden(self, event: Event) -> bool:
        match event:
            case Opened(order) | StatusChanged(order):
                return self._hides(order.perm_id)
            case Executed(execution):
                return self._hides(execution.perm_id)
            case _:
                return False


class Session:
    """One owner's session: a Broker whose wire is the gateway's deque. It notices the end of a connection late."""

    hesitates: Sequence[float] = (0.0, 0.0, 2.0)  # seconds between two parts of an answer, by chance

    def __init__(self, gateway: Gateway, *, epoch: int, faults: float) -> None:
        self._gateway = gateway
        self._clock = gateway.clock
        self._chance = gateway.chance
        self.faults = faults
        self.connection = 0
        self.state = SessionState.DISCONNECTED
        self.outbound: deque[Report] = deque()
        self.ready_since: float | None = None
        self._next_order_id = 1
        # Noon at the gateway: a test does not run over the end of its day.
        self._zone = timezone(timedelta(hours=12 - datetime.now(UTC).hour))
        self._book = LiveBook(gateway=GATEWAY, epoch=epoch)
        self.desk = Desk(broker=self, gateway=GATEWAY, client_id=CLIENT_ID, epoch=epoch)

    # What the session does by itself

    def connect(self) -> bool:
        """False where the gateway would say 326: bytes of an earlier session are still being read."""
        if self._gateway.session is not None or self._gateway.inbound:
            return False
        self.connection += 1
        self._gateway.session = self
        self.outbound.clear()
        offered = self._gateway.exchange.register.next_valid_id(CLIENT_ID)
        self._next_order_id = max(self._next_order_id, offered)
        self._move(SessionState.RECOVERING, offered=offered)
        return True

    def ready(self) -> None:
        self._move(SessionState.READY)
        self.ready_since = self._clock.seconds

    def notice(self) -> None:
        """The connection is gone."""
        self.ready_since = None
        self.outbound.clear()
        self._move(SessionState.DISCONNECTED)

    @property
    def stands(self) -> bool:
        return self._gateway.session is self

    def hear(self, count: int) -> None:
        """Apply the next reports, as the consumer would."""
        for _ in range(min(count, len(self.outbound))):
            report = self.outbound.popleft()
            if isinstance(report, OpenOrderReport):
                self._next_order_id = max(self._next_order_id, report.order_id + 1)
            self._apply(report)

    # The port

    def status(self) -> SessionStatus:
        return SessionStatus(
            state=self.state,
            reason="",
            connection=self.connection,
            heard_seconds_ago=0.1,
            next_order_id=self._next_order_id,
            accounts=(ACCOUNT,),
            ready_since=self.ready_since,
            time_zone=self._zone,
        )

    def room(self, messages: int, *, timeout: float) -> int:
        self._fate()
        return messages

    def qualify(self, symbol: str, *, timeout: float) -> Instrument:
        self._fate()
        return Instrument(con_id=265598, symbol=symbol)

    def transmit(self, tickets: Sequence[OrderTicket], *, connection: int, before: float) -> None:
        self._fate()
        self._check(connection, SessionState.READY)
        if self._clock.monotonic() >= before:
            raise NothingSent("too late")
        if self.stands:
            self._gateway.inbound.extend(tickets)
        self._fate()

    def cancel(self, order_id: int, *, connection: int, while_recovering: bool = False) -> None:
        self._fate()
        self._check(
            connection, *((SessionState.READY, SessionState.RECOVERING) if while_recovering else (SessionState.READY,))
        )
        if self.stands:
            self._gateway.inbound.append(order_id)

    def ask(self, query: Query, *, timeout: float, connection: int | None = None) -> None:
        self._fate()
        self._check(connection, SessionState.READY, SessionState.RECOVERING)
        while self.stands and self._gateway.inbound:  # what was written before the question is read before it
            self._gateway.read()
        if not self.stands:
            raise QueryFailed("the connection was lost")
        asked_at = self._clock.now()
        self.hear(len(self.outbound))
        perm_ids = set()
        for report in self._answer(query):
            perm_ids.add(getattr(report, "perm_id", 0))
            self._apply(report)
            self._clock.seconds += self._chance.choice(self.hesitates)
        self._apply(
            AnswerComplete(
                connection=self.connection,
                received_at=self._clock.now(),
                raw=(),
                query=query,
                started_at=asked_at,
                perm_ids=frozenset(perm_ids),
            )
        )
        self._fate()

    # Inside

    def _answer(self, query: Query) -> Iterator[Report]:
        gateway, register = self._gateway, self._gateway.exchange.register
        match query:
            case Query.OPEN_ORDERS | Query.ALL_OPEN_ORDERS:
                yield from [_open_order(o, self.connection) for o in gateway.shown(register.working)]
            case Query.COMPLETED_ORDERS:
                yield from [_completed(o, self.connection) for o in gateway.shown(register.completed)]
            case Query.EXECUTIONS:
                yield from [_executed(e, self.connection, live=False) for e in gateway.executions()]
            case Query.POSITIONS:
                yield from [gateway.position(p, self.connection) for p in gateway.exchange.accounts[ACCOUNT].holdings()]

    def _check(self, connection: int | None, *states: SessionState) -> None:
        if self.state not in states or connection not in (None, self.connection):
            raise NotConnected("the connection is gone")

    def _apply(self, report: Report) -> None:
        self._book.apply(report)
        reports.apply_report(report, session=self.desk.session(self.connection), client_id=CLIENT_ID)
        holdings.apply_report(report, gateway=self.desk.gateway)

    def _move(self, state: SessionState, *, offered: int = 0) -> None:
        self.state = state
        self._apply(
            SessionChanged(
                **_common(self.connection, at=self._clock.now()),
                state=state,
                reason="",
                next_order_id=self._next_order_id,
                offered_order_id=offered,
                accounts=(ACCOUNT,),
            )
        )

    def _fate(self) -> None:
        """Here the world may intervene."""
        drawn = self._chance.random()
        if drawn < self.faults / 2:
            raise Killed
        if drawn < self.faults and self.stands:
            for _ in range(self._chance.randint(0, len(self._gateway.inbound))):
                self._gateway.read()
            self._gateway.drop()


def _placement(ticket: OrderTicket) -> Placement:
    return Placement(
        client_id=CLIENT_ID,
        order_id=ticket.order_id,
        contract=ContractAsk(symbol=ticket.instrument.symbol, security_type="STK", exchange="SMART", currency="USD"),
        side=ticket.side,
        quantity=ticket.quantity,
        order_type=dialect.ib_order_type(ticket.order_type),
        limit_price=ticket.limit_price,
        stop_price=ticket.stop_price,
        time_in_force=ticket.time_in_force,
        account=ticket.account,
        order_ref=ticket.order_ref,
        parent_id=ticket.parent_id,
        transmit=ticket.transmit,
    )


def _common(connection: int, *, at: datetime = START) -> dict[str, Any]:
    return {"connection": connection, "received_at": at, "raw": ()}


def _facts(listing: Listing) -> ContractFacts:
    return ContractFacts(con_id=listing.con_id, symbol=listing.symbol, security_type="STK", currency="USD")


def _terms(order: Order) -> dict[str, Any]:
    return {
        "perm_id": order.perm_id,
        "account": order.account,
        "contract": _facts(order.listing),
        "side": order.side.value,
        "order_type": order.order_type,
        "quantity": order.quantity,
        "limit_price": order.limit_price or Decimal(0),
        "aux_price": order.stop_price or Decimal(0),
        "time_in_force": order.time_in_force,
        "order_ref": order.order_ref,
        "status": order.status.value,
    }


def _open_order(order: Order, connection: int) -> OpenOrderReport:
    return OpenOrderReport(
        **_common(connection),
        **_terms(order),
        order_id=order.order_id,
        client_id=order.client_id,
        parent_id=order.parent_id,
        trail_stop_price=None,
        oca_group=order.oca_group,
    )


def _status(order: Order, connection: int) -> OrderStatusReport:
    return OrderStatusReport(
        **_common(connection),
        order_id=order.order_id,
        client_id=order.client_id,
        perm_id=order.perm_id,
        parent_id=order.parent_id,
        status=order.status.value,
        filled=order.filled,
        remaining=order.remaining,
        average_fill_price=None,
        last_fill_price=None,
        why_held=order.why_held,
    )


def _completed(order: Order, connection: int) -> CompletedOrderReport:
    return CompletedOrderReport(
        **_common(connection),
        **_terms(order),
        parent_perm_id=order.parent_perm_id,
        filled=order.filled,
        completed_time="",
        completed_status=order.ended_because,
    )


def _executed(execution: Execution, connection: int, *, live: bool) -> ExecutionReport:
    return ExecutionReport(
        **_common(connection),
        exec_id=execution.exec_id,
        account=execution.account,
        order_id=execution.order_id,
        client_id=execution.client_id,
        perm_id=execution.perm_id,
        contract=_facts(execution.listing),
        side=execution.side.value,
        quantity=execution.quantity,
        price=execution.price,
        time_text="",
        executed_at=execution.at,
        exchange="SMART",
        cumulative_quantity=execution.cumulative,
        average_price=execution.average_price,
        order_ref=execution.order_ref,
        live=live,
    )
