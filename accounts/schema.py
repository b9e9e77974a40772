"""What the OpenAPI schema says of the account endpoints."""

from collections.abc import Sequence

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from accounts import headers
from accounts.serializers import AccountOutput, PositionsOutput, Problem

NOT_CONNECTED = ("500", "Gateway away", "Failed to connect to IB Gateway")
# Of every endpoint that an API key may be needed for.
ACCESS = (
    ("401", "No API key", "An API key is needed: send it as Authorization: Bearer ibk_…."),
    ("403", "Not with this key", "This API key does not have the scope read: use one that has."),
    ("429", "Too many", "Too many requests with this API key: try again in 1 s. Nothing was done."),
)
AS_OF = OpenApiParameter(
    headers.AS_OF, str, OpenApiParameter.HEADER, response=[200], description="The time whose state this answer shows"
)


def problems(*cases: tuple[str, str, str]) -> dict[str, OpenApiResponse]:
    """Responses of a status, with an example for each (status, title, detail)."""
    return {
        status: OpenApiResponse(
            Problem,
            description="; ".join(title for _, title, _ in _of(status, cases)),
            examples=[
                OpenApiExample(title, value={"detail": detail}, response_only=True, status_codes=[status])
                for _, title, detail in _of(status, cases)
            ],
        )
        for status in sorted({status for status, _, _ in cases})
    }


def _of(status: str, cases: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [case for case in cases if case[0] == status]


ACCOUNT = extend_schema(
    operation_id="account",
    summary="Balance and available cash",
    description="In the account's base currency. Answers only while the gateway is connected and heard of: a stale "
    "figure is never shown as a fresh one.",
    tags=["Account"],
    parameters=[AS_OF],
    responses={"200": AccountOutput, **problems(NOT_CONNECTED, *ACCESS)},
    examples=[
        OpenApiExample(
            "Account", value={"balance": 201879.04, "cash": 200000.0}, response_only=True, status_codes=["200"]
        )
    ],
)
POSITIONS = extend_schema(
    operation_id="positions",
    summary="Open positions",
    description="All security types; `qty` is negative for a short position. `market_value` is qty × avg_cost.",
    tags=["Account"],
    parameters=[AS_OF],
    responses={"200": PositionsOutput, **problems(NOT_CONNECTED, *ACCESS)},
    examples=[
        OpenApiExample(
            "A long and a short position",
            value={
                "positions": [
                    {"symbol": "AAPL", "qty": 10, "avg_cost": 230.50, "market_value": 2305.00},
                    {"symbol": "MSFT", "qty": -5, "avg_cost": 350.20, "market_value": -1751.00},
                ]
            },
            response_only=True,
            status_codes=["200"],
        )
    ],
)
