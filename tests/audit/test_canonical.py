import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@pytest.mark.parametrize(
    ("case", "value", "text"),
    [
        ("nothing", None, "null"),
        ("literals of RFC 8785, 3.2.2", {"literals": [None, True, False]}, '{"literals":[null,true,false]}'),
        (
            "the string of RFC 8785, 3.2.2",
            {"string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f"},
            '{"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
        ),
        (
            "the keys of RFC 8785, 3.2.3",
            {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7},
            '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}',
        ),
        ("short escapes", "\b\t\n\f\r", '"\\b\\t\\n\\f\\r"'),
        ("other control characters, in lower case", "\0\x1f\x7f\u2028", '"\\u0000\\u001f\x7f\u2028"'),
        ("keys inside", {"b": {"z": 1, "a": ()}, "a": [{}]}, '{"a":[{}],"b":{"a":[],"z":1}}'),
        ("the largest numbers", [2**53 - 1, 1 - 2**53, -0], "[9007199254740991,-9007199254740991,0]"),
    ],
)
def test_spelling(case, value, text):
    assert canonical.dumps(value) == text


@pytest.mark.parametrize(
    ("case", "value", "words"),
    [
        ("a float", {"price": 1.5}, r"\$\.price: float"),
        ("not a number", [float("nan")], r"\$\[0\]: float"),
        ("too large", 2**53, "not exact"),
        ("too small", -(2**53), "not exact"),
        ("half a pair", "\ud800", "surrogate"),
        ("half a pair in a key", {"\udfff": 1}, "surrogate"),
        ("a key that is no text", {1: 2}, "key 1"),
        ("bytes", b"x", "bytes"),
        ("a set", {1}, "set"),
    ],
)
def test_what_has_no_place(case, value, words):
    with pytest.raises(canonical.NotCanonical, match=words):
        canonical.dumps(value)


@given(VALUES)
def test_reading_gives_the_value_back_and_one_spelling(value):
    text = canonical.dumps(value)

    assert json.loads(text) == value
    assert canonical.dumps(json.loads(text)) == text


@given(st.dictionaries(TEXT, st.integers(0, 9)))
def test_the_order_in_which_keys_came_does_not_matter(value):
    backwards = dict(reversed(value.items()))

    assert canonical.dumps(backwards) == canonical.dumps(value)
