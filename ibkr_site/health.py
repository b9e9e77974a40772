"""Is this process alive, and is the whole ready for orders? Answers for machines, with reasons for people."""

import math
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error
from django.db.models import Count
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.diagnosis import ADVICE, CRITICAL_AFTER, Diagnosis, Finding, diagnose
from accounts.freshness import standing
from accounts.halts import stop_file, switch
from accounts.halts.models import Scope
from accounts.models import GatewaySession
from alarms.models import OPEN as ALARMS_OPEN
from alarms.models import UNACKNOWLEDGED, Alarm
from orders.breaks.models import OPEN, Break
from orders.models import Order
from orders.vocabulary import OrderStatus

HINT = f"orders in doubt wait for a person's decision: /admin/orders/order/?status__exact={OrderStatus.IN_DOUBT}"


class HealthOutput(serializers.Serializer[Any]):
    status = serializers.CharField()


class SessionFacts(serializers.Serializer[GatewaySession]):
    """The broker session as its owner last described it."""

    state = serializers.CharField()
    reason = serializers.CharField(help_text="why it is in this state")
    endpoint = serializers.CharField()
    client_id = serializers.IntegerField()
    since = serializers.DateTimeField(source="state_since")
    heard_at = serializers.DateTimeField(allow_null=True)
    away_since = serializers.DateTimeField(
        allow_null=True, help_text="since when no order could be sent; null while one can"
    )


class AlarmFacts(serializers.Serializer[Any]):
    """Alarms that are open. They make nothing not ready: what keeps orders from being sent is a reason of its own."""

    open = serializers.IntegerField()
    unacknowledged = serializers.IntegerField(help_text="of these, nobody has taken note yet")
    kinds = serializers.DictField(child=serializers.IntegerField(), help_text="how many are open, by kind")


class HaltFacts(serializers.Serializer[Any]):
    """A halt that is on."""

    scope = serializers.ChoiceField(Scope.values)
    value = serializers.CharField(help_text="which account, symbol or key; empty: everything")
    reason = serializers.CharField()
    since = serializers.DateTimeField(source="halted_at")


class ReadinessOutput(HealthOutput):
    database = serializers.CharField()
    session = SessionFacts(allow_null=True)
    in_doubt = serializers.IntegerField(help_text="orders of which it cannot be told whether the broker has them")
    breaks = serializers.IntegerField(help_text="differences from the broker's books that are open")
    alarms = AlarmFacts()
    halts = HaltFacts(many=True, help_text="those that are on; the file is a reason of its own")
    hint = serializers.CharField(required=False, help_text="what a person should do; only while an order is in doubt")


class NotReadyOutput(ReadinessOutput):
    problem = serializers.ChoiceField([finding.value for finding in Finding], allow_null=True)
    what_to_do = serializers.CharField(help_text="for a person")
    critical = serializers.BooleanField(help_text=f"away for more than {CRITICAL_AFTER.seconds} s, and not by plan")
    detail = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
    in_doubt = serializers.IntegerField(allow_null=True, help_text="null while the database is away")
    breaks = serializers.IntegerField(allow_null=True, help_text="null while the database is away")
    alarms = AlarmFacts(allow_null=True, help_text="null while the database is away")
    halts = HaltFacts(many=True, allow_null=True, help_text="null while the database is away")


@extend_schema(
    operation_id="health_live",
    summary="Alive?",
    tags=["Health"],
    responses={"200": HealthOutput},
    examples=[OpenApiExample("Alive", value={"status": "live"}, response_only=True)],
    methods=["GET"],
)
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([])  # what watches has no key
def live(request: Request) -> Response:
    """200 as long as the web process answers at all."""
    return Response({"status": "live"})


