"""Each request has an id: the client's own (X-Request-Id) if it is well formed, else a new one.

It comes back in the answer, stands in every log line written meanwhile, and is stored with what the request led to.
Beside it stands the trading mode, on every answer.
Whatever looks for it further in reads the header, which holds the checked id from here on.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts import headers

log = logging.getLogger(__name__)

HEADER = "X-Request-Id"
WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{1,64}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the request this code runs for; empty outside of one."""
    return _current.get()


class RequestContextMiddleware:
    """Outermost, so that whatever goes wrong further in is answered with the id as well."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")  # request.headers would be a copy, made before ours is set
        request_id = given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
        request.META["HTTP_X_REQUEST_ID"] = request_id
        token = _current.set(request_id)
        began = time.monotonic()
        try:
            response = self.get_response(request)
            milliseconds = (time.monotonic() - began) * 1000
            log.info("%s %s %s %.0f ms", request.method, request.get_full_path(), response.status_code, milliseconds)
        finally:
            _current.reset(token)
        response[HEADER] = request_id
        response[headers.TRADING_MODE] = settings.TRADING_MODE
        return response
