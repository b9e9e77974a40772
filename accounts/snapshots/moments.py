"""The moments for which snapshots are taken. Pure: the clock is an argument.

Every `every` seconds, counted from 1970 in UTC so that all processes agree; and shortly before the end of the gateway's
day and before each planned pause, because what comes after may be another day's figures, or none.
"""

from datetime import UTC, datetime, time, timedelta, tzinfo

from accounts.calendar import Calendar

BEFORE_MIDNIGHT = timedelta(minutes=2)
BEFORE_PAUSE = timedelta(minutes=1)


def latest(now: datetime, *, every: timedelta, zone: tzinfo, calendar: Calendar) -> datetime:
    """The last of these moments that has come."""
    regular = datetime.fromtimestamp(now.timestamp() // every.total_seconds() * every.total_seconds(), UTC)
    closing = [moment for moment in _closing(now, zone=zone, calendar=calendar) if moment <= now]
    return max(regular, *closing)


def _closing(now: datetime, *, zone: tzinfo, calendar: Calendar) -> list[datetime]:
    today = now.astimezone(zone).date()
    midnights = [datetime.combine(today + timedelta(days=days), time(), zone).astimezone(UTC) for days in (0, 1)]
    pauses = (calendar.last(now), calendar.following(now))
    return [
        *(midnight - BEFORE_MIDNIGHT for midnight in midnights),
        *(pause.begins - BEFORE_PAUSE for pause in pauses if pause is not None),
    ]
