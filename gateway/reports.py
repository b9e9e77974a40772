"""What the broker tells us: one frozen value per message, before anything interprets it.

Every report carries `raw`, the fields of the wire message exactly as received (message id first), so that the trail
can show what was really said. Prices, quantities and money are Decimal; a value the broker left unset (empty,
1.797…E308, 2147483647) is None and never 0. Times are aware UTC; the broker's own text stands beside them.
`status` holds IB's word as sent: ApiPending, PendingSubmit, PreSubmitted, Submitted, PendingCancel, Cancelled,
ApiCancelled, Filled, Inactive.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

Raw = tuple[str, ...]

# Ids of questions start here and ids of orders stay below: an error names one of either by a bare number.
FIRST_REQUEST_ID = 1_000_000_000


class SessionState(StrEnum):
    """Where the one connection to the gateway stands."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    RECOVERING = "RECOVERING"  # connected; asking what happened before anything may be sent
    READY = "READY"
    LINK_DOWN = "LINK_DOWN"  # the gateway lost its link to the broker (1100); the socket still stands


class Cause(StrEnum):
    """Why the session is not READY, as far as a machine can tell; `reason` says it in words."""

    NONE = ""  # nothing is wrong, or it is over soon
    STOPPED = "STOPPED"  # we hung up ourselves
    NOT_LISTENING = "NOT_LISTENING"  # nothing listens at the gateway's address
    UNREACHABLE = "UNREACHABLE"  # not even that can be told
    NOT_ANSWERING = "NOT_ANSWERING"  # it takes connections and says nothing
    CLIENT_ID_TAKEN = "CLIENT_ID_TAKEN"  # error 326
    READ_ONLY = "READ_ONLY"  # error 321 of a gateway whose API may only look
    WRONG_ACCOUNT = "WRONG_ACCOUNT"  # the login serves other accounts than it should
    LINK_DOWN = "LINK_DOWN"  # errors 1100, 2110
    RECOVERY_FAILED = "RECOVERY_FAILED"  # connected, and what happened meanwhile could not be asked
    CONNECTION_LOST = "CONNECTION_LOST"


class Query(StrEnum):
    """The questions that have an end marker."""

    OPEN_ORDERS = "OPEN_ORDERS"  # this client id's
    ALL_OPEN_ORDERS = "ALL_OPEN_ORDERS"  # everybody's, TWS included
    COMPLETED_ORDERS = "COMPLETED_ORDERS"
    EXECUTIONS = "EXECUTIONS"
    POSITIONS = "POSITIONS"
    ACCOUNT = "ACCOUNT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Common to all: which connection it came on (a number that grows with each) and the message itself."""

    connection: int
    received_at: datetime
    raw: Raw = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFacts:
    """The contract as it stands in order, execution and position messages."""

    con_id: int
    symbol: str
    security_type: str
    currency: str
    exchange: str = ""
    local_symbol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrderReport(Report):
    """openOrder (5): the order as the broker holds it. The only report that acknowledges: it carries our stamp."""

    order_id: int
    client_id: int
    perm_id: int
    parent_id: int
    account: str
    contract: ContractFacts
    side: str  # BUY, SELL (IB also: SSHORT)
    order_type: str  # IB's: LMT, MKT, STP, STP LMT, TRAIL, …
    quantity: Decimal
    limit_price: Decimal | None
    aux_price: Decimal | None
    trail_stop_price: Decimal | None
    time_in_force: str
    order_ref: str
    oca_group: str
    status: str
    warning_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatusReport(Report):
    """orderStatus (3). Carries no orderRef: trust it only together with a permId already known."""

    order_id: int
    client_id: int
    perm_id: int
    parent_id: int
    status: str
    filled: Decimal
    remaining: Decimal
    average_fill_price: Decimal | None
    last_fill_price: Decimal | None
    why_held: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedOrderReport(Report):
    """completedOrder (101): carries no order id and no client id; join on perm_id or the stamp."""

    perm_id: int
    parent_perm_id: int
    account: str
    contract: ContractFacts
    side: str
    order_type: str
    quantity: Decimal
    filled: Decimal | None
    limit_price: Decimal | None
    aux_price: Decimal | None
    time_in_force: str
    order_ref: str
    status: str
    completed_time: str  # the broker's text, zone names and all
    completed_status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport(Report):
    """execDetails (11). `live` is false for the answer to a question. `side` is BUY or SELL (IB: BOT, SLD)."""

    exec_id: str
    account: str
    order_id: int
    client_id: int
    perm_id: int
    contract: ContractFacts
    side: str
    quantity: Decimal
    price: Decimal
    time_text: str
    executed_at: datetime | None  # None: the text could not be read; the row is kept all the same
    exchange: str
    cumulative_quantity: Decimal
    average_price: Decimal
    order_ref: str
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionReport(Report):
    """commissionReport (59): joined to its execution by exec_id alone; may come first, late or twice."""

    exec_id: str
    commission: Decimal
    currency: str
    realized_pnl: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport(Report):
    """error (4). `request_id` is an order id, the id of a question (from FIRST_REQUEST_ID up), or -1."""

    request_id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountValueReport(Report):
    """updateAccountValue (6): one figure of one account. `value` stays the broker's text."""

    account: str
    key: str
    value: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioReport(Report):
    """updatePortfolio (7): a holding with its market price and value."""

    account: str
    contract: ContractFacts
    quantity: Decimal
    market_price: Decimal | None
    market_value: Decimal | None
    average_cost: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReport(Report):
    """position (61): a holding with its average cost; quantity 0 means it was closed."""

    account: str
    contract: ContractFacts
    quantity: Decimal
    average_cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerComplete(Report):
    """The end marker of a question has been passed on, after everything that belongs to the answer.

    `started_at` is when the question was asked: the answer is the broker's view of some moment after it.
    `perm_ids` lists the orders of the answer (open and completed orders only); `account` is set for ACCOUNT.
    """

    query: Query
    started_at: datetime
    perm_ids: frozenset[int] = field(default_factory=frozenset)
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged(Report):
    """The session moved to another state. `reason` says why in words fit for a person."""

    state: SessionState
    reason: str
    cause: Cause = Cause.NONE
    server_version: int = 0
    next_order_id: int = 0
    offered_order_id: int = 0  # the id the gateway itself named when this connection was made
    accounts: tuple[str, ...] = ()
    time_zone: str = ""  # the gateway's own, by its IANA name; empty where it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(Report):
    """The broker said something at `received_at`; passed on at most once a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecodable(Report):
    """A message that could not be read; only `raw` knows what it said. It may have been a fill: alarm, then ask.

    The answer that such a message belongs to counts as incomplete: its question fails.
    """

    why: str
