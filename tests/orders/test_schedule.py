"""When the day's executions are asked for, in virtual time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders import schedule

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 16, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def due(now, *, last, working=False, forgets=()):
    return schedule.due(
        now,
        last=last,
        working=working,
        while_working=timedelta(seconds=30),
        at_rest=timedelta(minutes=5),
        forgets=forgets,
    )


@pytest.mark.parametrize(
    ("case", "last", "working", "why"),
    [
        ("never", None, False, "not asked for yet"),
        ("just now", NOON, True, ""),
        ("orders work", NOON - 29 * SECOND, True, ""),
        ("orders work", NOON - 30 * SECOND, True, "orders work"),
        ("at rest", NOON - 30 * SECOND, False, ""),
        ("at rest", NOON - 299 * SECOND, False, ""),
        ("at rest", NOON - 300 * SECOND, False, "it has been a while"),
        ("a clock was set back", NOON + SECOND, False, "not asked for yet"),
    ],
)
def test_how_often(case, last, working, why):
    said = due(NOON, last=last, working=working)

    assert (why in said) if why else said == "", case


@pytest.mark.parametrize(
    ("before", "last", "asked"),
    [
        (61, 90, False),
        (60, 90, True),
        (59, 59.5, False),  # asked in time for the first
        (11, 59, False),
        (10, 59, True),  # and once more
        (5, 9, False),
        (1, 61, True),  # all bells before were lost
        (0, 61, False),  # too late: the gateway has forgotten
    ],
)
def test_shortly_before_the_gateway_forgets(before, last, asked):
    said = due(MIDNIGHT - before * SECOND, last=MIDNIGHT - last * SECOND, forgets=[MIDNIGHT])

    assert said == ("the gateway forgets them at 00:00 UTC" if asked else "")


def test_of_several_moments_each_counts():
    restart = MIDNIGHT - timedelta(minutes=15)
    moments = [MIDNIGHT, restart]

    assert "23:45" in due(restart - 50 * SECOND, last=restart - 100 * SECOND, forgets=moments)
    assert "00:00" in due(MIDNIGHT - 50 * SECOND, last=MIDNIGHT - 100 * SECOND, forgets=moments)


@pytest.mark.parametrize(
    ("now", "zone", "midnight"),
    [
        (NOON, "UTC", MIDNIGHT),
        (NOON, "America/New_York", datetime(2026, 1, 16, 5, 0, tzinfo=UTC)),
        (datetime(2026, 1, 16, 4, 59, 59, tzinfo=UTC), "America/New_York", datetime(2026, 1, 16, 5, 0, tzinfo=UTC)),
        (datetime(2026, 1, 16, 5, 0, tzinfo=UTC), "America/New_York", datetime(2026, 1, 17, 5, 0, tzinfo=UTC)),
        (datetime(2026, 3, 8, 5, 0, tzinfo=UTC), "America/New_York", datetime(2026, 3, 9, 4, 0, tzinfo=UTC)),  # 23 h
        (datetime(2026, 11, 1, 4, 0, tzinfo=UTC), "America/New_York", datetime(2026, 11, 2, 5, 0, tzinfo=UTC)),  # 25 h
        (NOON, "Asia/Tokyo", datetime(2026, 1, 15, 15, 0, tzinfo=UTC)),
    ],
)
def test_the_gateways_midnight(now, zone, midnight):
    assert schedule.next_midnight(now, ZoneInfo(zone)) == midnight


@given(
    rings=st.lists(st.integers(0, 86_400), min_size=1, max_size=400),
    working=st.booleans(),
)
def test_whatever_bells_are_lost_what_is_due_stays_due(rings, working):
    """A day of bells at any moments: between two that came, never is a sync put off that was due at the first."""
    last = MIDNIGHT - timedelta(days=1)
    for second in sorted(rings):
        now = MIDNIGHT - timedelta(days=1) + second * SECOND
        if due(now, last=last, working=working, forgets=[schedule.next_midnight(now, UTC)]):
            last = now
        assert now - last < timedelta(seconds=30) if working else now - last < timedelta(minutes=5)


def test_a_day_of_bells_every_second():
    """Orders work until four in the afternoon; then the day ends."""
    begin = MIDNIGHT - timedelta(days=1)
    last, asked = begin, []
    for second in range(1, 86_400):
        now = begin + second * SECOND
        if due(now, last=last, working=second < 16 * 3600, forgets=[schedule.next_midnight(now, UTC)]):
            last = now
            asked.append(second)

    assert len([second for second in asked if second < 16 * 3600]) == 16 * 120 - 1
    assert (
        len([second for second in asked if second >= 16 * 3600]) == 95 + 2
    )  # each five minutes, and twice before the end
    assert asked[-2:] == [86_340, 86_390]
