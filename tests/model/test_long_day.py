"""From Friday morning to Tuesday: whatever the gateway executed is on record at the end, or a break says what is not.

Friday's trading with a link that is down while orders fill, the nightly restart, a midnight with trades on both sides
of the last sync, a weekend, and a Monday on which orders fill while no worker runs. Production's worker, calendar,
sync, reconciliation and import, the paper gateway's exchange, files and ledger; only the wire and the clocks are ours.
"""

import io
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Value
from django.utils import timezone

from database import clock as database_clock
from database.prepared import Query, Selection
from gateway.reports import SessionState
from ibkr_site.checks import gateway_calendar
from orders import claims, dispatch, intake, reconcile, schedule, sweep, withdrawal
from orders.breaks import reconciliation, runs
from orders.breaks.models import OPEN, Break, ReconciliationRun
from orders.breaks.ours import STANDINGS
from orders.breaks.vocabulary import BreakKind, RunOutcome, Source
from orders.flex.importing import import_file
from orders.models import Commission, Execution, Order
from orders.vocabulary import OrderStatus, OrderType, Side, TimeInForce
from tests.model.long_day import TRADED, ZONE, DayClock, DayGateway, DaySession
from tests.orders.builders import ACCOUNT, CLIENT_ID, GATEWAY, asked, placement, session_row
from tests.orders.flex.files import of_trades, trade

pytestmark = pytest.mark.django_db

