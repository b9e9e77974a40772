"""The house over days: the paper gateway's exchange as a process that comes and goes, and a worker that hears it.

Adds to `paper` what one stretch of minutes does not need: a calendar that time moves along, a gateway that keeps its
state in files and its ledger in another, a link that can be down behind it, a second client whose orders are told to
nobody but him, and a worker that applies answers as production's consumer does, page by page.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from accounts.models import GatewaySession
from gateway.paper.catalogue import Catalogue, ContractAsk, read_catalogue
from gateway.paper.exchange import Exchange
from gateway.paper.ledger import Ledger
from gateway.paper.orders import Charged, Event, Executed, Execution, Opened, Order, Placement, StatusChanged
from gateway.paper.state import Store
from gateway.reports import CommissionReport, ExecutionReport, OpenOrderReport, Query, Report, SessionState
from gateway.tickets import Instrument
from orders.breaks.hearing import Hearing
from orders.day import Day
from tests.model import paper
from tests.model.paper import Clock, Gateway, Session
from tests.orders.builders import ACCOUNT, CLIENT_ID
from tests.orders.builders import GATEWAY as NAME

ZONE = ZoneInfo("America/New_York")
STRANGER = 99  # another client of the same gateway
TRADED = ("AAPL", "MSFT", "NVDA")  # by our worker
CENT = Decimal("0.01")


@dataclass(slots=True, kw_only=True)
class DayClock(Clock):
    """Begins at a moment of one's own, on a wall clock of the gateway's zone."""

    begins: datetime
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.begins + timedelta(seconds=self.seconds)

    def at(self, day: int, wall: str) -> datetime:
        """That wall clock, so many days after the first."""
        first = self.begins.astimezone(ZONE).date()
        return datetime.fromisoformat(f"{first + timedelta(days=day)}T{wall}").replace(tzinfo=ZONE)


@dataclass(slots=True, kw_only=True)
class DayGateway(Gateway):
    """`linked`: to the broker behind it; while it is not, nothing that happens there is told."""

    directory: Path
    up: bool = False
    linked: bool = True
    orders: dict[int, Order] = field(default_factory=dict)  # what became of each, by permId
    written: Ledger = field(init=False)
    catalogue: Catalogue = field(init=False)
    _store: Store = field(init=False)
    _next_id: int = 0  # the other client's

    def __post_init__(self) -> None:
        everything = {listing.symbol: listing for listing in read_catalogue()}
        self.catalogue = Catalogue([everything[symbol] for symbol in (*TRADED, "AMD")])
        self.written = Ledger(self.directory / "ledger.jsonl", self.clock.now)
        self.start()

    def start(self) -> None:
        """Take up the files where they were left."""
        self.exchange = Exchange(
            catalogue=self.catalogue,
            accounts=[ACCOUNT],
            cash=Decimal(100_000_000),
            seed=self.chance.randrange(1000),
            clock=self.clock.now,
            zone=ZONE,
        )
        self._store = Store(self.directory, self.exchange)
        self._store.load()
        self.up = True
        self.exchange.open()
        self.tell()

    def shut(self) -> None:
        self.drop()
        self._store.close()
        self.up = False

    def close(self) -> None:
        if self.up:
            self.shut()
        self.written.close()

    def tell(self) -> None:
        for event in self.exchange.take_events():
            self._keep(event)
            if self.session is not None and self.linked and _is_told(event):
                self.session.outbound.extend(self._told(event, self.session.connection))

    def _keep(self, event: Event) -> None:
        self.written.event(event)
        if isinstance(event, Opened | StatusChanged):
            self.orders[event.order.perm_id] = event.order

    def _told(self, event: Event, connection: int) -> Iterator[Report]:
        if isinstance(event, Charged):
            yield charge(event.execution, connection)
        else:
            yield from Gateway._told(self, event, connection)  # slots: there is no bare super() here

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The ledger's lines of a kind."""
        self.written.commit()
        text = (self.directory / "ledger.jsonl").read_text(encoding="utf-8")
        return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]

    # What happens there

    def mark(self, symbol: str) -> Decimal:
        return self.exchange.mark(self._listing(symbol)).quantize(CENT)

    def move(self, symbol: str, factor: str) -> None:
        """The price jumps, and the market maker takes what it meets on its way."""
        market = self.exchange.markets[self._listing(symbol).con_id]
        market.maker.fair = (market.maker.fair * Decimal(factor)).quantize(CENT)
        self.step()

    def elsewhere(self, side: str, quantity: int, symbol: str, *, limit: Decimal | None = None) -> None:
        """The other client trades in our account."""
        self._next_id = max(self._next_id + 1, self.exchange.register.next_valid_id(STRANGER))
        asked = Placement(
            client_id=STRANGER,
            order_id=self._next_id,
            contract=ContractAsk(symbol=symbol, security_type="STK", exchange="SMART", currency="USD"),
            side=side,
            quantity=Decimal(quantity),
            order_type="LMT" if limit else "MKT",
            limit_price=limit,
            time_in_force="GTC" if limit else "DAY",
            account=ACCOUNT,
        )
        assert self.exchange.place(asked).accepted
        self.tell()

    def correct(self) -> None:
        """One of the day's executions turns out to have had another price."""
        executions = self.exchange.register.executions
        if not executions:
            return
        place = self.chance.randrange(len(executions))
        before = executions[place]
        family, _, revision = before.exec_id.rpartition(".")
        exec_id = f"{family}.{int(revision) + 1:02}"
        executions[place] = replace(before, exec_id=exec_id, price=before.price + CENT)
        self._correction(executions[place])

    def _correction(self, execution: Execution) -> None:
        for event in (Executed(execution), Charged(execution)):
            self._keep(event)
            if self.session is not None and self.linked and _is_told(event):
                self.session.outbound.extend(self._told(event, self.session.connection))

    def _listing(self, symbol: str) -> Any:
        return next(listing for listing in self.catalogue if listing.symbol == symbol)


