"""The executions of an account as the API guide reads them: one list from four sources, each fill once.

Precedence
1. and 2. Executions the broker reported, asked for (reqExecutions) or live (trades()); a correction replaces.
3. Orders it lists as filled, of which no execution can be had any more (reqCompletedOrders), at their limit. One
   without a limit is left out: no price is better than a wrong one.
4. Holdings that nothing above explains (positions()), at their average cost. Inferred here, and stored nowhere.

The answer is the whole ledger, so executions are read as plain tuples, in their order, and made into nothing else.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull

from accounts.access.callers import Caller, account_for
from accounts.access.models import Scope
from accounts.freshness import NoAccountYet, standing
from accounts.models import GatewaySession, Position
from gateway import dialect
from gateway.reports import SessionState
from orders import stamps
from orders.models import UNSEEN_FILLS, Execution, Order, OrderEvent
from orders.vocabulary import ExecutionSource, Side

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One row of GET /executions; None where nothing is known."""

    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    source: str  # one of ExecutionSource
    time: str | None = None
    order_id: int | None = None
    order_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """`session_state` tells whether the list is being kept in step; `as_of` until when it was."""

    executions: list[Entry]
    session_state: str
    as_of: datetime


def read(caller: Caller, symbol: str = "") -> Ledger:
    """The ledger of the caller's account, connected or not; empty before the first connection.

    Raises: NoAccount, NotGranted.
    """
    found = standing(settings.GATEWAY_NAME)
    session = found.session
    if session is None:
        return Ledger(executions=[], session_state=SessionState.DISCONNECTED.value, as_of=found.at)
    # A worker that died could not say so: what it wrote last is not what is.
    stale = session.state == SessionState.READY and not found.fresh
    state = SessionState.DISCONNECTED.value if stale else session.state
    as_of = session.heard_at or session.state_since
    try:
        account = account_for(caller, Scope.READ, session=session, configured=settings.IB_ACCOUNT)
    except NoAccountYet:
        return Ledger(executions=[], session_state=state, as_of=as_of)
    return Ledger(executions=entries(account, session=session, symbol=symbol), session_state=state, as_of=as_of)


class _Executed(NamedTuple):
    """What is read of an execution."""

    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    source: str
    at: datetime
    timed: bool  # `at` is when it was executed, and not when it was recorded
    broker_order_id: int | None
    order_ref: str
    order_id: int | None
    given_ref: str | None
    con_id: int


def entries(account: str, *, session: GatewaySession, symbol: str = "") -> list[Entry]:
    """Everything executed in the account, oldest first; `symbol` matches exactly but for its case."""
    of_symbol = {"symbol": symbol.upper()} if symbol else {}  # as they are stored
    executions = _executions(account, of_symbol)
    completed = _completed(account, session, of_symbol)
    positions = Position.objects.filter(account=account, average_cost__isnull=False, **of_symbol).exclude(quantity=0)
    contracts = {execution.con_id for execution in executions}
    instruments = {(order.symbol, order.security_type) for order in completed}
    unexplained = [
        position
        for position in positions.order_by("symbol", "con_id")
        if position.con_id not in contracts and (position.symbol, position.security_type) not in instruments
    ]
    dated = [(execution.at, _executed(execution)) for execution in executions]
    if completed:
        dated += [(order.received_at, _filled(order)) for order in completed]
        dated.sort(key=_time)
    # What has no time of its own is older than all that was seen to happen.
    return [_held(position) for position in unexplained] + [entry for _, entry in dated]


def _executions(account: str, of_symbol: dict[str, str]) -> list[_Executed]:
    counting = Execution.objects.effective().filter(account=account, **of_symbol)
    dated = counting.annotate(
        at=Coalesce("executed_at", "recorded_at"),
        timed=IsNull(F("executed_at"), False),
        given_ref=F("order__order_ref"),
    )
    return list(map(_Executed._make, dated.order_by("at", "pk").values_list(*_Executed._fields)))


def _completed(account: str, session: GatewaySession, of_symbol: dict[str, str]) -> list[Order]:
    """Orders said to be filled, whose executions were asked for since then and did not come."""
    if session.executions_as_of is None:
        return []
    said_before = OrderEvent.objects.filter(
        order=OuterRef("pk"),
        payload__broker_status=dialect.FILLED_STATUS,
        recorded_at__lt=session.executions_as_of,
    )
    executed = Execution.objects.filter(account=OuterRef("account_id"), perm_id=OuterRef("perm_id"))
    filled = Order.objects.filter(
        UNSEEN_FILLS,
        Exists(said_before),
        ~Exists(executed),
        account=account,
        perm_id__isnull=False,
        **of_symbol,
    )
    orders = list(filled.order_by("pk"))
    priceless = [order.pk for order in orders if order.limit_price is None]
    if priceless:
        log.warning("filled orders with neither executions nor a limit are left out of the ledger: %s", priceless)
    return [order for order in orders if order.limit_price is not None]


def _executed(execution: _Executed) -> Entry:
    # An order of ours has the reference as it was given; what came back over the wire may carry a stamp, and be cut.
    ours = execution.order_id is not None
    reference = execution.given_ref if ours else stamps.split(execution.order_ref)[0]
    return Entry(
        symbol=execution.symbol,
        side=execution.side,
        qty=execution.quantity,
        price=execution.price,
        source=execution.source,
        time=f"{execution.at.astimezone(UTC):%Y%m%d %H:%M:%S}" if execution.timed else None,
        order_id=execution.broker_order_id,
        order_ref=reference or None,
    )


def _filled(order: Order) -> Entry:
    assert order.limit_price is not None  # the others were left out
    return Entry(
        symbol=order.symbol,
        side=order.side,
        qty=order.quantity,
        price=order.limit_price,
        source=ExecutionSource.COMPLETED,
        order_id=order.broker_order_id,
        order_ref=order.order_ref or None,
    )


def _held(position: Position) -> Entry:
    assert position.average_cost is not None  # asked for so
    return Entry(
        symbol=position.symbol,
        side=Side.BUY if position.quantity > 0 else Side.SELL,
        qty=abs(position.quantity),
        price=position.average_cost,
        source=ExecutionSource.POSITION,
    )


def _time(dated: tuple[datetime, Entry]) -> datetime:
    return dated[0]
