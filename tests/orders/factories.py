"""Orders for tests, built through intake, journal and reports: no test can hold a state production cannot reach.

order_in("NEW", symbol="MSFT")              the shortest ordinary way there, events, executions, raw messages and all
advance(order, "CANCEL_REQUESTED")          one more event
execute(order, quantity=40, price="149.9")  one more execution, as the broker would report it
with at(yesterday): ...                     the same, on another day
"""

import itertools
import json
from collections import deque
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

from django.utils import timezone

from accounts.models import BrokerAccount, GatewaySession
from database import clock
from database.prepared import Selection
from gateway import dialect
from gateway.reports import CommissionReport, ContractFacts, ExecutionReport, OpenOrderReport, Raw
from gateway.tws import codec
from gateway.tws import messages as tws
from gateway.tws.order import Contract, OrderState
from gateway.tws.order import Order as WireOrder
from orders import events, intake, journal, reports, stamps
from orders.lifecycle import TABLE
from orders.models import Order, OrderRequest
from orders.vocabulary import Actor, EventKind, OrderStatus, OrderType, Role, Side, TimeInForce
from tests.orders.samples import sample

ACCOUNT = "DU1000001"
GATEWAY = "default"
CLIENT_ID = 17
SESSION = f"{GATEWAY}/1/1"
WIRE_VERSION = 176
CON_IDS = {"AAPL": 265598, "MSFT": 272093, "NVDA": 4815747, "IBM": 8314}

# What only an order that was acknowledged meets in ordinary life; the table has rows for the rest as well.
AFTER_ACKNOWLEDGEMENT = frozenset({EventKind.PARTIAL_FILL, EventKind.FILL, EventKind.CANCELED, EventKind.EXPIRED})
ACTORS = {
    EventKind.SENT: Actor.WORKER,
    EventKind.NOT_PLACED: Actor.WORKER,
    EventKind.IN_DOUBT: Actor.WORKER,
    EventKind.STILL_IN_DOUBT: Actor.WORKER,
    EventKind.RESOLVED_PLACED: "user:reviewer",
    EventKind.RESOLVED_NOT_PLACED: "user:reviewer",
    EventKind.RESOLVED_CANCELED: "user:reviewer",
    EventKind.RESOLVED_EXPIRED: "user:reviewer",
    EventKind.CANCEL_SENT: Actor.WORKER,
    EventKind.CANCEL_REQUESTED: Actor.API,
}
_numbers = itertools.count(1)


def at(moment: datetime) -> AbstractContextManager[Any]:
    """Everything inside happens at that time."""
    read = Selection.read
    stack = ExitStack()
    stack.enter_context(
        mock.patch.object(Selection, "read", lambda *a, **kw: [(row, moment) for row, _ in read(*a, **kw)])
    )
    stack.enter_context(mock.patch.object(timezone, "now", return_value=moment))
    stack.enter_context(mock.patch.object(clock, "database_now", return_value=moment))
    return stack


def broker_account(name: str = ACCOUNT) -> BrokerAccount:
    session, _ = GatewaySession.objects.get_or_create(
        name=GATEWAY,
        defaults={
            "client_id": CLIENT_ID,
            "endpoint": "127.0.0.1:4002",
            "state": "READY",
            "state_since": timezone.now(),
            "heard_at": timezone.now(),
            "accounts": [ACCOUNT],
        },
    )
    account, _ = BrokerAccount.objects.get_or_create(pk=name, defaults={"session": session})
    return account


def asked(body: str | dict[str, Any] = "{}", **changes: Any) -> intake.Asked:
    """A request as the views hand it to intake."""
    number = next(_numbers)
    return intake.Asked(
        **{
            "endpoint": "/order/limit",
            "body": body if isinstance(body, str) else json.dumps(body),
            "body_digest": f"{number:064x}",
            "actor": Actor.API,
            "remote_address": "127.0.0.1",
            "request_id": f"request-{number}",
        }
        | changes
    )


def place(
    *,
    account: str = ACCOUNT,
    symbol: str = "AAPL",
    quantity: Decimal | int | str = 10,
    order_ref: str = "",
    legs: list[intake.Leg] | None = None,
    valid_for: timedelta = timedelta(seconds=10),
    request: intake.Asked | None = None,
    **leg: Any,
) -> OrderRequest:
    """A request with its orders, RECEIVED: a limit buy, if nothing else is said."""
    broker_account(account)
    if not legs:
        plain = {"side": Side.BUY, "order_type": OrderType.LIMIT} | leg
        if plain["order_type"] in (OrderType.LIMIT, OrderType.STOP_LIMIT):
            plain = {"limit_price": Decimal("150.25")} | plain
        if plain["order_type"] in (OrderType.STOP, OrderType.STOP_LIMIT):
            plain = {"stop_price": Decimal(145)} | plain
        legs = [intake.Leg(**plain)]
    placement = intake.Placement(
        account=account,
        symbol=symbol,
        quantity=Decimal(quantity),
        order_ref=order_ref,
        legs=legs,
        valid_for=valid_for,
    )
    body = {"symbol": symbol, "action": legs[0].side, "quantity": float(placement.quantity), "order_ref": order_ref}
    return intake.place(request or asked(body), placement)[0].request


