"""Requests that nobody should send, each with the answer it gets: the table behind `test_hostile_requests`.

Rules
1. A row is the bytes of one request, a status, and how its `detail` begins. It changes nothing.
2. `NOT_HTTP` stands where the bytes are no request at all: the web server closes, or says 400, 414 or 431 with
   nothing in it, before any of our code is reached.
3. Where a row is refused by one rule, everything else about it is right, so that no other rule can refuse it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.security.raw_http import Reply

NOT_HTTP = 0

LIMIT = {"symbol": "AAPL", "action": "BUY", "quantity": 1, "limit_price": 1.5, "order_ref": "hostile"}
MARKET = {"symbol": "AAPL", "action": "BUY", "quantity": 1, "order_ref": "hostile"}
STOP = {"symbol": "AAPL", "action": "BUY", "quantity": 1, "stop_price": 999.5, "order_ref": "hostile"}
BRACKET = {
    "symbol": "AAPL",
    "action": "BUY",
    "quantity": 1,
    "entry_price": 1.5,
    "stop_loss": 1.25,
    "take_profit": 2,
    "order_ref": "hostile",
}
CANCEL = {"perm_id": 4242424242}
FORM = "application/x-www-form-urlencoded"
GOOD = {
    "/order/limit": LIMIT,
    "/order/market": MARKET,
    "/order/stop": STOP,
    "/order/bracket": BRACKET,
    "/order/cancel": CANCEL,
}

NUMBER = "A number is expected, without quotes."
POSITIVE = "This must be greater than 0."
LARGE = "This must be at most 100000000."
PRECISE = "This may have at most 4 decimals."
SYMBOL = "A symbol is letters and digits"
REFERENCE = "A reference is printable ASCII"
ACTION = "This must be BUY or SELL."
WHOLE = "A whole number is expected, without quotes."
NO_NUMBER = "is not a JSON number: send a finite number."
TOO_LONG = "A number is too long or too large: at most 30 digits are read."
NOT_JSON = "The body is not valid JSON"
NOT_UTF8 = "The body is not UTF-8"
NO_OBJECT = "The body must be a JSON object"
TOO_DEEP = "The body is nested more than 4 levels deep"
TOO_LARGE = "The body is larger than 16384 bytes"
ONLY_JSON = "Only JSON is read: send it with Content-Type: application/json, in UTF-8."
CHUNKED = "The body came in chunks"
CUT_SHORT = "The body could not be read to its end."
KEY = "Idempotency-Key must be 1 to 255 printable ASCII characters"
NOT_UNDERSTOOD = "This request is not understood"
ELSEWHERE = "This request comes from a page of another origin"
NOTHING = "Nothing is at "


@dataclass(frozen=True)
class Row:
    name: str
    pieces: tuple[bytes, ...]
    status: int
    detail: str
    pause: float = 0.0

    def fits(self, reply: Reply | None) -> bool:
        """Whether this is the answer: of us, in JSON, one string; or, for what is not HTTP, none of us."""
        if self.status == NOT_HTTP:
            return reply is None or (reply.status in (400, 414, 431) and reply.body == b"")
        if reply is None or reply.status != self.status or reply.content_type.split(";")[0] != "application/json":
            return False
        return isinstance(reply.detail, str) and reply.detail.startswith(self.detail)


def request(
    target: str | bytes,
    *headers: str | bytes,
    body: bytes | None = None,
    method: str = "GET",
    host: str | None = "localhost",
    version: str = "HTTP/1.1",
) -> bytes:
    """The bytes of a request that asks for the connection to be closed."""
    lines = [b" ".join([method.encode(), _bytes(target), version.encode()])]
    lines += [] if host is None else [f"Host: {host}".encode()]
    lines += [*map(_bytes, headers), b"Connection: close"]
    if body is not None and not any(_bytes(h).lower().startswith((b"content-length", b"transfer-")) for h in headers):
        lines.append(f"Content-Length: {len(body)}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def posted(path: str, body: Any, *headers: str | bytes, content_type: str | None = "application/json") -> bytes:
    """An order request; a body of bytes goes as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = [] if content_type is None else [f"Content-Type: {content_type}"]
    return request(path, *kind, *headers, body=data, method="POST")


def with_value(path: str, field: str, text: bytes) -> bytes:
    """A good order but for one value, which is written as `text`."""
    body = json.dumps(GOOD[path] | {field: "@"}).encode().replace(b'"@"', text)
    return posted(path, body)


