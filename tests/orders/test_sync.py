"""The sync of executions: when the owner asks, and how others get it to."""

import threading
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import GatewaySession
from accounts.ownership import is_owned, lock_key
from gateway.errors import NotConnected
from gateway.reports import Query, SessionState
from orders import sweep, sync, tasks, wanted
from orders.desk import close_desk, open_desk
from orders.management.commands import sync_executions
from orders.waiting import listening_parameters
from tests.orders.builders import CLIENT_ID, GATEWAY, session_row
from tests.orders.factories import order_in

ASKED = [Query.ALL_OPEN_ORDERS, Query.COMPLETED_ORDERS, Query.EXECUTIONS]
pytestmark = pytest.mark.django_db


def synced(**ago):
    """The last answer was asked for so long ago."""
    return session_row(epoch=1, executions_as_of=timezone.now() - timedelta(**ago))


def counters():
    return GatewaySession.objects.values_list("executions_wanted", "executions_synced").get()


@pytest.mark.parametrize(
    ("case", "seconds", "working", "asks"),
    [
        ("orders work", 31, True, True),
        ("orders work, just asked", 20, True, False),
        ("at rest", 31, False, False),
        ("at rest for long", 301, False, True),
    ],
)
def test_on_schedule(desk, broker, case, seconds, working, asks):
    order_in("NEW" if working else "CANCELED")
    synced(seconds=seconds)

    sync.sync(desk)

    assert broker.asked == (ASKED if asks else []), case


@pytest.mark.parametrize(("took", "pause"), [(6.0, 600), (600.0, 3600)])
def test_a_day_that_takes_long_to_tell_is_asked_for_less_often(desk, broker, took, pause):
    order_in("NEW")
    desk.telling.took = took
    synced(seconds=pause - 2)
    sync.sync(desk)
    assert broker.asked == []

    synced(seconds=pause + 1)
    sync.sync(desk)
    assert broker.asked == ASKED
    assert desk.telling.took < 0.3

    synced(seconds=31)
    sync.sync(desk)
    assert broker.asked == 2 * ASKED


def test_the_first_sync_is_recoverys_and_the_next_one_ours(desk, broker):
    session_row(epoch=1)

    sync.sync(desk)

    assert broker.asked == ASKED


@pytest.mark.parametrize("state", [SessionState.RECOVERING, SessionState.LINK_DOWN, SessionState.DISCONNECTED])
def test_not_while_the_broker_cannot_be_asked(desk, broker, state):
    broker.state = state
    wanted.day(GATEWAY)

    sync.sync(desk)

    assert broker.asked == []
    assert counters() == (1, 0)


