"""The session against a scripted gateway: what is sent, what is reported, how questions end."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.errors import ContractNotFound, NotConnected, NothingSent, QueryFailed, QueryTimedOut
from gateway.reports import (
    FIRST_REQUEST_ID,
    AccountValueReport,
    AnswerComplete,
    CommissionReport,
    CompletedOrderReport,
    ErrorReport,
    ExecutionReport,
    Heard,
    OpenOrderReport,
    OrderStatusReport,
    PortfolioReport,
    PositionReport,
    Query,
    SessionState,
    Undecodable,
)
from tests.gateway.scripted import (
    CONTRACT,
    UNSET,
    ScriptedGateway,
    commission,
    completed_order,
    contract_details,
    execution,
    frame,
    open_order,
    order_status,
    wait_until,
)
from tests.gateway.sessions import QUICK, UNPACED, Collected, ready, session_with, shrink_send_buffer
from tests.gateway.test_translation import LIMIT


@pytest.fixture
def gateway():
    server = ScriptedGateway()
    yield server
    server.close()


@pytest.fixture
def reports():
    return Collected()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_connects_recovers_and_is_ready(gateway, reports):
    recovered = []

    def recover(session, connection):
        assert session.status().state == SessionState.RECOVERING
        recovered.append(connection)

    with session_with(gateway.port, reports, recover=recover) as session:
        gateway.greet(next_id=42, accounts="DU1000001,DU1000002")
        assert ready(session) == 1

        status = session.status()
        assert status.next_order_id == 42
        assert status.accounts == ("DU1000001", "DU1000002")
        assert status.heard_seconds_ago < 2

    assert recovered == [1]
    assert reports.states() == ["CONNECTING", "RECOVERING", "READY", "DISCONNECTED"]
    assert reports.reasons()[-1] == "stopped"
    became_ready = reports.all[[str(getattr(r, "state", "")) for r in reports.all].index("READY")]
    assert (became_ready.server_version, became_ready.next_order_id) == (176, 42)


def test_asks_nothing_by_itself_but_the_time(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        assert talk.idle(0.3) == []


def test_tells_every_kind_of_message(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        talk.send(*open_order(trail="98.5", warning="careful"))
        talk.send(*order_status(status="Submitted", filled="40", remaining="60"))
        talk.send(*execution())
        talk.send(*commission())
        talk.send(*completed_order())
        talk.send(4, 2, -1, 2104, "Market data farm connection is OK:usfarm", "")
        talk.send(6, 2, "NetLiquidation", "1000000.17", "USD", "DU1000001")
        portfolio = (*CONTRACT[:7], "NASDAQ", *CONTRACT[8:], "-100", "101.5", "-10150", "101.25", "-25", "0")
        talk.send(7, 8, *portfolio, "DU1000001")
        talk.send(61, 3, "DU1000001", *CONTRACT, "-100", "101.123456789012345678")
        wait_until(lambda: reports.of(PositionReport))

    (order,) = reports.of(OpenOrderReport)
    assert (order.order_id, order.client_id, order.perm_id, order.order_ref) == (1, 7, 1788680597, "ref~STAMP")
    assert (order.side, order.order_type, order.quantity, order.limit_price) == ("BUY", "LMT", 100, Decimal("101.25"))
    assert (order.aux_price, order.trail_stop_price) == (0, Decimal("98.5"))
    assert (order.status, order.warning_text, order.account) == ("Submitted", "careful", "DU1000001")
    assert order.contract.con_id == 265598
    assert order.raw == tuple(str(field) for field in open_order(trail="98.5", warning="careful"))

    (status,) = reports.of(OrderStatusReport)
    assert (status.status, status.filled, status.remaining, status.client_id) == ("Submitted", 40, 60, 7)

    (fill,) = reports.of(ExecutionReport)
    assert (fill.exec_id, fill.side, fill.quantity, fill.price) == (
        "0000e0d5.64abcdef.01.01",
        "BUY",
        100,
        Decimal("101.25"),
    )
    assert fill.live
    assert fill.time_text == "20260413 15:27:04 US/Eastern"
    assert fill.executed_at == datetime(2026, 4, 13, 19, 27, 4, tzinfo=UTC)

    (paid,) = reports.of(CommissionReport)
    assert (paid.exec_id, paid.commission, paid.realized_pnl) == (fill.exec_id, Decimal("1.0012"), None)

    (done,) = reports.of(CompletedOrderReport)
    assert (done.perm_id, done.status, done.filled, done.completed_status) == (
        1788680597,
        "Filled",
        100,
        "Filled Size: 100",
    )
    assert done.completed_time == "20260405 23:50:00 Central European Standard Time"

    (error,) = reports.of(ErrorReport)
    assert (error.request_id, error.code) == (-1, 2104)
    (value,) = reports.of(AccountValueReport)
    assert (value.account, value.key, value.value, value.currency) == (
        "DU1000001",
        "NetLiquidation",
        "1000000.17",
        "USD",
    )
    (held,) = reports.of(PortfolioReport)
    assert (held.account, held.quantity, held.market_price) == ("DU1000001", -100, Decimal("101.5"))
    (position,) = reports.of(PositionReport)
    assert position.average_cost == Decimal("101.123456789012345678")
    assert not reports.of(Undecodable)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("execution with a field too many", (*execution(), "0")),
        ("execution with a field too few", execution()[:-1]),
        ("execution of no quantity", execution(shares="")),
        ("execution on no side", execution(side="?")),
        ("order cut short", open_order()[:90]),
        ("order of no quantity", open_order(quantity="many")),
        ("status with a version field", (3, 6, *order_status()[1:])),
        ("commission cut short", commission()[:-2]),
        ("account value cut short", (6, 2, "NetLiquidation", "1")),
        ("error without its last field", (4, 2, 1, 201, "Order rejected - reason:")),
        ("unknown message", (999, "what?")),
        ("no message id", ("", "")),
    ],
)
def test_a_message_that_cannot_be_read_is_reported_and_nothing_behind_it_lost(gateway, reports, caplog, case, message):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        talk.send(*message)
        talk.send(*execution(exec_id="0000e0d5.64abcdef.02.01"))
        wait_until(lambda: reports.of(ExecutionReport))

    (unread,) = reports.of(Undecodable)
    assert unread.raw == tuple(str(field) for field in message), case
    assert unread.why
    assert len(reports.of(ExecutionReport)) == 1
    assert "could not be read" in caplog.text


def test_an_execution_with_an_unknown_zone_is_kept(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        talk.send(*execution(when="20260413 15:27:04 Mars/Olympus"))
        talk.send(*execution(when="20260413  15:27:04", order_id="2147483647"))
        wait_until(lambda: len(reports.of(ExecutionReport)) == 2)

    unknown, local = reports.of(ExecutionReport)
    assert (unknown.executed_at, unknown.time_text) == (None, "20260413 15:27:04 Mars/Olympus")
    # In the zone that the gateway's greeting named.
    assert local.executed_at == datetime(2026, 4, 13, 13, 27, 4, tzinfo=UTC)
    assert local.order_id == 0


def test_transmits_in_order_and_in_one_go(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet(next_id=42)
        connection = ready(session)

        session.transmit(
            [replace(LIMIT, order_id=42, transmit=False), replace(LIMIT, order_id=43, parent_id=42)],
            connection=connection,
            before=math.inf,
        )
        session.cancel(42, connection=connection)

        first, second, cancel = talk.expect(3), talk.expect(3), talk.expect(4)
        assert (first[1], first[27], first[28]) == ("42", "0", "0")
        assert (second[1], second[27], second[28]) == ("43", "1", "42")
        assert cancel == ["4", "1", "42", ""]
        assert session.status().next_order_id == 44


def test_nothing_is_sent_on_another_connection(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        connection = ready(session)
        with pytest.raises(NotConnected, match="connection 0 is gone"):
            session.transmit([LIMIT], connection=connection - 1, before=math.inf)
        with pytest.raises(NotConnected):
            session.cancel(1, connection=connection + 1)
        assert talk.idle(0.1) == []


def test_nothing_is_sent_that_cannot_be_written_whole(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        connection = ready(session)
        with pytest.raises(NothingSent, match="order reference"):
            session.transmit(
                [LIMIT, replace(LIMIT, order_id=43, order_ref="a\0b")], connection=connection, before=math.inf
            )
        assert talk.idle(0.1) == []


def test_nothing_is_sent_before_recovery_is_done_but_its_own_cancels(gateway, reports):
    release = threading.Event()
    with session_with(gateway.port, reports, recover=lambda *_: release.wait(5)) as session:
        talk = gateway.greet()
        wait_until(lambda: session.status().state == SessionState.RECOVERING)

        for refused in (
            lambda: session.transmit([LIMIT], connection=1, before=math.inf),
            lambda: session.cancel(9, connection=1),
        ):
            with pytest.raises(NotConnected, match="RECOVERING"):
                refused()
        session.cancel(9, connection=1, while_recovering=True)

        assert talk.expect(4)[2] == "9"
        release.set()
        ready(session)


def test_nothing_is_sent_behind_what_the_gateway_does_not_read(gateway, reports):
    with session_with(gateway.port, reports, messages_per_second=UNPACED) as session:
        gateway.greet()
        connection = ready(session)
        shrink_send_buffer(session)
        refused = None
        for _ in range(1000):
            try:
                session.transmit([LIMIT] * 100, connection=connection, before=math.inf)
            except NothingSent as problem:
                refused = problem
                break
        assert "does not read" in str(refused)


def test_what_was_let_through_one_by_one_does_not_leave_in_one_burst(gateway, reports):
    with session_with(gateway.port, reports, messages_per_second=10) as session:
        gateway.greet()
        connection = ready(session)
        began = time.monotonic()
        for _ in range(25):  # as if nobody had waited for room
            session.transmit([LIMIT], connection=connection, before=math.inf)
        assert time.monotonic() - began >= 2
        with pytest.raises(NothingSent, match="no room for 10 more"):
            session.transmit([LIMIT] * 10, connection=connection, before=time.monotonic() + 0.1)


def test_before_the_start_and_after_the_end_nothing_works(gateway, reports):
    with session_with(gateway.port, reports) as session:
        gateway.greet()
        connection = ready(session)
    for call in (
        lambda: session.transmit([LIMIT], connection=connection, before=math.inf),
        lambda: session.cancel(1, connection=connection),
        lambda: session.ask(Query.POSITIONS, timeout=1),
        lambda: session.qualify("AAPL", timeout=1),
    ):
        with pytest.raises(NotConnected, match="stopped"):
            call()


ANSWERS = [
    (Query.OPEN_ORDERS, ["5", "1"], open_order(perm_id=11), (53, 1), {11}),
    (Query.ALL_OPEN_ORDERS, ["16", "1"], open_order(perm_id=12, client_id=3), (53, 1), {12}),
    (Query.COMPLETED_ORDERS, ["99", "0"], completed_order(perm_id=13), (102,), {13}),
    (Query.POSITIONS, ["61", "1"], (61, 3, "DU1000001", *CONTRACT, "100", "1"), (62, 1), set()),
]


@pytest.mark.parametrize(("query", "question", "part", "end", "perm_ids"), ANSWERS)
def test_a_question_and_its_answer(gateway, reports, threads, query, question, part, end, perm_ids):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        asked_at = datetime.now(UTC)
        asking = threads.submit(session.ask, query, timeout=5)

        assert talk.receive() == question
        talk.send(*part)
        assert not asking.done()
        talk.send(*end)
        asking.result(5)

        # No waiting here: when `ask` returns, the consumer has seen it all.
        answer = reports.all[-1] if isinstance(reports.all[-1], AnswerComplete) else reports.all[-2]
        assert (answer.query, answer.perm_ids, answer.connection) == (query, perm_ids, 1)
        assert asked_at <= answer.started_at <= answer.received_at


def test_executions_are_asked_with_an_id_no_order_can_have(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        asking = threads.submit(session.ask, Query.EXECUTIONS, timeout=5)

        question = talk.expect(7)
        assert int(question[2]) >= FIRST_REQUEST_ID
        assert question[3:] == ["0", "", "", "", "", "", ""]
        talk.send(*execution(request_id=int(question[2])))
        talk.send(*execution(exec_id="0000e0d5.64abcdef.02.01"))
        talk.send(55, 1, question[2])
        asking.result(5)

        assert [fill.live for fill in reports.of(ExecutionReport)] == [False, True]
        assert session.status().next_order_id < FIRST_REQUEST_ID


@pytest.mark.parametrize(("account", "accounts"), [("", "DU1"), ("DU1", "DU1,DU2")])
def test_one_account_is_kept_up_to_date(gateway, reports, threads, account, accounts):
    with session_with(gateway.port, reports, account=account) as session:
        talk = gateway.greet(accounts=accounts)
        ready(session)
        for before in ([], [["6", "2", "0", "DU1"]]):  # asked again, the subscription begins anew
            asking = threads.submit(session.ask, Query.ACCOUNT, timeout=5)
            for unsubscribed in before:
                assert talk.receive() == unsubscribed
            assert talk.receive() == ["6", "2", "1", "DU1"]
            talk.send(6, 2, "TotalCashValue", "5", "USD", "DU1")
            talk.send(54, 1, "DU1")
            asking.result(5)

        assert [answer.account for answer in reports.of(AnswerComplete)] == ["DU1", "DU1"]
        assert talk.idle(0.1) == []


def test_several_accounts_are_asked_one_after_the_other(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet(accounts="DU1,DU2")
        ready(session)
        asking = threads.submit(session.ask, Query.ACCOUNT, timeout=5)
        for account in ("DU1", "DU2"):
            assert talk.receive() == ["6", "2", "1", account]
            talk.send(54, 1, account)
            assert talk.receive() == ["6", "2", "0", account]
        asking.result(5)

        assert [answer.account for answer in reports.of(AnswerComplete)] == ["DU1", "DU2"]


def test_questions_with_the_same_end_marker_wait_for_each_other(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        first = threads.submit(session.ask, Query.OPEN_ORDERS, timeout=5)
        talk.expect(5)
        second = threads.submit(session.ask, Query.ALL_OPEN_ORDERS, timeout=5)
        assert talk.idle(0.1) == []

        talk.send(53, 1)
        first.result(5)
        assert not second.done()
        talk.expect(16)
        talk.send(53, 1)
        second.result(5)


def test_who_asks_before_a_question_is_put_shares_it_and_who_asks_after_does_not(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        first = threads.submit(session.ask, Query.OPEN_ORDERS, timeout=5)
        talk.expect(5)
        later = [threads.submit(session.ask, Query.OPEN_ORDERS, timeout=5) for _ in range(5)]
        assert talk.idle(0.2) == []

        talk.send(53, 1)
        first.result(5)
        assert not any(asking.done() for asking in later)
        talk.expect(5)
        talk.send(53, 1)
        for asking in later:
            asking.result(5)
        assert talk.idle(0.1) == []
        assert len(reports.of(AnswerComplete)) == 2


def test_a_late_end_marker_never_ends_the_next_question(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        with pytest.raises(QueryTimedOut):
            session.ask(Query.OPEN_ORDERS, timeout=0.1)
        talk.expect(5)
        second = threads.submit(session.ask, Query.OPEN_ORDERS, timeout=5)
        assert talk.idle(0.1) == []

        talk.send(53, 1)  # the first one's, late
        talk.expect(5)
        assert not second.done()
        talk.send(53, 1)
        second.result(5)


def test_a_question_that_never_ends_costs_the_connection(gateway, reports):
    with session_with(gateway.port, reports, timing=replace(QUICK, answer=0.2)) as session:
        talk = gateway.greet()
        ready(session)
        with pytest.raises(QueryTimedOut, match="COMPLETED_ORDERS"):
            session.ask(Query.COMPLETED_ORDERS, timeout=2)
        assert talk.ended()
        gateway.greet()
        assert ready(session) == 2
    assert not reports.of(AnswerComplete)


def test_an_answer_may_be_long(gateway, reports, threads):
    with session_with(gateway.port, reports, timing=replace(QUICK, answer=0.5)) as session:
        talk = gateway.greet()
        ready(session)
        asking = threads.submit(session.ask, Query.EXECUTIONS, timeout=5)
        number = talk.expect(7)[2]
        for part in range(6):
            talk.send(*execution(request_id=number, exec_id=f"0000e0d5.64abcdef.{part:02}.01"))
            time.sleep(0.2)
        talk.send(55, 1, number)
        asking.result(5)


def test_an_answer_that_stops_in_the_middle_costs_the_connection(gateway, reports, threads):
    with session_with(gateway.port, reports, timing=replace(QUICK, answer=0.5)) as session:
        talk = gateway.greet()
        ready(session)
        asking = threads.submit(session.ask, Query.EXECUTIONS, timeout=5)
        talk.send(*execution(request_id=talk.expect(7)[2]))
        with suppress(OSError):  # what happens meanwhile is no part of it
            for part in range(30):
                talk.send(*execution(exec_id=f"0000e0d5.64abcdef.{part:02}.01"))
                time.sleep(0.1)
        assert part < 29
        with pytest.raises(QueryTimedOut, match="EXECUTIONS: nothing came"):
            asking.result(5)
        gateway.greet()
        assert ready(session) == 2


def test_a_lost_connection_fails_its_questions(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        asking = threads.submit(session.ask, Query.OPEN_ORDERS, timeout=5)
        talk.expect(5)
        talk.send(*open_order())
        talk.close()
        with pytest.raises(QueryFailed):
            asking.result(5)
    assert not reports.of(AnswerComplete)


def test_a_question_the_gateway_refuses_fails(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        asking = threads.submit(session.ask, Query.EXECUTIONS, timeout=5)
        talk.send(4, 2, talk.expect(7)[2], 321, "Error validating request.-'bF' : cause - no", "")
        with pytest.raises(QueryFailed, match="321"):
            asking.result(5)


def test_an_answer_with_an_unreadable_part_is_no_answer(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        asking = threads.submit(session.ask, Query.OPEN_ORDERS, timeout=5)
        talk.expect(5)
        talk.send(*open_order()[:50])
        talk.send(53, 1)
        with pytest.raises(QueryFailed, match="could not be read"):
            asking.result(5)
    assert not reports.of(AnswerComplete)


def test_an_answer_of_which_a_part_was_not_applied_is_no_answer(gateway, reports, threads, caplog):
    def refuse_orders(report):
        if isinstance(report, OpenOrderReport):
            raise LookupError("the database is away")

    reports.broken = refuse_orders
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        asking = threads.submit(session.ask, Query.OPEN_ORDERS, timeout=5)
        talk.expect(5)
        talk.send(*open_order())
        talk.send(53, 1)
        with pytest.raises(QueryFailed, match="could not be applied"):
            asking.result(5)
        talk.send(*order_status())
        wait_until(lambda: reports.of(OrderStatusReport))  # the consumer lives
    assert "the database is away" in caplog.text
    assert "ref~STAMP" in caplog.text
    assert not reports.of(AnswerComplete)


def test_the_consumer_cannot_ask(gateway, reports):
    problems = []

    def ask_inside(report):
        if isinstance(report, OrderStatusReport):
            try:
                session.ask(Query.POSITIONS, timeout=1)
            except RuntimeError as problem:
                problems.append(problem)

    reports.broken = ask_inside
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        talk.send(*order_status())
        wait_until(lambda: problems)


def test_qualifies_a_symbol_once_for_everybody(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        asking = [threads.submit(session.qualify, "AAPL", timeout=5) for _ in range(5)]
        question = talk.expect(9)
        assert question[4:6] == ["AAPL", "STK"]
        assert (question[10], question[12]) == ("SMART", "USD")
        time.sleep(0.05)
        talk.send(*contract_details(question[2]))
        talk.send(52, 1, question[2])

        found = {asked.result(5) for asked in asking}
        assert session.qualify("AAPL", timeout=0) in found
        assert talk.idle(0.1) == []
    (instrument,) = found
    assert (instrument.con_id, instrument.symbol, instrument.primary_exchange) == (265598, "AAPL", "NASDAQ")
    assert (instrument.exchange, instrument.currency, instrument.min_tick) == ("SMART", "USD", Decimal("0.01"))


def test_a_symbol_of_nothing_or_of_several_is_not_found(gateway, reports, threads):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        nothing = threads.submit(session.qualify, "NOPE", timeout=5)
        talk.send(4, 2, talk.expect(9)[2], 200, "No security definition has been found for the request", "")
        with pytest.raises(ContractNotFound, match="Could not qualify contract for symbol: NOPE"):
            nothing.result(5)

        several = threads.submit(session.qualify, "TWO", timeout=5)
        request_id = talk.expect(9)[2]
        talk.send(*contract_details(request_id, symbol="TWO", con_id=1))
        talk.send(*contract_details(request_id, symbol="TWO", con_id=2))
        talk.send(52, 1, request_id)
        with pytest.raises(ContractNotFound):
            several.result(5)

        with pytest.raises(ContractNotFound):
            session.qualify("A\0B", timeout=5)
        assert talk.idle(0.1) == []


def test_order_ids_stay_above_all_that_were_seen(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet(next_id=5)
        ready(session)
        talk.send(*open_order(order_id=700, client_id=3))
        talk.send(*open_order(order_id=-4, client_id=0))
        talk.send(*order_status(order_id=2147483647))
        wait_until(lambda: len(reports.of(OpenOrderReport, OrderStatusReport)) == 3)
        assert session.status().next_order_id == 701

        talk.close()
        gateway.greet(next_id=2)  # rolled back
        assert ready(session) == 2
        assert session.status().next_order_id == 701


def test_pacing_covers_questions(gateway, reports):
    with session_with(gateway.port, reports, messages_per_second=20) as session:
        gateway.greet()
        connection = ready(session)
        session.transmit([LIMIT] * session.room(1, timeout=2), connection=connection, before=math.inf)
        with pytest.raises(NothingSent, match="no room for 1 more"):
            session.room(1, timeout=0.05)
        with pytest.raises(QueryTimedOut):
            session.ask(Query.POSITIONS, timeout=0.1)


def test_the_greeting_counts_as_what_is_sent(gateway, reports):
    with session_with(gateway.port, reports, messages_per_second=20) as session:
        gateway.greet()
        ready(session)
        assert session.room(1, timeout=0) == 18


def test_hears_at_most_once_a_second(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        for number in range(200):
            talk.send(*order_status(order_id=number))
        wait_until(lambda: len(reports.of(OrderStatusReport)) == 200)
    assert len(reports.of(Heard)) <= 2


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_messages_may_come_in_any_pieces(gateway, reports, size):
    stream = frame(*open_order()) + frame(*execution()) + frame(*commission(realized=UNSET))
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        for start in range(0, len(stream), size):
            talk.send_bytes(stream[start : start + size])
        wait_until(lambda: reports.of(CommissionReport))
    kinds = [type(report) for report in reports.of(OpenOrderReport, ExecutionReport, CommissionReport)]
    assert kinds == [OpenOrderReport, ExecutionReport, CommissionReport]
