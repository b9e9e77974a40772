import json
import logging
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import Http404
from django.test import RequestFactory
from rest_framework.exceptions import ErrorDetail, NotFound, ParseError, Throttled, ValidationError

from accounts.freshness import NoAccount, NoAccountYet, NotConnected
from ibkr_site import problems
from orders.errors import (
    BrokenRecord,
    InvalidKey,
    KeyInProgress,
    KeyReused,
    NotOnRecordYet,
    NotOurs,
    OrderError,
    OrderNotFound,
)
from tests.orders.builders import NOW, session_row

GETS = ["/account", "/positions", "/orders", "/executions"]
POSTS = ["/order/limit", "/order/market", "/order/stop", "/order/bracket", "/order/cancel"]


def detail(response) -> str:
    """The one string of a refusal; whatever else the answer holds is wrong."""
    assert response.headers["Content-Type"] == "application/json"
    body = json.loads(response.content)
    assert list(body) == ["detail"]
    assert isinstance(body["detail"], str)
    return body["detail"]


@pytest.mark.parametrize(
    ("exception", "status", "text"),
    [
        (NotConnected("why"), 500, "Failed to connect to IB Gateway"),
        (NoAccountYet("why"), 500, "Failed to connect to IB Gateway"),
        (NoAccount("set IB_ACCOUNT"), 500, "set IB_ACCOUNT"),
        (OrderNotFound("not found"), 404, "not found"),
        (NotOurs("of client 3"), 500, "of client 3"),
        (InvalidKey("no key"), 400, "no key"),
        (KeyReused("reused"), 422, "reused"),
        (KeyInProgress("running"), 409, "running"),
        (OrderError("refused"), 500, "refused"),
        (OperationalError("at 10.0.0.1"), 503, problems.DATABASE_AWAY),
        (InterfaceError("at 10.0.0.1"), 503, problems.DATABASE_AWAY),
        (RequestDataTooBig("x"), 413, "The body is larger than 16384 bytes: send the fields of one order only."),
        (SuspiciousOperation("x"), 400, "This request is not understood."),
        (PermissionDenied("x"), 403, "This is not allowed."),
        (Http404("x"), 404, "Nothing is here; GET /docs lists what there is."),
        (NotFound("gone"), 404, "gone"),
        (ParseError("not JSON"), 400, "not JSON"),
        (ValidationError({"limit_price": ["This field is required."]}), 400, "limit_price: This field is required."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_table(exception, status, text):
    response = problems.exception_handler(exception, {})

    assert (response.status_code, response.data) == (status, {"detail": text})


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        (NotConnected("why"), "gateway_away"),
        (OrderNotFound("not found"), "not_found"),
        (NotOnRecordYet(12, instant=NOW, since=None), "not_found"),
        (BrokenRecord(12, sequence=3), "broken_record"),
        (OrderError("refused"), "order_error"),
        (OperationalError("gone"), "database_away"),
        (PermissionDenied("x"), "permission_denied"),
        (Http404("x"), "not_found"),
        (NotFound("gone"), "not_found"),
        (ParseError("not JSON"), "parse_error"),
        (Throttled(wait=3), "throttled"),
        (ZeroDivisionError("secret"), "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_refusals_have_a_code_below_api_v1_alone(rf, exception, code):
    asked = {path: {"request": rf.get(path)} for path in ("/api/v1/orders", "/orders")}

    coded, plain = (problems.exception_handler(exception, context).data for context in asked.values())

    assert coded["code"] == code
    assert sorted(coded) == ["code", "detail"]
    assert list(plain) == ["detail"]


def test_a_fault_is_logged_and_not_told(caplog):
    with caplog.at_level(logging.ERROR):
        response = problems.exception_handler(ZeroDivisionError("secret"), {})

    assert response.status_code == 500
    assert response.data["detail"].startswith("Internal server error")
    assert "secret" not in response.data["detail"]
    assert "ZeroDivisionError: secret" in caplog.text


def test_when_to_come_back_is_a_header():
    assert problems.exception_handler(Throttled(wait=3), {}).headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ("plain", "plain"),
        (["first", "second"], "first"),
        ({"symbol": ["A", "B"], "action": ["C"]}, "symbol: A"),
        ({"non_field_errors": ["the prices"]}, "the prices"),
        ({"outer": {"inner": ["deep"]}}, "inner: deep"),
        ([ErrorDetail("coded", code="x")], "coded"),
    ],
)
def test_the_first_of_many_errors_is_said(errors, sentence):
    assert problems.first_sentence(errors) == sentence


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("path", ["/nope", "/order", "/order/limits", "/orders/1", "/account/x/"])
def test_unknown_addresses(client, settings, method, path, debug):
    settings.DEBUG = debug

    response = getattr(client, method)(path)

    assert response.status_code == 404
    assert path in detail(response)


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_only_get(client, method, path):
    response = getattr(client, method)(path)

    assert response.status_code == 405
    assert detail(response) == f"{method.upper()} is not allowed here: use GET, HEAD, OPTIONS."
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.django_db
@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_only_post(client, method, path):
    response = getattr(client, method)(path)

    assert response.status_code == 405
    assert detail(response) == f"{method.upper()} is not allowed here: use POST, OPTIONS."
    assert response.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("path", POSTS)
def test_options_describe_the_fields(client, path):
    response = client.options(path)

    assert response.status_code == 200
    assert response.json()["actions"]["POST"]


@pytest.mark.parametrize("path", ["/account", "/order/limit", "/docs", "/nope"])
def test_a_foreign_host_is_refused(client, path):
    response = client.get(path, headers={"Host": "rebound.example"})

    assert response.status_code == 400
    assert "ALLOWED_HOSTS" in detail(response)


@pytest.mark.django_db
@pytest.mark.parametrize("path", [*GETS, *POSTS])
def test_without_a_database(client, path):
    ask = client.post if path in POSTS else client.get
    with mock.patch.object(BaseDatabaseWrapper, "_prepare_cursor", side_effect=OperationalError("down")):
        response = ask(path, *(['{"perm_id": 5}'] if path in POSTS else []), content_type="application/json")

    # What is wrong with the request may be said; that it was refused could not be kept.
    assert response.status_code == 503
    assert detail(response) == problems.DATABASE_AWAY


def test_a_form_without_its_token_is_refused_in_one_string(rf):
    response = problems.csrf_failure(rf.post("/admin/login/"), reason="no cookie")

    assert response.status_code == 403
    assert "reload the page" in detail(response)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Origin": "http://testserver"}, 400),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 400),
        ({"Sec-Fetch-Site": "none"}, 400),
        ({"Origin": "https://trusted.example", "Sec-Fetch-Site": "cross-site"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://testserver"}, 403),
        ({"Origin": "http://testserver:3000", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
    ids=str,
)
def test_pages_elsewhere_may_not_post(client, settings, headers, status):
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]

    response = client.post("/order/limit", "{}", content_type="application/json", headers=headers)

    assert response.status_code == status
    assert ("another origin" in detail(response)) == (status == 403)
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.django_db
@pytest.mark.parametrize("path", [*GETS, "/api/v1/orders"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 0),
        ({"Sec-Fetch-Site": "none"}, 0),
        ({"Host": "rebound.example"}, 400),
        ({"Host": ""}, 400),
    ],
    ids=str,
)
def test_pages_elsewhere_may_not_ask_either(client, path, headers, status):
    session_row()

    response = client.get(path, headers=headers)

    assert (response.status_code == status) == bool(status)
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.django_db(transaction=True)  # a real request closes connections
def test_a_request_without_a_host_is_refused():
    from ibkr_site.wsgi import application

    started = []
    environ = RequestFactory().get("/account").META | {"SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1"}
    assert "HTTP_HOST" not in environ

    body = b"".join(application(environ, lambda status, headers, *_: started.append(status)))

    assert started == ["400 Bad Request"]
    assert "ALLOWED_HOSTS" in json.loads(body)["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["text/html", "text/plain", "application/xml;q=0.9", "nonsense"])
@pytest.mark.parametrize("query", ["", "?format=xml"])
def test_answers_are_json_whatever_is_preferred(client, accept, query):
    response = client.get(f"/executions{query}", headers={"Accept": accept})

    assert (response.status_code, response.json()) == (200, {"executions": []})


@pytest.mark.parametrize("given", ["abc-123", "A.b_c:9", "x" * 64])
def test_a_request_keeps_its_id(client, given):
    assert client.get("/nope", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "two words", "line\nbreak", "é", '"quoted"'])
def test_a_request_without_a_proper_id_gets_one(client, given):
    headers = {} if given is None else {"X-Request-Id": given}

    found = {client.get("/nope", headers=headers).headers["X-Request-Id"] for _ in range(2)}

    assert len(found) == 2
    assert all(len(request_id) == 32 for request_id in found)


@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize("path", ["/nope", "/health/live", "/openapi.json", "/admin/login/", "/static/nope.css"])
def test_every_answer_says_which_money_it_is_about(client, settings, mode, path):
    settings.TRADING_MODE = mode

    assert client.get(path).headers["X-Trading-Mode"] == mode


def test_log_lines_name_the_request(client, caplog):
    from ibkr_site.log_lines import ConsoleFormatter

    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(ConsoleFormatter().format(record))
    logger = logging.getLogger("ibkr_site.request_context")
    logger.addHandler(handler)
    try:
        client.get("/nope", headers={"X-Request-Id": "abc"})
    finally:
        logger.removeHandler(handler)

    assert "INFO paper ibkr_site.request_context: [abc] GET /nope 404" in lines[0]
