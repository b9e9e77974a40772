"""Every exception that may reach the edge, and the answer it becomes: one table, one string in `detail`.

Rules
1. An answer outside 2xx is `{"detail": "<one sentence>"}`, also for what Django answers by itself: an unknown address,
   a foreign Host header, a fault in a middleware. Below /api/v1/ it has a `code` for programs as well; the guide's
   endpoints keep their bodies.
2. The first row that fits decides. What no row fits is a fault of ours: 500, logged with its traceback, and nothing of
   it is told to the client but the id to look for in the log.
"""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.http.request import RawPostDataException
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, MethodNotAllowed, NotAcceptable, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access.callers import NotGranted
from accounts.freshness import NoAccount, NoAccountYet, NotConnected
from accounts.halts.switch import InvalidScope
from alarms.notes import InvalidNote
from ibkr_site.parsing import TooLarge
from ibkr_site.request_context import current_request_id
from orders.errors import (
    BrokenRecord,
    InvalidKey,
    KeyInProgress,
    KeyReused,
    NotOurs,
    OrderError,
    OrderNotFound,
    Overloaded,
    Paused,
)
from orders.outcomes import CONNECTION_FAILED

log = logging.getLogger(__name__)

CODED = "/api/v1/"  # below it, refusals have a code
BAD_REQUEST, PERMISSION_DENIED, NOT_FOUND, FAULT = "bad_request", "permission_denied", "not_found", "internal_error"
DATABASE_AWAY = (
    "The database cannot be reached. If this was an order: look at GET /orders before sending it again, or repeat it "
    "with the same Idempotency-Key, which never places it twice."
)

# Exception -> (status, code, detail); no detail: the exception's own words, which were written for the client.
TABLE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str, str | None], ...] = (
    ((NotConnected, NoAccountYet), 500, "gateway_away", CONNECTION_FAILED),
    (NoAccount, 500, "no_account", None),
    (NotGranted, 403, PERMISSION_DENIED, None),
    (OrderNotFound, 404, NOT_FOUND, None),
    (NotOurs, 500, "not_ours", None),  # the guide: a cancellation that failed
    (InvalidKey, 400, "invalid_key", None),
    (KeyReused, 422, "key_reused", None),
    (KeyInProgress, 409, "key_in_progress", None),
    (Overloaded, 503, "overloaded", None),
    (Paused, 503, "paused", None),
    ((InvalidScope, InvalidNote), 400, BAD_REQUEST, None),
    (BrokenRecord, 500, "broken_record", None),
    (OrderError, 500, "order_error", None),
    ((OperationalError, InterfaceError), 503, "database_away", DATABASE_AWAY),
    (RequestDataTooBig, TooLarge.status_code, "too_large", TooLarge.default_detail),
    ((UnreadablePostError, RawPostDataException), 400, BAD_REQUEST, "The body could not be read to its end."),
    (SuspiciousOperation, 400, BAD_REQUEST, "This request is not understood."),
    (PermissionDenied, 403, PERMISSION_DENIED, "This is not allowed."),
    (Http404, 404, NOT_FOUND, "Nothing is here; GET /docs lists what there is."),
)


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response:
    """What REST framework answers when a view raises."""
    request = context.get("request")
    if isinstance(exception, APIException):
        body = _body(first_sentence(_advised(exception, context)), code=exception.default_code, request=request)
        return Response(body, status=exception.status_code, headers=_headers(exception))
    for kind, status, code, detail in TABLE:
        if isinstance(exception, kind):
            log.info("%s: %s", type(exception).__name__, exception)
            body = _body(detail or str(exception), code=code, request=request)
            return Response(body, status=status, headers=_headers(exception))
    log.error("an exception was not foreseen", exc_info=exception)
    return Response(_body(_fault(), code=FAULT, request=request), status=500)


def first_sentence(detail: Any, *, field: str = "") -> str:
    """The first of possibly many validation errors: `limit_price: This field is required.`"""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        return first_sentence(inner, field=field if name == "non_field_errors" else f"{name}: ")
    if isinstance(detail, list):
        return first_sentence(detail[0], field=field)
    return f"{field}{detail}"


def _advised(exception: APIException, context: dict[str, Any]) -> Any:
    """The exception's detail; the framework's own that name what is wrong are told what would be right."""
    if isinstance(exception, UnsupportedMediaType):
        return "Only JSON is read: send it with Content-Type: application/json, in UTF-8."
    if isinstance(exception, NotAcceptable):
        offered = ", ".join(renderer.media_type for renderer in context["view"].get_renderers())
        return f"None of what Accept asks for is offered here: ask for one of {offered}."
    if isinstance(exception, MethodNotAllowed):
        allowed = ", ".join(context["view"].allowed_methods)
        return f"{context['request'].method} is not allowed here: use {allowed}."
    return exception.detail


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    text = "This request is not understood: is its Host header one of ALLOWED_HOSTS?"
    return _problem(text, status=400, code=BAD_REQUEST, request=request)


def permission_denied(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _problem("This is not allowed.", status=403, code=PERMISSION_DENIED, request=request)


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:
    text = "This form was not sent from a page of this site, or too late: reload the page."
    return _problem(text, status=403, code=PERMISSION_DENIED, request=request)


@csrf_exempt  # what is not there needs no protection, and is not there before it is forbidden
def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    text = f"Nothing is at {request.path}; GET /docs lists what there is."
    return _problem(text, status=404, code=NOT_FOUND, request=request)


def server_error(request: HttpRequest) -> JsonResponse:
    return _problem(_fault(), status=500, code=FAULT, request=request)


def _problem(detail: str, *, status: int, code: str, request: HttpRequest) -> JsonResponse:
    return JsonResponse(_body(detail, code=code, request=request), status=status)


def _body(detail: str, *, code: str, request: HttpRequest | Request | None) -> dict[str, str]:
    coded = request is not None and request.path.startswith(CODED)
    return {"detail": detail, "code": code} if coded else {"detail": detail}


def _fault() -> str:
    return f"Internal server error; the log says more under {current_request_id()}"


def _headers(exception: Exception) -> dict[str, str]:
    wait: float | None = getattr(exception, "wait", None) or getattr(exception, "retry_after", None)
    facts = {"Retry-After": f"{wait:.0f}"} if wait else {}
    challenge: str | None = getattr(exception, "auth_header", None)  # of a 401: how to be let in
    return facts | ({"WWW-Authenticate": challenge} if challenge else {})
