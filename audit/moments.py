"""Times as they are typed on a command line."""

from datetime import UTC, datetime

from django.utils.dateparse import parse_date, parse_datetime


def moment(text: str) -> datetime:
    """A time in UTC, or the beginning of a day. Raises: ValueError."""
    found = parse_datetime(text)
    if found is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(text)
        found = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
