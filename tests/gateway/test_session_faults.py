"""What goes wrong with connections, links and gateways, and that the session says so and comes back."""

import asyncio
import math
import socket
import threading
import time
from dataclasses import replace

import pytest

from gateway.errors import NotConnected, NothingSent, QueryFailed, SendUncertain, WrongAccount
from gateway.reports import Cause, ErrorReport, ExecutionReport, OrderStatusReport, Query, SessionChanged, SessionState
from gateway.session import BrokerSession
from tests.gateway.scripted import ScriptedGateway, execution, order_status, wait_until
from tests.gateway.sessions import QUICK, UNPACED, Collected, ready, session_with, shrink_send_buffer
from tests.gateway.test_translation import LIMIT

TAKEN = (4, 2, -1, 326, "Unable to connect as the client id is already in use. Retry with a unique client id.", "")


@pytest.fixture
def gateway():
    server = ScriptedGateway()
    yield server
    server.close()


@pytest.fixture
def reports():
    return Collected()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_says_that_nothing_listens_and_says_it_once(reports, host):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with session_with(port, reports, host=host) as session:
        wait_until(lambda: "nothing listens" in session.status().reason)
        time.sleep(0.3)  # several attempts
        assert session.status().state == SessionState.DISCONNECTED
        assert session.status().heard_seconds_ago is None
    assert reports.reasons()[1:] == [f"nothing listens on {host}:{port}", "stopped"]
    assert causes(reports) == [Cause.NONE, Cause.NOT_LISTENING, Cause.STOPPED]


def test_says_that_the_client_id_is_taken_and_tries_again_with_the_same(gateway, reports):
    with session_with(gateway.port, reports) as session:
        for _ in range(2):
            talk = gateway.accept()
            talk.hear_hello()
            talk.send(176, "20260405 23:49:26 UTC")
            assert talk.expect(71)[2] == "7"
            talk.send(*TAKEN)
            assert talk.ended()
        wait_until(lambda: "client id 7 is taken by another session" in session.status().reason)
        gateway.greet()
        assert ready(session) == 1
    assert reports.of(ErrorReport)[0].code == 326
    assert Cause.CLIENT_ID_TAKEN in causes(reports)


def causes(reports):
    return [report.cause for report in reports.of(SessionChanged)]


def test_an_api_that_may_only_look_is_told_from_other_refusals(gateway, reports):
    words = "Error validating request.-'b0' : cause - The API interface is currently in Read-Only mode."
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        talk.send(4, 2, 5, 321, "Error validating request.-'bF' : cause - no such account", "")
        talk.send(4, 2, 2147483647, 321, words, "")
        assert talk.ended()
        wait_until(lambda: session.status().reason == "the gateway's API is read-only")
        assert session.status().connection == 1
    assert causes(reports)[-2:] == [Cause.READ_ONLY, Cause.STOPPED]


def test_a_login_that_is_not_ours_is_told_from_other_failures_of_recovery(gateway, reports):
    failures = [WrongAccount("the gateway serves U1"), RuntimeError(), None]

    def recover(session, connection):
        failure = failures.pop(0)
        if failure is not None:
            raise failure

    with session_with(gateway.port, reports, recover=recover) as session:
        for _ in range(3):
            talk = gateway.greet()
        ready(session)
        talk.send(4, 2, -1, 1100, "Connectivity between IB and TWS has been lost.", "")
        wait_until(lambda: session.status().state == SessionState.LINK_DOWN)
    assert [cause for cause in causes(reports) if cause] == [
        Cause.WRONG_ACCOUNT,
        Cause.RECOVERY_FAILED,
        Cause.LINK_DOWN,
        Cause.STOPPED,
    ]
    assert reports.reasons()[2] == "recovery failed: the gateway serves U1"
    assert "recovery failed: RuntimeError" in reports.reasons()


@pytest.mark.parametrize(
    ("case", "greeting", "words"),
    [
        ("silence", None, "takes connections but did not answer within 0.2 s"),
        ("too old a version", (100, "20260405 23:49:26 UTC"), "version must be"),
        ("nonsense", ("HTTP/1.1 400", "Bad Request"), "did not answer"),
    ],
)
def test_says_what_is_wrong_with_the_greeting(gateway, reports, caplog, case, greeting, words):
    with session_with(gateway.port, reports, timing=replace(QUICK, connect=0.2)) as session:
        talk = gateway.accept()
        talk.hear_hello()
        if greeting:
            talk.send(*greeting)
        wait_until(lambda: words in session.status().reason)
        gateway.greet()
        assert ready(session) == 1