class DaySession(Session):
    """A session whose reports are applied as the owner's consumer does, and heard by its reconciliation."""

    hesitates = (0.0,)
    _gateway: DayGateway

    def __init__(self, gateway: DayGateway) -> None:
        row = GatewaySession.objects.get(pk=NAME)
        row.epoch += 1
        row.save(update_fields=["epoch"])
        # Short pages of different lengths: what one has looked at the other has not always written down.
        self.hearing = Hearing(page=5)
        self._day = Day(gateway=NAME, epoch=row.epoch, page=7)
        super().__init__(gateway, epoch=row.epoch, faults=0.0)
        self._zone = ZONE

    def connect(self) -> bool:
        return self._gateway.up and super().connect()

    def lose_link(self) -> None:
        """1100."""
        self.ready_since = None
        self._move(SessionState.LINK_DOWN)

    def begin_recovery(self) -> None:
        """1102."""
        self._move(SessionState.RECOVERING)

    def qualify(self, symbol: str, *, timeout: float) -> Instrument:
        return Instrument(con_id=self._gateway._listing(symbol).con_id, symbol=symbol)

    def _answer(self, query: Query) -> Iterator[Report]:
        register = self._gateway.exchange.register
        executions = {execution.exec_id: execution for execution in register.executions}
        for report in super()._answer(query):
            yield report
            if isinstance(report, OpenOrderReport):
                yield paper._status(register.working[report.perm_id], self.connection)
            elif isinstance(report, ExecutionReport):
                yield charge(executions[report.exec_id], self.connection)

    def _apply(self, report: Report) -> None:
        if not self._day.gather(report, session=self.desk.session(self.connection)):
            super()._apply(report)
        self.hearing.apply(report)


def charge(execution: Execution, connection: int) -> CommissionReport:
    return CommissionReport(
        **paper._common(connection),
        exec_id=execution.exec_id,
        commission=execution.commission,
        currency="USD",
        realized_pnl=None if execution.realized is None else execution.realized.quantize(CENT),
    )


def _is_told(event: Event) -> bool:
    """What other clients do is not; what the account holds is."""
    match event:
        case Opened(order) | StatusChanged(order):
            return order.client_id == CLIENT_ID
        case Executed(execution) | Charged(execution):
            return execution.client_id == CLIENT_ID
        case _:
            return getattr(event, "client_id", CLIENT_ID) == CLIENT_ID
