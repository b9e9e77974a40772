"""Statements that are asked for with every order: PostgreSQL parses and plans them once for each connection, and nobody
composes them anew.

Rule: only for statements whose text never changes; what varies are parameters, sent beside it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

NEVER_BY_ITSELF = 1_000_000_000  # executions after which the driver would prepare what nobody asked it to

Row = TypeVar("Row", bound=Model)


class PreparingCursor(ServerBindingCursor):  # the stubs know of no such cursor
    def execute(self, query: Any, params: Any = None, **_: Any) -> Any:
        return super().execute(query, params, prepare=True)  # type: ignore[misc]


def one(statement: str, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """The one row of the answer."""
    with _asked(statement, parameters) as cursor:
        row: tuple[Any, ...] = cursor.fetchone()
    return row


class Selection(Generic[Row]):
    """Rows of a model that fit a condition, each with the moment of the look by the database's clock.

    `condition`: what follows WHERE. `without`: names of fields that are left to be read when they are asked for.
    """

    def __init__(self, model: type[Row], condition: str, *, without: frozenset[str] = frozenset()) -> None:
        fields = [field for field in model._meta.concrete_fields if field.name not in without]
        if odd := [field.name for field in fields if hasattr(field, "from_db_value")]:
            raise TypeError(f"the driver does not give these as they are in the model: {', '.join(odd)}")
        self._model = model
        self._names = [field.attname for field in fields]
        columns = ", ".join(f'"{field.column}"' for field in fields)
        self._statement = f'SELECT {columns}, clock_timestamp() FROM "{model._meta.db_table}" WHERE {condition}'  # noqa: S608

    def read(self, **parameters: Any) -> list[tuple[Row, datetime]]:
        with _asked(self._statement, parameters) as cursor:
            found = cursor.fetchall()
        return [(self._model.from_db(connection.alias, self._names, row[:-1]), row[-1]) for row in found]


@contextmanager
def _asked(statement: str, parameters: Mapping[str, Any]) -> Iterator[CursorWrapper]:
    connection.ensure_connection()
    kept = connection.connection
    assert kept is not None
    threshold, kept.prepare_threshold = kept.prepare_threshold, NEVER_BY_ITSELF
    try:
        cursor: CursorWrapper = connection._prepare_cursor(PreparingCursor(kept))  # type: ignore[attr-defined,call-arg]
        with cursor:
            cursor.execute(statement, parameters)
            yield cursor
    finally:
        # With any threshold the driver keeps the text of a hundred statements to count them, values and all.
        kept.prepare_threshold = threshold
