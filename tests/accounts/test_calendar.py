from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import calendar
from accounts.calendar import Calendar, Kind

NEW_YORK = ZoneInfo("America/New_York")
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
NIGHTLY = Calendar(
    windows=(calendar.daily(Kind.RESTART, "23:45 America/New_York", lasts=5 * MINUTE),), guard=60 * SECOND
)
LOGIN = Calendar(windows=(calendar.weekly(Kind.LOGIN, "Sun 01:00 America/New_York", lasts=30 * MINUTE),))
WEEKEND = Calendar(windows=(calendar.span(Kind.WEEKEND, "Fri 23:00 - Sun 18:00 America/New_York"),))


def ny(text, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK, fold=fold).astimezone(UTC)


def paused(book, moment):
    pause = book.pause(moment)
    return pause.kind if pause else None


@pytest.mark.parametrize(
    ("case", "book", "moment", "kind"),
    [
        ("nothing configured", Calendar(), ny("2026-01-15 23:45:00"), None),
        ("before the guard", NIGHTLY, ny("2026-01-15 23:43:59"), None),
        ("the guard begins", NIGHTLY, ny("2026-01-15 23:44:00"), Kind.RESTART),
        ("the restart", NIGHTLY, ny("2026-01-15 23:45:00"), Kind.RESTART),
        ("its last second", NIGHTLY, ny("2026-01-15 23:49:59"), Kind.RESTART),
        ("over", NIGHTLY, ny("2026-01-15 23:50:00"), None),
        ("in summer the same wall clock", NIGHTLY, ny("2026-07-15 23:45:00"), Kind.RESTART),
        ("login on Sunday", LOGIN, ny("2026-01-18 01:29:59"), Kind.LOGIN),
        ("no login on Monday", LOGIN, ny("2026-01-19 01:10:00"), None),
        ("Friday evening", WEEKEND, ny("2026-01-16 22:59:59"), None),
        ("Friday night", WEEKEND, ny("2026-01-16 23:00:00"), Kind.WEEKEND),
        ("Saturday", WEEKEND, ny("2026-01-17 12:00:00"), Kind.WEEKEND),
        ("Sunday evening", WEEKEND, ny("2026-01-18 18:00:00"), None),
        ("Wednesday", WEEKEND, ny("2026-01-21 12:00:00"), None),
    ],
)
def test_pauses(case, book, moment, kind):
    assert paused(book, moment) == kind


def test_a_window_over_midnight():
    book = Calendar(windows=(calendar.daily(Kind.RESTART, "23:58 UTC", lasts=5 * MINUTE),))

    assert paused(book, datetime(2026, 1, 16, 0, 2, 59, tzinfo=UTC)) == Kind.RESTART
    assert paused(book, datetime(2026, 1, 16, 0, 3, tzinfo=UTC)) is None


def test_a_span_that_begins_and_ends_on_the_same_weekday_lasts_six_days():
    book = Calendar(windows=(calendar.span(Kind.WEEKEND, "Sun 18:00 - Sun 17:00 UTC"),))

    assert paused(book, datetime(2026, 1, 18, 17, 30, tzinfo=UTC)) is None
    assert paused(book, datetime(2026, 1, 25, 16, 59, tzinfo=UTC)) == Kind.WEEKEND


def test_of_two_pauses_the_one_that_ends_last_counts():
    book = Calendar(windows=NIGHTLY.windows + WEEKEND.windows)

    pause = book.pause(ny("2026-01-16 23:46:00"))

    assert (pause.kind, pause.ends) == (Kind.WEEKEND, ny("2026-01-18 18:00:00"))


def test_reason_and_end_are_said_in_utc():
    pause = NIGHTLY.pause(ny("2026-01-15 23:46:00"))

    assert pause.reason == "no orders are sent during the gateway's nightly restart, until Fri 04:50 UTC"
    assert (pause.begins, pause.event) == (ny("2026-01-15 23:44:00"), ny("2026-01-15 23:45:00"))


# Clocks that are set forward and back


def test_a_time_that_is_skipped_comes_after_the_gap():
    book = Calendar(windows=(calendar.daily(Kind.RESTART, "02:30 America/New_York", lasts=5 * MINUTE),))
    gap = datetime(2026, 3, 8, 7, 0, tzinfo=UTC)  # 02:00 EST is 03:00 EDT

    assert paused(book, gap + 29 * MINUTE) is None
    assert paused(book, gap + 30 * MINUTE) == Kind.RESTART
    assert paused(book, gap + 35 * MINUTE) is None


def test_a_time_that_comes_twice_is_paused_twice():
    book = Calendar(windows=(calendar.daily(Kind.RESTART, "01:30 America/New_York", lasts=5 * MINUTE),))

    assert paused(book, ny("2026-11-01 01:31:00", fold=0)) == Kind.RESTART
    assert paused(book, ny("2026-11-01 01:40:00", fold=0)) is None
    assert paused(book, ny("2026-11-01 01:31:00", fold=1)) == Kind.RESTART


def test_a_weekend_in_which_clocks_change_ends_by_the_wall_clock():
    before, after = WEEKEND.pause(ny("2026-03-07 12:00:00")), WEEKEND.pause(ny("2026-03-14 12:00:00"))

    assert before.ends - before.event == timedelta(hours=42)  # an hour is missing
    assert after.ends - after.event == timedelta(hours=43)


# Before and after


@given(st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)))
def test_the_following_pause_is_the_next_moment_that_is_paused(moment):
    book = Calendar(windows=NIGHTLY.windows + LOGIN.windows + WEEKEND.windows, guard=60 * SECOND)

    following, last = book.following(moment), book.last(moment)

    assert moment < following.begins <= moment + timedelta(days=1, hours=1)
    assert book.pause(following.begins) is not None
    assert last.begins <= moment
    pause = book.pause(moment)
    if pause is None:
        assert book.pause(following.begins - SECOND) is None
    else:
        assert pause.begins <= moment < pause.ends


def test_an_empty_calendar_has_no_pauses():
    now = datetime(2026, 1, 15, tzinfo=UTC)

    assert (Calendar().pause(now), Calendar().following(now), Calendar().last(now)) == (None, None, None)


# Settings


@pytest.mark.parametrize(
    "text",
    ["23:45", "24:00 UTC", "7:00 UTC", "23:60 UTC", "23:45  UTC", "23:45 Mars/Base", "23:45 ..", "23:45 UTC UTC", "x"]
    + ["٢٣:٤٥ UTC", "23:45 America", "23:45 UTC\n"],
)
def test_a_daily_time_that_is_none(text):
    with pytest.raises(ValueError, match="like America/New_York|as 23:45 America/New_York"):
        calendar.daily(Kind.RESTART, text, lasts=MINUTE)


@pytest.mark.parametrize(
    "text", ["01:00 UTC", "sun 01:00 UTC", "Sunday 01:00 UTC", "Sun 1:00 UTC", "Sun 01:00 No/Zone"]
)
def test_a_weekly_time_that_is_none(text):
    with pytest.raises(ValueError, match="like America/New_York|as Sun 01:00 America/New_York"):
        calendar.weekly(Kind.LOGIN, text, lasts=MINUTE)


@pytest.mark.parametrize(
    "text",
    ["Fri 23:00", "Fri 23:00 - Sun 18:00", "Fri 23:00 - Fri 23:00 UTC", "23:00 - 18:00 UTC", "Fri 23:00 Sun 18:00 UTC"],
)
def test_a_span_that_is_none(text):
    with pytest.raises(ValueError, match="as Fri 23:00 - Sun 18:00|begins where it ends"):
        calendar.span(Kind.WEEKEND, text)
