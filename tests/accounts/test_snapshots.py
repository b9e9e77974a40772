"""Snapshots: whole or not at all, once for each moment, and never changed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts import calendar
from accounts.calendar import Calendar, Kind
from accounts.live import LiveBook
from accounts.models import AccountValue, BrokerAccount, GatewaySession, Position
from accounts.snapshots import moments, taking
from accounts.snapshots.models import AccountSnapshot, PositionSnapshot, SkippedSnapshot
from gateway.errors import QueryTimedOut
from gateway.reports import (
    AccountValueReport,
    AnswerComplete,
    ContractFacts,
    Heard,
    PortfolioReport,
    PositionReport,
    Query,
    SessionChanged,
    SessionState,
)
from orders import desk, tasks

pytestmark = pytest.mark.django_db
ACCOUNT = "DU1000001"
AAPL = ContractFacts(con_id=265598, symbol="AAPL", security_type="STK", currency="USD")
SAP = ContractFacts(con_id=14204, symbol="SAP", security_type="STK", currency="EUR")
FIGURES = {
    "NetLiquidation": "201879.04",
    "TotalCashValue": "190000",
    "AvailableFunds": "195000.5",
    "BuyingPower": "800000",
}
DUE = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)


class Told:
    """The worker's book, and a broker that answers what it is asked: through the same reports as the real one."""

    def __init__(self, *accounts):
        GatewaySession.objects.create(pk="default", client_id=17, endpoint="", state_since=timezone.now(), epoch=3)
        self.accounts = accounts or (ACCOUNT,)
        self.book = LiveBook(gateway="default", epoch=3)
        self.figures = dict(FIGURES)
        self.holdings = []
        self.asked = []
        self.failure = None
        self.connection = 0
        self.connect()

    def common(self):
        return {"connection": self.connection, "received_at": timezone.now()}

    def connect(self):
        self.connection += 1
        for state in (SessionState.RECOVERING, SessionState.READY):
            change = SessionChanged(
                **self.common(), state=state, reason="", offered_order_id=1, accounts=self.accounts, time_zone="UTC"
            )
            self.book.apply(change)
        self.book.apply(Heard(**self.common()))

    def hold(self, contract, quantity, price):
        self.holdings.append((contract, Decimal(quantity), None if price is None else Decimal(price)))

    def ask(self, query, *, timeout, connection=None):
        self.asked.append(query)
        if self.failure is not None:
            raise self.failure
        started_at = timezone.now()
        tell = self.tell_positions if query is Query.POSITIONS else self.tell_figures
        for account in ("",) if query is Query.POSITIONS else self.accounts:
            tell(account)
            self.book.apply(AnswerComplete(**self.common(), query=query, started_at=started_at, account=account))

    def tell_positions(self, _account):
        for contract, quantity, _price in self.holdings:
            self.book.apply(
                PositionReport(
                    **self.common(), account=ACCOUNT, contract=contract, quantity=quantity, average_cost=Decimal(100)
                )
            )

    def tell_figures(self, account):
        for key, value in self.figures.items():
            key, _, currency = key.partition("/")
            report = AccountValueReport(
                **self.common(), account=account, key=key, value=value, currency=currency or "USD"
            )
            self.book.apply(report)
        for contract, quantity, price in self.holdings if account == ACCOUNT else ():
            report = PortfolioReport(
                **self.common(),
                account=account,
                contract=contract,
                quantity=quantity,
                market_price=price,
                market_value=None if price is None else quantity * price,
                average_cost=Decimal(100),
                unrealized_pnl=None,
                realized_pnl=None,
            )
            self.book.apply(report)

    def answer_all(self):
        for query in (Query.POSITIONS, Query.ACCOUNT):
            self.ask(query, timeout=1)


@pytest.fixture
def told():
    return Told()


def take(due_at=DUE):
    return taking.take("default", due_at=due_at)


