"""What is wrong and what to do: the table is whole, and each look of the session leads to one row of it."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts import calendar
from accounts.calendar import Calendar, Kind
from accounts.diagnosis import ADVICE, CAUSED, PAUSED, Finding, diagnose
from accounts.freshness import standing_of
from accounts.models import GatewaySession
from gateway.reports import Cause, SessionState

NOW = datetime(2026, 1, 18, 6, 10, tzinfo=UTC)  # a Sunday, 01:10 in New York
NOTHING_PLANNED = Calendar()
LOGIN = Calendar(windows=(calendar.weekly(Kind.LOGIN, "Sun 01:00 America/New_York", lasts=timedelta(minutes=5)),))


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def look(*, book=NOTHING_PLANNED, **columns):
    """The diagnosis of a session whose worker lives, as it looks with these columns."""
    plain = {"state": "DISCONNECTED", "state_since": ago(3), "away_since": ago(3), "owner_seen_at": ago(1)}
    return diagnose(standing_of(GatewaySession(pk="default", **(plain | columns)), now=NOW), calendar=book)


READY = {"state": "READY", "away_since": None}


@pytest.mark.parametrize(
    ("case", "columns", "finding"),
    [
        ("ready", {**READY, "heard_at": ago(1)}, Finding.IN_ORDER),
        ("ready, silent, and the worker lives", {**READY, "heard_at": ago(8)}, Finding.SILENT),
        (
            "ready on record, and the worker is dead",
            {**READY, "heard_at": ago(40), "owner_seen_at": ago(40)},
            "NO_WORKER",
        ),
        ("away on record, and the worker is dead", {"cause": "READ_ONLY", "owner_seen_at": ago(11)}, "NO_WORKER"),
        ("the worker never said that it lives", {"owner_seen_at": None}, Finding.NO_WORKER),
        ("heard counts as a sign of life", {"owner_seen_at": None, "heard_at": ago(9)}, Finding.CONNECTION_LOST),
        ("connecting for the first time", {"state": "CONNECTING"}, Finding.CONNECTING),
        ("connecting again", {"state": "CONNECTING", "cause": "CONNECTION_LOST"}, Finding.CONNECTING),
        ("connecting to one that is still read-only", {"state": "CONNECTING", "cause": "READ_ONLY"}, Finding.READ_ONLY),
        ("recovering", {"state": "RECOVERING", "cause": "LINK_DOWN"}, Finding.RECOVERING),
        ("recovering in vain", {"state": "RECOVERING", "cause": "RECOVERY_FAILED"}, Finding.RECOVERY_FAILED),
        ("1100", {"state": "LINK_DOWN", "cause": "LINK_DOWN"}, Finding.LINK_DOWN),
        ("nothing listens", {"cause": "NOT_LISTENING"}, Finding.GATEWAY_AWAY),
        ("nothing listens for minutes", {"cause": "NOT_LISTENING", "away_since": ago(301)}, Finding.NEEDS_LOGIN),
        ("no answer", {"cause": "NOT_ANSWERING"}, Finding.NOT_ANSWERING),
        ("no answer for minutes", {"cause": "NOT_ANSWERING", "away_since": ago(301)}, Finding.NEEDS_LOGIN),
        ("no such host for minutes", {"cause": "UNREACHABLE", "away_since": ago(9000)}, Finding.GATEWAY_AWAY),
    ],
)
def test_findings(case, columns, finding):
    assert look(**columns).finding == finding


def test_before_the_first_worker():
    found = diagnose(standing_of(None, now=NOW), calendar=NOTHING_PLANNED)

    assert (found.finding, found.critical) == (Finding.NO_WORKER, True)


@pytest.mark.parametrize(("cause", "finding"), CAUSED.items())
def test_each_cause_is_found(cause, finding):
    assert look(cause=cause).finding == finding


def test_the_tables_are_whole():
    assert set(ADVICE) == set(Finding)
    assert set(CAUSED) == set(Cause) - {Cause.NONE}
    assert set(PAUSED) == set(Kind)
    assert all(advice.words and advice.what_to_do.endswith((".", "?")) for advice in ADVICE.values())


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("cause", Cause)
def test_every_look_has_a_diagnosis(state, cause):
    assert look(state=state, cause=cause).what_to_do


# The plan


@pytest.mark.parametrize(
    ("case", "away_for", "finding", "critical"),
    [
        ("away since the login was due", 600, Finding.NEEDS_LOGIN, True),
        ("away since a moment ago", 30, Finding.NEEDS_LOGIN, False),
        ("away since before the login was due", 650, Finding.NEEDS_LOGIN, True),
    ],
)
def test_after_the_weekly_login_was_due(case, away_for, finding, critical):
    found = look(book=LOGIN, cause="NOT_LISTENING", away_since=ago(away_for))

    assert (found.finding, found.critical, found.pause) == (finding, critical, None)


@pytest.mark.parametrize("kind", Kind)
def test_what_is_planned_is_no_fault(kind):
    book = Calendar(windows=(calendar.daily(kind, "06:00 UTC", lasts=timedelta(hours=1)),))

    away = look(book=book, cause="NOT_LISTENING", away_since=ago(600))
    there = look(book=book, **READY, heard_at=ago(1))
    nobody = look(book=book, cause="NOT_LISTENING", away_since=ago(600), owner_seen_at=ago(600))

    assert (away.finding, away.critical) == (PAUSED[kind], False)
    assert (there.finding, there.critical) == (PAUSED[kind], False)
    assert away.reason == there.reason == away.pause.reason
    assert (nobody.finding, nobody.critical) == (Finding.NO_WORKER, True)


# How bad it is


@pytest.mark.parametrize(("seconds", "critical"), [(59, False), (60, False), (61, True)])
def test_away_for_a_minute_is_critical(seconds, critical):
    found = look(cause="CLIENT_ID_TAKEN", away_since=ago(seconds))

    assert (found.critical, found.since) == (critical, ago(seconds))


def test_a_dead_worker_is_away_since_it_was_last_heard():
    found = look(**READY, heard_at=ago(90), owner_seen_at=ago(90))

    assert (found.finding, found.critical, found.since) == (Finding.NO_WORKER, True, ago(90))


def test_in_order_is_never_critical():
    found = look(**READY, heard_at=ago(1))

    assert (found.critical, found.since, found.reason) == (False, None, "")
