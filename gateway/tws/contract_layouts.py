"""The contract as it stands in the messages: each names another part of it, in another order."""

from gateway.tws.fields import FLAG, INT, NUMBER, RIGHT, RIGHT_AS_MARK, TEXT, Encoding
from gateway.tws.layout import Field, Layout, Optional, Repeated
from gateway.tws.order import ComboLeg, DeltaNeutralContract

IDENTITY: Layout = (
    Field("con_id", INT),
    Field("symbol", TEXT),
    Field("sec_type", TEXT),
    Field("last_trade_date_or_contract_month", TEXT),
    Field("strike", NUMBER),
)
LOCAL_NAMES: Layout = (
    Field("currency", TEXT),
    Field("local_symbol", TEXT),
    Field("trading_class", TEXT),
)

# What a client says of a contract, in every request.
REQUESTED: Layout = (
    *IDENTITY,
    Field("right", RIGHT),
    Field("multiplier", TEXT),
    Field("exchange", TEXT),
    Field("primary_exchange", TEXT),
    *LOCAL_NAMES,
)
LOOKED_UP: Layout = (
    *REQUESTED,
    Field("include_expired", FLAG),
    Field("sec_id_type", TEXT),
    Field("sec_id", TEXT),
    Field("issuer_id", TEXT, since=176),
)


def _reported(right: Encoding, exchange: str) -> Layout:
    return (
        *IDENTITY,
        Field("right", right),
        Field("multiplier", TEXT),
        Field(exchange, TEXT),
        *LOCAL_NAMES,
    )


REPORTED = _reported(RIGHT, "exchange")
OF_AN_ORDER = _reported(RIGHT_AS_MARK, "exchange")  # a stock's right is `?` in openOrder
HELD = _reported(RIGHT, "primary_exchange")  # updatePortfolio names the primary exchange in its place

_LEG: Layout = (
    Field("con_id", INT),
    Field("ratio", INT),
    Field("action", TEXT),
    Field("exchange", TEXT),
)
QUOTED_LEGS = Repeated("combo_legs", ComboLeg, _LEG)
ORDERED_LEGS = Repeated(
    "combo_legs",
    ComboLeg,
    (
        *_LEG,
        Field("open_close", INT),
        Field("short_sale_slot", INT),
        Field("designated_location", TEXT),
        Field("exempt_code", INT),
    ),
)
DELTA_NEUTRAL = Optional(
    "delta_neutral",
    DeltaNeutralContract,
    (Field("con_id", INT), Field("delta", NUMBER), Field("price", NUMBER)),
)
