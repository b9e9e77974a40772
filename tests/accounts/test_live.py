from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unittest import mock

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.freshness import NoAccount, NotConnected, chosen_account, require_fresh, standing
from accounts.history import GatewayStateChange
from accounts.live import LiveBook
from accounts.models import AccountValue, BrokerAccount, GatewayConnection, GatewaySession, Position
from gateway.reports import (
    AccountValueReport,
    AnswerComplete,
    Cause,
    ContractFacts,
    Heard,
    PortfolioReport,
    PositionReport,
    Query,
    SessionChanged,
    SessionState,
)

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
AAPL = ContractFacts(con_id=265598, symbol="AAPL", security_type="STK", currency="USD")
MSFT = ContractFacts(con_id=272093, symbol="MSFT", security_type="STK", currency="USD")


def at(seconds: float = 0):
    return {"connection": 1, "received_at": T0 + timedelta(seconds=seconds)}


@pytest.fixture
def book():
    GatewaySession.objects.create(pk="default", client_id=17, endpoint="127.0.0.1:4002", state_since=T0, epoch=3)
    live = LiveBook(gateway="default", epoch=3)
    live.apply(
        SessionChanged(
            **at(), state=SessionState.READY, reason="", next_order_id=5, accounts=("DU1000001",), server_version=176
        )
    )
    return live


def test_session_is_written_with_its_accounts(book):
    row = GatewaySession.objects.get()

    assert (row.state, row.next_order_id, row.accounts) == ("READY", 5, ["DU1000001"])
    assert BrokerAccount.objects.get().pk == "DU1000001"


def test_a_connection_is_kept_with_the_id_it_was_offered(book):
    for state, offered in ((SessionState.RECOVERING, 7), (SessionState.READY, 9)):
        book.apply(SessionChanged(**at(1), state=state, reason="", next_order_id=7, offered_order_id=offered))

    assert list(GatewayConnection.objects.values_list("epoch", "number", "offered_order_id")) == [(3, 1, 7)]


def test_a_deposed_owner_changes_nothing_but_the_floor_of_ids(book):
    GatewaySession.objects.update(epoch=4)

    book.apply(SessionChanged(**at(9), state=SessionState.DISCONNECTED, reason="stopped", next_order_id=9))
    book.apply(Heard(**at(9)))

    row = GatewaySession.objects.get()
    assert (row.state, row.heard_at, row.next_order_id) == ("READY", None, 9)


def test_order_ids_never_roll_back(book):
    book.apply(SessionChanged(**at(1), state=SessionState.READY, reason="", next_order_id=2))

    assert GatewaySession.objects.get().next_order_id == 5


def test_figures_are_written_together(book, django_assert_num_queries):
    for second, value in enumerate(("1", "2", "3")):
        book.apply(AccountValueReport(**at(second), account="DU1000001", key="Cash", value=value, currency="USD"))
    assert not AccountValue.objects.exists()

    with django_assert_num_queries(1):
        book.flush()
    assert list(AccountValue.objects.values_list("key", "value", "as_of")) == [("Cash", "3", T0 + timedelta(seconds=2))]

    with django_assert_num_queries(0):
        book.flush()


def test_position_and_portfolio_are_one_row(book):
    quantity, cost = Decimal(-5), Decimal("350.2")
    book.apply(PositionReport(**at(1), account="DU1000001", contract=AAPL, quantity=quantity, average_cost=cost))
    book.apply(
        PortfolioReport(
            **at(2),
            account="DU1000001",
            contract=AAPL,
            quantity=quantity,
            market_price=Decimal("349"),
            market_value=Decimal("-1745"),
            average_cost=cost,
            unrealized_pnl=None,
            realized_pnl=None,
        )
    )

    row = Position.objects.get()
    assert (row.quantity, row.average_cost, row.market_price) == (-5, Decimal("350.2"), 349)


def test_complete_list_closes_what_it_leaves_out(book):
    for second, contract in ((1, AAPL), (3, MSFT)):
        book.apply(
            PositionReport(**at(second), account="DU1000001", contract=contract, quantity=Decimal(1), average_cost=None)
        )

    book.apply(AnswerComplete(**at(4), query=Query.POSITIONS, started_at=T0 + timedelta(seconds=2)))

    assert dict(Position.objects.values_list("symbol", "quantity")) == {"AAPL": 0, "MSFT": 1}


def test_listed_open_orders_are_remembered(book):
    book.apply(AnswerComplete(**at(4), query=Query.ALL_OPEN_ORDERS, started_at=T0, perm_ids=frozenset({9, 7})))

    row = GatewaySession.objects.get()
    assert (row.open_orders_as_of, row.open_perm_ids) == (T0, [7, 9])


# May it be shown as what is?


def test_fresh_when_ready_and_just_heard(book):
    book.apply(Heard(connection=1, received_at=timezone.now()))

    assert require_fresh("default").pk == "default"


def test_no_worker_ever():
    assert not standing("default").fresh
    with pytest.raises(NotConnected, match="no gateway worker has reported yet"):
        require_fresh("default")


