"""Statements that are long to plan and asked for with every order: PostgreSQL plans them once for each connection.

Rule: only for statements whose text never changes; what varies are parameters, sent beside it.
"""

from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper

NEVER_BY_ITSELF = 1_000_000_000  # executions after which the driver would prepare what nobody asked it to


class PreparingCursor(ServerBindingCursor):  # the stubs know of no such cursor
    def execute(self, query: Any, params: Any = None, **_: Any) -> Any:
        return super().execute(query, params, prepare=True)  # type: ignore[misc]


def one(statement: str, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """The one row of the answer."""
    connection.ensure_connection()
    kept = connection.connection
    assert kept is not None
    threshold, kept.prepare_threshold = kept.prepare_threshold, NEVER_BY_ITSELF
    try:
        cursor: CursorWrapper = connection._prepare_cursor(PreparingCursor(kept))  # type: ignore[attr-defined,call-arg]
        with cursor:
            cursor.execute(statement, parameters)
            row: tuple[Any, ...] = cursor.fetchone()
    finally:
        # With any threshold the driver keeps the text of a hundred statements to count them, values and all.
        kept.prepare_threshold = threshold
    return row
