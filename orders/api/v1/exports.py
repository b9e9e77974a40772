"""Whole lists as CSV or JSON lines, row by row, in flat memory.

Rules
1. Read page by page, each in a short transaction of its own: an export holds no snapshot while a client reads slowly.
   What came on record after its beginning is not in it.
2. In CSV no text begins like a formula, which a spreadsheet would run: such a cell has an apostrophe before it.
   Numbers, times and ids are written as they are. JSON lines are for programs and hold what the API holds.
3. An export that cannot be finished breaks off its connection: a short file is never a whole one.
4. It is an entry in the site's chain, committed before its first row leaves.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict, StreamingHttpResponse
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer

from audit.record import record_site
from orders.api.v1.pages import Sort, bounded
from orders.api.v1.parameters import BadParameter

ROWS_AT_A_TIME = 1000
CHUNK_SECONDS = 60
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full-width
# What these write holds digits, signs and the letters of a time, and is meant to be read as what it is.
NO_TEXT = (serializers.IntegerField, serializers.DecimalField, serializers.DateTimeField)
Row = dict[str, Any]


class CsvFormat(BaseRenderer):
    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class LinesFormat(BaseRenderer):
    media_type = "application/jsonl"
    format = "jsonl"
    charset = "utf-8"


class Formats(DefaultContentNegotiation):
    """`?format=` or `Accept`; what is not offered is refused: 400 for the one, 406 for the other."""

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> list[BaseRenderer]:
        found = [renderer for renderer in renderers if renderer.format == format]
        if not found:
            choices = ", ".join(str(renderer.format) for renderer in renderers)
            raise BadParameter(f"format: This must be one of {choices}.")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, and by whom: what the trail says of an export."""

    form: BaseRenderer
    parameters: QueryDict
    actor: str
    address: str
    request_id: str


def refuse_pages(parameters: QueryDict) -> None:
    """Raises: BadParameter."""
    for parameter in ("cursor", "limit"):
        if parameter in parameters:
            raise BadParameter(f"{parameter}: An export has every row: ask for it without {parameter}.")


def answer(
    asked: Asked,
    rows: QuerySet[Any],
    *,
    sort: Sort,
    serializer: serializers.Serializer[Any],
    shown: Callable[[list[Any]], list[Any]],
    name: str,
) -> StreamingHttpResponse:
    """All rows in that order, as a file; `shown` makes of rows read those to be written. They are read when the answer
    is sent: end the transaction, with the entry in the trail, before."""
    chosen = asked.form
    written = (serializer.to_representation(row) for chunk in _chunks(rows, sort) for row in shown(chunk))
    lines = _csv(serializer, written) if chosen.format == "csv" else map(_json_line, written)
    _record(asked, name)
    return StreamingHttpResponse(
        lines,
        content_type=f"{chosen.media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.{chosen.format}"'},
    )


def _record(asked: Asked, name: str) -> None:
    parameters = {key: ",".join(asked.parameters.getlist(key)) for key in asked.parameters}
    origin = {"address": asked.address, "request_id": asked.request_id}
    record_site("export", asked.actor, {"list": name, "format": asked.form.format, "asked": parameters, **origin})


def _chunks(rows: QuerySet[Any], sort: Sort) -> Iterator[list[Any]]:
    rows = following = sort.apply(rows)
    while True:
        with bounded(CHUNK_SECONDS):
            chunk = list(following[:ROWS_AT_A_TIME])
        yield chunk
        if len(chunk) < ROWS_AT_A_TIME:
            return
        following = sort.after(rows, getattr(chunk[-1], sort.column), chunk[-1].pk)


def _json_line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


def _csv(serializer: serializers.Serializer[Any], rows: Iterator[Row]) -> Iterator[str]:
    plain = {name for name, field in serializer.fields.items() if isinstance(field, NO_TEXT)}
    yield _joined(serializer.fields)
    for row in rows:
        yield _joined(value if name in plain else _cell(value) for name, value in row.items())


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))  # begins with a bracket: never a formula
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _joined(cells: Any) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(cells)  # RFC 4180
    return written.getvalue()
