"""The session against the paper gateway, a process of its own over TCP: nothing on either side is replaced."""

import math
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.errors import ContractNotFound, NothingSent
from gateway.reports import (
    AccountValueReport,
    AnswerComplete,
    Cause,
    CommissionReport,
    CompletedOrderReport,
    ErrorReport,
    ExecutionReport,
    OpenOrderReport,
    OrderStatusReport,
    PositionReport,
    Query,
    SessionChanged,
    SessionState,
    Undecodable,
)
from gateway.tickets import OrderTicket
from tests.gateway.paper_process import PaperGateway
from tests.gateway.scripted import wait_until
from tests.gateway.sessions import Collected, ready, session_with

ALL = tuple(Query)


@pytest.fixture
def reports():
    collected = Collected()
    yield collected
    assert not collected.of(Undecodable)


def recover(session, connection):
    for query in ALL:
        session.ask(query, timeout=5, connection=connection)


def ticket(session, **changes) -> OrderTicket:
    order_id = changes.pop("order_id", session.status().next_order_id)
    plain = OrderTicket(
        order_id=order_id,
        account="DU1000001",
        instrument=session.qualify("AAPL", timeout=5),
        side="BUY",
        order_type="MARKET",
        quantity=Decimal(10),
        order_ref=f"ref-{order_id}~STAMP",
    )
    return replace(plain, **changes)


def resting(session, **changes) -> OrderTicket:
    return ticket(session, order_type="LIMIT", limit_price=Decimal("1.5"), **changes)


def orders_of(reports, order_id, status=None):
    found = [report for report in reports.of(OpenOrderReport, OrderStatusReport) if report.order_id == order_id]
    return [report for report in found if status is None or report.status == status]


def test_recovery_asks_everything_and_each_answer_is_whole(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports, recover=recover) as session:
        ready(session)
        assert [answer.query for answer in reports.of(AnswerComplete)] == list(ALL)
        assert reports.of(AccountValueReport)
    assert reports.states() == ["CONNECTING", "RECOVERING", "READY", "DISCONNECTED"]


def test_a_market_order_from_placement_to_commission(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports, recover=recover) as session:
        connection = ready(session)
        placed = ticket(session)

        session.transmit([placed], connection=connection, before=math.inf)
        wait_until(lambda: orders_of(reports, placed.order_id, "Filled") and reports.of(CommissionReport))

        first = orders_of(reports, placed.order_id)[0]
        assert isinstance(first, OpenOrderReport)
        assert (first.order_ref, first.client_id) == (placed.order_ref, 7)
        assert first.perm_id > 0
        fills = reports.of(ExecutionReport)
        assert sum(fill.quantity for fill in fills) == 10
        assert {(fill.side, fill.live, fill.order_ref) for fill in fills} == {("BUY", True, placed.order_ref)}
        assert all(fill.executed_at is not None and fill.perm_id == first.perm_id for fill in fills)
        wait_until(lambda: reports.of(PositionReport))
        assert reports.of(PositionReport)[-1].quantity == 10

        session.ask(Query.EXECUTIONS, timeout=5)
        asked = [fill for fill in reports.of(ExecutionReport) if not fill.live]
        assert [fill.exec_id for fill in asked] == [fill.exec_id for fill in fills]
        session.ask(Query.COMPLETED_ORDERS, timeout=5)
        assert first.perm_id in reports.of(AnswerComplete)[-1].perm_ids
        (completed,) = reports.of(CompletedOrderReport)
        assert (completed.status, completed.filled, completed.order_ref) == ("Filled", 10, placed.order_ref)


def test_a_limit_order_rests_and_is_canceled(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports) as session:
        connection = ready(session)
        placed = resting(session)
        session.transmit([placed], connection=connection, before=math.inf)
        wait_until(lambda: orders_of(reports, placed.order_id, "Submitted"))
        session.ask(Query.OPEN_ORDERS, timeout=5)
        assert reports.of(AnswerComplete)[-1].perm_ids == {orders_of(reports, placed.order_id)[0].perm_id}

        session.cancel(placed.order_id, connection=connection)
        wait_until(lambda: orders_of(reports, placed.order_id, "Cancelled"))
        wait_until(lambda: [error for error in reports.of(ErrorReport) if error.request_id == placed.order_id])
        session.ask(Query.OPEN_ORDERS, timeout=5)
        assert reports.of(AnswerComplete)[-1].perm_ids == frozenset()


def test_a_bracket_is_silent_until_its_last_leg_and_then_whole(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports) as session:
        connection = ready(session)
        entry = resting(session, order_id=100, transmit=False)
        stop = ticket(
            session,
            order_id=101,
            side="SELL",
            order_type="STOP",
            stop_price=Decimal(1),
            parent_id=100,
            transmit=False,
        )
        profit = resting(session, order_id=102, side="SELL", parent_id=100)
        profit = replace(profit, limit_price=Decimal(2000))

        session.transmit([entry, stop, profit], connection=connection, before=math.inf)
        wait_until(lambda: all(orders_of(reports, order_id) for order_id in (100, 101, 102)))

        assert session.status().next_order_id == 103
        assert {r.order_id: r.parent_id for r in reports.of(OpenOrderReport)} == {100: 0, 101: 100, 102: 100}
        assert {r.order_id: (r.order_type, r.aux_price) for r in reports.of(OpenOrderReport)}[101] == ("STP", 1)


