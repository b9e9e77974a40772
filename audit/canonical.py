"""One spelling for each JSON value: RFC 8785 (JCS), for what the trail holds. Pure.

Rules: text, whole numbers below 2^53, true, false, null, lists, and objects with text keys. Anything else is refused,
floats above all: decimals and times travel as text, so that no reader rounds them.
"""

from collections.abc import Iterable
from json.encoder import encode_basestring  # the C escaper of json.dumps
from typing import Any

INTEGER_LIMIT = 2**53


class NotCanonical(ValueError):
    """A value that has no place in the trail; the text says which and where."""


def dumps(value: Any) -> str:
    """The canonical text of a value. Raises: NotCanonical."""
    parts: list[str] = []
    _write(value, parts, "$")
    text = "".join(parts)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 20) : error.end + 20]
        raise NotCanonical(f"half a surrogate pair is no text: {around!r}") from None
    return text


def _write(value: Any, parts: list[str], where: str) -> None:
    if isinstance(value, str):
        parts.append(encode_basestring(value))
    elif value is None:
        parts.append("null")
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
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
    if all(type(value) is str for value in values):  # the fields of a broker's message: most of what there is to write
        parts.append(f"[{','.join(map(encode_basestring, values))}]")
        return
    parts.append("[")
    for number, value in enumerate(values):
        if number:
            parts.append(",")
        _write(value, parts, f"{where}[{number}]")
    parts.append("]")


def _write_object(values: dict[Any, Any], parts: list[str], where: str) -> None:
    parts.append("{")
    for number, key in enumerate(_sorted(values, where)):
        if number:
            parts.append(",")
        parts.append(encode_basestring(key))
        parts.append(":")
        value = values[key]
        if type(value) is str:
            parts.append(encode_basestring(value))
        else:
            _write(value, parts, f"{where}.{key}")
    parts.append("}")


def _sorted(keys: Iterable[Any], where: str) -> list[str]:
    for key in keys:
        if not isinstance(key, str):
            raise NotCanonical(f"{where}: the key {key!r} is not text")
    if all(map(str.isascii, keys)):
        return sorted(keys)
    # 3.2.3: by UTF-16 code units, in which characters beyond U+FFFF come before U+E000 to U+FFFF.
    return sorted(keys, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
