"""Reading a JSON body, strictly: whatever could be understood in two ways is refused, with one sentence that says why.

Rules
1. `application/json` in UTF-8 and nothing else: a page elsewhere can post a form or plain text across sites, and only
   asks first when it posts JSON.
2. An object at the top; small, shallow; no key twice; no NaN, no Infinity.
3. Numbers stay exact: Decimal where there is a point or an exponent, int otherwise, never float; none so long or so
   large that handling it costs more than reading it.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

MAX_BYTES = 16 * 1024
MAX_DEPTH = 4
MAX_DIGITS = 30
MAX_EXPONENT = 30


class TooLarge(APIException):
    status_code = 413
    default_detail = f"The body is larger than {MAX_BYTES} bytes: send the fields of one order only."


class StrictJSONParser(BaseParser):
    """The one parser of the API."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        if not _is_json_in_utf8(media_type or ""):
            raise UnsupportedMediaType(media_type or "")
        # What is announced is enough to refuse it: waiting for it could take as long as the client likes.
        if _announced(parser_context) > MAX_BYTES:
            raise TooLarge
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise TooLarge
        return parse_object(body)


def _is_json_in_utf8(content_type: str) -> bool:
    """REST framework also hands over what is called */*, and parameters may stand there twice."""
    kind, *parameters = content_type.lower().replace(" ", "").replace('"', "").split(";")
    charsets = {value for name, _, value in (text.partition("=") for text in parameters) if name == "charset"}
    return kind == "application/json" and charsets <= {"utf-8"}


def _announced(parser_context: Mapping[str, Any] | None) -> int:
    request = (parser_context or {}).get("request")
    return int(request.META.get("CONTENT_LENGTH") or 0) if request is not None else 0


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises: ParseError."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_float=_exact,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8: encode the JSON as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ParseError(
            f"The body is not valid JSON (line {error.lineno}, column {error.colno}): {error.msg}."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(value, dict):
        raise ParseError('The body must be a JSON object: {"field": value, …}.')
    if _depth(value) > MAX_DEPTH:
        raise _too_deep()
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ParseError(f"The key {ascii(twice[:40])} stands in the body more than once: send it once.")
    return found


def _exact(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent beyond what the decimal library itself can hold
        raise _too_long() from None
    if len(number.as_tuple().digits) > MAX_DIGITS or abs(number.adjusted()) > MAX_EXPONENT:
        raise _too_long()
    return number


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise _too_long()
    return int(text)


def _too_long() -> ParseError:
    return ParseError(f"A number is too long or too large: at most {MAX_DIGITS} digits are read.")


def _refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is not a JSON number: send a finite number.")


def _too_deep() -> ParseError:
    return ParseError(f"The body is nested more than {MAX_DEPTH} levels deep: the fields of an order are plain values.")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    elif not isinstance(value, list):
        return 0
    return 1 + max(map(_depth, value), default=0)
