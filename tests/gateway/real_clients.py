"""The real clients as witnesses of the TWS wire: their objects made from our values, their ends of the wire bare.

The orders of the tests have another value in each attribute, so that two attributes that changed places cannot hide.
"""

import asyncio
import itertools
import logging
import re
import types
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from typing import get_type_hints

import pytest

from gateway.tws.codec import decode_request, encode
from gateway.tws.framing import FrameBuffer, pack_fields, split_fields
from gateway.tws.order import ComboLeg, Condition, Contract, DeltaNeutralContract, Order, TagValue

_loop = asyncio.new_event_loop()
asyncio.set_event_loop(_loop)  # ib_insync's event library looks for one while it is imported
import ib_async  # noqa: E402
import ib_async.decoder  # noqa: E402
import ib_insync  # noqa: E402
import ib_insync.decoder  # noqa: E402

asyncio.set_event_loop(None)
_loop.close()

D = Decimal
UNSET_INTEGER = ib_insync.util.UNSET_INTEGER
UNSET_DOUBLE = ib_insync.util.UNSET_DOUBLE

SPEAKERS = [
    pytest.param(ib_insync, 157, id="ib_insync-157"),
    pytest.param(ib_insync, 176, id="ib_insync-176"),
    pytest.param(ib_async, 157, id="ib_async-157"),
    pytest.param(ib_async, 176, id="ib_async-176"),
    pytest.param(ib_async, 178, id="ib_async-178"),
]
every_client = pytest.mark.parametrize(("library", "version"), SPEAKERS)

CONTRACT = Contract(
    con_id=265598,
    symbol="AAPL",
    sec_type="OPT",
    last_trade_date_or_contract_month="20261218",
    strike=D("150.5"),
    right="C",
    multiplier="100",
    exchange="SMART",
    primary_exchange="NASDAQ",
    currency="USD",
    local_symbol="AAPL  261218C00150500",
    trading_class="AAPL",
    sec_id_type="ISIN",
    sec_id="US0378331005",
)
LEG = ComboLeg(
    con_id=1,
    ratio=2,
    action="SELL",
    exchange="SMART",
    open_close=1,
    short_sale_slot=2,
    designated_location="here",
    exempt_code=3,
)
CONDITIONS = (
    Condition(kind=1, is_more=True, price=D("100.5"), con_id=1, exchange="SMART", trigger_method=2),
    Condition(kind=3, conjunction="o", is_more=True, time="20260105 10:00:00 UTC"),
    Condition(kind=4, percent=30),
    Condition(kind=5, sec_type="STK", exchange="SMART", symbol="IBM"),
    Condition(kind=6, is_more=True, volume=1000, con_id=1, exchange="SMART"),
    Condition(kind=7, change_percent=D("5.5"), con_id=1, exchange="SMART"),
)


def distinct(kind, *, flag=lambda ordinal: True, **given):
    """A value of the dataclass with another value in each attribute, so that a swap of two cannot hide."""
    values = dict(given)
    flags = itertools.count()
    for number, (name, hint) in enumerate(get_type_hints(kind).items(), start=2):
        if name in values:
            continue
        choices = hint.__args__ if isinstance(hint, types.UnionType) else (hint,)
        if bool in choices:
            values[name] = flag(next(flags))
        elif int in choices:
            values[name] = number
        elif D in choices:
            values[name] = D(number) + D("0.25")
        elif str in choices:
            values[name] = name[:12]
    return kind(**values)


# One order cannot tell thirty flags from each other; in five, by the binary digits of their number, no two are alike.
EVERY_ATTRIBUTE = [
    distinct(
        Order,
        flag=lambda ordinal, digit=digit: bool(ordinal >> digit & 1),
        order_type="PEG BENCH",
        algo_params=(TagValue(tag="adaptivePriority", value="Normal"),),
        conditions=CONDITIONS,
        compete_against_best_offset=D("0.02"),
    )
    for digit in range(5)
]

# What a message does not carry has its default there.
NOT_PLACED = {
    "basis_points",
    "basis_points_type",
    "soft_dollar_display_name",
    "auto_cancel_date",
    "ref_futures_con_id",
    "shareholder",
    "imbalance_only",
    "route_marketable_to_bbo",
    "min_trade_qty",
    "min_compete_size",
    "compete_against_best_offset",
    "mid_offset_at_whole",
    "mid_offset_at_half",
}
NOT_OPEN = {
    "transmit",
    "override_percentage_constraints",
    "scale_table",
    "active_start_time",
    "active_stop_time",
    "algo_id",
    "order_misc_options",
    "ext_operator",
    "mifid2_decision_maker",
    "mifid2_decision_algo",
    "mifid2_execution_trader",
    "mifid2_execution_algo",
    "advanced_error_override",
    "manual_order_time",
    "auto_cancel_date",
    "ref_futures_con_id",
    "shareholder",
    "imbalance_only",
    "route_marketable_to_bbo",
}
NOT_COMPLETED = NOT_OPEN - {
    "auto_cancel_date",
    "ref_futures_con_id",
    "shareholder",
    "imbalance_only",
    "route_marketable_to_bbo",
} | {
    "parent_id",
    "auction_strategy",
    "block_order",
    "e_trade_only",
    "firm_quote_only",
    "nbbo_price_cap",
    "delta_neutral_settling_firm",
    "delta_neutral_clearing_account",
    "delta_neutral_clearing_intent",
    "delta_neutral_open_close",
    "basis_points",
    "basis_points_type",
    "opt_out_smart_routing",
    "what_if",
    "adjusted_order_type",
    "trigger_price",
    "adjusted_stop_price",
    "adjusted_stop_limit_price",
    "adjusted_trailing_amount",
    "adjustable_trailing_unit",
    "soft_dollar_name",
    "soft_dollar_value",
    "soft_dollar_display_name",
    "discretionary_up_to_limit_price",
    "use_price_mgmt_algo",
    "duration",
    "post_to_ats",
}
SINCE = {
    "duration": 158,
    "post_to_ats": 160,
    "auto_cancel_parent": 162,
    "advanced_error_override": 166,
    "manual_order_time": 169,
    "min_trade_qty": 170,
    "min_compete_size": 170,
    "compete_against_best_offset": 170,
    "mid_offset_at_whole": 170,
    "mid_offset_at_half": 170,
}