def rows() -> Iterator[Row]:
    for group in (
        amounts,
        permanent_ids,
        symbols,
        actions,
        references,
        brackets,
        json_texts,
        encodings,
        content_types,
        idempotency_keys,
        bodies,
        pages_elsewhere,
        hosts,
        paths,
        methods,
        filters,
        halts,
        framing,
        slow,
    ):
        for name, sent, status, detail, *pause in group():
            pieces = sent if isinstance(sent, tuple) else (sent,)
            yield Row(f"{group.__name__}: {name}", pieces, status, detail, *pause)


def amounts():
    values = [
        (b'"1"', NUMBER),
        (b'"=1+1"', NUMBER),
        (b'"1e3"', NUMBER),
        (b"true", NUMBER),
        (b"[1]", NUMBER),
        (b'{"$gt": 0}', NUMBER),
        (b"null", "This field may not be null."),
        (b"0", POSITIVE),
        (b"-0", POSITIVE),
        (b"-0.0", POSITIVE),
        (b"0e0", POSITIVE),
        (b"-1", POSITIVE),
        (b"-1e-9", POSITIVE),
        (b"100000000.0001", LARGE),
        (b"2147483647", LARGE),
        (b"9223372036854775808", LARGE),
        (b"1e30", LARGE),
        (b"0.00001", PRECISE),
        (b"1e-30", PRECISE),
        (b"1.00000000000000000000000000001", PRECISE),
    ]
    for field in ("quantity", "limit_price"):
        for text, sentence in values:
            yield f"{field} {text.decode()}", with_value("/order/limit", field, text), 400, f"{field}: {sentence}"
    whole = [
        (b"1.797e308", TOO_LONG),
        (b"1e400", TOO_LONG),
        (b"-1e400", TOO_LONG),
        (b"1e999999999999999999999", TOO_LONG),
        (b"1e-999999999999999999999", TOO_LONG),
        (b"0e999999999", TOO_LONG),
        (b"9" * 31, TOO_LONG),
        (b"1" * 5000, TOO_LONG),
        (b"0." + b"1" * 5000, TOO_LONG),
        (b"NaN", f"NaN {NO_NUMBER}"),
        (b"Infinity", f"Infinity {NO_NUMBER}"),
        (b"-Infinity", f"-Infinity {NO_NUMBER}"),
        (b"nan", NOT_JSON),
        (b"01", NOT_JSON),
        (b"+1", NOT_JSON),
        (b".5", NOT_JSON),
        (b"1.", NOT_JSON),
        (b"0x10", NOT_JSON),
        (b"1_000", NOT_JSON),
        (b"1,5", NOT_JSON),
        ("１".encode(), NOT_JSON),
        ("٣".encode(), NOT_JSON),
        (b"1//", NOT_JSON),
    ]
    for text, sentence in whole:
        yield f"quantity {text.decode()[:20]}", with_value("/order/market", "quantity", text), 400, sentence


def permanent_ids():
    outside = "This must be a permId: greater than 0 and below 2^63."
    for text, sentence in [
        (b"0", outside),
        (b"-1", outside),
        (b"9223372036854775808", outside),
        (b"1.0", WHOLE),
        (b"1e3", WHOLE),
        (b'"1"', WHOLE),
        (b"true", WHOLE),
        (b"[1]", WHOLE),
        (b'"1 OR 1=1"', WHOLE),
        (b"null", "This field may not be null."),
    ]:
        yield text.decode(), with_value("/order/cancel", "perm_id", text), 400, f"perm_id: {sentence}"
    yield "unknown", with_value("/order/cancel", "perm_id", b"9223372036854775807"), 404, "Order not found"
    yield "none", posted("/order/cancel", {}), 400, "perm_id: This field is required."