def test_refuses_a_login_without_the_configured_account(gateway, reports):
    with session_with(gateway.port, reports, account="U7654321") as session:
        gateway.greet(accounts="DU1000001")
        wait_until(lambda: "account U7654321 is none of this login's (DU1000001)" in session.status().reason)
    assert "READY" not in reports.states()


def test_comes_back_after_a_lost_connection_with_a_new_number(gateway, reports):
    connections = []
    with session_with(gateway.port, reports, recover=lambda _, number: connections.append(number)) as session:
        for number in (1, 2, 3):
            talk = gateway.greet()
            wait_until(lambda number=number: session.status().connection == number)
            ready(session)
            talk.close()
            wait_until(lambda: session.status().state != SessionState.READY)
        with pytest.raises(NotConnected):
            session.transmit([LIMIT], connection=3, before=math.inf)
    assert connections == [1, 2, 3]
    assert reports.states()[:4] == ["CONNECTING", "RECOVERING", "READY", "DISCONNECTED"]


def test_a_failed_recovery_drops_the_connection_and_is_tried_again(gateway, reports):
    def recover(session, connection):
        if connection < 3:
            session.ask(Query.OPEN_ORDERS, timeout=0.1, connection=connection)

    with session_with(gateway.port, reports, recover=recover) as session:
        for _ in range(2):
            talk = gateway.greet()
            talk.expect(5)  # and no answer
            assert talk.ended()
        gateway.greet()
        assert ready(session) == 3
    assert any("recovery failed: the gateway did not answer within 0.1 s" in reason for reason in reports.reasons())
    assert reports.states().count("READY") == 1


def test_a_recovery_that_fails_by_a_defect_is_no_end(gateway, reports):
    def recover(session, connection):
        if connection == 1:
            raise KeyError("defect")

    with session_with(gateway.port, reports, recover=recover) as session:
        assert gateway.greet().ended()
        gateway.greet()
        assert ready(session) == 2


def test_two_recoveries_never_overlap_and_an_old_one_cannot_ask_on_a_new_connection(gateway, reports):
    running, overlapped, refused = [], [], []
    release = threading.Event()

    def recover(session, connection):
        overlapped.extend(running)
        running.append(connection)
        if connection == 1:
            release.wait(5)
            try:
                session.ask(Query.POSITIONS, timeout=1, connection=connection)
            except NotConnected as problem:
                refused.append(problem)
        running.remove(connection)

    with session_with(gateway.port, reports, recover=recover) as session:
        first = gateway.greet()
        wait_until(lambda: running)
        first.close()
        second = gateway.greet()
        wait_until(lambda: session.status().connection == 2)
        assert second.idle(0.1) == []
        release.set()
        assert ready(session) == 2
        assert second.idle(0.1) == []
    assert refused
    assert not overlapped


def test_a_link_that_goes_and_comes_is_recovered_before_anything_is_sent(gateway, reports):
    recoveries = []
    with session_with(gateway.port, reports, recover=lambda _, number: recoveries.append(number)) as session:
        talk = gateway.greet()
        connection = ready(session)

        talk.send(4, 2, -1, 1100, "Connectivity between IB and TWS has been lost.", "")
        wait_until(lambda: session.status().state == SessionState.LINK_DOWN)
        with pytest.raises(NotConnected, match="lost its link"):
            session.transmit([LIMIT], connection=connection, before=math.inf)
        with pytest.raises(NotConnected):
            session.ask(Query.OPEN_ORDERS, timeout=1)
        talk.send(*execution())
        wait_until(lambda: reports.of(ExecutionReport))  # fills are still applied

        talk.send(4, 2, -1, 1102, "Connectivity has been restored - data maintained.", "")
        assert ready(session) == connection
    assert recoveries == [1, 1]
    assert reports.states() == [
        "CONNECTING",
        "RECOVERING",
        "READY",
        "LINK_DOWN",
        "RECOVERING",
        "READY",
        "DISCONNECTED",
    ]
    assert "has its link to the broker again (1102" in reports.reasons()[4]


