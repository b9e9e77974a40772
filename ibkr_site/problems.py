"""Every exception that may reach the edge, and the answer it becomes: one table, one string in `detail`.

Rules
1. An answer outside 2xx is `{"detail": "<one sentence>"}`, also for what Django answers by itself: an unknown address,
   a foreign Host header, a fault in a middleware.
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
from rest_framework.exceptions import APIException, MethodNotAllowed, UnsupportedMediaType
from rest_framework.response import Response

from accounts.freshness import NoAccount, NoAccountYet, NotConnected
from ibkr_site.parsing import TooLarge
from ibkr_site.request_context import current_request_id
from orders.errors import (
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

DATABASE_AWAY = (
    "The database cannot be reached. If this was an order: look at GET /orders before sending it again, or repeat it "
    "with the same Idempotency-Key, which never places it twice."
)

# Exception -> (status, detail); no detail: the exception's own words, which were written for the client.
TABLE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str | None], ...] = (
    ((NotConnected, NoAccountYet), 500, CONNECTION_FAILED),
    (NoAccount, 500, None),
    (OrderNotFound, 404, None),
    (NotOurs, 500, None),  # the guide: a cancellation that failed
    (InvalidKey, 400, None),
    (KeyReused, 422, None),
    (KeyInProgress, 409, None),
    ((Overloaded, Paused), 503, None),
    (OrderError, 500, None),
    ((OperationalError, InterfaceError), 503, DATABASE_AWAY),
    (RequestDataTooBig, TooLarge.status_code, TooLarge.default_detail),
    ((UnreadablePostError, RawPostDataException), 400, "The body could not be read to its end."),
    (SuspiciousOperation, 400, "This request is not understood."),
    (PermissionDenied, 403, "This is not allowed."),
    (Http404, 404, "Nothing is here; GET /docs lists what there is."),
)


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response:
    """What REST framework answers when a view raises."""
    if isinstance(exception, APIException):
        body = {"detail": first_sentence(_advised(exception, context))}
        return Response(body, status=exception.status_code, headers=_headers(exception))
    for kind, status, detail in TABLE:
        if isinstance(exception, kind):
            log.info("%s: %s", type(exception).__name__, exception)
            return Response({"detail": detail or str(exception)}, status=status, headers=_headers(exception))
    log.error("an exception was not foreseen", exc_info=exception)
    return Response({"detail": _fault()}, status=500)


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
    if isinstance(exception, MethodNotAllowed):
        allowed = ", ".join(context["view"].allowed_methods)
        return f"{context['request'].method} is not allowed here: use {allowed}."
    return exception.detail


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _problem("This request is not understood: is its Host header one of ALLOWED_HOSTS?", status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _problem("This is not allowed.", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:
    return _problem("This form was not sent from a page of this site, or too late: reload the page.", status=403)


@csrf_exempt  # what is not there needs no protection, and is not there before it is forbidden
def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return _problem(f"Nothing is at {request.path}; GET /docs lists what there is.", status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    return _problem(_fault(), status=500)


def _problem(detail: str, *, status: int) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


def _fault() -> str:
    return f"Internal server error; the log says more under {current_request_id()}"


def _headers(exception: Exception) -> dict[str, str]:
    wait: float | None = getattr(exception, "wait", None) or getattr(exception, "retry_after", None)
    return {"Retry-After": f"{wait:.0f}"} if wait else {}