def test_before_the_gateways_midnight(desk, broker, monkeypatch):
    zone = timezone.get_fixed_timezone(60)
    monkeypatch.setattr(broker, "status", lambda: SimpleNamespace(state=SessionState.READY, time_zone=zone))
    now = datetime(2026, 1, 15, 22, 59, 30, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    session_row(epoch=1, executions_as_of=now - timedelta(seconds=45))

    sync.sync(desk)

    assert broker.asked == ASKED


def test_before_the_configured_restart(desk, broker, monkeypatch, settings):
    now = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    settings.GATEWAY_CALENDAR = SimpleNamespace(
        following=lambda moment: SimpleNamespace(event=moment + timedelta(seconds=40))
    )
    session_row(epoch=1, executions_as_of=now - timedelta(seconds=45))

    sync.sync(desk)

    assert broker.asked == ASKED


def test_whoever_wants_it_gets_it_once(desk, broker):
    synced(seconds=1)
    wanted.day(GATEWAY)
    wanted.day(GATEWAY)

    sync.sync(desk)
    sync.sync(desk)

    assert (broker.asked, counters()) == (ASKED, (2, 2))


def test_what_is_wanted_while_it_runs_is_asked_again(desk, broker, monkeypatch):
    synced(seconds=1)
    wanted.day(GATEWAY)
    ask = broker.ask

    def ask_and_be_asked(query, **kwargs):
        ask(query, **kwargs)
        if len(broker.asked) == 1:
            wanted.day(GATEWAY)

    monkeypatch.setattr(broker, "ask", ask_and_be_asked)
    sync.sync(desk)
    assert counters() == (2, 1)

    sync.sync(desk)
    assert (broker.asked, counters()) == (ASKED * 2, (2, 2))


def test_a_failed_question_stays_wanted(desk, broker):
    synced(seconds=1)
    wanted.day(GATEWAY)
    broker.failure = NotConnected("gone")
    with pytest.raises(NotConnected):
        sync.sync(desk)
    assert counters() == (1, 0)

    broker.failure = None
    sync.sync(desk)
    assert counters() == (1, 1)


def test_one_at_a_time(desk, broker):
    wanted.day(GATEWAY)
    with desk.syncing:
        sync.sync(desk)

    assert broker.asked == []


def test_the_owner_asks_without_a_bell(desk, broker):
    synced(seconds=400)

    sweep.inquire(desk)

    assert broker.asked == ASKED


def test_the_bell(desk, broker, caplog):
    synced(seconds=400)
    open_desk(desk)
    try:
        tasks.sync_executions()
        broker.failure = NotConnected("gone")
        synced(seconds=400)
        tasks.sync_executions()
    finally:
        close_desk()
    tasks.sync_executions()

    assert broker.asked == ASKED
    assert "not synchronised: gone" in caplog.text


# --- The command ------------------------------------------------------------------------------------------------------


def run(*arguments):
    out = StringIO()
    call_command("sync_executions", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value.returncode, str(caught.value)


@pytest.fixture
def owned():
    """Somebody holds the lock, as the owner does."""
    with psycopg.connect(**listening_parameters(), autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [lock_key(gateway=GATEWAY, client_id=CLIENT_ID)])
        yield


def test_who_owns_a_session(owned):
    assert is_owned(gateway=GATEWAY, client_id=CLIENT_ID)
    assert not is_owned(gateway=GATEWAY, client_id=CLIENT_ID + 1)
    assert not is_owned(gateway="other", client_id=CLIENT_ID)


def test_nobody_has_ever_run():
    code, text = refused("--gateway", "nowhere")

    assert (code, text) == (1, "No worker has ever run for a gateway called nowhere (known: none yet).")


def test_no_worker_owns_the_session():
    session_row()

    code, text = refused()

    assert code == sync_executions.NO_OWNER == 3
    assert "No worker owns the session with default" in text
    assert "make run" in text


@pytest.mark.parametrize("state", ["DISCONNECTED", "LINK_DOWN"])
def test_the_owner_is_not_connected(owned, state):
    session_row(state=state, reason="nothing listens on 127.0.0.1:4002")

    assert refused() == (4, f"default is {state}: nothing listens on 127.0.0.1:4002")


@pytest.mark.parametrize("state", ["READY", "RECOVERING"])
def test_no_answer_in_time(owned, state):
    session_row(state=state)

    code, text = refused("--wait", "0.2")

    assert code == 5
    assert "not complete within 0.2 s" in text
    assert counters() == (1, 0)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", "90000"])
def test_a_wait_that_is_none(seconds):
    with pytest.raises(CommandError, match="is not between 0 and 86400 seconds"):
        run(f"--wait={seconds}")


@pytest.mark.django_db(transaction=True)
def test_it_waits_and_sums_up(owned, monkeypatch):
    monkeypatch.setattr(sync_executions, "REPORT_SECONDS", 0.2)
    session_row()
    tally = {"known": 1200, "new": 34, "corrections": 2, "commissions": 35}

    def answer():
        GatewaySession.objects.update(executions_synced=1, executions_tally=tally)
        connection.close()

    answering = threading.Timer(0.7, answer)
    answering.start()
    try:
        said = run().splitlines()
    finally:
        answering.join()

    assert said[0] == "READY, 0 new executions so far ..."
    assert said[-1] == ("1,236 executions today at default: 1,200 known, 34 new, 2 corrections; 35 new commissions")


def test_help_says_what_the_exit_codes_mean(capsys):
    with pytest.raises(SystemExit):
        call_command("sync_executions", "--help")

    assert "3  no worker owns the session" in capsys.readouterr().out