def bracket(**terms: Any) -> list[Order]:
    """Entry, stop-loss and take-profit, RECEIVED."""
    legs = [
        intake.Leg(role=Role.ENTRY, side=Side.BUY, order_type=OrderType.LIMIT, limit_price=Decimal(150)),
        intake.Leg(role=Role.STOP_LOSS, side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal(145)),
        intake.Leg(role=Role.TAKE_PROFIT, side=Side.SELL, order_type=OrderType.LIMIT, limit_price=Decimal(160)),
    ]
    request = place(legs=legs, **{"request": asked(endpoint="/order/bracket")} | terms)
    return list(request.orders.order_by("pk"))


def order_in(status: OrderStatus | str, **terms: Any) -> Order:
    """An order in that status; `terms` are those of `place`."""
    if status == OrderStatus.DENIED:
        return _denied(**terms)
    order = place(**terms).orders.get()
    for kind in path_to(OrderStatus(status)):
        order = advance(order, kind)
    assert order.status == status
    return order


def path_to(status: OrderStatus) -> list[EventKind]:
    """The shortest ordinary way from RECEIVED, read off the lifecycle's table."""
    ways: deque[tuple[OrderStatus, list[EventKind]]] = deque([(OrderStatus.RECEIVED, [])])
    seen = {OrderStatus.RECEIVED}
    while ways:
        here, way = ways.popleft()
        if here is status:
            return way
        for (before, kind), after in TABLE.items():
            ordinary = kind not in AFTER_ACKNOWLEDGEMENT or EventKind.ACCEPTED in way
            if before is here and after not in seen and ordinary:
                seen.add(after)
                ways.append((after, [*way, kind]))
    raise AssertionError(f"no way leads to {status}")


def advance(order: Order, kind: EventKind | str, **changes: Any) -> Order:
    """The order after one more event of that kind, with plausible values for what is not given."""
    kind = EventKind(kind)
    if kind in (EventKind.PARTIAL_FILL, EventKind.FILL):
        leaves = order.state().leaves_quantity
        return execute(order, **{"quantity": leaves if kind is EventKind.FILL else leaves / 2} | changes)
    event = sample(kind, **_particulars(order, kind) | changes)
    actor = ACTORS.get(kind, Actor.BROKER)
    raw = _open_order_raw(order, event) if isinstance(event, events.Accepted) else None
    journal.record(order.pk, event, origin=journal.Origin(actor=actor, session=SESSION, raw=raw))
    return Order.objects.get(pk=order.pk)


def execute(
    order: Order,
    *,
    quantity: Decimal | int | str,
    price: Decimal | str | None = None,
    exec_id: str = "",
    live: bool = True,
    commission: Decimal | str | None = "1.00",
) -> Order:
    """The order after the broker reported an execution of it, and its commission unless that is None."""
    exec_id = exec_id or f"0000e0d5.{order.pk:08x}.{order.executions.count() + 1:02}.01"
    price = Decimal(price or order.limit_price or order.stop_price or 150)
    report = _execution_report(order, Decimal(quantity), price, exec_id=exec_id, live=live)
    reports.apply_report(report, session=SESSION, client_id=CLIENT_ID)
    if commission is not None:
        charge(exec_id, commission)
    return Order.objects.get(pk=order.pk)


def charge(exec_id: str, commission: Decimal | str, *, realized_pnl: Decimal | None = None) -> None:
    """Report a commission."""
    wire = tws.CommissionReport(
        exec_id=exec_id, commission=Decimal(commission), currency="USD", realized_pnl=realized_pnl
    )
    report = CommissionReport(
        **_received(wire), exec_id=exec_id, commission=Decimal(commission), currency="USD", realized_pnl=realized_pnl
    )
    reports.apply_report(report, session=SESSION, client_id=CLIENT_ID)


