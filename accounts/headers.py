"""Facts that travel in headers, so that bodies stay as the API guide has them."""

from datetime import UTC, datetime

AS_OF = "X-As-Of"
SESSION_STATE = "X-Session-State"
TRADING_MODE = "X-Trading-Mode"  # on every answer: paper or live


def as_of(moment: datetime) -> dict[str, str]:
    """The time whose state an answer shows, in UTC: `2026-01-15T14:30:25.123Z`."""
    return {AS_OF: moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