def test_a_link_restored_that_was_never_reported_lost_is_recovered_too(gateway, reports):
    recoveries = []
    with session_with(gateway.port, reports, recover=lambda _, number: recoveries.append(number)) as session:
        talk = gateway.greet()
        ready(session)
        talk.send(4, 2, -1, 1101, "Connectivity has been restored - data lost.", "")
        wait_until(lambda: len(recoveries) == 2)
        ready(session)


def test_a_link_lost_during_recovery_starts_it_again(gateway, reports):
    attempts = []

    def recover(session, connection):
        attempts.append(connection)
        if len(attempts) == 1:
            session.ask(Query.OPEN_ORDERS, timeout=5, connection=connection)

    with session_with(gateway.port, reports, recover=recover) as session:
        talk = gateway.greet()
        talk.expect(5)
        talk.send(4, 2, -1, 2110, "Connectivity between TWS and server is broken.", "")
        wait_until(lambda: session.status().state == SessionState.LINK_DOWN)
        talk.send(53, 1)  # what the gateway remembers is no answer
        time.sleep(0.1)
        assert session.status().state == SessionState.LINK_DOWN

        talk.send(4, 2, -1, 1102, "Connectivity has been restored.", "")
        assert ready(session) == 1
    assert attempts == [1, 1]


@pytest.mark.parametrize("code", [507, 1300])
def test_codes_that_end_the_connection(gateway, reports, code):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        talk.send(4, 2, -1, code, "Bad message length", "")
        assert talk.ended()
        gateway.greet()
        assert ready(session) == 2
    assert any(f"({code}: Bad message length)" in reason for reason in reports.reasons())


def test_a_half_open_connection_is_found_out(gateway, reports):
    with session_with(gateway.port, reports, timing=replace(QUICK, silence=0.1, dead=0.4)) as session:
        talk = gateway.greet()
        ready(session)
        talk.idle(0.8)  # the time is told
        assert session.status().state == SessionState.READY
        assert session.status().heard_seconds_ago < 0.3

        talk.answer_time = False
        assert talk.ended()
        gateway.greet()
        assert ready(session) == 2
    assert any("nothing was heard" in reason for reason in reports.reasons())


def test_a_length_that_swallows_everything_behind_it_is_found_out(gateway, reports):
    with session_with(gateway.port, reports, timing=replace(QUICK, silence=0.1, dead=0.4)) as session:
        talk = gateway.greet()
        ready(session)
        talk.send_bytes(b"\x00\xff\xff\xff")
        deadline = time.monotonic() + 3
        while session.status().connection == 1 and time.monotonic() < deadline:
            try:
                talk.send(*order_status())  # bytes come, messages do not
            except OSError:
                break
            time.sleep(0.02)
        gateway.greet()
        wait_until(lambda: session.status().connection == 2)
    assert not reports.of(OrderStatusReport)


def test_what_waits_in_the_send_buffer_of_a_dropped_connection_does_not_leave_later(gateway, reports):
    timing = replace(QUICK, silence=1.0, dead=2.0)
    with session_with(gateway.port, reports, timing=timing, messages_per_second=UNPACED) as session:
        talk = gateway.greet()
        connection = ready(session)
        shrink_send_buffer(session)
        written = 0
        with pytest.raises(NothingSent, match="does not read"):  # noqa: PT012 the last of many
            while True:
                session.transmit([LIMIT] * 100, connection=connection, before=math.inf)
                written += 100
        wait_until(lambda: session.status().state == SessionState.DISCONNECTED)

        received = 0
        with pytest.raises(ConnectionError):  # noqa: PT012
            while True:
                received += talk.receive()[0] == "3"
    assert received < written


def test_suspended_it_stays_away_until_started_again(gateway, reports):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)

        assert session.suspend("another worker owns the client id")
        assert talk.ended()
        assert session.status().state == SessionState.DISCONNECTED
        assert session.status().reason == "another worker owns the client id"
        with pytest.raises(NotConnected, match="another worker"):
            session.transmit([LIMIT], connection=1, before=math.inf)
        gateway._listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            gateway.accept()
        gateway._listener.settimeout(5)

        session.start()
        session.start()
        gateway.greet()
        assert ready(session) == 2


