"""One spelling for each JSON value: RFC 8785 (JCS), for what the trail holds. Pure.

Rules: text, whole numbers below 2^53, true, false, null, lists, and objects with text keys. Anything else is refused,
floats above all: decimals and times travel as text, so that no reader rounds them.
"""

from json.encoder import encode_basestring  # the C escaper of json.dumps
from typing import Any

INTEGER_LIMIT = 2**53


class NotCanonical(ValueError):
    """A value that has no place in the trail; the text says which and where."""


def dumps(value: Any) -> str:
    """The canonical text of a value. Raises: NotCanonical."""
    parts: list[str] = []
    _write(value, parts, "$")
    return "".join(parts)


def _write(value: Any, parts: list[str], where: str) -> None:
    if value is None:
        parts.append("null")
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif isinstance(value, str):
        parts.append(_quoted(value, where))
    elif isinstance(value, int):
        if abs(value) >= INTEGER_LIMIT:
            raise NotCanonical(f"{where}: {value} is not exact in every reader; write it as text")
        parts.append(int.__repr__(value))
    elif isinstance(value, list | tuple):
        _write_list(value, parts, where)
    elif isinstance(value, dict):
        _write_object(value, parts, where)
    else:
        raise NotCanonical(f"{where}: {type(value).__name__} has no exact JSON form; write it as text")


def _write_list(values: list[Any] | tuple[Any, ...], parts: list[str], where: str) -> None:
    parts.append("[")
    for number, value in enumerate(values):
        if number:
            parts.append(",")
        _write(value, parts, f"{where}[{number}]")
    parts.append("]")


def _write_object(values: dict[Any, Any], parts: list[str], where: str) -> None:
    for key in values:
        if not isinstance(key, str):
            raise NotCanonical(f"{where}: the key {key!r} is not text")
    parts.append("{")
    # 3.2.3: by UTF-16 code units, in which characters beyond U+FFFF come before U+E000 to U+FFFF.
    for number, key in enumerate(sorted(values, key=lambda key: key.encode("utf-16-be", "surrogatepass"))):
        if number:
            parts.append(",")
        parts.append(_quoted(key, where))
        parts.append(":")
        _write(values[key], parts, f"{where}.{key}")
    parts.append("}")


def _quoted(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotCanonical(f"{where}: half a surrogate pair is no text") from None
    quoted: str = encode_basestring(text)
    return quoted
