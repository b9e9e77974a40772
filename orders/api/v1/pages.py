"""Pages that begin where the last one ended, and the time that a question may take.

A cursor is the place of the last row: its time and its id, in the order that was asked for. Rows that come meanwhile
move nothing, rows of one moment are told apart by their ids, and the thousandth page costs what the first does. (REST
framework's own cursor keeps an offset within one moment, and takes a wrong one or a wrong page size for none.)
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg.errors import QueryCanceled
from rest_framework.exceptions import APIException
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from orders import instants
from orders.api.v1.parameters import BadCursor, BadParameter

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
READ_SECONDS = 5  # the threads that answer also place orders


class TooSlow(APIException):
    status_code = 503
    default_code = "too_slow"
    default_detail = (
        f"This was not found within {READ_SECONDS} s and given up: ask for a shorter time, or with fewer filters."
    )


@contextmanager
def bounded(seconds: int = READ_SECONDS) -> Iterator[datetime]:
    """A transaction that gives the database's time, and in which no query takes longer. Raises: TooSlow."""
    question = "SELECT set_config('statement_timeout', %s, true), clock_timestamp()"
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(question, [f"{seconds}s"])
                (_, now) = cursor.fetchone()
            yield now
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from error
        raise


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of a list: by a time column, and by id within one moment."""

    column: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    def apply(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Rows without that time are not in the list."""
        sign = "-" if self.descending else ""
        if rows.model._meta.get_field(self.column).null:
            rows = rows.filter(**{f"{self.column}__isnull": False})
        return rows.order_by(f"{sign}{self.column}", f"{sign}pk")

    def after(self, rows: QuerySet[Any], at: datetime, pk: Any) -> QuerySet[Any]:
        """What follows that place: a range of the index, and the rest of the moment it begins with taken out."""
        if self.descending:
            return rows.filter(**{f"{self.column}__lte": at}).exclude(**{self.column: at, "pk__gte": pk})
        return rows.filter(**{f"{self.column}__gte": at}).exclude(**{self.column: at, "pk__lte": pk})

    def cursor(self, row: Any) -> str:
        place = [str(self), getattr(row, self.column).isoformat(), row.pk]
        return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")

    def place(self, cursor: str, rows: QuerySet[Any]) -> tuple[datetime, Any]:
        """What `cursor` made of a row of this list. Raises: BadCursor."""
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            said, at, pk = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            place = instants.parse(at), rows.model._meta.pk.to_python(pk)
            if said != str(self) or "\0" in str(pk):
                raise ValueError(said)
        except (ValueError, TypeError, ValidationError, RecursionError) as problem:
            raise BadCursor(
                f"cursor: This is no cursor of this list in the order {self}: take it from `next` as it is."
            ) from problem
        return place


def sort_of(request: Request, columns: tuple[str, ...]) -> Sort:
    """The order asked for: by the time that is asked about, the newest first, if none is. Raises: BadParameter."""
    given = request.query_params
    ranges = [column for column in columns if _range_of(column) & given.keys()]
    if len(ranges) > 1:
        raise BadParameter(f"sort: Ask for a range of {' or '.join(ranges)}, not of both.")
    asked = given.get("sort", f"-{(ranges or columns)[0]}")
    sort = Sort(asked.removeprefix("-"), asked.startswith("-"))
    if sort.column not in columns:
        choices = ", ".join(f"{name}, -{name}" for name in columns)
        raise BadParameter(f"sort: This must be one of {choices}.")
    if ranges and ranges != [sort.column]:
        raise BadParameter(f"sort: A range of {ranges[0]} comes in its order: sort={ranges[0]} or -{ranges[0]}.")
    return sort


def _range_of(column: str) -> set[str]:
    name = column.removesuffix("_at")
    return {f"{name}_from", f"{name}_to"}


class Pages(BasePagination):
    """`{"results": […], "next": address of the next page, or null}`"""

    next_url: str | None = None
    page_parameters: ClassVar[dict[str, dict[str, Any]]] = {
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "cursor": {"type": "string"},
    }

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        sort = sort_of(request, view.sorts)
        limit = _limit(request)
        rows = sort.apply(queryset)
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            rows = sort.after(rows, *sort.place(cursor, queryset))
        found = list(rows[: limit + 1])
        if len(found) > limit:
            found.pop()
            here = request.build_absolute_uri()
            self.next_url = replace_query_param(here, "cursor", sort.cursor(found[-1]))
        return found

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next_url})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {
                    "type": "string",
                    "nullable": True,
                    "format": "uri",
                    "example": "http://localhost:8000/api/v1/…?cursor=WyItcmVjb3JkZWRfYXQiLCIyMDI2",
                    "description": "address of the next page; null on the last one",
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        choices = [f"{sign}{column}" for column in view.sorts for sign in ("-", "")]
        sorting = {"sort": {"type": "string", "enum": choices, "default": choices[0]}}
        descriptions = {
            "sort": "- is the newest first",
            "limit": "rows per page",
            "cursor": "where the page begins: from `next`, as it is",
        }
        return [
            {"name": name, "in": "query", "required": False, "description": descriptions[name], "schema": schema}
            for name, schema in {**sorting, **self.page_parameters}.items()
        ]


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    few = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT))
    if not few or not 1 <= int(text) <= MAX_LIMIT:
        raise BadParameter(f"limit: This must be a whole number from 1 to {MAX_LIMIT}.")
    return int(text)
