"""Every input rule at every POST: refused with 400 and one string, kept with its reason, and nothing is ordered."""

import json
from decimal import Decimal

import pytest

from orders.api.guide.serializers import (
    BracketOrderInput,
    CancelInput,
    LimitOrderInput,
    MarketOrderInput,
    StopOrderInput,
)
from orders.models import Order, OrderRequest
from tests.orders.builders import session_row

pytestmark = pytest.mark.django_db

GOOD = {
    "/order/limit": {"symbol": "AAPL", "action": "BUY", "quantity": 10, "limit_price": 230.0, "order_ref": "a"},
    "/order/market": {"symbol": "AAPL", "action": "BUY", "quantity": 10, "order_ref": "a"},
    "/order/stop": {"symbol": "AAPL", "action": "SELL", "quantity": 10, "stop_price": 225.0, "order_ref": "a"},
    "/order/bracket": {
        "symbol": "AAPL",
        "action": "BUY",
        "quantity": 10,
        "entry_price": 230.0,
        "stop_loss": 225.0,
        "take_profit": 240.0,
        "order_ref": "a",
    },
    "/order/cancel": {"perm_id": 1788680597},
}
INPUTS = {
    "/order/limit": LimitOrderInput,
    "/order/market": MarketOrderInput,
    "/order/stop": StopOrderInput,
    "/order/bracket": BracketOrderInput,
    "/order/cancel": CancelInput,
}
REQUIRED = "This field is required."
NULL = "This field may not be null."
NUMBER = "A number is expected, without quotes."
POSITIVE = "This must be greater than 0."
LARGE = "This must be at most 100000000."
PRECISE = "This may have at most 4 decimals."
STRING = "A string is expected."
ACTION = "This must be BUY or SELL."
SYMBOL = "A symbol is letters and digits, with single spaces, dots or dashes inside: AAPL, BRK B."
REFERENCE = "A reference is printable ASCII: no control characters, no accents."
WHOLE = "A whole number is expected, without quotes."
PERM_ID = "This must be a permId: greater than 0 and below 2^63."

BAD_AMOUNTS = [
    ("10", NUMBER),
    ("", NUMBER),
    (True, NUMBER),
    (False, NUMBER),
    ([10], NUMBER),
    ({"value": 10}, NUMBER),
    (None, NULL),
    (0, POSITIVE),
    (0.0, POSITIVE),
    (-0.0, POSITIVE),
    (-1, POSITIVE),
    (-0.0001, POSITIVE),
    (100_000_001, LARGE),
    (2147483647, LARGE),
    (1e20, LARGE),
    (0.00001, PRECISE),
    (10.12345, PRECISE),
]
BAD_SYMBOLS = [
    (None, NULL),
    (5, STRING),
    (True, STRING),
    (["AAPL"], STRING),
    ("", "This field may not be blank."),
    *(
        (symbol, SYMBOL)
        for symbol in (" AAPL", "AAPL ", "AAPL\n", "AA\x00PL", "AA\tPL", "AAPL;", "Ａapl", "ÄAPL", "1AAPL")
    ),
    *((symbol, SYMBOL) for symbol in ("BRK  B", "BRK.", "-A", "A/B", "A'B", "A\ud800")),
    ("ABCDEFGHIJKLM", "Ensure this field has no more than 12 characters."),
]
BAD_ACTIONS = [
    (None, NULL),
    *((action, ACTION) for action in ("", "HOLD", " BUY", "BUY ", "BUY\x00", "ſell", 1, True, [])),
]
BAD_REFERENCES = [
    (5, STRING),
    (True, STRING),
    ({}, STRING),
    *((reference, REFERENCE) for reference in ("a\x00b", "a\nb", "a\x7fb", "é", "✅", "\ud800", "a\u2028b")),
    ("x" * 129, "Ensure this field has no more than 128 characters."),
]
BAD_PERM_IDS = [
    (None, NULL),
    ("1788680597", WHOLE),
    (1788680597.0, WHOLE),
    (1.5, WHOLE),
    (True, WHOLE),
    ([], WHOLE),
    (0, PERM_ID),
    (-1, PERM_ID),
    (2**63, PERM_ID),
]
AMOUNTS = ("quantity", "limit_price", "stop_price", "entry_price", "stop_loss", "take_profit")