def symbols():
    for name, value in [
        ("NUL at the end", "AAPL\x00"),
        ("line feed", "AAPL\n"),
        ("carriage return", "AAPL\r\nX: y"),
        ("escape sequence", "\x1b[2J"),
        ("Cyrillic homoglyphs", "ААРL"),
        ("Greek homoglyph", "ΑAPL"),
        ("full width", "ＡＡＰＬ"),
        ("dotless i", "ıBM"),
        ("ligature that upper-cases to two letters", "ﬁS"),
        ("sharp s", "ß"),
        ("Kelvin sign", "\u212aO"),
        ("right-to-left override", "\u202eLPAA"),
        ("isolate", "AAPL\u2066"),
        ("zero-width joiner", "AA\u200dPL"),
        ("zero-width no-break space", "\ufeffAAPL"),
        ("no-break space", "BRK\u00a0B"),
        ("combining accent", "A\u0301APL"),
        ("emoji", "🚀"),
        ("tag characters", "AAPL\U000e0041"),
        ("private use", "\ue000"),
        ("non-character", "\uffff"),
        ("formula", "=cmd|'/c calc'!A1"),
        ("formula plus", "+AAPL"),
        ("formula at", "@AAPL"),
        ("SQL", "A' OR '1'='1"),
        ("HTML", "<script>"),
        ("template", "{{7*7}}"),
        ("format string", "%s%n"),
        ("path", "../../etc"),
        ("shell", "$(id)"),
        ("log4j", "${jndi:x}"),
        ("only a space", " "),
        ("space around", " AAPL "),
        ("two spaces", "BRK  B"),
        ("slash", "EUR/USD"),
    ]:
        yield name, posted("/order/market", MARKET | {"symbol": value}), 400, f"symbol: {SYMBOL}"
    for name, text in [("lone high", rb'"A\ud800"'), ("lone low", rb'"\udc00A"'), ("in reverse", rb'"\udc00\ud800"')]:
        yield f"surrogate {name}", with_value("/order/market", "symbol", text), 400, f"symbol: {SYMBOL}"
    yield "escaped NUL", with_value("/order/market", "symbol", rb'"AA\u0000PL"'), 400, f"symbol: {SYMBOL}"
    yield "long", posted("/order/market", MARKET | {"symbol": "A" * 13}), 400, "symbol: Ensure this field has no more"
    yield "very long", posted("/order/market", MARKET | {"symbol": "A" * 16000}), 400, "symbol: Ensure this field has"
    yield "empty", posted("/order/market", MARKET | {"symbol": ""}), 400, "symbol: This field may not be blank."
    yield "a list", posted("/order/market", MARKET | {"symbol": ["AAPL"]}), 400, "symbol: A string is expected."


def actions():
    for value in (
        "",
        "HOLD",
        "SHORT",
        "BUY\x00",
        "BUY ",
        "ſell",
        "SEＬL",
        "\u202eYUB",
        "BUY,SELL",
        1,
        True,
        ["BUY"],
        {},
    ):
        sent = posted("/order/market", MARKET | {"action": value})
        yield ascii(value), sent, 400, f"action: {ACTION}"


def references():
    for name, value in [
        ("NUL", "a\x00DU9999999"),
        ("line feed", "a\nCRITICAL forged"),
        ("carriage return", "a\rb"),
        ("tab", "a\tb"),
        ("escape", "\x1b]0;owned\x07"),
        ("delete", "a\x7f"),
        ("C1 control", "a\x85b"),
        ("line separator", "a\u2028b"),
        ("paragraph separator", "a\u2029b"),
        ("right-to-left override", "\u202etxt.exe"),
        ("accent", "é"),
        ("emoji", "✅"),
        ("zero width", "a\u200bb"),
        ("byte order mark", "\ufeffa"),
        ("no-break space", "a\u00a0b"),
        ("replacement character", "\ufffd"),
    ]:
        yield name, posted("/order/limit", LIMIT | {"order_ref": value}), 400, f"order_ref: {REFERENCE}"
    yield "surrogate", with_value("/order/limit", "order_ref", rb'"\ud83d"'), 400, f"order_ref: {REFERENCE}"
    yield "long", posted("/order/limit", LIMIT | {"order_ref": "x" * 129}), 400, "order_ref: Ensure this field has"
    yield "a number", posted("/order/limit", LIMIT | {"order_ref": 7}), 400, "order_ref: A string is expected."


def brackets():
    for name, prices, sentence in [
        ("stop above entry", {"stop_loss": 1.75}, "A BUY bracket needs"),
        ("all equal", {"entry_price": 1, "stop_loss": 1, "take_profit": 1}, "A BUY bracket needs"),
        ("the other side's", {"action": "SELL"}, "A SELL bracket needs"),
        ("differing beyond the 4th decimal", {"stop_loss": 1.49999}, f"stop_loss: {PRECISE}"),
        ("a leg that is a list", {"take_profit": [2, 3]}, f"take_profit: {NUMBER}"),
        ("a negative stop", {"stop_loss": -1.25}, f"stop_loss: {POSITIVE}"),
    ]:
        yield name, posted("/order/bracket", BRACKET | prices), 400, sentence


