from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from ibkr_site.parsing import MAX_BYTES, MAX_DEPTH, StrictJSONParser, TooLarge, parse_object

REFUSED = [
    ("empty", b"", "not valid JSON"),
    ("cut short", b'{"symbol": "AAPL"', "not valid JSON (line 1, column 18)"),
    ("single quotes", b"{'symbol': 'AAPL'}", "not valid JSON"),
    ("trailing comma", b'{"symbol": "AAPL",}', "not valid JSON"),
    ("two objects", b"{} {}", "not valid JSON"),
    ("comment", b"{} // all of it", "not valid JSON"),
    ("byte order mark", b"\xef\xbb\xbf{}", "not valid JSON"),
    ("control character in a string", b'{"symbol": "AA\x00PL"}', "not valid JSON"),
    ("latin-1", '{"order_ref": "é"}'.encode("latin-1"), "not UTF-8"),
    ("utf-16", '{"symbol": "AAPL"}'.encode("utf-16"), "not UTF-8"),
    ("list", b"[1]", "must be a JSON object"),
    ("string", b'"AAPL"', "must be a JSON object"),
    ("number", b"1", "must be a JSON object"),
    ("null", b"null", "must be a JSON object"),
    ("NaN", b'{"quantity": NaN}', "NaN is not a JSON number"),
    ("Infinity", b'{"quantity": Infinity}', "Infinity is not a JSON number"),
    ("-Infinity", b'{"quantity": -Infinity}', "-Infinity is not a JSON number"),
    ("same key twice", b'{"quantity": 1, "quantity": 1000}', "'quantity' stands in the body more than once"),
    ("same key twice, further in", b'{"a": {"b": 1, "b": 2}}', "'b' stands in the body more than once"),
    (
        "same key twice, escaped",
        b'{"quantity": 1, "quantit\\u0079": 2}',
        "'quantity' stands in the body more than once",
    ),
    ("key that cannot be shown", b'{"\\ud800": 1, "\\ud800": 2}', r"'\ud800' stands in the body more than once"),
    ("huge exponent", b'{"quantity": 1e999999999}', "too long or too large"),
    ("an exponent beyond the library", b'{"quantity": 1e1000000000000000000}', "too long or too large"),
    ("the same below zero", b'{"quantity": 1e-99999999999999999999}', "too long or too large"),
    ("IB's unset double", b'{"quantity": 1.7976931348623157e308}', "too long or too large"),
    ("tiny exponent", b'{"quantity": 1e-999999999}', "too long or too large"),
    ("very long integer", b'{"quantity": ' + b"9" * 5000 + b"}", "too long or too large"),
    ("very long fraction", b'{"quantity": 1.' + b"1" * 5000 + b"}", "too long or too large"),
    ("deep objects", b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "levels deep"),
    ("lists without end", b'{"a":' + b"[" * 8000 + b"]" * 8000 + b"}", "levels deep"),
]


@pytest.mark.parametrize(("body", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(body, why):
    with pytest.raises(ParseError) as refusal:
        parse_object(body)

    assert why in refusal.value.detail
    assert isinstance(refusal.value.detail, str)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' {"symbol" : "AAPL"}\n', {"symbol": "AAPL"}),
        ('{"order_ref": "é"}'.encode(), {"order_ref": "é"}),
        (b'{"a": {"b": [1]}}', {"a": {"b": [1]}}),
        (b'{"a": true, "b": null}', {"a": True, "b": None}),
    ],
)
def test_understood(body, value):
    assert parse_object(body) == value


@pytest.mark.parametrize(
    ("text", "number"),
    [("10", 10), ("-3", -3), ("230.10", Decimal("230.10")), ("0.1", Decimal("0.1")), ("1e1", Decimal("1e1"))],
)
def test_numbers_stay_exact(text, number):
    found = parse_object(b'{"n": ' + text.encode() + b"}")["n"]

    assert (type(found), str(found)) == (type(number), str(number))


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789.eE+-aNI\\u ', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_one_error(body):
    try:
        found = parse_object(body)
    except ParseError:
        return

    assert isinstance(found, dict)


def test_size_is_limited():
    parser = StrictJSONParser()
    largest = b'{"a": 1' + b" " * (MAX_BYTES - 8) + b"}"

    assert parser.parse(BytesIO(largest), "application/json") == {"a": 1}
    with pytest.raises(TooLarge):
        parser.parse(BytesIO(largest + b" "), "application/json")


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", 'Application/JSON ; charset="UTF-8"']
)
def test_utf_8_may_be_named(media_type):
    assert StrictJSONParser().parse(BytesIO(b"{}"), media_type) == {}


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-7"])
def test_another_charset_is_another_media_type(charset):
    with pytest.raises(UnsupportedMediaType):
        StrictJSONParser().parse(BytesIO(b"{}"), f"application/json; charset={charset}")
