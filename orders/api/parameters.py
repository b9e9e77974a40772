"""What may stand behind the question mark, read strictly. Refusals are one sentence and a code."""

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.http import QueryDict
from rest_framework.exceptions import APIException

INSTANT_FORM = (
    "This must be a time in ISO 8601 with its offset, like 2026-01-15T14:30:00Z, or a day, like 2026-01-15, which is "
    "its first moment in UTC. (A + in an address is written %2B.)"
)
PAGE_PARAMETERS = ("sort", "limit", "cursor", "format")


class BadParameter(APIException):
    status_code = 400
    default_code = "bad_parameter"


class UnknownParameter(BadParameter):
    default_code = "unknown_parameter"


class BadCursor(BadParameter):
    default_code = "bad_cursor"


def refuse_unknown(given: QueryDict, *, known: list[str]) -> None:
    """Raises: UnknownParameter, BadParameter."""
    for name, values in given.lists():
        if name not in known:
            raise UnknownParameter(f"{ascii(name[:40])} is not a parameter here: there are {', '.join(known)}.")
        if len(values) > 1:
            raise BadParameter(f"{name}: This is given {len(values)} times: give it once.")
        if not values[0]:
            raise BadParameter(f"{name}: This is empty: leave it out to ask for all.")


def parse_instant(text: str) -> datetime:
    """An aware time in UTC; a day is its first moment. Raises: ValueError."""
    try:
        return datetime.combine(date.fromisoformat(text), time.min, UTC)
    except ValueError:
        pass  # it is more than a day
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):  # some offsets lead out of the calendar
        pass
    raise ValueError(INSTANT_FORM)


class InstantField(forms.CharField):
    """An instant; empty is none."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return parse_instant(text)
        except ValueError as problem:
            raise forms.ValidationError(str(problem)) from problem


class IdField(forms.IntegerField):
    """A whole number that fits a database id."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, min_value=1, max_value=2**63 - 1)