def test_figures_and_positions_are_kept_together(told):
    told.hold(AAPL, 10, "231.5")
    told.figures |= {"RealizedPnL/BASE": "12.5", "RealizedPnL/USD": "99", "UnrealizedPnL/USD": "-3.25"}
    told.answer_all()

    (snapshot,) = take().snapshots

    snapshot.refresh_from_db()
    assert (snapshot.account_id, snapshot.currency, snapshot.due_at) == (ACCOUNT, "USD", DUE)
    assert (snapshot.net_liquidation, snapshot.total_cash) == (Decimal("201879.04"), 190000)
    assert (snapshot.available_funds, snapshot.buying_power) == (Decimal("195000.5"), 800000)
    assert (snapshot.realized_pnl, snapshot.unrealized_pnl) == (Decimal("12.5"), Decimal("-3.25"))
    assert (snapshot.position_count, snapshot.position_value) == (1, 2315)
    assert (snapshot.epoch, snapshot.connection) == (3, 1)
    assert abs(snapshot.taken_at - timezone.now()) < timedelta(seconds=30)
    held = snapshot.positions.get()
    assert (held.symbol, held.quantity, held.market_price, held.market_value) == ("AAPL", 10, Decimal("231.5"), 2315)


@pytest.mark.parametrize("text", ["", "1.7976931348623157E308"])
def test_what_the_broker_leaves_unset_stays_unknown(told, text):
    told.figures |= {"RealizedPnL/BASE": text, "UnrealizedPnL/BASE": "0"}
    told.answer_all()

    (snapshot,) = take().snapshots

    assert (snapshot.realized_pnl, snapshot.unrealized_pnl, snapshot.initial_margin) == (None, 0, None)


@pytest.mark.parametrize(
    ("case", "holdings", "value"),
    [
        ("nothing held", [], 0),
        ("short", [(AAPL, -5, "200")], -1000),
        ("closed", [(AAPL, 0, "200")], 0),
        ("in another currency", [(AAPL, 5, "200"), (SAP, 5, "100")], None),
        ("without a price", [(AAPL, 5, None)], None),
    ],
)
def test_the_positions_worth(told, case, holdings, value):
    for holding in holdings:
        told.hold(*holding)
    told.answer_all()

    (snapshot,) = take().snapshots

    assert snapshot.position_value == value
    assert snapshot.position_count == snapshot.positions.count() == len([h for h in holdings if h[1]])


def test_one_for_each_account_and_moment(told):
    told.answer_all()

    first, again, later = take(), take(), take(DUE + timedelta(minutes=5))

    assert [len(taken.snapshots) for taken in (first, again, later)] == [1, 0, 1]
    assert (again.already, AccountSnapshot.objects.count()) == (1, 2)


def test_every_account_has_its_own():
    told = Told(ACCOUNT, "DU1000002")
    told.hold(AAPL, 10, "231.5")
    told.answer_all()

    take()

    assert dict(AccountSnapshot.objects.values_list("account", "position_count")) == {ACCOUNT: 1, "DU1000002": 0}


def test_of_a_login_with_several_only_the_configured_account(settings):
    settings.IB_ACCOUNT = "DU1000002"
    told = Told(ACCOUNT, "DU1000002")
    told.answer_all()

    take()

    assert AccountSnapshot.objects.get().account_id == "DU1000002"


# Or not at all


def lose_connection(told):
    told.book.apply(SessionChanged(**told.common(), state=SessionState.DISCONNECTED, reason="nothing listens"))


def fall_silent(told):
    GatewaySession.objects.update(heard_at=timezone.now() - timedelta(minutes=1))


def change_quantity(told):
    told.holdings = [(AAPL, Decimal(20), None)]
    told.tell_positions(ACCOUNT)