SAMPLE = {
    "status": "not ready",
    "detail": "broker session: nothing listens on 127.0.0.1:4002",
    "reasons": ["broker session: nothing listens on 127.0.0.1:4002"],
    "problem": "GATEWAY_AWAY",
    "what_to_do": ADVICE[Finding.GATEWAY_AWAY].what_to_do,
    "critical": False,
    "database": "ok",
    "session": {
        "state": "DISCONNECTED",
        "reason": "nothing listens on 127.0.0.1:4002",
        "endpoint": "127.0.0.1:4002",
        "client_id": 17,
        "since": "2024-01-15T14:30:25.123000Z",
        "heard_at": "2024-01-15T14:30:24.001000Z",
        "away_since": "2024-01-15T14:30:25.123000Z",
    },
    "in_doubt": 0,
    "breaks": 0,
    "alarms": {"open": 1, "unacknowledged": 1, "kinds": {"DISCONNECTED": 1}},
    "halts": [],
}


@extend_schema(
    operation_id="health_ready",
    summary="Ready for orders?",
    tags=["Health"],
    responses={"200": ReadinessOutput, "503": OpenApiResponse(NotReadyOutput, description="Not ready, with reasons")},
    examples=[OpenApiExample("Gateway away", value=SAMPLE, response_only=True, status_codes=["503"])],
    methods=["GET"],
)
@api_view(["GET", "HEAD"])
@authentication_classes([])
@permission_classes([])  # what watches has no key
def ready(request: Request) -> Response:
    """200 when an order placed now would be sent; 503 with every reason why not. An order in doubt is none."""
    try:
        found = standing(settings.GATEWAY_NAME)
        in_doubt = Order.objects.filter(status=OrderStatus.IN_DOUBT).count()
        breaks = Break.objects.filter(OPEN).count()
        alarms = _alarms()
        halts = list(switch.active())
    except Error as error:
        return _without_database(error)
    session = SessionFacts(found.session).data if found.session else None
    facts = {"database": "ok", "session": session, "in_doubt": in_doubt, "breaks": breaks, "alarms": alarms}
    facts["halts"] = HaltFacts(halts, many=True).data
    if in_doubt:
        facts["hint"] = HINT
    diagnosis = diagnose(found, calendar=settings.GATEWAY_CALENDAR)
    reasons = [f"planned pause: {diagnosis.pause.reason}"] if diagnosis.pause else []
    halted = stop_file.found() or next((halt.words for halt in halts if halt.scope == Scope.ALL), "")
    if halted:
        reasons.append(halted)
    if not found.fresh:
        reasons.append(f"broker session: {found.reason}")
    if not reasons:
        return Response({"status": "ready", **facts})
    return _not_ready(reasons, diagnosis, facts, seconds=_seconds_left(diagnosis, found.at))


def _alarms() -> dict[str, Any]:
    rows = Alarm.objects.filter(ALARMS_OPEN).values_list("kind").order_by("kind")
    counts = list(rows.annotate(Count("pk"), unacknowledged=Count("pk", filter=UNACKNOWLEDGED)))
    return {
        "open": sum(count for _, count, _ in counts),
        "unacknowledged": sum(unacknowledged for _, _, unacknowledged in counts),
        "kinds": {kind: count for kind, count, _ in counts},
    }


def _not_ready(reasons: list[str], diagnosis: Diagnosis, facts: dict[str, Any], *, seconds: int | None) -> Response:
    body = {
        "status": "not ready",
        "detail": "; ".join(reasons),
        "reasons": reasons,
        "problem": diagnosis.finding,
        "what_to_do": diagnosis.what_to_do,
        "critical": diagnosis.critical,
        **facts,
    }
    return Response(body, status=503, headers={"Retry-After": str(seconds)} if seconds is not None else None)


def _seconds_left(diagnosis: Diagnosis, at: datetime) -> int | None:
    return math.ceil((diagnosis.pause.ends - at).total_seconds()) if diagnosis.pause else None


def _without_database(error: Error) -> Response:
    reason = f"database: {type(error).__name__}; is PostgreSQL running at DATABASE_URL?"
    body = {
        "status": "not ready",
        "detail": reason,
        "reasons": [reason],
        "problem": None,
        "what_to_do": "Is PostgreSQL running at DATABASE_URL?",
        "critical": True,
        "database": "away",
        "session": None,
        "in_doubt": None,
        "breaks": None,
        "alarms": None,
        "halts": None,
    }
    return Response(body, status=503)