def off_the_wire(version):
    return {name for name, since in SINCE.items() if version < since} | ({"fa_profile"} if version >= 177 else set())


BAG = replace(
    CONTRACT,
    sec_type="BAG",
    combo_legs=(LEG, replace(LEG, con_id=9)),
    delta_neutral=DeltaNeutralContract(con_id=3, delta=D("0.5"), price=D("10.25")),
)


# Our values and theirs

THEIR_NAMES = {
    "rule80a": "rule80A",
    "kind": "condType",
    "delta_neutral": "deltaNeutralContract",
}


def their_name(name):
    return THEIR_NAMES.get(name) or re.sub(r"_(.)", lambda match: match[1].upper(), name)


def theirs(value):
    if value is None:
        return UNSET_DOUBLE
    if isinstance(value, D):
        return float(value)
    return value


def fill(target, source, *, without=()):
    """Set the attributes of one of the library's objects from ours."""
    for field in dataclass_fields(source):
        value = getattr(source, field.name)
        if field.name not in without and value is not None:
            assert hasattr(target, their_name(field.name)), field.name
            setattr(target, their_name(field.name), theirs(value))
    return target


def their_contract(library, contract):
    out = fill(library.Contract(), contract, without={"combo_legs", "delta_neutral"})
    out.comboLegs = [fill(library.ComboLeg(), leg) for leg in contract.combo_legs]
    if contract.delta_neutral:
        out.deltaNeutralContract = fill(library.DeltaNeutralContract(), contract.delta_neutral)
    return out


SPECIAL = {
    "combo_legs",
    "smart_combo_routing_params",
    "algo_params",
    "conditions",
    "order_misc_options",
    "soft_dollar_name",
    "soft_dollar_value",
    "soft_dollar_display_name",
}


def their_order(library, order):
    out = fill(library.Order(), order, without=SPECIAL)
    out.orderComboLegs = [fill(library.OrderComboLeg(), leg) for leg in order.combo_legs]
    out.smartComboRoutingParams = [library.TagValue(p.tag, p.value) for p in order.smart_combo_routing_params]
    out.algoParams = [library.TagValue(p.tag, p.value) for p in order.algo_params]
    if order.order_misc_options:
        out.orderMiscOptions = [
            library.TagValue(*pair.split("=")) for pair in order.order_misc_options.split(";") if pair
        ]
    out.softDollarTier = library.SoftDollarTier(order.soft_dollar_name, order.soft_dollar_value)
    out.conditions = [their_condition(library, condition) for condition in order.conditions]
    return out


def their_condition(library, condition):
    out = library.OrderCondition.createClass(condition.kind)()
    for field in dataclass_fields(out):
        ours = {"condType": "kind", "conId": "con_id", "exch": "exchange", "isMore": "is_more", "secType": "sec_type"}
        ours |= {"triggerMethod": "trigger_method", "changePercent": "change_percent"}
        setattr(out, field.name, theirs(getattr(condition, ours.get(field.name, field.name))))
    return out


# Their end of the wire


class Transport:
    """The socket's place under a real client: keeps what is written."""

    def __init__(self):
        self.written = FrameBuffer()

    def write(self, data):
        self.written.feed(data)

    def frames(self):
        return [split_fields(payload) for payload in iter(self.written.take_payload, None)]


class Recorder:
    """A wrapper that writes down which of its methods were called."""

    defaultTimezone = UTC

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *values: self.calls.append((name, *values))


def connected_client(library, version):
    """A real client that believes it is connected; needs an event loop set."""
    client = library.client.Client(Recorder())
    client.conn.transport = Transport()
    client.connState = client.CONNECTED
    client._serverVersion = version
    client.clientId = 7
    return client


def requests_of(client):
    return [decode_request(fields, client.serverVersion()) for fields in client.conn.transport.frames()]


def decoded(library, version, message, caplog):
    """The one call that the library's decoder makes of our message; that it logs nothing is part of every test."""
    recorder = Recorder()
    decoder = library.decoder.Decoder(recorder, version)
    buffer = FrameBuffer()
    buffer.feed(pack_fields(encode(message, version)))
    payload = buffer.take_payload()

    with caplog.at_level(logging.DEBUG):
        decoder.interpret(payload.decode().split("\0")[:-1])

    assert [record.getMessage() for record in caplog.records] == []
    (call,) = recorder.calls
    return call


def assert_same(source, target, *, without=frozenset()):
    """Each attribute of ours equals theirs of the corresponding name."""
    different = {}
    for field in dataclass_fields(source):
        if field.name in without:
            continue
        ours, read = getattr(source, field.name), getattr(target, their_name(field.name))
        unset = ours is None and read in (UNSET_DOUBLE, UNSET_INTEGER)
        if not unset and not (read == ours if not isinstance(ours, D) else float(ours) == float(read)):
            different[field.name] = (ours, read)
    assert different == {}