@pytest.mark.parametrize(
    ("case", "harm", "reason"),
    [
        ("disconnected", lose_connection, "nothing listens"),
        ("silent", fall_silent, "has not reported"),
        (
            "a new connection on which nothing was listed",
            Told.connect,
            "the positions were not listed on this connection",
        ),
        (
            "positions were listed, figures were not",
            lambda told: (told.connect(), told.ask(Query.POSITIONS, timeout=1)),
            "the figures of DU1000001 were not listed",
        ),
        (
            "figures were listed, positions were not",
            lambda told: (told.connect(), told.ask(Query.ACCOUNT, timeout=1)),
            "the positions were not listed",
        ),
        ("a fill of a moment ago", change_quantity, "the position in AAPL is worth was not told"),
        (
            "a key figure is missing",
            lambda _: AccountValue.objects.filter(key="NetLiquidation").delete(),
            "has not given",
        ),
        ("a key figure is unset", lambda _: AccountValue.objects.update(value=""), "gives no NetLiquidation"),
        ("a figure is no number", lambda _: AccountValue.objects.update(value="n/a"), "gave NetLiquidation as 'n/a'"),
        ("a figure is beyond measure", lambda _: AccountValue.objects.update(value="1e17"), "as '1e17'"),
        ("a figure is not a number", lambda _: AccountValue.objects.update(value="NaN"), "as 'NaN'"),
    ],
)
def test_what_is_not_whole_is_not_taken(told, case, harm, reason):
    told.hold(AAPL, 10, "231.5")
    told.answer_all()
    harm(told)

    with pytest.raises(taking.Skipped, match=reason):
        take()

    assert not AccountSnapshot.objects.exists()
    assert not PositionSnapshot.objects.exists()


def test_of_two_accounts_both_or_none():
    told = Told(ACCOUNT, "DU1000002")
    told.answer_all()
    AccountValue.objects.filter(account="DU1000002").delete()

    with pytest.raises(taking.Skipped):
        take()

    assert not AccountSnapshot.objects.exists()


def test_a_deposed_owner_lists_nothing(told):
    GatewaySession.objects.update(epoch=4)

    told.answer_all()

    assert GatewaySession.objects.get().positions_as_of is None
    assert BrokerAccount.objects.get().figures_as_of is None


# On the schedule


def test_rung_for_it_asks_and_takes_once(told, django_assert_num_queries):
    taken = taking.take_due(told, gateway="default")

    assert len(taken.snapshots) == 1
    assert told.asked == [Query.POSITIONS, Query.ACCOUNT]
    with django_assert_num_queries(3):
        assert taking.take_due(told, gateway="default") is None
    assert (len(told.asked), AccountSnapshot.objects.count()) == (2, 1)


def test_the_task_is_for_the_owner_of_the_session(told):
    tasks.snapshot_accounts()
    assert not AccountSnapshot.objects.exists()

    desk.open_desk(desk.Desk(broker=told, gateway="default", client_id=17, epoch=3))
    try:
        tasks.snapshot_accounts()
    finally:
        desk.close_desk()
    assert AccountSnapshot.objects.count() == 1


def test_rung_for_before_the_first_connection():
    told = Told()
    GatewaySession.objects.update(accounts=[])

    assert taking.take_due(told, gateway="default") is None
    assert taking.take_due(told, gateway="another") is None
    assert (told.asked, SkippedSnapshot.objects.count()) == ([], 0)


def test_a_skip_is_kept_once_for_its_moment_and_said_once_for_its_reason(told, caplog):
    told.failure = QueryTimedOut("the gateway did not answer within 20 s")
    for _ in range(2):
        assert taking.take_due(told, gateway="default") is None
    skipped = SkippedSnapshot.objects.get()
    assert skipped.reason == "the gateway did not answer within 20 s"

    taking.skip("default", due_at=skipped.due_at + timedelta(minutes=5), reason=skipped.reason)
    taking.skip("default", due_at=skipped.due_at + timedelta(minutes=10), reason="another")

    assert SkippedSnapshot.objects.count() == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]

    told.failure = None
    assert taking.take_due(told, gateway="default").due_at == skipped.due_at  # late, and not missed


