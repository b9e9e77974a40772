"""What may stand behind the question mark, read strictly. Refusals are one sentence and a code."""

from typing import Any

from django import forms
from django.http import QueryDict
from rest_framework.exceptions import APIException

from orders import instants

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


class InstantField(forms.CharField):
    """An instant; empty is none."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return instants.parse(text)
        except ValueError as problem:
            raise forms.ValidationError(str(problem)) from problem


class IdField(forms.IntegerField):
    """A whole number that fits a database id."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, min_value=1, max_value=2**63 - 1)
