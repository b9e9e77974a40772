"""Requests, placements and broker reports with plain values; tests vary what they care about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from django.utils import timezone

from accounts.models import BrokerAccount, GatewaySession
from gateway.reports import (
    CompletedOrderReport,
    ContractFacts,
    ErrorReport,
    ExecutionReport,
    OpenOrderReport,
    OrderStatusReport,
)
from orders import intake, stamps
from orders.models import Order
from orders.vocabulary import OrderType, Role, Side

ACCOUNT = "DU1000001"
CLIENT_ID = 17
GATEWAY = "default"
NOW = datetime(2026, 1, 15, 14, 30, tzinfo=UTC)
AAPL = ContractFacts(con_id=265598, symbol="AAPL", security_type="STK", currency="USD")

_numbers = count(1)


def session_row(**changes) -> GatewaySession:
    values = {"client_id": CLIENT_ID, "endpoint": "127.0.0.1:4002", "state": "READY", "state_since": NOW, "epoch": 1}
    values["accounts"] = [ACCOUNT]
    now = {"heard_at": timezone.now()}
    row, _ = GatewaySession.objects.update_or_create(pk=GATEWAY, defaults=values | now | changes)
    BrokerAccount.objects.get_or_create(pk=ACCOUNT, defaults={"session": row})
    return row


def asked(**changes) -> intake.Asked:
    values = {
        "endpoint": "/order/limit",
        "body": "{}",
        "body_digest": "0" * 64,
        "actor": "api",
        "remote_address": "127.0.0.1",
        "request_id": f"request-{next(_numbers)}",
    }
    return intake.Asked(**values | changes)


LIMIT = intake.Leg(side=Side.BUY, order_type=OrderType.LIMIT, limit_price=Decimal("230"))
BRACKET = (
    intake.Leg(role=Role.ENTRY, side=Side.BUY, order_type=OrderType.LIMIT, limit_price=Decimal("230")),
    intake.Leg(role=Role.STOP_LOSS, side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal("225")),
    intake.Leg(role=Role.TAKE_PROFIT, side=Side.SELL, order_type=OrderType.LIMIT, limit_price=Decimal("240")),
)


def placement(*legs: intake.Leg, **changes) -> intake.Placement:
    values = {
        "account": ACCOUNT,
        "symbol": "AAPL",
        "quantity": Decimal(10),
        "order_ref": "my_trade_001",
        "legs": legs or (LIMIT,),
        "valid_for": timedelta(seconds=10),
    }
    return intake.Placement(**values | changes)


def placed(*legs: intake.Leg, **changes) -> list[Order]:
    """Orders just received, in the order of their legs."""
    session_row()
    request = intake.place(asked(), placement(*legs, **changes))[0].request
    return list(request.orders.order_by("pk"))


def open_order(order: Order | None = None, **changes) -> OpenOrderReport:
    values = {
        "order_id": order.broker_order_id or 5 if order else 5,
        "client_id": CLIENT_ID,
        "perm_id": 1788680597,
        "parent_id": 0,
        "account": ACCOUNT,
        "contract": AAPL,
        "side": order.side if order else "BUY",
        "order_type": {"LIMIT": "LMT", "STOP": "STP", "MARKET": "MKT"}[order.order_type] if order else "LMT",
        "quantity": order.quantity if order else Decimal(10),
        "limit_price": order.limit_price if order else Decimal("230"),
        "aux_price": order.stop_price if order else Decimal(0),
        "trail_stop_price": None,
        "time_in_force": "DAY",
        "order_ref": stamps.stamped(order.order_ref, order.stamp) if order and order.stamp else "",
        "oca_group": "",
        "status": "Submitted",
    }
    return OpenOrderReport(connection=1, received_at=NOW, raw=("5", "openOrder"), **values | changes)


def order_status(perm_id: int, status: str, **changes) -> OrderStatusReport:
    values = {
        "order_id": 5,
        "client_id": CLIENT_ID,
        "perm_id": perm_id,
        "parent_id": 0,
        "status": status,
        "filled": Decimal(0),
        "remaining": Decimal(10),
        "average_fill_price": None,
        "last_fill_price": None,
        "why_held": "",
    }
    return OrderStatusReport(connection=1, received_at=NOW, raw=("3", status), **values | changes)


def completed_order(order: Order | None = None, **changes) -> CompletedOrderReport:
    values = {
        "perm_id": 1788680597,
        "parent_perm_id": 0,
        "account": ACCOUNT,
        "contract": AAPL,
        "side": "BUY",
        "order_type": "LMT",
        "quantity": Decimal(10),
        "filled": Decimal(0),
        "limit_price": Decimal("230"),
        "aux_price": Decimal(0),
        "time_in_force": "DAY",
        "order_ref": stamps.stamped(order.order_ref, order.stamp) if order and order.stamp else "",
        "status": "Cancelled",
        "completed_time": "20260115 14:31:00 UTC",
        "completed_status": "Cancelled by Trader",
    }
    return CompletedOrderReport(connection=1, received_at=NOW, raw=("101",), **values | changes)


def execution(order: Order | None = None, **changes) -> ExecutionReport:
    values = {
        "exec_id": f"0000e0d5.{next(_numbers):08x}.01.01",
        "account": ACCOUNT,
        "order_id": 5,
        "client_id": CLIENT_ID,
        "perm_id": 1788680597,
        "contract": AAPL,
        "side": "BUY",
        "quantity": Decimal(10),
        "price": Decimal("229.95"),
        "time_text": "20260115 14:30:25 UTC",
        "executed_at": NOW,
        "exchange": "ISLAND",
        "cumulative_quantity": Decimal(10),
        "average_price": Decimal("229.95"),
        "order_ref": stamps.stamped(order.order_ref, order.stamp) if order and order.stamp else "",
        "live": True,
    }
    return ExecutionReport(connection=1, received_at=NOW, raw=("11",), **values | changes)


def error(order_id: int, code: int, text: str = "the broker's words") -> ErrorReport:
    return ErrorReport(connection=1, received_at=NOW, raw=("4",), request_id=order_id, code=code, text=text)