def bad_fields():
    """(endpoint, field, value, sentence) for every field of every endpoint."""
    rules = dict.fromkeys(AMOUNTS, BAD_AMOUNTS)
    rules |= {"symbol": BAD_SYMBOLS, "action": BAD_ACTIONS, "order_ref": BAD_REFERENCES, "perm_id": BAD_PERM_IDS}
    for path, body in GOOD.items():
        for field in body:
            for value, sentence in rules[field]:
                yield pytest.param(path, field, value, sentence, id=f"{path}-{field}-{ascii(value)[:30]}")


def post(client, path, body, **headers):
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return client.post(path, text, content_type="application/json", headers=headers)


def assert_refused(response, detail: str, *, status: int = 400):
    assert (response.status_code, response.json()) == (status, {"detail": detail})
    request = OrderRequest.objects.get()
    assert request.refusal == detail
    answer = request.answers.get()
    assert (answer.status_code, answer.body, answer.settled) == (status, {"detail": detail}, True)
    assert not Order.objects.exists()


@pytest.mark.parametrize(("path", "field", "value", "sentence"), [*bad_fields()])
def test_a_bad_value(client, path, field, value, sentence):
    response = post(client, path, GOOD[path] | {field: value})

    assert_refused(response, f"{field}: {sentence}")
    assert OrderRequest.objects.get().endpoint == path


@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, body in GOOD.items() for field in body if field != "order_ref"]
)
def test_a_missing_field(client, path, field):
    body = {name: value for name, value in GOOD[path].items() if name != field}

    assert_refused(post(client, path, body), f"{field}: {REQUIRED}")


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("name", ["limitprice", "Quantity", "", "tif", "account", "a\x00b", "\ud800", "x" * 500])
def test_an_unknown_field(client, path, name):
    response = post(client, path, GOOD[path] | {name: 1})

    assert_refused(response, f"{ascii(name[:40])} is not a field of this request: it has {', '.join(GOOD[path])}.")


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '"text"', '{"a": NaN}', '{"symbol": "A", "symbol": "B"}', b"\xff\xfe", b"\x00"],
    ids=repr,
)
def test_a_body_that_is_no_order(client, path, body):
    response = post(client, path, body)

    assert response.status_code == 400
    assert_refused(response, response.json()["detail"])


@pytest.mark.parametrize(
    ("action", "entry", "stop_loss", "take_profit"),
    [
        ("BUY", 230, 231, 240),
        ("BUY", 230, 225, 229),
        ("BUY", 230, 230, 240),
        ("BUY", 230, 225, 230),
        ("BUY", 230, 240, 225),
        ("SELL", 230, 225, 240),
        ("SELL", 230, 230, 225),
        ("sell", 230, 240, 230),
    ],
)
def test_bracket_prices_out_of_order(client, action, entry, stop_loss, take_profit):
    prices = {"action": action, "entry_price": entry, "stop_loss": stop_loss, "take_profit": take_profit}

    response = post(client, "/order/bracket", GOOD["/order/bracket"] | prices)

    order = "stop_loss < entry_price < take_profit" if action == "BUY" else "take_profit < entry_price < stop_loss"
    assert_refused(response, f"A {action.upper()} bracket needs {order}.")


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "text/json", ""]
)
def test_another_content_type(client, path, content_type):
    response = client.post(path, json.dumps(GOOD[path]), content_type=content_type)

    assert_refused(response, "Only JSON is read: send it with Content-Type: application/json, in UTF-8.", status=415)
    assert json.loads(OrderRequest.objects.get().body) == GOOD[path]


@pytest.mark.parametrize("path", GOOD)
def test_a_form(client, path):
    response = client.post(path, GOOD[path])

    assert response.status_code == 415
    assert not Order.objects.exists()


@pytest.mark.parametrize("path", GOOD)
def test_a_body_that_is_too_large(client, path):
    response = post(client, path, json.dumps(GOOD[path]) + " " * 16 * 1024)

    assert_refused(response, "The body is larger than 16384 bytes: send the fields of one order only.", status=413)
    kept = OrderRequest.objects.get().body
    assert kept.startswith(json.dumps(GOOD[path]))
    assert kept.endswith(f"… ({16384 + len(json.dumps(GOOD[path]))} bytes)")


