"""What stands on a request besides its fields: its bytes, who sent it, and under which key.

Never refuses: a request that cannot be read is kept as far as it can.
"""

import hashlib
import json
import re
from decimal import Decimal
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from django.http.request import RawPostDataException
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from accounts.access.callers import caller_of
from orders.errors import InvalidKey
from orders.intake import Asked

KEPT_BYTES = 16 * 1024
KEY = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")  # 1 to 255 printable characters of ASCII


def received(request: Request, *, fields: dict[str, Any] | None) -> Asked:
    """The request as it came; `fields` is None where the body could not be parsed, or was not.

    A key that is none is left out: see `require_well_formed`.
    """
    body = read(request)
    caller = caller_of(request)
    key = request.headers.get("Idempotency-Key")
    return Asked(
        endpoint=request.path.rstrip("/")[:40],
        body=_kept(body),
        body_digest=_digest(body, fields),
        actor=caller.actor,
        remote_address=caller.address,
        request_id=request.headers.get("X-Request-Id", "")[:64],
        idempotency_key=key if key is not None and KEY.fullmatch(key) else None,
    )


def require_well_formed(request: Request) -> None:
    """Raises: InvalidKey, ParseError."""
    if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
        raise ParseError("The body came in chunks, which are not read here: send it with a Content-Length.")
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise InvalidKey("Idempotency-Key must be 1 to 255 printable ASCII characters")


def read(request: Request) -> bytes:
    """The body. To be called before anything parses it: then it is kept, and the parser is given the same bytes."""
    try:
        return bytes(request.body)
    except (RequestDataTooBig, UnreadablePostError, RawPostDataException):
        return f"(not read: {request.META.get('CONTENT_LENGTH')} bytes)".encode()


def _kept(body: bytes) -> str:
    """The body as text that PostgreSQL can hold."""
    text = body[:KEPT_BYTES].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    return text if len(body) <= KEPT_BYTES else f"{text}… ({len(body)} bytes)"


def _digest(body: bytes, fields: dict[str, Any] | None) -> str:
    """SHA-256 of the JSON with sorted keys and no spaces: a retry may be laid out otherwise. Else of the bytes."""
    if fields is not None:
        body = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=_number).encode()
    return hashlib.sha256(body).hexdigest()


def _number(value: Any) -> int | float:
    """10, 10.0 and 1e1 are the same number."""
    if not isinstance(value, Decimal):
        raise TypeError(f"no canonical form for {type(value).__name__}")
    return int(value) if value == value.to_integral_value() else float(value)
