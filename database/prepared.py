"""Statements that are asked for with every order: PostgreSQL parses and plans them once for each connection, and nobody
composes them anew.

Rules
1. Only for statements whose text never changes; what varies are parameters, sent beside it.
2. Rows that are written go as one JSON text, however many they are: numbers and times as text, which the columns' own
   types read. What does not fit its column fails as ever.
"""

import json
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.models import Field, Model, QuerySet
from psycopg import ClientCursor

NEVER_BY_ITSELF = 1_000_000_000  # executions after which the driver would prepare what nobody asked it to

Row = TypeVar("Row", bound=Model)


class PreparingCursor(ServerBindingCursor):  # the stubs know of no such cursor
    def execute(self, query: Any, params: Any = None, **_: Any) -> Any:
        return super().execute(query, params, prepare=True)  # type: ignore[misc]


def one(statement: str, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """The one row of the answer."""
    row: tuple[Any, ...] = _asked(statement, parameters).fetchone()
    return row


def many(statement: str, parameters: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
    """The rows of the answer."""
    rows: list[tuple[Any, ...]] = _asked(statement, parameters).fetchall()
    return rows


class Query:
    """A query of the ORM's, composed once for each set of arguments; what it compares with is to be among them, or the
    database's own, as `Now()`. `compose` returns values_list(…)."""

    def __init__(self, compose: Callable[..., QuerySet[Any, Any]]) -> None:
        self.compose = compose
        self._composed = lru_cache(maxsize=64)(self._compose)

    def rows(self, *arguments: Hashable) -> list[tuple[Any, ...]]:
        return many(self._composed(*arguments), None)

    def _compose(self, *arguments: Hashable) -> str:
        # Values in the text: to a parameter no partial index is known to apply.
        statement, parameters = self.compose(*arguments).query.sql_with_params()
        connection.ensure_connection()
        return ClientCursor(connection.connection).mogrify(statement, parameters)


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
        found = _asked(self._statement, parameters).fetchall()
        return [(self._model.from_db(DEFAULT_DB_ALIAS, self._names, row[:-1]), row[-1]) for row in found]


class Insertion(Generic[Row]):
    """Insert rows of a model in their order, and set their keys.

    `conflict`: what follows ON CONFLICT, for rows that may be there already. `then`: what else the same statement does
    with their keys, INSERT … SELECT … FROM inserted (key, ordinal) RETURNING key, a row for each; ordinals from 1.
    """

    def __init__(self, model: type[Row], *, conflict: str = "", then: str = "") -> None:
        self._model = model
        self._conflict = f" ON CONFLICT {conflict}" if conflict else ""
        self._then = then
        self._fields = [f for f in model._meta.concrete_fields if not f.primary_key and not f.generated]

    def write(self, rows: Sequence[Row], **parameters: Any) -> None:
        """`parameters`: those of `then`."""
        if not rows:
            return
        keys = _asked(self._statement, {"rows": _text(rows, self._fields), **parameters}).fetchall()
        for row, (key,) in zip(rows, keys, strict=True):
            row.pk = key
            row._state.adding = False
            row._state.db = DEFAULT_DB_ALIAS

    @cached_property
    def _statement(self) -> str:
        columns = _columns(self._fields)
        insert = (
            f'INSERT INTO "{self._model._meta.db_table}" ({columns}) SELECT {columns} FROM ROWS FROM '  # noqa: S608
            f"({_recordset(self._fields)}) WITH ORDINALITY AS told ({columns}, ordinal) ORDER BY ordinal"
            f'{self._conflict} RETURNING "{self._model._meta.pk.column}"'
        )
        if not self._then:
            return insert
        # Keys are given in the order of the rows.
        numbered = "SELECT key, row_number() OVER (ORDER BY key) AS ordinal FROM keys"
        return f"WITH keys (key) AS ({insert}), inserted AS ({numbered}) {self._then}"


class Change(Generic[Row]):
    """Write these columns of rows that are there."""

    def __init__(self, model: type[Row], columns: Sequence[str]) -> None:
        self._model = model
        self._names = columns

    def write(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        keys = [row.pk for row in rows]
        changed = _asked(self._statement, {"rows": _text(rows, self._fields), "keys": keys}).rowcount
        if changed != len(rows):
            raise DatabaseError(f"{changed} rows of {self._model._meta.db_table} were there, not {len(rows)}")

    @cached_property
    def _fields(self) -> "list[Field[Any, Any]]":
        columns = {field.name: field for field in self._model._meta.concrete_fields}
        return [self._model._meta.pk, *(columns[name] for name in self._names)]

    @cached_property
    def _statement(self) -> str:
        key, *others = self._fields
        changes = ", ".join(f'"{field.column}" = told."{field.column}"' for field in others)
        # The keys beside the rows: PostgreSQL takes any JSON for a hundred of them, and would read the whole table.
        return (
            f'UPDATE "{self._model._meta.db_table}" AS kept SET {changes} '  # noqa: S608
            f"FROM ROWS FROM ({_recordset(self._fields)}) AS told ({_columns(self._fields)}) "
            f'WHERE kept."{key.column}" = told."{key.column}" AND kept."{key.column}" = ANY(%(keys)s)'
        )


def _columns(fields: "Sequence[Field[Any, Any]]") -> str:
    return ", ".join(f'"{field.column}"' for field in fields)


def _recordset(fields: "Sequence[Field[Any, Any]]") -> str:
    # Without lengths: what is too long is to fail where it is put, and not to be cut here.
    types = ", ".join(f'"{field.column}" {str(field.db_type(connection)).partition("(")[0]}' for field in fields)
    return f"jsonb_to_recordset(%(rows)s::jsonb) AS ({types})"


def _text(rows: Sequence[Model], fields: "Sequence[Field[Any, Any]]") -> str:
    values = [{field.column: _plain(getattr(row, field.attname)) for field in fields} for row in rows]
    return json.dumps(values, ensure_ascii=False)


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case _:
            return value


_mine = threading.local()


def _asked(statement: str, parameters: Mapping[str, Any] | None) -> CursorWrapper:
    """The answer, to be read before anything else is asked: this thread has one cursor for all of them."""
    wrapper = connections[DEFAULT_DB_ALIAS]
    # As Django's own `cursor()` does: a connection that broke is found out, and what fails is an error of Django's.
    wrapper.close_if_health_check_failed()
    wrapper.ensure_connection()
    kept = wrapper.connection
    assert kept is not None
    own: PreparingCursor | None = getattr(_mine, "cursor", None)
    if own is None or own.connection is not kept:  # type: ignore[attr-defined]
        own = _mine.cursor = PreparingCursor(kept)  # type: ignore[call-arg]
    threshold, kept.prepare_threshold = kept.prepare_threshold, NEVER_BY_ITSELF
    try:
        cursor: CursorWrapper = wrapper._prepare_cursor(own)  # type: ignore[attr-defined]
        cursor.execute(statement, parameters)
    finally:
        # With any threshold the driver keeps the text of a hundred statements to count them, values and all.
        kept.prepare_threshold = threshold
    return cursor
