from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import translation
from gateway.library import Client
from gateway.reports import FIRST_REQUEST_ID
from gateway.tickets import Instrument, OrderTicket
from gateway.translation import Received

APPLE = Instrument(con_id=265598, symbol="AAPL", primary_exchange="NASDAQ", local_symbol="AAPL", trading_class="NMS")
LIMIT = OrderTicket(
    order_id=42,
    account="DU1000001",
    instrument=APPLE,
    side="BUY",
    order_type="LIMIT",
    quantity=Decimal(100),
    limit_price=Decimal("101.25"),
    order_ref="ref~STAMP",
)
MARKET = replace(LIMIT, order_type="MARKET", limit_price=None)
STOP = replace(LIMIT, order_type="STOP", limit_price=None, stop_price=Decimal("99.5"))
STOP_LIMIT = replace(LIMIT, order_type="STOP_LIMIT", stop_price=Decimal("99.5"))


def written(ticket: OrderTicket) -> list[str]:
    """The fields that the library's own client makes of it at version 176."""
    frames = []
    client = Client(None)
    client.connState, client._serverVersion = Client.CONNECTED, 176
    client.sendMsg = frames.append
    client.placeOrder(ticket.order_id, translation.contract_of(ticket.instrument), translation.order_of(ticket))
    return frames[0].split("\0")[:-1]


@pytest.mark.parametrize(
    ("ticket", "order_type", "limit", "aux"),
    [
        (LIMIT, "LMT", "101.25", ""),
        (MARKET, "MKT", "", ""),
        (STOP, "STP", "", "99.5"),
        (STOP_LIMIT, "STP LMT", "101.25", "99.5"),
    ],
)
def test_an_order_on_the_wire(ticket, order_type, limit, aux):
    fields = written(ticket)

    assert len(fields) == 115  # a plain stock order at 176
    assert fields[:2] == ["3", "42"]
    assert fields[2:14] == ["265598", "AAPL", "STK", "", "0.0", "", "", "SMART", "NASDAQ", "USD", "AAPL", "NMS"]
    assert fields[16:24] == ["BUY", "100", order_type, limit, aux, "DAY", "", "DU1000001"]
    assert fields[24:35] == ["O", "0", "ref~STAMP", "1", "0", "0", "0", "0", "0", "0", "0"]
    assert fields[53:55] == ["0", "0"]  # eTradeOnly, firmQuoteOnly


def test_the_fields_of_a_bracket_leg():
    fields = written(replace(LIMIT, parent_id=41, transmit=False, time_in_force="GTC", outside_regular_hours=True))

    assert (fields[21], fields[27], fields[28], fields[33]) == ("GTC", "0", "41", "1")


@given(st.decimals(min_value="0.0001", max_value="999999999", places=4))
def test_amounts_are_written_exactly(value):
    fields = written(replace(LIMIT, quantity=value, limit_price=value))

    assert Decimal(fields[17]) == Decimal(fields[19]) == value
    assert "E" not in fields[17].upper()


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("quantity of nothing", {"quantity": Decimal(0)}),
        ("quantity below nothing", {"quantity": Decimal(-1)}),
        ("quantity that IB reads as unset", {"quantity": Decimal(2147483647)}),
        ("quantity without a value", {"quantity": Decimal("NaN")}),
        ("price that IB reads as unset", {"limit_price": Decimal("1.7976931348623157E308")}),
        ("price without end", {"limit_price": Decimal("Infinity")}),
        ("price of nothing", {"limit_price": Decimal(0)}),
        ("limit order without a price", {"limit_price": None}),
        ("limit order with a stop price", {"stop_price": Decimal(1)}),
        ("market order with a price", {"order_type": "MARKET"}),
        ("stop order with a limit price", {"order_type": "STOP", "stop_price": Decimal(1)}),
        ("reference that ends its field", {"order_ref": "a\0b"}),
        ("reference with a new line", {"order_ref": "a\nb"}),
        ("reference outside ASCII", {"order_ref": "ä"}),
        ("no reference", {"order_ref": ""}),
        ("no account", {"account": ""}),
        ("account that ends its field", {"account": "DU1\0"}),
        ("symbol that ends its field", {"instrument": replace(APPLE, symbol="AAPL\0")}),
        ("contract without an id", {"instrument": replace(APPLE, con_id=0)}),
        ("order id of nothing", {"order_id": 0}),
        ("order id among those of questions", {"order_id": FIRST_REQUEST_ID}),
        ("parent below nothing", {"parent_id": -1}),
        ("side of IB's", {"side": "SSHORT"}),
        ("type of IB's", {"order_type": "LMT"}),
        ("time in force not offered", {"time_in_force": "IOC"}),
    ],
)
def test_what_could_be_read_as_something_else_is_not_written(case, change):
    ticket = replace(LIMIT, **change)
    with pytest.raises(ValueError, match=r"."):
        (translation.contract_of(ticket.instrument), translation.order_of(ticket))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("1.7976931348623157E308", None),
        ("1.7976931348623157e+308", None),
        ("-1.7976931348623157E308", None),
        ("2147483647", None),
        ("0", Decimal(0)),
        ("0.0", Decimal(0)),
        ("101.25", Decimal("101.25")),
        ("-12.345678901234567890123", Decimal("-12.345678901234567890123")),
    ],
)
def test_unset_is_none_and_never_zero(text, value):
    assert translation.optional(text) == value


@pytest.mark.parametrize("text", ["", "NaN", "Infinity", "1.7976931348623157E308", "abc"])
def test_a_number_that_must_be_there(text):
    with pytest.raises((ValueError, ArithmeticError)):
        translation.amount(text)


def test_a_commission_of_an_opening_trade_has_no_profit():
    raw = ("59", "1", "0000e0d5.64abcdef.01.01", "1.0012", "USD", "1.7976931348623157E308", "", "")

    report = translation.commission(Received(3, datetime(2026, 4, 13, tzinfo=UTC), raw))

    assert (report.commission, report.currency, report.realized_pnl) == (Decimal("1.0012"), "USD", None)
    assert (report.connection, report.raw) == (3, raw)
