"""Messages <-> fields, at a server version from 157 to 178.

Rules: the two tables below say which number each message has and which version number it carries after it (None: it
carries none). Reading takes every field the layout knows and puts the rest into `leftover`; a field that is missing or
unreadable raises UnreadableMessage, a number that is in no table UnknownMessage. Writing is the exact inverse, except
that "unset" leaves in the spelling of real gateways (see fields).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.tws import messages as m
from gateway.tws.errors import RemoteProtocolError, UnknownMessage, UnreadableMessage
from gateway.tws.fields import (
    INT,
    LONG_NAME,
    NUMBER,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    TEXT,
    read_integer,
)
from gateway.tws.layout import (
    Constant,
    Field,
    Layout,
    Reading,
    Repeated,
    Writing,
    annotated_layout,
    at_version,
    build,
    in_runs,
)
from gateway.tws.order import TagValue
from gateway.tws.order_layouts import COMPLETED_ORDER, OPEN_ORDER, PLACE_ORDER

MIN_VERSION: Final = 157
MAX_VERSION: Final = 178

Table = Mapping[type[m.Message], tuple[int, str | None]]

REQUESTS: Final[Table] = {
    m.ReqMktData: (1, "11"),
    m.CancelMktData: (2, "2"),
    m.PlaceOrder: (3, None),
    m.CancelOrder: (4, "1"),
    m.ReqOpenOrders: (5, "1"),
    m.ReqAccountUpdates: (6, "2"),
    m.ReqExecutions: (7, "3"),
    m.ReqIds: (8, "1"),
    m.ReqContractDetails: (9, "8"),
    m.SetServerLogLevel: (14, "1"),
    m.ReqAutoOpenOrders: (15, "1"),
    m.ReqAllOpenOrders: (16, "1"),
    m.ReqManagedAccounts: (17, "1"),
    m.ReqCurrentTime: (49, "1"),
    m.ReqGlobalCancel: (58, "1"),
    m.ReqMarketDataType: (59, "1"),
    m.ReqPositions: (61, "1"),
    m.ReqAccountSummary: (62, "1"),
    m.CancelAccountSummary: (63, "1"),
    m.CancelPositions: (64, "1"),
    m.StartApi: (71, "2"),
    m.ReqPositionsMulti: (74, "1"),
    m.CancelPositionsMulti: (75, "1"),
    m.ReqAccountUpdatesMulti: (76, "1"),
    m.CancelAccountUpdatesMulti: (77, "1"),
    m.ReqCompletedOrders: (99, None),
}

RESPONSES: Final[Table] = {
    m.TickPrice: (1, "6"),
    m.TickSize: (2, "6"),
    m.OrderStatus: (3, None),
    m.ErrorMessage: (4, "2"),
    m.OpenOrder: (5, None),
    m.UpdateAccountValue: (6, "2"),
    m.UpdatePortfolio: (7, "8"),
    m.UpdateAccountTime: (8, "1"),
    m.NextValidId: (9, "1"),
    m.ContractDetails: (10, None),  # the 8 before version 164 stands in its layout
    m.ExecDetails: (11, None),
    m.ManagedAccounts: (15, "1"),
    m.CurrentTime: (49, "1"),
    m.ContractDetailsEnd: (52, "1"),
    m.OpenOrderEnd: (53, "1"),
    m.AccountDownloadEnd: (54, "1"),
    m.ExecDetailsEnd: (55, "1"),
    m.TickSnapshotEnd: (57, "1"),
    m.MarketDataType: (58, "1"),
    m.CommissionReport: (59, "1"),
    m.Position: (61, "3"),
    m.PositionEnd: (62, "1"),
    m.AccountSummary: (63, "1"),
    m.AccountSummaryEnd: (64, "1"),
    m.PositionMulti: (71, "1"),
    m.PositionMultiEnd: (72, "1"),
    m.AccountUpdateMulti: (73, "1"),
    m.AccountUpdateMultiEnd: (74, "1"),
    m.CompletedOrder: (101, None),
    m.CompletedOrdersEnd: (102, None),
}

CONTRACT_DETAILS: Final[Layout] = (
    Constant("8", before=164),
    Field("req_id", INT),
    Field("contract.symbol", TEXT),
    Field("contract.sec_type", TEXT),
    Field("contract.last_trade_date_or_contract_month", TEXT),
    Field("contract.strike", NUMBER),
    Field("contract.right", TEXT),
    Field("contract.exchange", TEXT),
    Field("contract.currency", TEXT),
    Field("contract.local_symbol", TEXT),
    Field("market_name", TEXT),
    Field("contract.trading_class", TEXT),
    Field("contract.con_id", INT),
    Field("min_tick", NUMBER),
    Constant("", before=164),  # once mdSizeMultiplier
    Field("contract.multiplier", TEXT),
    Field("order_types", TEXT),
    Field("valid_exchanges", TEXT),
    Field("price_magnifier", INT),
    Field("under_con_id", INT),
    Field("long_name", LONG_NAME),
    Field("contract.primary_exchange", TEXT),
    Field("contract_month", TEXT),
    Field("industry", TEXT),
    Field("category", TEXT),
    Field("subcategory", TEXT),
    Field("time_zone_id", TEXT),
    Field("trading_hours", TEXT),
    Field("liquid_hours", TEXT),
    Field("ev_rule", TEXT),
    Field("ev_multiplier", OPTIONAL_INT),
    Repeated("sec_ids", TagValue, (Field("tag", TEXT), Field("value", TEXT))),
    Field("agg_group", OPTIONAL_INT),
    Field("under_symbol", TEXT),
    Field("under_sec_type", TEXT),
    Field("market_rule_ids", TEXT),
    Field("real_expiration_date", TEXT),
    Field("stock_type", TEXT),
    Field("min_size", OPTIONAL_NUMBER, since=164),
    Field("size_increment", OPTIONAL_NUMBER, since=164),
    Field("suggested_size_increment", OPTIONAL_NUMBER, since=163),
)

_OWN_LAYOUTS: Final[Mapping[type[m.Message], Layout]] = {
    m.PlaceOrder: PLACE_ORDER,
    m.OpenOrder: OPEN_ORDER,
    m.CompletedOrder: COMPLETED_ORDER,
    m.ContractDetails: CONTRACT_DETAILS,
}


@dataclass(frozen=True, slots=True)
class Form:
    """A message as it is written at one version: its number, then the items; `steps` are those, taken together."""

    kind: type[m.Message]
    number: int
    items: Layout
    steps: Layout


def _layout(kind: type[m.Message], own_version: str | None) -> Layout:
    head: Layout = () if own_version is None else (Constant(own_version),)
    return head + (_OWN_LAYOUTS.get(kind) or annotated_layout(kind))


# Every message at every version, worked out once.
FORMS: Final = {
    (kind, version): Form(kind, number, items, in_runs(items))
    for table in (REQUESTS, RESPONSES)
    for kind, (number, own_version) in table.items()
    for layout in (_layout(kind, own_version),)
    for version in range(MIN_VERSION, MAX_VERSION + 1)
    for items in (at_version(layout, version),)
}
_REQUEST_KINDS: Final = {number: kind for kind, (number, _) in REQUESTS.items()}
_RESPONSE_KINDS: Final = {number: kind for kind, (number, _) in RESPONSES.items()}


def decode_request(fields: Sequence[str], version: int) -> m.Message:
    """Read what a client sent. Raises: RemoteProtocolError and its two shapes."""
    return _decode(fields, version, _REQUEST_KINDS)


def decode_response(fields: Sequence[str], version: int) -> m.Message:
    """Read what a gateway sent. Raises as `decode_request`."""
    return _decode(fields, version, _RESPONSE_KINDS)


def encode(message: m.Message, version: int) -> tuple[str, ...]:
    """The fields of a request or response, its number first."""
    form = FORMS[type(message), version]
    writing = Writing(message)
    for step in form.steps:
        step.write(writing)
    return (str(form.number), *writing.out, *message.leftover)


def _decode(fields: Sequence[str], version: int, kinds: Mapping[int, type[m.Message]]) -> m.Message:
    try:
        number = read_integer(fields[0])
    except (ValueError, IndexError):
        raise RemoteProtocolError(f"{fields[:1]} is no message id") from None
    if number not in kinds:
        raise UnknownMessage(number)
    form = FORMS[kinds[number], version]
    reading = Reading(iter(fields[1:]))
    try:
        for step in form.steps:
            step.read(reading)
    except ValueError as error:
        known = reading.values
        raise UnreadableMessage(
            f"{form.kind.__name__}: {error}",
            message_id=number,
            request_id=known.get("order_id", known.get("req_id")),
        ) from None
    message: m.Message = build(form.kind, reading, leftover=tuple(reading.source))
    return message