def test_silent_worker(book):
    book.apply(Heard(**at()))

    with pytest.raises(NotConnected, match="has not reported for some seconds"):
        require_fresh("default")


@pytest.mark.parametrize("state", [s for s in SessionState if s is not SessionState.READY])
def test_not_ready_says_why(book, state):
    book.apply(SessionChanged(**at(1), state=state, reason="client id 17 is taken by another session"))
    book.apply(Heard(**at(1)))

    with pytest.raises(NotConnected, match="client id 17 is taken"):
        require_fresh("default")


@pytest.mark.parametrize(
    ("case", "known", "configured", "chosen"),
    [
        ("the only one", ["DU1"], "", "DU1"),
        ("the configured one", ["DU1", "DU2"], "DU2", "DU2"),
        ("several and none chosen", ["DU1", "DU2"], "", None),
        ("not served", ["DU1"], "DU9", None),
        ("none known", [], "", None),
    ],
)
def test_account_to_act_for(case, known, configured, chosen):
    session = GatewaySession.objects.create(pk="g", client_id=1, endpoint="", state_since=T0, accounts=known)
    for account in known:
        BrokerAccount.objects.create(pk=account, session=session)

    if chosen:
        assert chosen_account(session, configured=configured) == chosen
    else:
        with pytest.raises(NoAccount):
            chosen_account(session, configured=configured)


# What the session went through


def change(second, state, reason="", cause=Cause.NONE, **more):
    return SessionChanged(**at(second), state=state, reason=reason, cause=cause, **more)


def test_every_change_is_kept_with_its_reason(book):
    book.apply(change(1, SessionState.LINK_DOWN, "1100", Cause.LINK_DOWN))
    book.apply(change(2, SessionState.RECOVERING, "1102"))

    changes = GatewayStateChange.objects.order_by("pk")
    assert list(changes.values_list("state", "cause", "reason", "epoch", "connection")) == [
        ("READY", "", "", 3, 1),
        ("LINK_DOWN", "LINK_DOWN", "1100", 3, 1),
        ("RECOVERING", "", "1102", 3, 1),
    ]
    assert changes.last().at == T0 + timedelta(seconds=2)


def test_a_change_that_is_applied_again_is_kept_once(book):
    for _ in range(2):
        book.apply(change(1, SessionState.DISCONNECTED, "refused", Cause.NOT_LISTENING))

    assert GatewayStateChange.objects.filter(state="DISCONNECTED").count() == 1


def test_a_deposed_owner_adds_nothing_to_the_history(book):
    GatewaySession.objects.update(epoch=4)

    book.apply(change(9, SessionState.DISCONNECTED, "stopped"))

    assert GatewayStateChange.objects.count() == 1


def test_the_history_cannot_be_changed(book):
    for harm in (
        lambda: GatewayStateChange.objects.update(reason="nothing happened"),
        lambda: GatewayStateChange.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="append_only"), transaction.atomic():
            harm()


def test_the_cause_stays_until_it_is_ready_again(book):
    seen = []
    for second, state, cause in (
        (1, SessionState.DISCONNECTED, Cause.READ_ONLY),
        (2, SessionState.CONNECTING, Cause.NONE),
        (3, SessionState.RECOVERING, Cause.NONE),
        (4, SessionState.READY, Cause.NONE),
    ):
        book.apply(change(second, state, cause=cause))
        seen.append(GatewaySession.objects.get().cause)

    assert seen == ["READ_ONLY", "READ_ONLY", "READ_ONLY", ""]


def test_away_since_counts_from_the_first_change_that_was_not_ready(book):
    assert GatewaySession.objects.get().away_since is None
    for second in (1, 5):
        book.apply(change(second, SessionState.DISCONNECTED, f"attempt {second}", Cause.NOT_LISTENING))
    away = GatewaySession.objects.get().away_since
    assert abs(away - T0 - timedelta(seconds=1)) < timedelta(milliseconds=500)

    book.apply(change(9, SessionState.READY))
    assert GatewaySession.objects.get().away_since is None


@pytest.mark.parametrize("wrong_by", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_worker_whose_clock_is_wrong_is_heard_all_the_same(book, wrong_by):
    wrong = timezone.now() + wrong_by
    with mock.patch.object(timezone, "now", return_value=wrong):
        book.apply(Heard(connection=1, received_at=wrong - timedelta(seconds=1)))

    assert standing("default").fresh


def test_a_sign_of_life_is_given_now_and_then(book, django_assert_num_queries):
    with django_assert_num_queries(1):
        book.sign_of_life()
        book.sign_of_life()

    assert abs(GatewaySession.objects.get().owner_seen_at - timezone.now()) < timedelta(seconds=30)


def test_the_gateways_zone_is_remembered(book):
    book.apply(change(1, SessionState.RECOVERING, time_zone="US/Eastern"))
    book.apply(change(2, SessionState.DISCONNECTED))

    assert GatewaySession.objects.get().time_zone == "US/Eastern"