def json_texts():
    order = json.dumps(MARKET).encode()
    for name, body, sentence in [
        ("nothing", b"", "symbol: This field is required."),
        ("spaces", b"   ", NOT_JSON),
        ("an open brace", b"{", NOT_JSON),
        ("a list of orders", b"[" + order + b"]", NO_OBJECT),
        ("a string", b'"order"', NO_OBJECT),
        ("null", b"null", NO_OBJECT),
        ("a number", b"1", NO_OBJECT),
        ("two orders", order + order, NOT_JSON),
        ("something behind it", order + b"\x00", NOT_JSON),
        ("a comment", b"/* */" + order, NOT_JSON),
        ("single quotes", order.replace(b'"', b"'"), NOT_JSON),
        ("a comma too many", order[:-1] + b",}", NOT_JSON),
        ("a raw line feed in a string", order.replace(b"hostile", b"a\nb"), NOT_JSON),
        ("a raw NUL in a string", order.replace(b"hostile", b"a\x00b"), NOT_JSON),
        ("half an escape", order.replace(b"hostile", rb"\u00"), NOT_JSON),
        ("an unknown escape", order.replace(b"hostile", rb"\x41"), NOT_JSON),
        ("a key twice", order[:-1] + b', "quantity": 1000}', "The key 'quantity' stands in the body more than once"),
        ("a key twice, once escaped", order[:-1] + rb', "quantit\u0079": 1000}', "The key 'quantity' stands in the"),
        ("a key in another case", order[:-1] + b', "Quantity": 1000}', "'Quantity' is not a field of this request"),
        ("a homoglyph key", order[:-1] + ', "quаntity": 9}'.encode(), r"'qu\u0430ntity' is not a field"),
        ("a prototype", order[:-1] + b', "__proto__": {"x": 1}}', "'__proto__' is not a field of this request"),
        ("an account", order[:-1] + b', "account": "DU1000002"}', "'account' is not a field of this request"),
        ("a time in force", order[:-1] + b', "tif": "GTC"}', "'tif' is not a field of this request"),
        ("a NUL key", order[:-1] + rb', "\u0000": 1}', r"'\x00' is not a field"),
        ("a surrogate key", order[:-1] + rb', "\ud800": 1}', r"'\ud800' is not a field"),
        ("an empty key", order[:-1] + b', "": 1}', "'' is not a field"),
        ("a deep list", order[:-1] + b', "x": [[[[1]]]]}', TOO_DEEP),
        ("a very deep list", b"[" * 8000 + b"]" * 8000, TOO_DEEP),
        ("very deep objects", b'{"a":' * 2500 + b"1" + b"}" * 2500, TOO_DEEP),
        ("an open deep list", b"[" * 16000, TOO_DEEP),
        ("many keys", json.dumps({f"k{n}": n for n in range(1200)}).encode(), "'k0' is not a field"),
    ]:
        yield name, posted("/order/market", body), 400, sentence


def encodings():
    text = json.dumps(MARKET)
    for name, body, sentence in [
        ("UTF-16", text.encode("utf-16"), NOT_UTF8),
        ("UTF-16 without a mark", text.encode("utf-16-le"), NOT_JSON),
        ("UTF-32", text.encode("utf-32"), NOT_UTF8),
        ("a byte order mark", text.encode("utf-8-sig"), NOT_JSON),
        ("Latin-1", text.replace("hostile", "\xe9").encode("latin-1"), NOT_UTF8),
        ("an overlong NUL", text.encode().replace(b"hostile", b"a\xc0\x80b"), NOT_UTF8),
        ("an overlong slash", text.encode().replace(b"hostile", b"\xe0\x80\xaf"), NOT_UTF8),
        ("an encoded surrogate", text.encode().replace(b"hostile", b"\xed\xa0\x80"), NOT_UTF8),
        ("beyond Unicode", text.encode().replace(b"hostile", b"\xf5\x80\x80\x80"), NOT_UTF8),
        ("half a character", text.encode().replace(b"hostile", b"\xe2\x9c"), NOT_UTF8),
        ("no text", bytes(range(256)), NOT_UTF8),
        ("UTF-7", b"+AHs-", NOT_JSON),
    ]:
        yield name, posted("/order/market", body), 400, sentence


