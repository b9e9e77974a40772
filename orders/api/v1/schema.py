"""What the OpenAPI schema says of the read API: texts, examples, and the refusals with their codes."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from accounts.schema import ACCESS, AS_OF
from orders.api.v1 import serializers
from orders.api.v1.pages import MAX_LIMIT, TooSlow
from orders.api.v1.serializers import Refusal

Case = tuple[str, str, str, str]  # status, title, detail, code

DATABASE_AWAY: Case = ("503", "Database away", "The database cannot be reached.", "database_away")
LIST_CASES: tuple[Case, ...] = (
    ("400", "Page size", f"limit: This must be a whole number from 1 to {MAX_LIMIT}.", "bad_parameter"),
    ("400", "Unknown parameter", "'statu' is not a parameter here: there are account, …", "unknown_parameter"),
    (
        "400",
        "Cursor",
        "cursor: This is no cursor of this list in the order -received_at: take it from `next` as it is.",
        "bad_cursor",
    ),
    (
        "406",
        "Accept",
        "None of what Accept asks for is offered here: ask for one of application/json, text/csv, application/jsonl.",
        "not_acceptable",
    ),
    ("503", "Too slow", TooSlow.default_detail, "too_slow"),
    DATABASE_AWAY,
)
ACCESS_CODES = {"401": "not_authenticated", "403": "permission_denied", "429": "throttled"}
ACCESS_CASES: tuple[Case, ...] = tuple((*case, ACCESS_CODES[case[0]]) for case in ACCESS)
EXPORT = (
    "As CSV or JSON lines (`format` or `Accept`) the answer is every row, as a stream, without `limit` and `cursor`. "
    "In CSV a text that begins like a formula has an apostrophe before it."
)


def refusals(*cases: Case) -> dict[str, OpenApiResponse]:
    """Responses of a status, with an example for each case."""
    return {
        status: OpenApiResponse(
            Refusal,
            description="; ".join(title for case_status, title, _, _ in cases if case_status == status),
            examples=[
                OpenApiExample(title, value={"detail": detail, "code": code}, response_only=True, status_codes=[status])
                for case_status, title, detail, code in cases
                if case_status == status
            ],
        )
        for status in sorted({case[0] for case in cases})
    }


def described(
    name: str,
    *,
    summary: str,
    description: str,
    row: dict[str, Any],
    list_class: Any,
    detail_class: Any,
    detail: dict[str, Any] | None = None,
    then: str = "It never changes.",
) -> Any:
    """The schema of a list and of one row of it. `detail` is what the page of a row has besides the list's; `then` says
    what it shows of the past.
    """
    one = name.removesuffix("s")
    absent: Case = ("404", f"No such {one}", f"There is no {one} 12.", "not_found")
    later: Case = (
        "404",
        "Not on record then",
        f"{one.capitalize()} 12 was not on record at 2026-01-15T14:30:00+00:00: it is there since …",
        "not_found",
    )
    instant: Case = ("400", "Instant", "as_of: This lies in the future: it is …", "bad_parameter")
    as_of = OpenApiParameter(
        "as_of",
        OpenApiTypes.DATETIME,
        description=f"The {one} as it was known at this instant; 404 if it was not on record then. {then}",
    )
    answers: dict[Any, Any] = {
        (200, "application/json"): list_class(many=True),
        (200, "text/csv"): OpenApiTypes.STR,
        (200, "application/jsonl"): OpenApiTypes.STR,
    }
    listed = extend_schema(
        operation_id=f"list_{name}",
        summary=summary,
        description=f"{description} {EXPORT}",
        tags=["Record"],
        parameters=[AS_OF, _format(name)],
        responses=answers | refusals(*LIST_CASES, *ACCESS_CASES),
        examples=[
            # Of one row: the generator puts it on a page.
            OpenApiExample("A page", value=row, response_only=True, status_codes=["200"], media_type="application/json")
        ],
    )
    retrieved = extend_schema(
        operation_id=f"get_{one}",
        summary=f"One {one}",
        description=f"One row of `/api/v1/{name}`.",
        tags=["Record"],
        parameters=[AS_OF, as_of],
        responses={
            "200": detail_class,
            **refusals(absent, later, instant, *LIST_CASES[1:2], *LIST_CASES[-2:], *ACCESS_CASES),
        },
        examples=[OpenApiExample(f"One {one}", value=detail or row, response_only=True, status_codes=["200"])],
    )
    return extend_schema_view(list=listed, retrieve=retrieved)


def _format(name: str) -> OpenApiParameter:
    return OpenApiParameter(
        "format",
        str,
        enum=["json", "csv", "jsonl"],
        description=f"csv and jsonl: every row, as a file {name}.csv or {name}.jsonl",
    )


ORDER: dict[str, Any] = {
    "id": 12,
    "request": 15,
    "role": "SINGLE",
    "account": "DU1000001",
    "symbol": "AAPL",
    "security_type": "STK",
    "currency": "USD",
    "side": "BUY",
    "order_type": "LIMIT",
    "time_in_force": "DAY",
    "order_ref": "my_trade_001",
    "stamp": "K7Q2M4XWZ3ABC",
    "received_at": "2026-01-15T14:30:24.805112Z",
    "valid_until": "2026-01-15T14:30:34.805112Z",
    "status": "PARTIALLY_FILLED",
    "quantity": "10",
    "limit_price": "230",
    "stop_price": None,
    "filled_quantity": "4",
    "average_price": "229.95",
    "client_id": 17,
    "broker_order_id": 12345,
    "perm_id": 1788680597,
    "broker_status": "Submitted",
    "reason": "",
    "last_sequence": 4,
}
FILL = {
    "exec_id": "0000e0d5.65a5a5a1.01.01",
    "quantity": "4",
    "price": "229.95",
    "occurred_at": "2026-01-15T14:30:25.000000Z",
    "recorded_at": "2026-01-15T14:30:25.310224Z",
}
EVENT: dict[str, Any] = {
    "id": 44,
    "order": 12,
    "sequence": 4,
    "kind": "PARTIAL_FILL",
    "from_status": "NEW",
    "to_status": "PARTIALLY_FILLED",
    "actor": "broker",
    "occurred_at": "2026-01-15T14:30:25.000000Z",
    "recorded_at": "2026-01-15T14:30:25.310224Z",
    "payload": {"exec_id": "0000e0d5.65a5a5a1.01.01", "quantity": "4", "price": "229.95", "perm_id": 1788680597},
    "session": "default/1/1",
    "request_id": "",
}
EXECUTION: dict[str, Any] = {
    "id": 7,
    "account": "DU1000001",
    "exec_id": "0000e0d5.65a5a5a1.01.01",
    "replaces": "",
    "effective": True,
    "order": 12,
    "perm_id": 1788680597,
    "client_id": 17,
    "broker_order_id": 12345,
    "symbol": "AAPL",
    "con_id": 265598,
    "security_type": "STK",
    "currency": "USD",
    "side": "BUY",
    "quantity": "4",
    "price": "229.95",
    "commission": "1",
    "commission_currency": "USD",
    "realized_pnl": None,
    "exchange": "ISLAND",
    "order_ref": "my_trade_001",
    "executed_at": "2026-01-15T14:30:25.000000Z",
    "time_text": "20260115 14:30:25 UTC",
    "source": "trades()",
    "recorded_at": "2026-01-15T14:30:25.310224Z",
}
REQUEST: dict[str, Any] = {
    "id": 15,
    "received_at": "2026-01-15T14:30:24.805112Z",
    "endpoint": "/order/limit",
    "body": '{"symbol": "AAPL", "action": "BUY", "quantity": 10, "limit_price": 230.00}',
    "body_digest": "8f14e45fceea167a5a36dedd4bea2543c0f1b2d3e4f5061728394a5b6c7d8e9f",
    "actor": "api",
    "remote_address": "127.0.0.1",
    "request_id": "5e3d7b1c9a",
    "idempotency_key": None,
    "refusal": "",
    "cancels": None,
    "orders": [12],
    "answers": [
        {
            "answered_at": "2026-01-15T14:30:25.101337Z",
            "status_code": 200,
            "body": {"status": "✅ Limit order sent", "permId": 1788680597},
            "settled": True,
        }
    ],
}
ACCOUNT: dict[str, Any] = {"id": "DU1000001", "gateway": "default", "first_seen_at": "2026-01-12T08:00:00.000000Z"}
VALUE = {
    "key": "NetLiquidation",
    "currency": "USD",
    "value": "201879.04",
    "as_of": "2026-01-15T14:30:20.000000Z",
}
HOLDING = {
    "con_id": 265598,
    "symbol": "AAPL",
    "security_type": "STK",
    "currency": "USD",
    "quantity": "4",
    "average_cost": "229.95",
    "market_price": "230.1",
    "market_value": "920.4",
    "as_of": "2026-01-15T14:30:26.000000Z",
}

SNAPSHOT: dict[str, Any] = {
    "id": 3,
    "account": "DU1000001",
    "due_at": "2026-01-15T14:30:00.000000Z",
    "taken_at": "2026-01-15T14:30:00.412800Z",
    "as_of": "2026-01-15T14:29:59.800000Z",
    "currency": "USD",
    "net_liquidation": "201879.04",
    "total_cash": "200959.24",
    "available_funds": "200000",
    "buying_power": "800000",
    "excess_liquidity": "200000",
    "initial_margin": "459.9",
    "maintenance_margin": "459.9",
    "gross_position_value": "919.8",
    "realized_pnl": "0",
    "unrealized_pnl": "0.6",
    "position_count": 1,
    "position_value": "919.8",
}

BREAK: dict[str, Any] = {
    "id": 2,
    "source": "BROKER",
    "kind": "QUANTITY",
    "account": "DU1000001",
    "symbol": "AAPL",
    "subject": "Filled quantity of order 12",
    "order": 12,
    "execution": None,
    "con_id": 265598,
    "security_type": "STK",
    "expected": "4",
    "actual": "6",
    "gap": "2",
    "severity": "CRITICAL",
    "opened_at": "2026-01-15T15:00:00.310000Z",
    "last_seen_at": "2026-01-15T15:05:00.298000Z",
    "times_seen": 2,
    "closed_at": None,
    "closed_by": "",
    "close_reason": "",
    "gone_at": None,
}
BREAK_EVENT = {
    "sequence": 1,
    "kind": "OPENED",
    "actor": "system",
    "recorded_at": "2026-01-15T15:00:00.310000Z",
    "expected": "4",
    "actual": "6",
    "reason": "",
    "request_id": "",
}

ORDERS = described(
    "orders",
    summary="Orders on record",
    description="Every order, ours and adopted, newest first. With `as_of`, each as it was known at that instant.",
    row=ORDER,
    list_class=serializers.OrderRecord,
    detail_class=serializers.OrderKnown,
    detail={
        "as_of": "2026-01-15T14:30:26.000000Z",
        "order": ORDER,
        "fills": [FILL],
        "later": [
            {
                "sequence": 5,
                "kind": "FILL",
                "to_status": "FILLED",
                "occurred_at": "2026-01-15T14:30:25.000000Z",
                "recorded_at": "2026-01-15T14:31:02.114003Z",
                "late": True,
            }
        ],
    },
    then="State and fills from what was recorded by then.",
)
REQUESTS = described(
    "requests",
    summary="Requests on record",
    description="What clients asked, refused requests too, with what they were told; newest first.",
    row=REQUEST,
    list_class=serializers.RequestRecord,
    detail_class=serializers.RequestRecord,
    then="The answers are those given by then.",
)
EVENTS = described(
    "events",
    summary="Events on record",
    description="What happened to orders, in the order of recording, newest first. One event has the broker's raw "
    "message as well.",
    row=EVENT,
    list_class=serializers.EventRecord,
    detail_class=serializers.EventDetail,
    detail={**EVENT, "raw": ["11", "-1", "12345", "265598", "AAPL", "STK"]},
)
EXECUTIONS = described(
    "executions",
    summary="Executions on record",
    description="Executions as the broker reported them, corrections as rows of their own, newest first. In the order "
    "of `executed_at`, those whose time the broker did not give are left out.",
    row=EXECUTION,
    list_class=serializers.ExecutionRecord,
    detail_class=serializers.ExecutionDetail,
    then="Whether it counts and what it cost from what was recorded by then.",
    detail={**EXECUTION, "raw": ["11", "-1", "12345", "265598", "AAPL", "STK"]},
)
ACCOUNTS = described(
    "accounts",
    summary="Accounts",
    description="The accounts that were ever served. One account has its figures and positions as the broker last "
    "gave them.",
    row=ACCOUNT,
    list_class=serializers.AccountRecord,
    detail_class=serializers.AccountDetail,
    detail={**ACCOUNT, "snapshot": None, "values": [VALUE], "positions": [HOLDING]},
    then="Figures and positions are those of the last snapshot by then; without one they are null, that is not known.",
)
SNAPSHOTS = described(
    "snapshots",
    summary="Snapshots of accounts",
    description="What each account was worth at the moments of the schedule, newest first. One snapshot has what the "
    "account held then. What the broker did not say is null.",
    row=SNAPSHOT,
    list_class=serializers.SnapshotRecord,
    detail_class=serializers.SnapshotDetail,
    detail={**SNAPSHOT, "positions": [{name: HOLDING[name] for name in HOLDING if name != "as_of"}]},
)
BREAKS = described(
    "breaks",
    summary="Breaks",
    description="Where our books and the broker's differ or differed, newest first. One break has its history. "
    "With `as_of`, each as it was known at that instant.",
    row=BREAK,
    list_class=serializers.BreakRecord,
    detail_class=serializers.BreakDetail,
    detail={**BREAK, "events": [BREAK_EVENT]},
    then="State, figures and history from the events recorded by then; what was not kept is null.",
)
