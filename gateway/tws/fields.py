"""How one value stands in one field of text.

Rules: numbers are int or Decimal, never float. Reading accepts what any client sends for "unset" (empty, 2147483647,
1.7976931348623157e+308 in either spelling) and gives None; nonsense raises ValueError. Writing gives the text that
recorded gateways give, and for "unset" that differs from field to field, hence the several encodings of one type.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

UNSET_INT: Final = 2**31 - 1
UNSET_INT_TEXT: Final = str(UNSET_INT)
UNSET_DOUBLE_TEXT: Final = "1.7976931348623157E308"  # as Java prints the largest double
UNSET_DOUBLE: Final = Decimal(UNSET_DOUBLE_TEXT)
INFINITE: Final = "Infinite"

# Not int() and Decimal(): those take underscores, blanks, foreign digits, NaN and exponents that eat all memory.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?=[0-9.]{1,61}(?:[eE]|\Z))(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_LONGEST_NUMBER = 61
_SMALLEST_EXPONENT = -324
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True, slots=True)
class Encoding:
    """A pair of inverse functions between a value and its text; `read` raises ValueError."""

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def read_integer(text: str) -> int:
    """Read a 32-bit integer as Java would."""
    number = read_long(text)
    if abs(number) > UNSET_INT:
        raise ValueError(f"{text!r} does not fit 32 bits")
    return number


def read_long(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an integer")
    return int(text)


def read_number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    number = Decimal(text)
    if abs(number) > UNSET_DOUBLE or number.adjusted() < _SMALLEST_EXPONENT:
        raise ValueError(f"{text[:40]!r} is outside the range of a double")
    return number


def read_optional_number(text: str) -> Decimal | None:
    if not text:
        return None
    number = read_number(text)
    return None if number == UNSET_DOUBLE else number


def read_optional_integer(text: str) -> int | None:
    if not text:
        return None
    number = read_integer(text)
    return None if number == UNSET_INT else number


def write_number(number: Decimal) -> str:
    """Write without an exponent, but for the absurdly small and large."""
    text = format(number, "f")
    return text if len(text) <= _LONGEST_NUMBER else format(number, "E")


def _read_flag(text: str) -> bool:
    if text not in ("", "0", "1"):
        raise ValueError(f"{text[:40]!r} is not 0 or 1")
    return text == "1"


def _read_offset(text: str) -> Decimal | None:
    return Decimal("Infinity") if text == INFINITE else read_optional_number(text)


def _write_offset(number: Decimal | None) -> str:
    if number is None:
        return ""
    return INFINITE if number.is_infinite() else write_number(number)


def _read_count(text: str) -> int:
    count = read_integer(text)
    if count < 0:
        raise ValueError(f"{text[:40]!r} is no count")
    return count


def _read_condition_kind(text: str) -> int:
    if text not in ("1", "3", "4", "5", "6", "7"):
        raise ValueError(f"{text[:40]!r} is no kind of condition")
    return int(text)


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).encode("utf-16", "surrogatepass").decode("utf-16")


def _escape_backslash(text: str) -> str:
    return text.replace("\\", "\\u005c")


def _optional(name: str, read: Callable[[str], Any], write: Callable[[Any], str], *, unset: str) -> Encoding:
    """An encoding of value or None, with the text that stands for None when written."""
    return Encoding(name, read, lambda value: unset if value is None else write(value))


def _zero_is_unset(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: read(text) or None


def _word(name: str, placeholder: str, *, written: str) -> Encoding:
    """A text whose absence real gateways spell out; the placeholder is read as empty."""
    return Encoding(name, lambda text: "" if text == placeholder else text, lambda text: text or written)


TEXT: Final = Encoding("text", str, str)
FLAG: Final = Encoding("flag", _read_flag, lambda value: "1" if value else "0")
COUNT: Final = Encoding("count", _read_count, str)
CONDITION_KIND: Final = Encoding("condition kind", _read_condition_kind, str)
ID: Final = Encoding("id", read_integer, str)  # never empty: without it nobody can be answered
INT: Final = Encoding("int", lambda text: read_integer(text or "0"), str)
LONG: Final = Encoding("long", lambda text: read_long(text or "0"), str)
NUMBER: Final = Encoding("number", lambda text: read_number(text or "0"), write_number)

OPTIONAL_INT: Final = _optional("optional int", read_optional_integer, str, unset="")
OPTIONAL_INT_AS_MAX: Final = _optional("optional int as max", read_optional_integer, str, unset=UNSET_INT_TEXT)
OPTIONAL_INT_AS_ZERO: Final = _optional("optional int as zero", _zero_is_unset(read_optional_integer), str, unset="0")
OPTIONAL_NUMBER: Final = _optional("optional number", read_optional_number, write_number, unset="")
OPTIONAL_NUMBER_AS_MAX: Final = _optional(
    "optional number as max", read_optional_number, write_number, unset=UNSET_DOUBLE_TEXT
)
OPTIONAL_NUMBER_AS_ZERO: Final = _optional(
    "optional number as zero", _zero_is_unset(read_optional_number), write_number, unset="0"
)
# A market order's limit price leaves a gateway as 0.0, and zero is a price a combination can have: read as it stands.
PRICE_AS_ZERO: Final = _optional("price as zero", read_optional_number, write_number, unset="0.0")
OFFSET: Final = Encoding("offset", _read_offset, _write_offset)

LONG_NAME: Final = Encoding("long name", _unescape, _escape_backslash)

RIGHT: Final = _word("right", "?", written="")
RIGHT_AS_MARK: Final = _word("right as mark", "?", written="?")
ABSENT_WORD: Final = _word("absent word", "None", written="")
ABSENT_WORD_AS_NONE: Final = _word("absent word as None", "None", written="None")