FRIDAYS = ("2026-01-09", "2026-03-06", "2026-10-30")  # the clocks change on the weekends of the last two
CENT = Decimal("0.01")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Days:
    """The worker, its gateway and the market, led along the calendar. `compares`: the reconciliation runs."""

    def __init__(self, seed: int, clock: DayClock, gateway: DayGateway, *, compares: bool = True) -> None:
        self.clock = clock
        self.chance = random.Random(seed)
        self.gateway = gateway
        self.compares = compares
        self.compared_at = clock.now() - HOUR
        self.worker: DaySession | None = DaySession(gateway)

    def go(self) -> None:
        self.friday()
        self.night()
        self.weekend()
        self.monday()
        self.tuesday()

    def friday(self) -> None:
        self.trading(ticks=15)
        self.link_down_while_orders_fill()
        self.trading(ticks=10)
        for symbol, below, quantity in (("AAPL", "0.97", 700), ("MSFT", "0.97", 90_000), ("NVDA", "0.9", 50)):
            self.order(
                symbol, Side.BUY, quantity, limit=self.gateway.mark(symbol) * Decimal(below), good_till_cancel=True
            )
        self.order("NVDA", Side.BUY, 50, limit=self.gateway.mark("NVDA") * Decimal("0.9"))  # until midnight
        self.pass_by(MINUTE / 4)
        self.until(0, "23:30", tick=HOUR)

    def link_down_while_orders_fill(self) -> None:
        """1100, and 1102 a while later."""
        for symbol in TRADED:
            mark = self.gateway.mark(symbol)
            self.order(symbol, Side.BUY, 40_000, limit=mark * Decimal("0.995"), good_till_cancel=True)
            self.order(symbol, Side.BUY, 300, limit=mark * Decimal("0.997"))
        self.pass_by(30 * SECOND)
        self.gateway.linked = False
        self.pass_by(30 * SECOND)
        told = Execution.objects.count()
        for symbol in TRADED:
            self.gateway.move(symbol, "0.994")
        self.gateway.elsewhere("SELL", 70, "AAPL")
        for _ in range(4):
            self.pass_by(30 * SECOND)
        assert Execution.objects.count() == told  # nobody told of them
        self.gateway.linked = True
        self.pass_by(30 * SECOND)
        assert Execution.objects.count() >= told + 2 * len(TRADED) + 1

    def night(self) -> None:
        """The nightly restart, and midnight: what is executed in its last seconds nobody lists any more."""
        self.until(0, "23:44:10", tick=5 * MINUTE)
        held = self.order("AAPL", Side.BUY, 10, valid_for=HOUR)
        self.until(0, "23:45", tick=20 * SECOND)
        self.gateway.shut()
        self.until(0, "23:50", tick=MINUTE)
        held.refresh_from_db()
        assert held.status == OrderStatus.RECEIVED  # it waits for the end of the pause
        self.gateway.start()
        self.until(0, "23:58:50", tick=MINUTE)
        held.refresh_from_db()
        assert held.status == OrderStatus.FILLED
        self.until(0, "23:59:35", tick=5 * SECOND)
        self.gateway.elsewhere("BUY", 30, "AAPL")
        self.until(0, "23:59:56", tick=2 * SECOND)
        if self.chance.random() < 0.5:
            self.gateway.elsewhere("BUY", 20, "MSFT")
        self.until(1, "00:00:30", tick=10 * SECOND)

    def weekend(self) -> None:
        self.until(1, "00:50", tick=10 * MINUTE)
        self.gateway.shut()
        self.until(2, "17:00", tick=8 * HOUR)
        self.gateway.start()
        self.until(2, "19:00", tick=HOUR)
        self.order("NVDA", Side.SELL, 60, limit=self.gateway.mark("NVDA") * Decimal("1.2"))
        self.pass_by(MINUTE / 4)

    def monday(self) -> None:
        """No worker, from Sunday evening to Tuesday morning."""
        self.end_worker()
        self.nightly_restart(2)
        self.until(3, "10:00", tick=HOUR)
        for symbol in ("AAPL", "MSFT"):
            self.gateway.move(symbol, "0.96")
            self.gateway.move(symbol, "1.05")
        self.gateway.elsewhere("BUY", self.chance.choice((40, 120)), "NVDA")
        self.nightly_restart(3)

    def tuesday(self) -> None:
        self.until(4, "09:00", tick=4 * HOUR)
        self.worker = DaySession(self.gateway)
        self.trading(ticks=10)
        self.pass_by(6 * MINUTE)
        self.pass_by(6 * MINUTE)  # a look at a market that stands still

    def end_worker(self) -> None:
        self.gateway.drop()
        self.worker = None

    def nightly_restart(self, day: int) -> None:
        self.until(day, "23:45", tick=HOUR)
        self.gateway.shut()
        self.until(day, "23:50", tick=5 * MINUTE)
        self.gateway.start()

    # Time

    def until(self, day: int, wall: str, *, tick: timedelta) -> None:
        moment = self.clock.at(day, wall)
        while (left := moment - self.clock.now()) > timedelta(0):
            self.pass_by(min(tick, left))

    def pass_by(self, span: timedelta) -> None:
        self.clock.seconds += span.total_seconds()
        if self.gateway.up:
            self.gateway.step()
        if self.worker is not None:
            self.work(self.worker)

    # The worker: what its threads do several times a second, and what the schedule asks of it

    def work(self, worker: DaySession) -> None:
        self.connect(worker)
        worker.hear(len(worker.outbound))
        sweep.sweep(worker.desk)
        while self.gateway.inbound:
            self.gateway.read()
        worker.hear(len(worker.outbound))
        sweep.inquire(worker.desk)
        if self.compares and self.clock.now() - self.compared_at >= 5 * MINUTE:
            self.compared_at = self.clock.now()
            runs.request(GATEWAY, by="model")
        reconciliation.work(worker.desk, worker.hearing)

    def connect(self, worker: DaySession) -> None:
        if worker.state is not SessionState.DISCONNECTED and not worker.stands:
            worker.notice()
        if worker.state is SessionState.DISCONNECTED and worker.connect():
            self.recover(worker)
        elif worker.state is SessionState.READY and not self.gateway.linked:
            worker.lose_link()
        elif worker.state is SessionState.LINK_DOWN and self.gateway.linked:
            worker.begin_recovery()
            self.recover(worker)

    def recover(self, worker: DaySession) -> None:
        name = worker.desk.session(worker.connection)
        reconcile.recover(worker, gateway=GATEWAY, client_id=CLIENT_ID, session=name, connection=worker.connection)
        worker.ready()

    # The market

    def trading(self, *, ticks: int) -> None:
        actions = {self.buy_or_sell: 6, self.rest: 5, self.elsewhere: 3, self.withdraw: 2, self.gateway.correct: 2}
        for _ in range(ticks):
            (action,) = self.chance.choices(list(actions), weights=list(actions.values()))
            action()
            self.pass_by(self.chance.choice((10, 30, 45)) * SECOND)

    def buy_or_sell(self) -> None:
        self.order(self.chance.choice(TRADED), self.chance.choice(list(Side)), self.chance.choice((100, 3_000, 9_000)))

    def rest(self) -> None:
        symbol, side = self.chance.choice(TRADED), self.chance.choice(list(Side))
        away = self.chance.randint(0, 12) * CENT
        limit = self.gateway.mark(symbol) + (-away if side is Side.BUY else away)
        self.order(symbol, side, self.chance.choice((100, 2_000, 20_000)), limit=limit)

    def elsewhere(self) -> None:
        self.gateway.elsewhere("BUY", self.chance.choice((50, 4_000)), self.chance.choice(TRADED))

    def withdraw(self) -> None:
        working = Order.objects.filter(status=OrderStatus.NEW, stamp__isnull=False, perm_id__isnull=False)
        if working:
            perm_id = self.chance.choice(working.order_by("pk")).perm_id
            intake.request_cancel(asked(), perm_id=perm_id, client_id=CLIENT_ID)

    def order(
        self,
        symbol: str,
        side: Side,
        quantity: int,
        *,
        limit: Decimal | None = None,
        good_till_cancel: bool = False,
        valid_for: timedelta = MINUTE,
    ) -> Order:
        leg = intake.Leg(
            side=side,
            order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            limit_price=limit and limit.quantize(CENT),
            time_in_force=TimeInForce.GTC if good_till_cancel else TimeInForce.DAY,
        )
        what = placement(leg, symbol=symbol, quantity=Decimal(quantity), valid_for=valid_for)
        return intake.place(asked(), what)[0]


