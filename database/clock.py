"""The database's clock, which all processes share; their own may differ by anything."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """The moment of the call, also inside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    return now