def content_types():
    form = b"symbol=AAPL&action=BUY&quantity=1"
    parts = b'--x\r\nContent-Disposition: form-data; name="symbol"\r\n\r\nAAPL\r\n--x--\r\n'
    for kind, body in [
        ("text/plain", MARKET),
        ("text/plain; charset=application/json", MARKET),
        ("text/json", MARKET),
        ("application/x-www-form-urlencoded", form),
        ("multipart/form-data; boundary=x", parts),
        ("multipart/form-data", parts),
        ("multipart/form-data; boundary=" + "x" * 500, parts),
        ("application/xml", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
        ("application/json; charset=utf-16", MARKET),
        ("application/json; charset=utf-7", MARKET),
        ("application/json; charset=UTF-8; charset=latin-1", MARKET),
        ("application/json, text/plain", MARKET),
        ("application/jsonx", MARKET),
        ("application/vnd.api+json", MARKET),
        ("application/json\u00e9", MARKET),
        ("*/*", MARKET),
        ("a" * 5000, MARKET),
        ("application/x-yaml", b"!!python/object/apply:os.system [id]"),
        ("application/octet-stream", MARKET),
        ("", MARKET),
        (None, MARKET),
    ]:
        yield ascii(kind)[:60], posted("/order/market", body, content_type=kind), 415, ONLY_JSON
    twice = posted("/order/market", MARKET, "Content-Type: application/json", content_type="text/plain")
    yield "two headers", twice, 415, ONLY_JSON
    packed = posted("/order/market", b"\x1f\x8b\x08\x00", "Content-Encoding: gzip")
    yield "gzip", packed, 400, NOT_UTF8


def idempotency_keys():
    for name, key in [
        ("empty", b""),
        ("too long", b"k" * 256),
        ("very long", b"k" * 60_000),
        ("tab", b"a\tb"),
        ("Latin-1", b"\xe9"),
        ("UTF-8", "ключ".encode()),
        ("no UTF-8", b"\xff\xfe"),
        ("emoji", "🔑".encode()),
    ]:
        yield name, posted("/order/market", MARKET, b"Idempotency-Key: " + key), 400, KEY
    twice = posted("/order/market", MARKET, *["Idempotency-Key: " + "k" * 128] * 2)
    yield "twice, too long together", twice, 400, KEY
    for name, key in [("NUL", b"a\x00b"), ("line feed", b"a\nb"), ("escape", b"\x1b"), ("delete", b"\x7f")]:
        yield name, posted("/order/market", MARKET, b"Idempotency-Key: " + key), NOT_HTTP, ""


def bodies():
    order = json.dumps(MARKET).encode()
    yield "one byte too many", posted("/order/market", order.ljust(16 * 1024 + 1)), 413, TOO_LARGE
    yield "100 KiB", posted("/order/market", b" " * 100 * 1024), 413, TOO_LARGE
    yield "5 MiB", posted("/order/market", b" " * 5 * 1024 * 1024), 413, TOO_LARGE
    huge = request("/order/market", "Content-Type: application/json", "Content-Length: 99999999999", method="POST")
    yield "100 GB announced, nothing sent", huge, 413, TOO_LARGE
    long = posted("/order/market", MARKET | {"order_ref": "x" * 16200})
    yield "a long string", long, 400, "order_ref: Ensure this field has no more than 128 characters."
    for path in ("/order/limit", "/order/stop", "/order/bracket", "/order/cancel"):
        yield f"too large at {path}", posted(path, b" " * 20_000), 413, TOO_LARGE
    yield "on a GET", request("/account", "Content-Type: text/plain", body=b"x" * 10, method="PUT"), 405, "PUT is not"


def pages_elsewhere():
    for name, *headers in [
        ("another origin", "Origin: http://evil.example"),
        ("another port", "Origin: http://localhost:1"),
        ("null", "Origin: null"),
        ("empty", "Origin:"),
        ("our name as its beginning", "Origin: http://localhost.evil.example"),
        ("https", "Origin: https://localhost"),
        ("twice", "Origin: http://localhost", "Origin: http://evil.example"),
        ("cross-site", "Sec-Fetch-Site: cross-site"),
        ("same-site", "Sec-Fetch-Site: same-site"),
        ("unknown site", "Sec-Fetch-Site: x"),
        ("cross-site with our origin", "Origin: http://localhost", "Sec-Fetch-Site: cross-site"),
        ("a session cookie", "Origin: http://evil.example", "Cookie: sessionid=x; csrftoken=x"),
    ]:
        yield name, posted("/order/market", MARKET, *headers), 403, ELSEWHERE


def hosts():
    def order(*headers: str | bytes, host: str | None = None, version: str = "HTTP/1.1") -> bytes:
        body = json.dumps(MARKET).encode()
        kind = "Content-Type: application/json"
        return request("/order/market", kind, *headers, body=body, method="POST", host=host, version=version)

    for host in (
        "evil.example",
        "localhost.evil.example",
        "evil.example:8000",
        "127.0.0.1.nip.io",
        "localhost@evil.example",
        "localhost/",
        "localhost:x",
        "0.0.0.0",
        "[::2]",
        "[::1",
        "2130706433",
        "xn--lcalhost-9eb",
    ):
        yield f"order for {host}", order(host=host), 400, NOT_UNDERSTOOD
        yield f"account for {host}", request("/account", host=host), 400, NOT_UNDERSTOOD
    yield "an absolute address", request("http://localhost/account", host="evil.example"), 400, NOT_UNDERSTOOD
    yield "forwarded", order("X-Forwarded-Host: localhost", host="evil.example"), 400, NOT_UNDERSTOOD
    yield "none", order(), 400, NOT_UNDERSTOOD
    yield "none, HTTP/1.0", order(version="HTTP/1.0"), 400, NOT_UNDERSTOOD
    yield "none, reading", request("/positions", host=None, version="HTTP/1.0"), 400, NOT_UNDERSTOOD
    yield "empty", order(host=""), 400, NOT_UNDERSTOOD
    yield "twice", order("Host: evil.example", host="localhost"), 400, NOT_UNDERSTOOD


def paths():
    for target in (
        "/order",
        "/order/",
        "/order/Limit",
        "/order/limit//",
        "//order/limit",
        "/order//limit",
        "/order/limit%00",
        "/order/limit%0a",
        "/order/limit.json",
        "/order/limit;x=1",
        "/./order/limit",
        "/order/../order/limit",
        "/order/%2e%2e/account",
        "/static/../ibkr_site/settings.py",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2f.env",
        "/.env",
        "/.git/config",
        "/etc/passwd",
        "/%ff%fe",
        "/%E2%80%AE",
        "/%",
        "/%zz",
        "/" + "a" * 8000,
        "/" + "%41" * 8000,
        "/wp-login.php",
        "/api/v1/",
        "/api/v2/orders",
        "/api/v1/orders/0x1",
        "/api/v1/orders/-1",
        "/api/v1/orders/1.5",
        "/api/v1/orders/%D9%A3",
        "/api/v1/accounts/DU1000001%00",
    ):
        yield target[:60], request(target), 404, NOTHING
    yield "posted nowhere", posted("/order/everything", MARKET), 404, NOTHING
    yield "an id beyond the database", request("/api/v1/orders/99999999999999999999"), 404, "There is no order"
    yield "an id of 3000 digits", request("/api/v1/events/" + "9" * 3000), 404, "There is no event"
    yield "no account", request("/api/v1/accounts/DU9999999"), 404, "There is no account"
    yield "a raw NUL", request(b"/order\x00"), NOT_HTTP, ""
    yield "a raw space", request(b"/order limit"), NOT_HTTP, ""
    yield "raw bytes", request(b"/\xff\xfe"), NOT_HTTP, ""
    yield "70 KB", request("/" + "a" * 70_000), NOT_HTTP, ""


def methods():
    for path in ("/order/limit", "/order/cancel"):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            yield f"{method} {path}", request(path, method=method), 405, f"{method} is not allowed here"
    for method in ("POST", "PUT", "DELETE"):
        yield f"{method} /account", request("/account", method=method), 405, f"{method} is not allowed here"
        yield f"{method} /api/v1/orders", request("/api/v1/orders", method=method), 405, f"{method} is not allowed"
    for method in ("TRACE", "PROPFIND", "BREW", "X" * 500):
        yield f"{method[:20]} /orders", request("/orders", method=method), 405, f"{method} is not allowed here"
    yield "letters that are none", request("/orders", method="POST\u00e9"), NOT_HTTP, ""
    override = request("/order/market", "X-HTTP-Method-Override: POST")
    yield "overridden by a header", override, 405, "GET is not allowed here"
    yield "overridden by a parameter", request("/order/market?_method=POST"), 405, "GET is not allowed here"
    yield "CONNECT", request("localhost:80", method="CONNECT"), 403, "This form was not sent from a page of this site"
    yield "an order in the address", request("/order/market?symbol=AAPL&action=BUY&quantity=1"), 405, "GET is not"
    yield "HTTP/0.9", b"GET /account\r\n\r\n", NOT_HTTP, ""
    yield "HTTP/3.0", request("/account", version="HTTP/3.0"), NOT_HTTP, ""
    yield "HTTP/2 by its preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64, NOT_HTTP, ""
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, NOT_HTTP, ""
    yield "the broker's greeting", b"API\x00\x00\x00\x00\tv157..178", NOT_HTTP, ""


def filters():
    for query, detail in [
        ("limit=0", "limit: "),
        ("limit=-1", "limit: "),
        ("limit=1e3", "limit: "),
        ("limit=%D9%A3", "limit: "),
        ("limit=" + "9" * 5000, "limit: "),
        ("limit=1&limit=2", "limit: This is given 2 times"),
        ("limit=", "limit: This is empty"),
        ("sort=id;DROP%20TABLE", "sort: "),
        ("sort=__class__", "sort: "),
        ("cursor=x", "cursor: "),
        ("cursor=%00", "cursor: "),
        ("cursor=" + "A" * 5000, "cursor: "),
        ("cursor=WyIx", "cursor: "),
        ("cursor=eyJhIjogMX0", "cursor: "),
        ("cursor=%F0%9F%98%80", "cursor: "),
        ("symbol=%00", "symbol: "),
        ("symbol=AA%00PL", "symbol: "),
        ("status=%00", "status: "),
        ("status=NEW'--", "status: "),
        ("order_ref=%00", "order_ref: "),
        ("account=%00", "account: "),
        ("perm_id=1e5", "perm_id: "),
        ("perm_id=9223372036854775808", "perm_id: "),
        ("perm_id=" + "9" * 5000, "perm_id: "),
        ("request=-1", "request: "),
        ("received_from=yesterday", "received_from: "),
        ("received_from=2026-02-30T00:00:00Z", "received_from: "),
        ("received_from=2026-01-01T00:00:00", "received_from: "),
        ("received_from=0000-01-01T00:00:00Z", "received_from: "),
        ("received_from=99999-01-01T00:00:00Z", "received_from: "),
        ("received_to=%00", "received_to: "),
        ("as_of=9999-12-31T23:59:59Z", "as_of: "),
        ("as_of=" + "1" * 5000, "as_of: "),
        ("status__in=NEW", "'status__in' is not a parameter here"),
        ("request__actor=x", "'request__actor' is not a parameter here"),
        ("%00=1", r"'\x00' is not a parameter here"),
        ("symbol%5B%5D=A", "'symbol[]' is not a parameter here"),
        ("format=xml", "format: "),
        ("format=%00", "format: "),
    ]:
        yield query[:60], request(f"/api/v1/orders?{query}"), 400, detail
    many = "&".join(f"a{n}=1" for n in range(1500))
    yield "1500 parameters", request(f"/api/v1/orders?{many}"), 400, ""
    yield "executions NUL", request("/executions?symbol=%00"), 400, "symbol: "
    yield "executions long", request("/executions?symbol=" + "A" * 5000), 400, "symbol: Ensure this field has"
    yield "snapshots", request("/api/v1/snapshots?taken_from=%FF"), 400, "taken_from: "
    yield "row with a filter", request("/api/v1/orders/1?symbol=A"), 400, "'symbol' is not a parameter here"


def halts():
    good = {"scope": "SYMBOL", "value": "AAPL", "reason": "a stranger wants it so"}
    for name, changes, detail in [
        ("scope of no kind", {"scope": "WORLD"}, "scope: "),
        ("scope a number", {"scope": 1}, "scope: "),
        ("scope null", {"scope": None}, "scope: "),
        ("scope a list", {"scope": ["ALL"]}, "scope: "),
        ("scope with a NUL", {"scope": "ALL\x00"}, "scope: "),
        ("all, and one named", {"scope": "ALL"}, "Name the account"),
        ("none named", {"value": ""}, "Name the account"),
        ("value a number", {"value": 1.5}, ""),
        ("value null", {"value": None}, "value: "),
        ("value an object", {"value": {"$ne": ""}}, "value: "),
        ("value with a NUL", {"value": "AA\x00PL"}, "value: "),
        ("value too long", {"value": "A" * 81}, "value: "),
        ("value SQL", {"value": "' OR 1=1 --"}, "That names no account"),
        ("value with a newline", {"value": "AAPL\nMSFT"}, ""),
        ("reason missing", {"reason": None}, "reason: "),
        ("reason too short", {"reason": "x"}, "reason: "),
        ("reason too long", {"reason": "x" * 20_00}, "reason: "),
        ("reason of two lines", {"reason": "halted\r\n2026 INFO all is well"}, ""),
        ("reason that turns right to left", {"reason": "halted \u202e llew si lla"}, ""),
        ("reason with a NUL", {"reason": "halted\x00 by me"}, "reason: "),
        ("reason half a character", {"reason": "halted \ud800 by me"}, ""),
        ("cancel a word", {"cancel": "yes, please"}, "cancel: "),
        ("cancel null", {"cancel": None}, "cancel: "),
        ("a field more", {"resume": True}, "resume: "),
    ]:
        yield name, posted("/api/v1/halts", good | changes), 400, detail
    yield "nothing", posted("/api/v1/halts", b""), 400, ""
    yield "a list", posted("/api/v1/halts", [good]), 400, NO_OBJECT
    yield "a form", posted("/api/v1/halts", b"scope=ALL&reason=haha", content_type=FORM), 415, ONLY_JSON
    yield "a page elsewhere", posted("/api/v1/halts", good, "Origin: https://elsewhere.example"), 403, ELSEWHERE
    yield "resumed by DELETE", request("/api/v1/halts", method="DELETE"), 405, ""
    yield "resumed by PUT", request("/api/v1/halts/1", method="PUT"), 404, NOTHING


def framing():
    order = json.dumps(MARKET).encode()
    hidden = request("/order/market", "Content-Type: application/json", body=order, method="POST")

    def framed(*headers: str | bytes, body: bytes) -> bytes:
        return posted("/order/market", body, *headers)

    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(order), order)
    yield "chunks", framed("Transfer-Encoding: chunked", body=chunks), 400, CHUNKED
    yield "length and chunks", framed("Content-Length: 4", "Transfer-Encoding: chunked", body=chunks), 400, ""
    smuggled = b"0\r\n\r\n" + hidden
    both = framed(f"Content-Length: {len(smuggled)}", "Transfer-Encoding: chunked", body=smuggled)
    yield "an order behind the last chunk", both, 400, ""
    for name, *headers in [
        ("two lengths", "Content-Length: 5", "Content-Length: 6"),
        ("two lengths in one", "Content-Length: 5, 6"),
        ("a negative length", "Content-Length: -1"),
        ("a length with a plus", "Content-Length: +5"),
        ("a length in hex", "Content-Length: 0x5"),
        ("a length beyond 64 bits", "Content-Length: 99999999999999999999"),
        ("an unknown coding", "Transfer-Encoding: chunked, identity"),
        ("a misspelt coding", "Transfer-Encoding: xchunked"),
        ("a coding before a tab", b"Transfer-Encoding:\x0bchunked"),
        ("a space before the colon", f"Content-Length : {len(order)}"),
        ("a folded header", "X-A: b\r\n c"),
        ("a header without a colon", "X-A"),
        ("a header with a NUL", b"X-A: a\x00b"),
        ("a bare carriage return", b"X-A: a\rb"),
        ("a header without a name", ": x"),
        ("a header name with a space", "X A: b"),
        ("200 headers", *(f"X-{n}: {n}" for n in range(200))),
        ("a header of 5 MB", "X-A: " + "a" * 5_000_000),
    ]:
        yield name, framed(*headers, body=order), NOT_HTTP, ""
    yield "a chunk that is none", framed("Transfer-Encoding: chunked", body=b"zz\r\n\r\n"), 400, ""
    yield "a chunk of 2^64", framed("Transfer-Encoding: chunked", body=b"10000000000000000\r\n"), 400, ""
    yield (
        "a header under our name",
        posted("/order/market", MARKET, "Idempotency_Key: x", "Origin: null"),
        403,
        ELSEWHERE,
    )
    yield "noise", bytes(range(1, 256)) * 4, NOT_HTTP, ""


def slow():
    order = posted("/order/market", {**MARKET, "quantity": -1})
    yield "a byte at a time", tuple(bytes([b]) for b in order), 400, f"quantity: {POSITIVE}", 0.002


ROWS = list(rows())