# What has to be true at the end


class Truth:
    """The gateway's ledger beside our record."""

    def __init__(self, gateway: DayGateway) -> None:
        self.gateway = gateway
        last = {line["execId"].rpartition(".")[0]: line for line in gateway.lines("execution")}
        self.executed = list(last.values())  # the last word on each
        self.missing = [line for line in self.executed if not self._is_stored(line)]
        self.breaks = list(Break.objects.filter(OPEN))

    def _is_stored(self, line) -> bool:
        stored = Execution.objects.effective().filter(account=line["account"], exec_id=line["execId"]).first()
        said = (line["side"], Decimal(line["quantity"]), Decimal(line["price"]))
        return stored is not None and (stored.side, stored.quantity, stored.price) == said

    def uncovered(self) -> list[str]:
        """Executions that are neither on record nor in the gap of an open break."""
        gaps = defaultdict(Decimal)
        for line in self.missing:
            gaps[line["symbol"]] += Decimal(line["quantity"]) if line["side"] == "BUY" else -Decimal(line["quantity"])
        positions = {found.symbol: found.gap for found in self.breaks if found.kind == BreakKind.POSITION}
        orders = {found.order.perm_id for found in self.breaks if found.order is not None}
        return [
            f"{line['time']} {line['execId']} {line['side']} {line['quantity']} {line['symbol']} of {line['permId']}"
            for line in self.missing
            if positions.get(line["symbol"]) != gaps[line["symbol"]]
            or (self._is_ours(line) and line["permId"] not in orders)
        ]

    def unfounded(self) -> list[str]:
        """Open breaks of what agrees."""
        missing = {line["symbol"] for line in self.missing}
        return [
            str(found)
            for found in self.breaks
            if (found.kind == BreakKind.POSITION and found.symbol not in missing)
            or (found.order is not None and self._agrees(found.order))
            or found.execution is not None
            or found.source == Source.STATEMENT
        ]

    def unnoticed(self) -> list[str]:
        """Orders that are not what they were there, and no break says so."""
        noticed = {found.order_id for found in self.breaks}
        return [str(order) for order in Order.objects.all() if not self._agrees(order) and order.pk not in noticed]

    def _agrees(self, order: Order) -> bool:
        there = self.gateway.orders.get(order.perm_id)
        if there is None:
            return order.status in (OrderStatus.NOT_PLACED, OrderStatus.DENIED)
        standing = {"Filled": "filled", "Cancelled": "ended"}.get(there.status.value, "working")
        return (STANDINGS.get(OrderStatus(order.status)), order.filled_quantity) == (standing, there.filled)

    def _is_ours(self, line) -> bool:
        return line["clientId"] == CLIENT_ID


@pytest.fixture
def days(monkeypatch, settings, tmp_path):
    """Days of a seed, at their first moment; no clock but theirs goes."""
    settings.GATEWAY_CALENDAR = gateway_calendar(
        restart="23:45 America/New_York",
        restart_minutes=5,
        login="",
        login_minutes=30,
        weekend="Sat 00:50 - Sun 17:00 America/New_York",
        guard_seconds=60,
    )

    gateways = []

    def begin(seed: int, **options) -> Days:
        morning = datetime.fromisoformat(f"{FRIDAYS[seed % len(FRIDAYS)]}T10:00").replace(tzinfo=ZONE)
        clock = DayClock(begins=morning.astimezone(UTC))
        for module in (reconcile, claims, dispatch, sweep, reconciliation):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(timezone, "now", clock.now)
        monkeypatch.setattr(database_clock, "database_now", clock.now)
        read = Selection.read
        monkeypatch.setattr(Selection, "read", lambda *a, **kw: [(row, clock.now()) for row, _ in read(*a, **kw)])
        # What asks for the present is composed anew each time, for here the present is a value.
        monkeypatch.setattr(Query, "rows", lambda query, *given: list(query.compose(*given)))
        for module in (dispatch, reconcile, withdrawal):
            monkeypatch.setattr(module, "Now", lambda: Value(clock.now()))
        session_row(epoch=0)
        gateway = DayGateway(clock=clock, chance=random.Random(seed), directory=tmp_path)
        gateways.append(gateway)
        return Days(seed, clock, gateway, **options)

    yield begin
    for gateway in gateways:
        gateway.close()


