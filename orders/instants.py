"""Instants as people and programs write them: ISO 8601, read strictly into aware UTC. Pure."""

from datetime import UTC, date, datetime, time

FORM = (
    "This must be a time in ISO 8601 with its offset, like 2026-01-15T14:30:00Z, or a day, like 2026-01-15, which is "
    "its first moment in UTC. (A + in an address is written %2B.)"
)


def parse(text: str, *, without_offset: bool = False) -> datetime:
    """A time with its offset, or a day. `without_offset`: one that has none is in UTC. Raises: ValueError."""
    try:
        return datetime.combine(date.fromisoformat(text), time.min, UTC)
    except ValueError:
        pass  # it is more than a day
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
        if without_offset:
            return found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # some offsets lead out of the calendar
        pass
    raise ValueError(FORM)
