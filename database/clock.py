"""The database's clock, which all processes share; their own may differ by anything."""

from datetime import datetime

from database import prepared


def database_now() -> datetime:
    """The moment of the call, also inside a transaction."""
    (now,) = prepared.one("SELECT clock_timestamp()", {})
    assert isinstance(now, datetime)
    return now