@pytest.mark.parametrize("seed", range(1, 6))
def test_each_execution_is_on_record_or_has_its_break(seed, days):
    walk = days(seed)

    walk.go()

    truth = Truth(walk.gateway)
    assert len(truth.executed) > 30
    assert truth.missing  # of Monday
    assert (truth.uncovered(), truth.unfounded(), truth.unnoticed()) == ([], [], [])
    assert ReconciliationRun.objects.latest("pk").outcome == RunOutcome.COMPLETE


def test_a_statement_brings_what_was_lost(days):
    walk = days(1)
    walk.go()
    assert Truth(walk.gateway).missing

    bring(walk.gateway)
    walk.pass_by(6 * MINUTE)

    truth = Truth(walk.gateway)
    assert truth.missing == []
    assert (truth.unfounded(), truth.unnoticed()) == ([], [])
    assert {found.kind for found in truth.breaks} <= {BreakKind.MISSING_AT_BROKER, BreakKind.STATUS}
    costs = dict(Commission.objects.values_list("exec_id", "amount"))
    assert {line["execId"]: Decimal(line["commission"]) for line in truth.executed}.items() <= costs.items()


def test_a_round_trip_elsewhere_while_nobody_looked_stands_in_the_statement_alone(days):
    """No position tells of it, and the orders were never ours: the one thing that a break cannot say."""
    walk = days(1)
    walk.weekend()
    walk.end_worker()
    walk.until(3, "10:00", tick=4 * HOUR)
    for side in ("BUY", "SELL"):
        walk.gateway.elsewhere(side, 25, "AMD")
    walk.tuesday()
    lost = [line for line in Truth(walk.gateway).missing if line["symbol"] == "AMD"]

    bring(walk.gateway)
    walk.pass_by(6 * MINUTE)

    truth = Truth(walk.gateway)
    assert len(lost) >= 2
    assert (truth.missing, truth.unfounded(), truth.unnoticed()) == ([], [], [])


@pytest.mark.parametrize(("asks_before_midnight", "lost"), [(True, False), (False, True)])
def test_fridays_last_executions_are_asked_for_before_midnight(asks_before_midnight, lost, days, monkeypatch, settings):
    settings.EXECUTION_SYNC_SECONDS = settings.EXECUTION_SYNC_REST_SECONDS  # as if nothing worked that night
    if not asks_before_midnight:
        monkeypatch.setattr(schedule, "BEFORE_IT_FORGETS", ())
    walk = days(1, compares=False)

    walk.friday()
    walk.night()

    assert any("BUY 30 AAPL" in line for line in Truth(walk.gateway).uncovered()) is lost


def test_without_the_reconciliation_nobody_misses_mondays_executions(days):
    walk = days(1, compares=False)

    walk.go()

    truth = Truth(walk.gateway)
    assert len(truth.uncovered()) == len(truth.missing) > 3
    assert truth.unnoticed()


def bring(gateway: DayGateway) -> None:
    """Import all that was executed, as the broker's statement of these days tells it."""
    lines = {line["execId"].rpartition(".")[0]: line for line in gateway.lines("execution")}
    listed = {listing.symbol: listing for listing in gateway.catalogue}
    days = sorted(_local(line) for line in lines.values())
    told = of_trades(
        *(
            trade(
                symbol=line["symbol"],
                conid=str(listed[line["symbol"]].con_id),
                tradeID=str(6_000 + number),
                transactionID=str(9_000 + number),
                ibExecID=line["execId"],
                ibOrderID=str(line["permId"]),
                orderReference=line["orderRef"],
                dateTime=f"{_local(line):%Y%m%d;%H%M%S}",
                tradeDate=f"{_local(line):%Y%m%d}",
                buySell=line["side"],
                quantity=line["quantity"] if line["side"] == "BUY" else f"-{line['quantity']}",
                tradePrice=line["price"],
                ibCommission=f"-{line['commission']}",
            )
            for number, line in enumerate(lines.values())
        ),
        account=ACCOUNT,
        fromDate=f"{days[0]:%Y%m%d}",
        toDate=f"{days[-1]:%Y%m%d}",
        whenGenerated=f"{days[-1]:%Y%m%d};235900",
    )
    import_file(io.BytesIO(told), name="statement.xml", actor="user:reviewer")


def _local(line) -> datetime:
    return datetime.fromisoformat(line["time"]).astimezone(ZONE)
