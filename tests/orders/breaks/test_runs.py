"""Runs as rows: asked for, shared, taken up, left behind; and when the one of the schedule waits."""

import time
from datetime import timedelta

import pytest

from gateway.errors import QueryTimedOut
from orders.breaks import reconciliation, runs
from orders.breaks.hearing import QUERIES
from tests.orders.builders import GATEWAY

pytestmark = pytest.mark.django_db


def test_who_asks_while_a_run_waits_shares_it(desk):
    run = runs.request(GATEWAY, by="schedule")

    assert runs.request(GATEWAY, by="command") == run
    assert runs.take_up(GATEWAY) == run
    assert runs.request(GATEWAY, by="command") != run


@pytest.mark.parametrize(
    ("case", "took", "ago", "by", "taken"),
    [
        ("a short day", 0.1, 3, "schedule", True),
        ("a long day, just told", 30, 590, "schedule", False),
        ("a long day that had its rest", 30, 601, "schedule", True),
        ("a very long day rests an hour", 1000, 3601, "schedule", True),
        ("a person does not wait", 30, 1, "command", True),
        ("longer than an hour nobody waits", 30, 1, "an hour ago", True),
    ],
)
def test_what_the_schedule_asks_for_waits_where_a_long_day_was_just_told(
    desk, broker, reconcile, case, took, ago, by, taken
):
    desk.telling.took, desk.telling.ended = took, time.monotonic() - ago
    run = runs.request(GATEWAY, by="command" if by == "command" else "schedule")
    if by == "an hour ago":
        run.requested_at -= timedelta(hours=1)
        run.save(update_fields=["requested_at"])

    reconciliation.work(desk, broker.hearing)

    assert broker.asked == (list(QUERIES) if taken else []), case


def test_who_asks_while_the_schedule_waits_hurries_it(desk):
    run = runs.request(GATEWAY, by="schedule")
    assert runs.take_up(GATEWAY, scheduled=False) is None

    runs.request(GATEWAY, by="command")
    runs.request(GATEWAY, by="schedule")

    assert runs.take_up(GATEWAY, scheduled=False) == run
    run.refresh_from_db()
    assert run.requested_by == "command"


def test_the_schedule_does_not_ask_while_the_day_is_being_told(desk):
    runs.request(GATEWAY, by="schedule")

    with desk.telling.timed():
        assert not desk.telling.has_rested(0)
    assert desk.telling.has_rested(0)


def test_a_telling_that_fails_took_its_time_and_says_nothing_of_a_shorter_day(desk):
    desk.telling.took = 30.0

    with pytest.raises(QueryTimedOut), desk.telling.timed():
        raise QueryTimedOut("not told to its end")

    assert desk.telling.took == 30.0
    assert not desk.telling.has_rested(1)


def test_a_run_times_how_long_the_day_takes_to_be_told(desk, broker, reconcile):
    reconcile()

    assert 0 < desk.telling.took < 5
    assert not desk.telling.has_rested(10_000)


def test_a_run_that_its_worker_left_behind(desk):
    left = runs.request(GATEWAY, by="schedule")
    runs.take_up(GATEWAY)

    assert runs.take_up(GATEWAY) is None

    left.refresh_from_db()
    assert (left.outcome, left.reason) == ("FAILED", runs.INTERRUPTED)


def test_a_run_that_was_given_up(desk):
    run = runs.request(GATEWAY, by="command")

    assert runs.withdraw(run.pk, reason="nobody came")
    assert runs.take_up(GATEWAY) is None
    assert not runs.withdraw(run.pk, reason="again")
    run.refresh_from_db()
    assert (run.outcome, run.reason) == ("FAILED", "nobody came")


def test_what_was_called_interrupted_stays_so(desk):
    run = runs.request(GATEWAY, by="schedule")
    runs.take_up(GATEWAY)
    runs.take_up(GATEWAY)

    runs.fail(run, reason="another word")

    run.refresh_from_db()
    assert run.reason == runs.INTERRUPTED


def test_nothing_to_do(desk, broker):
    reconciliation.work(desk, broker.hearing)

    assert broker.asked == []
