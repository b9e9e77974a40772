"""The messages we speak, one frozen dataclass each, named as IB names them; fields stand in wire order.

Rules: requests come from clients, responses go to them; the two share numbers, so a class and not a number says what
a message is. Ids are ints, prices, quantities and money Decimal, None is "unset". `leftover` holds what a sender put
after the last field we know: the earliest sign of a wrong version, worth a warning whenever it is not empty.
How the order, open order, completed order and contract details lie on the wire is in order_layouts and codec; all other
classes carry their layout in their annotations.

Use:
    connection.receive_data(data)                             # gateway.tws.connection
    for message in iter(connection.next_message, NEED_DATA):
        match message:
            case PlaceOrder(order_id=order_id, contract=contract, order=order): ...
    connection.send(OpenOrder(order_id=1, client_id=7, perm_id=9, contract=contract, order=order, state=state))
    transport.write(connection.data_to_send())
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from gateway.tws import contract_layouts as contracts
from gateway.tws.fields import (
    FLAG,
    ID,
    INT,
    LONG,
    NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_NUMBER_AS_MAX,
    TEXT,
)
from gateway.tws.layout import Group, Since
from gateway.tws.order import ZERO, Contract, Order, OrderState, TagValue

Flag = Annotated[bool, FLAG]
Id = Annotated[int, ID]
Int = Annotated[int, INT]
Long = Annotated[int, LONG]
Number = Annotated[Decimal, NUMBER]
OptionalNumber = Annotated[Decimal | None, OPTIONAL_NUMBER]
OptionalMoney = Annotated[Decimal | None, OPTIONAL_NUMBER_AS_MAX]
Text = Annotated[str, TEXT]
ReportedContract = Annotated[Contract, contracts.REPORTED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Common to all: the fields that were left over after reading."""

    leftover: tuple[str, ...] = ()


class Request(Message):
    """What a client sends."""

    __slots__ = ()


class Response(Message):
    """What the gateway sends."""

    __slots__ = ()


# Requests: the connection and its settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StartApi(Request):
    client_id: Id
    optional_capabilities: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqIds(Request):
    num_ids: Int = 1  # without effect at the gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqManagedAccounts(Request):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqCurrentTime(Request):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SetServerLogLevel(Request):
    level: Int


