"""What the OpenAPI schema says of the order endpoints: the guide's texts and examples, and what we add in headers."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.serializers import Serializer

from accounts import headers
from accounts.schema import ACCESS, AS_OF, NOT_CONNECTED, problems
from orders.api.guide.answers import GONE
from orders.api.guide.serializers import (
    BracketOrderInput,
    BracketPlacedOutput,
    CancelInput,
    CancelledOutput,
    ExecutionsOutput,
    LimitOrderInput,
    MarketOrderInput,
    PendingOrdersOutput,
    PlacedOutput,
    StopOrderInput,
)

Case = tuple[str, str, str]  # status, title, detail

UNKNOWN_OUTCOME = (
    "500",
    "Outcome unknown",
    "The outcome is unknown: our order 12 may have reached the broker, which has not confirmed it yet. Do not send it "
    "again: GET /orders shows it once it is confirmed, and repeating the request with the same Idempotency-Key tells "
    "what became of it.",
)
PAUSED = (
    "503",
    "Planned pause",
    "No orders are sent during the gateway's nightly restart, until Fri 04:50 UTC: try again then. Nothing was placed.",
)
ALL_POSTS: tuple[Case, ...] = (
    ("400", "Not valid JSON", "The body is not valid JSON (line 1, column 2): Expecting property name."),
    ("403", "From a page elsewhere", "This request comes from a page of another origin, which may not use this API."),
    ("409", "Still running", "The first request with this Idempotency-Key is still running; ask again in a moment"),
    ("413", "Too large", "The body is larger than 16384 bytes: send the fields of one order only."),
    ("415", "Not JSON", "Only JSON is read: send it with Content-Type: application/json, in UTF-8."),
    (
        "422",
        "Key used before",
        "This Idempotency-Key was used before with another request; use a new key for a new order",
    ),
    ("503", "Database away", "The database cannot be reached."),
)
POST_HEADERS = [
    OpenApiParameter(
        "Idempotency-Key",
        str,
        OpenApiParameter.HEADER,
        description="1 to 255 printable ASCII characters. The same key with the same body is answered again and never "
        "placed again; without a key, two identical requests are two orders.",
    ),
    OpenApiParameter(
        "X-Order-Id", str, OpenApiParameter.HEADER, response=[200], description="Our order id, or ids by comma"
    ),
    OpenApiParameter(
        "X-Order-State", str, OpenApiParameter.HEADER, response=[200], description="Status of each: NEW, FILLED, …"
    ),
    OpenApiParameter(
        "Idempotent-Replayed", str, OpenApiParameter.HEADER, response=[200], description="true: this is a replay"
    ),
]


def posted(
    name: str,
    *,
    summary: str,
    description: str,
    request: type[Serializer[Any]],
    response: type[Serializer[Any]],
    asks: dict[str, Any],
    answers: dict[str, dict[str, Any]],
    cases: tuple[Case, ...],
) -> Any:
    """The schema of one POST: an example request, example answers by title, and its refusals."""
    examples = [OpenApiExample("Request", value=asks, request_only=True)]
    examples += [
        OpenApiExample(title, value=value, response_only=True, status_codes=["200"]) for title, value in answers.items()
    ]
    return extend_schema(
        operation_id=f"order_{name}",
        summary=summary,
        description=description,
        tags=["Placing and cancelling"],
        parameters=POST_HEADERS,
        request=request,
        responses={"200": OpenApiResponse(response, description="Done"), **problems(*cases, *ALL_POSTS, *ACCESS)},
        examples=examples,
    )


def placing_cases(kind: str, field: str) -> tuple[Case, ...]:
    failed = f"Failed to place {kind} order: "
    return (
        ("400", "Field missing", f"{field}: This field is required."),
        NOT_CONNECTED,
        ("500", "Unknown symbol", f"{failed}Could not qualify contract for symbol: INVALID"),
        ("500", "Refused by the broker", f"{failed}Order rejected - reason:YOUR ORDER IS NOT ACCEPTED."),
        UNKNOWN_OUTCOME,
        PAUSED,
    )


LIMIT = posted(
    "limit",
    summary="Place a limit order",
    description="Buy or sell at a specific price or better. Answers once the broker has acknowledged the order.",
    request=LimitOrderInput,
    response=PlacedOutput,
    asks={"symbol": "AAPL", "action": "BUY", "quantity": 10, "limit_price": 230.00, "order_ref": "my_trade_001"},
    answers={"Placed": {"status": "✅ Limit order sent", "permId": 1788680597}},
    cases=placing_cases("limit", "limit_price"),
)
MARKET = posted(
    "market",
    summary="Place a market order",
    description="Buy or sell at the current market price. While the market is closed the broker queues it.",
    request=MarketOrderInput,
    response=PlacedOutput,
    asks={"symbol": "AAPL", "action": "BUY", "quantity": 10, "order_ref": "market_trade_001"},
    answers={"Placed": {"status": "✅ Market order sent", "permId": 1788680598}},
    cases=placing_cases("market", "quantity"),
)
STOP = posted(
    "stop",
    summary="Place a stop order",
    description="SELL is set off when the price falls to the stop price, BUY when it rises to it.",
    request=StopOrderInput,
    response=PlacedOutput,
    asks={"symbol": "AAPL", "action": "SELL", "quantity": 10, "stop_price": 225.00, "order_ref": "stop_loss_001"},
    answers={"Placed": {"status": "✅ Stop order sent", "permId": 1788680599}},
    cases=placing_cases("stop", "stop_price"),
)
BRACKET = posted(
    "bracket",
    summary="Place a bracket order",
    description="An entry with a stop-loss and a take-profit, all three or none. When the entry fills the exits become "
    "active, and the first of them to fill cancels the other. The exits are DAY orders unless "
    "BRACKET_EXIT_TIME_IN_FORCE says GTC: **a DAY stop-loss ends at the close while the position stays.**",
    request=BracketOrderInput,
    response=BracketPlacedOutput,
    asks={
        "symbol": "AAPL",
        "action": "BUY",
        "quantity": 10,
        "entry_price": 230.00,
        "stop_loss": 225.00,
        "take_profit": 240.00,
        "order_ref": "protected_trade_001",
    },
    answers={"Placed": {"status": "✅ Bracket order sent", "permIds": [1788680600, 1788680601, 1788680602]}},
    cases=(
        ("400", "Prices out of order", "A BUY bracket needs stop_loss < entry_price < take_profit."),
        *placing_cases("bracket", "stop_loss"),
    ),
)
CANCEL = posted(
    "cancel",
    summary="Cancel an order",
    description="Answers once the broker has confirmed it. Cancelling is safe without looking first, and may be "
    "repeated.",
    request=CancelInput,
    response=CancelledOutput,
    asks={"perm_id": 1788680597},
    answers={
        "Cancelled": {"status": "✅ Order 1788680597 cancelled"},
        "Not confirmed yet": {"status": "✅ Order 1788680597 cancelled", "order_status": "PENDINGCANCEL"},
    },
    cases=(
        ("400", "Field missing", "perm_id: This field is required."),
        ("404", "Not there", GONE),
        NOT_CONNECTED,
        (
            "500",
            "Another client's order",
            "Order 1788680597 belongs to API client 3 of the gateway; this service is client 17 and cannot cancel it",
        ),
    ),
)
ORDERS = extend_schema(
    operation_id="orders",
    summary="Pending orders",
    description="All orders of the account that are neither filled nor cancelled, those of other API clients and of "
    "TWS included, as the broker lists them at this moment.",
    tags=["Orders and executions"],
    parameters=[AS_OF],
    responses={"200": PendingOrdersOutput, **problems(NOT_CONNECTED, *ACCESS)},
    examples=[
        OpenApiExample(
            "A limit and a stop order",
            value={
                "orders": [
                    {
                        "orderId": 12345,
                        "permId": 1788680597,
                        "symbol": "AAPL",
                        "action": "BUY",
                        "quantity": 10,
                        "type": "LMT",
                        "trigger": 230.00,
                        "status": "SUBMITTED",
                    },
                    {
                        "orderId": 12346,
                        "permId": 1788680598,
                        "symbol": "TSLA",
                        "action": "SELL",
                        "quantity": 5,
                        "type": "STP",
                        "trigger": 250.00,
                        "status": "PENDINGSUBMIT",
                    },
                ]
            },
            response_only=True,
            status_codes=["200"],
        )
    ],
)
EXECUTIONS = extend_schema(
    operation_id="executions",
    summary="Execution history",
    description="Every fill once, oldest first, from our own ledger: a restart of the gateway loses nothing, and it "
    "answers while the gateway is away. Keys other than symbol, side, qty, price and source are left out where nothing "
    "is known.",
    tags=["Orders and executions"],
    parameters=[
        OpenApiParameter("symbol", str, description="Only this symbol, in any case"),
        AS_OF,
        OpenApiParameter(
            headers.SESSION_STATE,
            str,
            OpenApiParameter.HEADER,
            response=[200],
            description="READY: the ledger is being kept in step with the broker",
        ),
    ],
    responses={
        "200": ExecutionsOutput,
        **problems(("400", "Not a symbol", "symbol: Ensure this field has no more than 40 characters."), *ACCESS),
    },
    examples=[
        OpenApiExample(
            "Two executions",
            value={
                "executions": [
                    {
                        "symbol": "AAPL",
                        "side": "BUY",
                        "qty": 10,
                        "price": 230.50,
                        "time": "20240115 14:30:25",
                        "orderRef": "my_trade_001",
                        "source": "reqExecutions",
                    },
                    {
                        "symbol": "MSFT",
                        "side": "SELL",
                        "qty": 5,
                        "price": 350.20,
                        "orderId": 12345,
                        "orderRef": "strategy_2",
                        "source": "trades()",
                    },
                ]
            },
            response_only=True,
            status_codes=["200"],
        )
    ],
)
