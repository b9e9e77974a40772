"""Any message at any version comes back as it was; any frame, however mangled, raises one error type at most."""

from decimal import Decimal
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.tws import fields as f
from gateway.tws import messages as m
from gateway.tws.codec import (
    FORMS,
    MAX_VERSION,
    MIN_VERSION,
    REQUESTS,
    RESPONSES,
    decode_request,
    decode_response,
    encode,
)
from gateway.tws.errors import RemoteProtocolError
from gateway.tws.framing import FrameBuffer, pack_fields, split_fields
from gateway.tws.layout import Constant, Field, Group, Optional, Reading, Repeated, build

VERSIONS = st.integers(MIN_VERSION, MAX_VERSION)
KINDS = [*REQUESTS, *RESPONSES]

INT32 = st.integers(-f.UNSET_INT, f.UNSET_INT)
PROPER_INT32 = st.integers(-f.UNSET_INT, f.UNSET_INT - 1)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6)
TEXTS = st.one_of(
    st.sampled_from(["", "BAG", "IBKRATS", "PEG BENCH", "PEG BEST", "PEG MID", "PEGMID", "Infinite", "0", "\\u0041"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6),
)


def but(strategy, *words):
    return strategy.filter(lambda value: value not in words)


# What stands for "unset" in an encoding cannot at the same time stand for itself.
VALUES = {
    f.TEXT: TEXTS,
    f.LONG_NAME: TEXTS,
    f.FLAG: st.booleans(),
    f.ID: INT32,
    f.INT: INT32,
    f.LONG: st.integers(-(10**18) + 1, 10**18 - 1),
    f.NUMBER: NUMBERS,
    f.CONDITION_KIND: st.sampled_from([1, 3, 4, 5, 6, 7]),
    f.OPTIONAL_INT: st.none() | PROPER_INT32,
    f.OPTIONAL_INT_AS_MAX: st.none() | PROPER_INT32,
    f.OPTIONAL_INT_AS_ZERO: st.none() | but(PROPER_INT32, 0),
    f.OPTIONAL_NUMBER: st.none() | NUMBERS,
    f.OPTIONAL_NUMBER_AS_MAX: st.none() | NUMBERS,
    f.OPTIONAL_NUMBER_AS_ZERO: st.none() | but(NUMBERS, Decimal(0)),
    f.PRICE_AS_ZERO: NUMBERS,
    f.OFFSET: st.none() | NUMBERS | st.just(Decimal("Infinity")),
    f.RIGHT: but(TEXTS, "?"),
    f.RIGHT_AS_MARK: but(TEXTS, "?"),
    f.ABSENT_WORD: but(TEXTS, "None"),
    f.ABSENT_WORD_AS_NONE: but(TEXTS, "None"),
}


def draw_items(draw, items, values):
    """Fill `values` with one value per path that is on the wire; a group is drawn when its decider asks for it."""
    texts = {}
    for item in items:
        draw_item(draw, item, values, texts)


def draw_item(draw, item, values, texts):
    match item:
        case Field(path=path, encoding=encoding):
            if path not in values:
                values[path] = draw(VALUES[encoding])
            texts[path] = encoding.write(values[path])
        case Repeated(path=path):
            values[path] = tuple(draw(st.lists(elements(item.element, item.items), max_size=3)))
            texts[path] = str(len(values[path]))
        case Optional(path=path):
            values[path] = draw(st.none() | elements(item.element, item.items))
        case Group(decider=decider, holds=holds):
            if holds(texts[decider]):
                for inner in item.items:
                    draw_item(draw, inner, values, texts)
        case Constant():
            pass


@st.composite
def elements(draw, kind, items):
    values = {}
    draw_items(draw, items, values)
    return kind(**values)


@cache
def messages(kind, version):
    @st.composite
    def message(draw):
        values = {}
        draw_items(draw, FORMS[kind, version].items, values)
        reading = Reading(iter(()))
        for path, value in values.items():
            reading.keep(path, value)
        return build(kind, reading)

    return message()


def decode(fields, version, kind):
    return (decode_request if issubclass(kind, m.Request) else decode_response)(fields, version)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), version=VERSIONS)
def test_a_message_comes_back(kind, data, version):
    message = data.draw(messages(kind, version))

    assert decode(encode(message, version), version, kind) == message


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), kind=st.sampled_from(KINDS), version=VERSIONS)
def test_what_a_message_says_in_ascii_comes_back_through_bytes(data, kind, version):
    fields = encode(data.draw(messages(kind, version)), version)
    ascii_fields = tuple(field.encode("ascii", "ignore").decode() for field in fields)
    buffer = FrameBuffer()

    buffer.feed(pack_fields(ascii_fields))

    assert split_fields(buffer.take_payload()) == ascii_fields


WORDS = st.one_of(
    TEXTS,
    st.integers().map(str),
    st.sampled_from(
        ["-1", "1e400", "1e300", "5e-324", "NaN", "999999999", "1.7976931348623157e+308", "None", "?", "1", "2"]
    ),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), version=VERSIONS, other_version=VERSIONS)
def test_a_mangled_message_raises_one_error_type_only(kind, data, version, other_version):
    fields = list(encode(data.draw(messages(kind, version)), version))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(fields)))
        fields[at : at + data.draw(st.integers(0, 2))] = data.draw(st.lists(WORDS, max_size=2))

    try:
        read = decode(fields, other_version, kind)
    except RemoteProtocolError:
        return
    rewritten = encode(read, other_version)
    assert encode(decode(rewritten, other_version, kind), other_version) == rewritten