# Requests: orders


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder(Request):
    """A new order, or the change of a working one when the id is known."""

    order_id: int
    contract: Contract
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Request):
    order_id: Id
    manual_cancel_order_time: Annotated[str, TEXT, Since(169)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqGlobalCancel(Request):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqOpenOrders(Request):
    """The open orders of the asking client id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqAllOpenOrders(Request):
    """Everybody's open orders, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqAutoOpenOrders(Request):
    auto_bind: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqCompletedOrders(Request):
    api_only: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqExecutions(Request):
    """Zero and empty filter nothing. `time` is the client's text, `side` BUY or SELL."""

    req_id: Id
    client_id: Int = 0
    account: Text = ""
    time: Text = ""
    symbol: Text = ""
    sec_type: Text = ""
    exchange: Text = ""
    side: Text = ""


# Requests: accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqPositions(Request):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPositions(Request):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqPositionsMulti(Request):
    req_id: Id
    account: Text = ""
    model_code: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPositionsMulti(Request):
    req_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqAccountSummary(Request):
    """`tags` is a list with commas."""

    req_id: Id
    group: Text
    tags: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAccountSummary(Request):
    req_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqAccountUpdates(Request):
    subscribe: Flag
    account: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqAccountUpdatesMulti(Request):
    req_id: Id
    account: Text = ""
    model_code: Text = ""
    ledger_and_nlv: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAccountUpdatesMulti(Request):
    req_id: Id


# Requests: contracts and prices


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqContractDetails(Request):
    req_id: Id
    contract: Annotated[Contract, contracts.LOOKED_UP]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqMarketDataType(Request):
    market_data_type: Int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReqMktData(Request):
    req_id: Id
    contract: Annotated[
        Contract,
        (
            *contracts.REQUESTED,
            Group("sec_type", "BAG".__eq__, (contracts.QUOTED_LEGS,)),
            contracts.DELTA_NEUTRAL,
        ),
    ]
    generic_ticks: Text = ""
    snapshot: Flag = False
    regulatory_snapshot: Flag = False
    options: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelMktData(Request):
    req_id: Id


# Responses: the connection and its settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedAccounts(Response):
    accounts: Text  # with commas


@dataclass(frozen=True, slots=True, kw_only=True)
class NextValidId(Response):
    order_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentTime(Response):
    time: Long  # seconds since 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMessage(Response):
    """`req_id` is an order id, a request id, or -1 for what concerns everybody."""

    req_id: Int = -1
    code: Int
    text: Text
    advanced_order_reject_json: Annotated[str, TEXT, Since(166)] = ""


# Responses: orders


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatus(Response):
    order_id: Id
    status: Text
    filled: Number
    remaining: Number
    avg_fill_price: Number = ZERO
    perm_id: Long
    parent_id: Int = 0
    last_fill_price: Number = ZERO
    client_id: Int
    why_held: Text = ""
    mkt_cap_price: Number = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder(Response):
    """An order as the gateway holds it.

    `allocation` is the text real gateways put among the fields: permId.revision/account/100. They also report every
    order with oca_type 3, clearing_intent IB and dont_use_auto_price_for_hedge set; the codec adds none of that.
    """

    order_id: int
    client_id: int
    perm_id: int
    contract: Contract
    order: Order
    state: OrderState
    allocation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrderEnd(Response):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedOrder(Response):
    """Has no order id and no client id: join on `perm_id` or the order's reference."""

    perm_id: int
    contract: Contract
    order: Order
    status: str
    filled_quantity: Decimal | None = None
    parent_perm_id: int = 0
    completed_time: str = ""
    completed_status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedOrdersEnd(Response):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecDetails(Response):
    """One execution. `req_id` is -1 for a fill as it happens; `side` is BOT or SLD; `time` the gateway's text."""

    req_id: Int = -1
    order_id: Int
    contract: ReportedContract
    exec_id: Text
    time: Text
    account: Text
    exchange: Text
    side: Text
    shares: Number
    price: Number
    perm_id: Long
    client_id: Int
    liquidation: Int = 0
    cum_qty: Number
    avg_price: Number
    order_ref: Text = ""
    ev_rule: Text = ""
    ev_multiplier: OptionalNumber = None
    model_code: Text = ""
    last_liquidity: Int = 0
    pending_price_revision: Annotated[bool, FLAG, Since(178)] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecDetailsEnd(Response):
    req_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionReport(Response):
    """`realized_pnl` is None for an opening execution. Joined to its execution by `exec_id` alone."""

    exec_id: Text
    commission: Number
    currency: Text
    realized_pnl: OptionalMoney = None
    yield_: OptionalMoney = None
    yield_redemption_date: Text = ""


# Responses: accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Position(Response):
    account: Text
    contract: ReportedContract
    position: Number
    avg_cost: Number = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionEnd(Response):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMulti(Response):
    req_id: Id
    account: Text
    contract: ReportedContract
    position: Number
    avg_cost: Number = ZERO
    model_code: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMultiEnd(Response):
    req_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary(Response):
    req_id: Id
    account: Text
    tag: Text
    value: Text
    currency: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummaryEnd(Response):
    req_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccountValue(Response):
    key: Text
    value: Text
    currency: Text = ""
    account: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePortfolio(Response):
    contract: Annotated[Contract, contracts.HELD]
    position: Number
    market_price: Number
    market_value: Number
    average_cost: Number
    unrealized_pnl: Number
    realized_pnl: Number
    account: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccountTime(Response):
    time: Text  # hh:mm


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDownloadEnd(Response):
    account: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUpdateMulti(Response):
    req_id: Id
    account: Text
    model_code: Text = ""
    key: Text
    value: Text
    currency: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUpdateMultiEnd(Response):
    req_id: Id


# Responses: contracts and prices


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetails(Response):
    """`contract.last_trade_date_or_contract_month` is the gateway's text and may carry a time."""

    req_id: int
    contract: Contract
    market_name: str = ""
    min_tick: Decimal = Decimal("0.01")
    order_types: str = ""
    valid_exchanges: str = ""
    price_magnifier: int = 1
    under_con_id: int = 0
    long_name: str = ""
    contract_month: str = ""
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    time_zone_id: str = ""
    trading_hours: str = ""
    liquid_hours: str = ""
    ev_rule: str = ""
    ev_multiplier: int | None = None
    sec_ids: tuple[TagValue, ...] = ()
    agg_group: int | None = None
    under_symbol: str = ""
    under_sec_type: str = ""
    market_rule_ids: str = ""
    real_expiration_date: str = ""
    stock_type: str = ""
    min_size: Decimal | None = None
    size_increment: Decimal | None = None
    suggested_size_increment: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetailsEnd(Response):
    req_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class TickPrice(Response):
    """`tick_type` 1 bid, 2 ask, 4 last, 6 high, 7 low, 9 close; `attributes` is a bit mask."""

    req_id: Id
    tick_type: Int
    price: Number
    size: Number = ZERO
    attributes: Int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSize(Response):
    """`tick_type` 0 bid size, 3 ask size, 5 last size, 8 volume."""

    req_id: Id
    tick_type: Int
    size: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSnapshotEnd(Response):
    req_id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDataType(Response):
    req_id: Id
    market_data_type: Int
