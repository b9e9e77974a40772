"""Which executions tell of one trade, and which of them is the last word on it: read off their ids, in SQL.

Rules
1. IB corrects an execution by repeating it with a higher number behind the last dot of its id: all ids that are the
   same up to that dot are one family, and the highest revision is its last word, in whatever order they came.
2. A bust is an execution of quantity 0. The wire has no message for one; who learns of it elsewhere (a statement)
   records it under `bust_of` the id that it undoes, which comes right behind it in the family.
3. Family and revision are columns that the database derives from the id: they cannot be stored wrong. `place_of` says
   the same before there is a row; a test holds the two together.
"""

import re
from functools import cache

from django.db.models import F, Func, IntegerField, TextField, Value
from django.db.models.expressions import CombinedExpression, Expression
from django.db.models.functions import Cast, Coalesce, Length

BUST = ".Ca"
FIRST_REVISION = 2  # that of .01, and of an id without a number

_TAIL = r"(?<=.)(\.[0-9]{1,9})?(\.Ca)?$"
_NUMBER = r"\.([0-9]{1,9})(?:\.Ca)?$"
_BUSTED = r"\.C(a)$"


def bust_of(exec_id: str) -> str:
    """The id under which the bust of an execution is recorded, by whoever learnt of it elsewhere than on the wire."""
    return exec_id + BUST


def place_of(exec_id: str) -> tuple[str, int]:
    """Family and revision of an id."""
    number, busted = _python(_NUMBER).search(exec_id), _python(_BUSTED).search(exec_id)
    revision = int(number[1]) if number else 1
    return _python(_TAIL).sub("", exec_id, count=1), revision * 2 + bool(busted)


@cache
def _python(pattern: str) -> re.Pattern[str]:
    """The same pattern as PostgreSQL reads it: the dot is any character, the dollar the very end."""
    return re.compile(pattern.replace("$", r"\Z"), re.DOTALL)


def family_of(exec_id: F | Value) -> Func:
    """SQL for what an id has in common with all that tell of the same trade."""
    return Func(exec_id, Value(_TAIL), Value(""), function="regexp_replace", output_field=TextField())


def revision_of(exec_id: F | Value) -> Expression:
    """SQL for the place of an id in its family: twice its number, and one more for a bust."""
    number = Func(exec_id, Value(_NUMBER), function="substring", output_field=TextField())
    busted = Func(exec_id, Value(_BUSTED), function="substring", output_field=TextField())
    twice = CombinedExpression(Cast(Coalesce(number, Value("1")), IntegerField()), "*", Value(2))
    return CombinedExpression(twice, "+", Coalesce(Length(busted), 0))