def external_order(*, symbol: str = "AAPL", order_ref: str = "", quantity: Decimal | int = 5, **changes: Any) -> Order:
    """An order typed in TWS, adopted from the broker's listing."""
    broker_account()
    perm_id = 1_900_000_000 + next(_numbers)
    fields: dict[str, Any] = {
        "order_id": 0,
        "client_id": 0,
        "perm_id": perm_id,
        "parent_id": 0,
        "account": ACCOUNT,
        "contract": _facts(symbol),
        "side": "SELL",
        "order_type": "LMT",
        "quantity": Decimal(quantity),
        "limit_price": Decimal(170),
        "aux_price": None,
        "trail_stop_price": None,
        "time_in_force": "GTC",
        "order_ref": order_ref,
        "oca_group": "",
        "status": "Submitted",
        "connection": 1,
        "received_at": timezone.now(),
        "raw": ("5", "0", str(_con_id(symbol)), symbol, "STK", "SELL", str(quantity), "LMT", "170.0", str(perm_id)),
    }
    reports.apply_report(OpenOrderReport(**fields | changes), session=SESSION, client_id=CLIENT_ID)
    return Order.objects.get(perm_id=perm_id)


def _denied(
    *, symbol: str = "AAPL", quantity: Decimal | int = 10, order_ref: str = "", reason: str = "account not allowed"
) -> Order:
    request = OrderRequest.objects.create(received_at=timezone.now(), **asdict(asked()))
    terms = {
        "request": request,
        "account": broker_account(),
        "symbol": symbol,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "order_ref": order_ref,
        "stamp": stamps.new_stamp(),
    }
    event = events.Denied(quantity=Decimal(quantity), limit_price=Decimal("150.25"), reason=reason)
    return journal.open_order(terms, event, origin=journal.Origin(actor=Actor.API, request_id=request.request_id))


def _particulars(order: Order, kind: EventKind) -> dict[str, Any]:
    """What must be this order's own in an event."""
    perm_id = order.perm_id or 1_788_000_000 + order.pk
    match kind:
        case EventKind.SENT:
            return {"client_id": CLIENT_ID, "broker_order_id": order.pk, "stamp": order.stamp}
        case EventKind.ACCEPTED:
            return {"perm_id": perm_id}
        case EventKind.RESTATED:
            return {"limit_price": order.limit_price, "stop_price": order.stop_price, "quantity": order.quantity + 1}
        case _:
            return {}


def _con_id(symbol: str) -> int:
    return CON_IDS.get(symbol, 1)


def _facts(symbol: str) -> ContractFacts:
    return ContractFacts(con_id=_con_id(symbol), symbol=symbol, security_type="STK", currency="USD", exchange="SMART")


def _contract(order: Order) -> Contract:
    return Contract(con_id=_con_id(order.symbol), symbol=order.symbol, sec_type="STK", exchange="SMART", currency="USD")


def _received(message: tws.Message) -> dict[str, Any]:
    return {"connection": 1, "received_at": timezone.now(), "raw": codec.encode(message, WIRE_VERSION)}


def _order_ref(order: Order) -> str:
    return stamps.stamped(order.order_ref, order.stamp) if order.stamp else order.order_ref


def _open_order_raw(order: Order, event: events.Accepted) -> Raw:
    wire = WireOrder(
        action=order.side,
        total_quantity=order.quantity,
        order_type=dialect.ib_order_type(order.order_type),
        lmt_price=order.limit_price,
        aux_price=order.stop_price,
        tif=order.time_in_force,
        account=order.account_id,
        order_ref=_order_ref(order),
    )
    message = tws.OpenOrder(
        order_id=order.broker_order_id or 0,
        client_id=CLIENT_ID,
        perm_id=event.perm_id,
        contract=_contract(order),
        order=wire,
        state=OrderState(status=event.broker_status),
    )
    return codec.encode(message, WIRE_VERSION)


def _execution_report(order: Order, quantity: Decimal, price: Decimal, *, exec_id: str, live: bool) -> ExecutionReport:
    now = timezone.now().replace(microsecond=0)
    perm_id = order.perm_id or 1_788_000_000 + order.pk
    cumulative = order.filled_quantity + quantity
    average = (order.filled_notional + quantity * price) / cumulative
    shared: dict[str, Any] = {
        "order_id": order.broker_order_id or 0,
        "exec_id": exec_id,
        "account": order.account_id,
        "exchange": "NASDAQ",
        "price": price,
        "perm_id": perm_id,
        "client_id": order.client_id or 0,
        "order_ref": _order_ref(order),
    }
    wire = tws.ExecDetails(
        **shared,
        contract=_contract(order),
        time=f"{now:%Y%m%d %H:%M:%S} UTC",
        side={"BUY": "BOT", "SELL": "SLD"}[order.side],
        shares=quantity,
        cum_qty=cumulative,
        avg_price=average,
    )
    return ExecutionReport(
        **_received(wire),
        **shared,
        contract=_facts(order.symbol),
        side=order.side,
        quantity=quantity,
        time_text=wire.time,
        executed_at=now,
        cumulative_quantity=cumulative,
        average_price=average,
        live=live,
    )