@pytest.mark.django_db(transaction=True)
def test_two_at_once_take_one():
    told = Told()
    told.answer_all()
    together, counts = Barrier(2), []

    def ring():
        together.wait()
        counts.append(len(take().snapshots))
        connection.close()

    threads = [Thread(target=ring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(counts) == [0, 1]
    assert AccountSnapshot.objects.count() == 1


@pytest.mark.parametrize("model", [AccountSnapshot, PositionSnapshot, SkippedSnapshot])
def test_nothing_of_it_can_be_changed(told, model):
    told.hold(AAPL, 10, "231.5")
    told.answer_all()
    take()
    taking.skip("default", due_at=DUE, reason="why")

    for change in (
        lambda: model.objects.update(id=F("id") + 1),
        lambda: model.objects.all()._raw_delete(model.objects.db),
        lambda: connection.cursor().execute(f"TRUNCATE {model._meta.db_table} CASCADE"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert model.objects.count() == 1


# Moments

FIVE = timedelta(minutes=5)
NY = ZoneInfo("America/New_York")
NIGHTLY = Calendar(
    windows=(calendar.daily(Kind.RESTART, "23:45 America/New_York", lasts=FIVE),), guard=timedelta(seconds=60)
)


@pytest.mark.parametrize(
    ("case", "now", "moment"),
    [
        ("a regular one", "2026-01-15 14:33:20", "2026-01-15 14:30:00"),
        ("exactly", "2026-01-15 14:35:00", "2026-01-15 14:35:00"),
        ("a minute before the pause", "2026-01-15 23:43:30", "2026-01-15 23:43:00"),
        ("not yet", "2026-01-15 23:42:59", "2026-01-15 23:40:00"),
        ("before midnight", "2026-01-15 23:58:30", "2026-01-15 23:58:00"),
        ("after midnight", "2026-01-16 00:00:01", "2026-01-16 00:00:00"),
        ("a day without an hour", "2026-03-08 23:58:01", "2026-03-08 23:58:00"),
    ],
)
def test_moments(case, now, moment):
    def ny(text):
        return datetime.fromisoformat(text).replace(tzinfo=NY).astimezone(UTC)

    assert moments.latest(ny(now), every=FIVE, zone=NY, calendar=NIGHTLY) == ny(moment)


@pytest.mark.parametrize(
    ("name", "zone"), [("US/Eastern", "US/Eastern"), ("", "UTC"), ("UTC-05:00", "UTC"), ("../x", "UTC")]
)
def test_the_gateways_zone_by_its_name(name, zone):
    assert str(taking._zone(name)) == zone


# The command


def command(*arguments):
    out = StringIO()
    call_command("snapshot_accounts", *arguments, stdout=out, no_color=True)
    return out.getvalue().splitlines()


def test_command(told):
    told.hold(AAPL, 10, "231.5")
    told.answer_all()

    first, summary = command()

    assert first.startswith("DU1000001: net liquidation 201,879.04 USD, 1 position(s) worth 2,315.00, as of 20")
    assert summary == "1 snapshot(s) taken"
    assert command()[0].startswith("0 snapshot(s) taken, 1 already there for 20")
    assert command("--again")[1] == "1 snapshot(s) taken"
    assert AccountSnapshot.objects.count() == 2


def test_command_that_takes_none_says_why(told):
    with pytest.raises(CommandError, match=r"^No snapshot was taken: the positions were not listed") as refusal:
        command()

    assert refusal.value.returncode == 1
    assert SkippedSnapshot.objects.count() == 1


def test_command_before_the_first_worker():
    with pytest.raises(CommandError, match="no gateway worker has ever run"):
        command()


def test_what_a_position_was_worth_is_forgotten_with_its_quantity(told):
    told.hold(AAPL, 10, "231.5")
    told.answer_all()
    told.tell_positions(ACCOUNT)
    assert Position.objects.get().market_value == 2315  # the same quantity, listed again

    change_quantity(told)

    position = Position.objects.get()
    assert (position.quantity, position.market_value, position.valued_at) == (20, None, None)
