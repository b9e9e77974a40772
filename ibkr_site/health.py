"""Is this process alive, and is the whole ready for orders? Answers for machines, with reasons for people."""

from typing import Any

from django.conf import settings
from django.db import Error
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.freshness import standing
from accounts.models import GatewaySession
from orders.models import Order
from orders.vocabulary import OrderStatus

HINT = f"orders in doubt wait for a person's decision: /admin/orders/order/?status__exact={OrderStatus.IN_DOUBT}"


class HealthOutput(serializers.Serializer[Any]):
    status = serializers.CharField()


class SessionFacts(serializers.Serializer[GatewaySession]):
    """The broker session as its owner last described it."""

    state = serializers.CharField()
    endpoint = serializers.CharField()
    client_id = serializers.IntegerField()
    since = serializers.DateTimeField(source="state_since")
    heard_at = serializers.DateTimeField(allow_null=True)


class ReadinessOutput(HealthOutput):
    database = serializers.CharField()
    session = SessionFacts(allow_null=True)
    in_doubt = serializers.IntegerField(help_text="orders of which it cannot be told whether the broker has them")
    hint = serializers.CharField(required=False, help_text="what a person should do; only while an order is in doubt")


class NotReadyOutput(ReadinessOutput):
    detail = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
    in_doubt = serializers.IntegerField(allow_null=True, help_text="null while the database is away")


@extend_schema(
    operation_id="health_live",
    summary="Alive?",
    tags=["Health"],
    responses={"200": HealthOutput},
    examples=[OpenApiExample("Alive", value={"status": "live"}, response_only=True)],
)
@api_view(["GET"])
def live(request: Request) -> Response:
    """200 as long as the web process answers at all."""
    return Response({"status": "live"})


@extend_schema(
    operation_id="health_ready",
    summary="Ready for orders?",
    tags=["Health"],
    responses={"200": ReadinessOutput, "503": OpenApiResponse(NotReadyOutput, description="Not ready, with reasons")},
    examples=[
        OpenApiExample(
            "Gateway away",
            value={
                "status": "not ready",
                "detail": "broker session: the gateway refused the connection",
                "reasons": ["broker session: the gateway refused the connection"],
                "database": "ok",
                "session": None,
                "in_doubt": 0,
            },
            response_only=True,
            status_codes=["503"],
        )
    ],
)
@api_view(["GET"])
def ready(request: Request) -> Response:
    """200 when an order placed now would be sent; 503 with every reason why not. An order in doubt is none."""
    try:
        found = standing(settings.GATEWAY_NAME)
        in_doubt = Order.objects.filter(status=OrderStatus.IN_DOUBT).count()
    except Error as error:
        reason = f"database: {type(error).__name__}; is PostgreSQL running at DATABASE_URL?"
        return _not_ready(reason, {"database": "away", "session": None, "in_doubt": None})
    session = SessionFacts(found.session).data if found.session else None
    facts = {"database": "ok", "session": session, "in_doubt": in_doubt}
    if in_doubt:
        facts["hint"] = HINT
    if not found.fresh:
        return _not_ready(f"broker session: {found.reason}", facts)
    return Response({"status": "ready", **facts})


def _not_ready(reason: str, facts: dict[str, Any]) -> Response:
    return Response({"status": "not ready", "detail": reason, "reasons": [reason], **facts}, status=503)