def test_a_body_that_is_not_even_read(client, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20_000

    response = post(client, "/order/limit", " " * 30_000)

    assert_refused(response, "The body is larger than 16384 bytes: send the fields of one order only.", status=413)
    assert OrderRequest.objects.get().body == "(not read: 30000 bytes)"


def test_a_body_in_chunks(client):
    response = client.generic(
        "POST", "/order/limit", b"", content_type="application/json", headers={"Transfer-Encoding": "chunked"}
    )

    assert_refused(response, "The body came in chunks, which are not read here: send it with a Content-Length.")


def test_undecodable_bytes_are_kept_escaped(client):
    post(client, "/order/limit", b'{"symbol": "\xff\x00"}')

    assert OrderRequest.objects.get().body == '{"symbol": "\\xff\\x00"}'


def test_a_refused_page_elsewhere_is_kept(client):
    response = post(client, "/order/market", GOOD["/order/market"], Origin="http://evil.example")

    assert response.status_code == 403
    assert OrderRequest.objects.get().refusal == response.json()["detail"]
    assert not Order.objects.exists()


def test_who_asked_is_kept(client):
    post(client, "/order/limit/", "{}", **{"X-Request-Id": "mine-1"})

    request = OrderRequest.objects.get()
    assert (request.endpoint, request.request_id, request.actor) == ("/order/limit", "mine-1", "api")
    assert (request.remote_address, request.idempotency_key) == ("127.0.0.1", None)


def test_the_id_in_the_answer_is_the_one_on_record(client):
    response = post(client, "/order/limit", "{}")

    assert OrderRequest.objects.get().request_id == response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/order/limit", 500, "Failed to connect to IB Gateway"),
        ("/order/cancel", 500, "Failed to connect to IB Gateway"),
    ],
)
def test_before_the_first_worker(client, path, status, detail):
    assert_refused(post(client, path, GOOD[path]), detail, status=status)


def test_a_cancel_of_nothing_is_kept(client):
    session_row()

    assert_refused(post(client, "/order/cancel", {"perm_id": 5}), "Order not found or already filled", status=404)


@pytest.mark.parametrize(
    ("field", "given", "understood"),
    [
        ("symbol", "aapl", "AAPL"),
        ("symbol", "brk b", "BRK B"),
        ("symbol", "BF.B", "BF.B"),
        ("symbol", "A", "A"),
        ("symbol", "ABCDEFGHIJKL", "ABCDEFGHIJKL"),
        ("action", "buy", "BUY"),
        ("action", "Sell", "SELL"),
        ("quantity", 10, "10"),
        ("quantity", Decimal("10.0"), "10"),
        ("quantity", Decimal("1e1"), "10"),
        ("quantity", Decimal("0.0001"), "0.0001"),
        ("quantity", Decimal("0.5000000"), "0.5"),
        ("limit_price", 100_000_000, "100000000"),
        ("limit_price", Decimal("230.1234"), "230.1234"),
        ("order_ref", " kept ~ as it is; =", " kept ~ as it is; ="),
        ("order_ref", "x" * 128, "x" * 128),
        ("order_ref", "", ""),
        ("order_ref", None, None),
    ],
)
def test_understood(field, given, understood):
    good = {name: Decimal(str(v)) if isinstance(v, float) else v for name, v in GOOD["/order/limit"].items()}
    serializer = LimitOrderInput(data=good | {field: given})

    assert serializer.is_valid(), serializer.errors
    found = serializer.validated_data[field]
    assert (found if found is None else str(found)) == understood


@pytest.mark.parametrize("perm_id", [1, 2147483647, 2**63 - 1])
def test_permanent_ids(perm_id):
    serializer = CancelInput(data={"perm_id": perm_id})

    assert serializer.is_valid()
    assert serializer.validated_data == {"perm_id": perm_id}


@pytest.mark.parametrize("path", GOOD)
def test_the_good_bodies_are_good(path):
    good = {name: Decimal(str(v)) if isinstance(v, float) else v for name, v in GOOD[path].items()}

    assert INPUTS[path](data=good).is_valid()