def test_an_order_id_used_before_is_refused_by_the_gateway(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports) as session:
        connection = ready(session)
        session.transmit([ticket(session, order_id=50)], connection=connection, before=math.inf)
        wait_until(lambda: orders_of(reports, 50, "Filled"))
        session.transmit([ticket(session, order_id=49)], connection=connection, before=math.inf)
        wait_until(lambda: [e for e in reports.of(ErrorReport) if (e.request_id, e.code) == (49, 103)])


def test_an_unknown_symbol(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports) as session:
        ready(session)
        with pytest.raises(ContractNotFound, match="Could not qualify contract for symbol: NOSUCH"):
            session.qualify("NOSUCH", timeout=5)


def test_a_second_session_of_the_same_client_id_waits_for_the_first(reports):
    other = Collected()
    with PaperGateway() as gateway:
        with session_with(gateway.port, reports) as session:
            ready(session)
            # Its name differs by nothing but its threads; both are checked for at the end.
            with session_with(gateway.port, other, client_id=7) as standby:
                wait_until(lambda: "client id 7 is taken" in standby.status().reason)
                assert session.suspend("giving way")
                ready(standby)
    assert "READY" in other.states()


def test_a_gateway_that_is_killed_and_comes_back_with_what_it_knew(reports, tmp_path):
    state = ("--state", str(tmp_path))
    first = PaperGateway(*state)
    with session_with(first.port, reports, recover=recover) as session:
        connection = ready(session)
        order_id = session.status().next_order_id
        session.transmit([resting(session, order_id=order_id)], connection=connection, before=math.inf)
        wait_until(lambda: orders_of(reports, order_id, "Submitted"))
        perm_id = orders_of(reports, order_id)[0].perm_id

        first.kill()
        wait_until(lambda: session.status().state == SessionState.DISCONNECTED)
        before = len(reports.all)
        with PaperGateway(*state, port=first.port):
            assert ready(session) == connection + 1
            # The sink hears of it a moment after the session is.
            wait_until(lambda: any(getattr(r, "state", None) == SessionState.READY for r in reports.all[before:]))
            after = reports.all[before:]
            open_orders = next(r for r in after if isinstance(r, AnswerComplete) and r.query == Query.OPEN_ORDERS)
            assert open_orders.perm_ids == {perm_id}
            assert open_orders.connection == connection + 1
            # Recovered before it was ready, and it may go on where it was.
            ready_at = next(n for n, r in enumerate(after) if getattr(r, "state", None) == SessionState.READY)
            assert {r.query for r in after[:ready_at] if isinstance(r, AnswerComplete)} == set(ALL)
            session.transmit([resting(session)], connection=connection + 1, before=math.inf)
            wait_until(lambda: orders_of(reports, order_id + 1, "Submitted"))


def test_many_orders_in_flight_at_once_and_never_too_many_a_second(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports) as session:
        connection = ready(session)
        first = session.status().next_order_id
        for order_id in range(first, first + 120):
            session.room(1, timeout=5)
            session.transmit([resting(session, order_id=order_id)], connection=connection, before=math.inf)
        wait_until(lambda: len({r.order_id for r in reports.of(OpenOrderReport)}) == 120)
    assert not [error for error in reports.of(ErrorReport) if error.code == 100]


@pytest.mark.parametrize("zone", ["US/Eastern", "UTC"])
def test_execution_times_are_utc_whatever_the_gateways_zone(reports, zone):
    with PaperGateway("--time-zone", zone) as gateway, session_with(gateway.port, reports) as session:
        connection = ready(session)
        session.transmit([ticket(session)], connection=connection, before=math.inf)
        wait_until(lambda: reports.of(ExecutionReport))
        fill = reports.of(ExecutionReport)[0]
        assert zone in fill.time_text
        assert abs((fill.executed_at - fill.received_at).total_seconds()) < 3


def test_what_comes_too_late_is_not_sent(reports):
    with PaperGateway() as gateway, session_with(gateway.port, reports) as session:
        connection = ready(session)
        placed = resting(session)

        with pytest.raises(NothingSent, match="no longer valid"):
            session.transmit([placed], connection=connection, before=time.monotonic() - 0.001)

        session.ask(Query.ALL_OPEN_ORDERS, timeout=5)
        assert reports.of(AnswerComplete)[-1].perm_ids == frozenset()


def test_a_gateway_whose_api_is_read_only(reports):
    with PaperGateway("--read-only", "--time-zone", "US/Eastern") as gateway:
        with session_with(gateway.port, reports, recover=recover) as session:
            wait_until(lambda: session.status().reason == "the gateway's API is read-only")
    assert SessionState.READY not in reports.states()
    changes = reports.of(SessionChanged)
    assert Cause.READ_ONLY in [change.cause for change in changes]
    assert {change.time_zone for change in changes} == {"", "US/Eastern"}