def test_may_be_suspended_by_its_own_recovery(gateway, reports):
    done = []
    with session_with(gateway.port, reports, recover=lambda s, _: done.append(s.suspend("deposed"))) as session:
        assert gateway.greet().ended()
        wait_until(lambda: done)
        assert session.status().reason == "deposed"
    assert done == [True]


def test_stopping_loses_no_report_and_fails_who_waits(gateway, reports):
    slow = threading.Event()
    reports.broken = lambda report: slow.wait(0.002) if isinstance(report, OrderStatusReport) else None
    outcome = []

    def ask():
        try:
            session.ask(Query.OPEN_ORDERS, timeout=10)
        except QueryFailed as problem:
            outcome.append(problem)

    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        for number in range(300):
            talk.send(*order_status(order_id=number))
        asking = threading.Thread(target=ask)
        asking.start()
        talk.expect(5)
        wait_until(lambda: session.status().next_order_id == 300)
    asking.join(5)

    assert len(reports.of(OrderStatusReport)) == 300
    assert reports.states()[-1] == SessionState.DISCONNECTED
    assert len(outcome) == 1


def test_stopping_is_quick_while_connecting_and_while_waiting(gateway, reports):
    with session_with(gateway.port, reports):
        gateway.accept()  # says nothing
        begun = time.monotonic()
    assert time.monotonic() - begun < QUICK.connect + 0.5  # the attempt that is on its way, and no other


def test_stopping_gives_up_on_a_sink_that_does_not_return(gateway):
    release = threading.Event()
    session = BrokerSession(
        host="127.0.0.1",
        port=gateway.port,
        client_id=7,
        sink=lambda report: release.wait(5),
        recover=lambda *_: None,
        timing=QUICK,
    )
    session.start()
    gateway.greet()
    begun = time.monotonic()

    assert not session.stop(timeout=0.3)

    assert time.monotonic() - begun < 1
    release.set()
    assert session.stop(timeout=5)


def test_a_write_that_was_never_taken_up_is_certainly_not_sent(gateway, reports):
    with session_with(gateway.port, reports, timing=replace(QUICK, hop=0.05)) as session:
        talk = gateway.greet()
        connection = ready(session)
        stuck = threading.Event()
        session._loop.call_soon_threadsafe(stuck.wait, 1)
        with pytest.raises(NothingSent, match="did not get round"):
            session.transmit([LIMIT], connection=connection, before=math.inf)
        stuck.set()
        assert talk.idle(0.2) == []  # and not later either


def test_a_write_that_was_taken_up_and_does_not_end_is_uncertain(gateway, reports):
    with session_with(gateway.port, reports, timing=replace(QUICK, hop=0.05)) as session:
        gateway.greet()
        ready(session)
        stuck = threading.Event()
        with pytest.raises(SendUncertain, match="did not end"):
            session._write(lambda: stuck.wait(1))
        stuck.set()


def test_one_that_never_started_sends_nothing_and_stops(reports):
    session = BrokerSession(host="127.0.0.1", port=1, client_id=7, sink=reports, recover=lambda *_: None)
    with pytest.raises(NotConnected, match="not started"):
        session.transmit([LIMIT], connection=0, before=math.inf)
    assert session.stop(timeout=1)
    assert session.status().state == SessionState.DISCONNECTED


def test_a_write_that_fails_under_way_is_uncertain(gateway, reports):
    with session_with(gateway.port, reports) as session:
        gateway.greet()
        connection = ready(session)
        transport = session._keeper._link.client.conn.transport

        class Failing(type(transport)):
            def write(self, data):
                raise OSError("no buffer space")

        transport.__class__ = Failing
        with pytest.raises(SendUncertain, match="no buffer space"):
            session.transmit([LIMIT], connection=connection, before=math.inf)


def test_nothing_is_left_to_the_garbage_collector(gateway, reports, caplog):
    with session_with(gateway.port, reports) as session:
        talk = gateway.greet()
        ready(session)
        talk.close()
        gateway.greet()
        wait_until(lambda: session.status().connection == 2)
    assert "Task was destroyed" not in caplog.text
    assert "never retrieved" not in caplog.text
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
