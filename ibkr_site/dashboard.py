"""The admin's first page: how the broker session stands, and which orders a person must look at."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from accounts.display import badge
from accounts.freshness import standing_of
from accounts.models import GatewaySession
from orders.models import Order
from orders.vocabulary import FINAL, OrderStatus

SHOWN = 20


def at_a_glance(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the first page shows, to those who may see it. Unfold's DASHBOARD_CALLBACK."""
    if request.user.has_perm("accounts.view_gatewaysession"):
        context["gateway_sessions"] = [_session(row) for row in GatewaySession.objects.order_by("pk")]
    if request.user.has_perm("orders.view_order"):
        # Both read the index of orders that are not at rest.
        context["orders_in_doubt"] = Order.objects.filter(status=OrderStatus.IN_DOUBT).order_by("-pk")[:SHOWN]
        context["orders_not_at_rest"] = Order.objects.exclude(status__in=FINAL).count()
    return context


def trading_mode(request: HttpRequest) -> list[str]:
    """Paper or live, on every page. Unfold's ENVIRONMENT."""
    return ["Live trading", "danger"] if settings.TRADING_MODE == "live" else ["Paper trading", "info"]


def _session(row: GatewaySession) -> dict[str, Any]:
    standing = standing_of(row, now=timezone.now())
    stale = not standing.fresh and row.state == "READY"
    return {
        "row": row,
        "state": badge("stale", "Not reporting") if stale else badge(row.state, row.state.replace("_", " ")),
        "reason": standing.reason,
    }
