"""No string a client can send changes how many fields reach the wire, nor any field but its own.

In one process, from the bytes of the body to the bytes of placeOrder: our parser, serializers and ticket, the real
ib_insync, and the paper gateway's codec as the reader. `test_strings_walk` does the same through the running house.
"""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from gateway import translation
from gateway.tickets import Instrument, OrderTicket
from gateway.tws.codec import decode_request
from ibkr_site.parsing import parse_object
from orders import claims, stamps
from orders.api.guide.placing import legs
from orders.api.guide.serializers import LimitOrderInput
from orders.models import Order
from tests.gateway.real_clients import connected_client, ib_insync

VERSION = 176
STAMP = "ABCDEFGHIJKLM"
BODY = {"symbol": "AAPL", "action": "BUY", "quantity": 1, "limit_price": 1.5, "order_ref": "plain"}
INSTRUMENT = Instrument(con_id=265598, symbol="AAPL", primary_exchange="NASDAQ", trading_class="NMS")

# Short texts of what hurts, whole texts of anything, and much that is nearly right.
NASTY = st.sampled_from(
    ["\x00", "\r\n", "~", ";", "=", " ", "\x7f", "\u202e", "А", "Ａ", "✅", "\ud800", "\\", '"', "ſ"]
)
STRINGS = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.lists(st.one_of(NASTY, st.text("ABCabc019.- ", max_size=6)), max_size=8).map("".join),
)
# What passes, as often as what does not: only that gets as far as the wire.
SYMBOLS = st.one_of(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,4}([ .-][A-Za-z0-9]{1,3})?", fullmatch=True), STRINGS)
ACTIONS = st.one_of(st.sampled_from(["BUY", "buy", "SELL", "sELL"]), STRINGS)
REFERENCES = st.one_of(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128), STRINGS)
NUMBERS = st.from_regex(r"-?[0-9]{1,33}(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


@pytest.fixture(scope="module", autouse=True)
def _loop():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def frame(ticket: OrderTicket) -> list[str]:
    """The fields of the one message that ib_insync writes for it. Raises: ValueError, with nothing written."""
    client = connected_client(ib_insync, VERSION)
    contract, order = translation.contract_of(ticket.instrument), translation.order_of(ticket)
    client.placeOrder(order.orderId, contract, order)
    (fields,) = client.conn.transport.frames()
    return list(fields)


def ticket_of(body: bytes) -> tuple[dict, OrderTicket] | None:
    """What the body asks for and what the broker would be told; None where the body is refused."""
    try:
        serializer = LimitOrderInput(data=parse_object(body))
    except ParseError:
        return None
    if not serializer.is_valid():
        return None
    terms = serializer.validated_data
    (leg,) = legs("limit", terms)
    order = Order(
        account_id="DU1000001",
        symbol=terms["symbol"],
        side=leg.side,
        order_type=leg.order_type,
        time_in_force=leg.time_in_force,
        quantity=terms["quantity"],
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        order_ref=terms.get("order_ref") or "",
        stamp=STAMP,
    )
    instrument = replace(INSTRUMENT, symbol=terms["symbol"], local_symbol=terms["symbol"])
    return terms, claims.ticket_of(order, instrument, order_id=7, parent_id=7)


def plain() -> list[str]:
    _, ticket = ticket_of(json.dumps(BODY).encode())
    return frame(ticket)


@given(symbol=SYMBOLS, action=ACTIONS, order_ref=REFERENCES)
@example(symbol="AAPL", action="BUY", order_ref="x\x00DU9999999\x00")
@example(symbol="AAPL\x00STK", action="BUY", order_ref="")
@example(symbol="brk b", action="sELL", order_ref="a;b=c~ABCDEFGHIJKLM" * 3)
@example(symbol="AAPL", action="BUY", order_ref="1.7976931348623157E308")
def test_a_body_of_strings(symbol, action, order_ref):
    found = ticket_of(json.dumps(BODY | {"symbol": symbol, "action": action, "order_ref": order_ref}).encode())
    if found is None:
        return
    terms, ticket = found
    fields = frame(ticket)

    expected = _with(plain(), symbol=symbol.upper(), action=action.upper(), order_ref=stamps.stamped(order_ref, STAMP))
    assert fields == expected
    told = decode_request(fields, VERSION)
    assert (told.contract.symbol, told.contract.local_symbol) == (symbol.upper(), symbol.upper())
    assert (told.order.action, told.order.order_ref) == (action.upper(), stamps.stamped(order_ref, STAMP))
    assert (told.order.account, told.order.total_quantity, told.order.lmt_price) == ("DU1000001", 1, Decimal("1.5"))
    assert stamps.split(told.order.order_ref)[1] == STAMP
    assert terms["order_ref"] == order_ref


@given(value=st.one_of(NUMBERS, st.decimals(0, 10**8, places=4).map(str), STRINGS))
@example(value="1e400")
@example(value="2147483647")
@example(value="-0")
@example(value='1, "quantity": 5')
def test_any_text_in_the_place_of_a_number(value):
    text = json.dumps(BODY | {"quantity": "@"}).replace('"@"', value)
    found = ticket_of(text.encode("utf-8", "surrogatepass"))
    if found is None:
        return
    quantity = Decimal(json.loads(value, parse_float=Decimal, parse_int=Decimal))
    fields = frame(found[1])

    assert fields == _with(plain(), quantity=f"{quantity.normalize():f}")
    assert decode_request(fields, VERSION).order.total_quantity == quantity


@given(field=st.sampled_from(["symbol", "local_symbol", "trading_class", "order_ref", "account"]), text=STRINGS)
@example(field="account", text="DU1000001\x00")
@example(field="order_ref", text="\x00")
def test_the_last_door_lets_no_string_out_of_its_field(field, text):
    """Were all checks before it gone: one field is another, or nothing is written."""
    _, ticket = ticket_of(json.dumps(BODY).encode())
    before = frame(ticket)
    if field in ("order_ref", "account"):
        ticket = replace(ticket, **{field: text})
    else:
        ticket = replace(ticket, instrument=replace(ticket.instrument, **{field: text}))
    try:
        fields = frame(ticket)
    except ValueError:
        assert not text or not text.isascii() or not text.isprintable()
        return

    changed = [new for old, new in zip(before, fields, strict=True) if old != new]
    assert changed in ([], [text])


PLACES = {"symbol": (3, 12), "action": (16,), "quantity": (17,), "order_ref": (26,)}


def _with(fields: list[str], **values: str) -> list[str]:
    changed = list(fields)
    for name, value in values.items():
        for place in PLACES[name]:
            changed[place] = value
    return changed
