"""The admin's first page: how the broker session stands, and which orders a person must look at."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from unfold.settings import get_config
from unfold.utils import convert_color

from accounts.diagnosis import diagnose
from accounts.display import badge
from accounts.freshness import standing_of
from accounts.halts import stop_file, switch
from accounts.history import GatewayStateChange
from accounts.models import GatewaySession
from alarms.models import OPEN as ALARMS_OPEN
from alarms.models import UNACKNOWLEDGED, Alarm
from audit.models import CheckpointRun, Verification
from database import clock
from ibkr_site import today
from orders import presentation
from orders.breaks.models import OPEN, Break
from orders.models import Order
from orders.vocabulary import FINAL, OrderStatus

SHOWN = 20
LATEST = 10
CHANGES = 5
# What stands in the sidebar: (title, icon, model), in the order in which one reviews.
SECTIONS = {
    "Watch": [("Alarms", "notifications_active", "alarms.alarm"), ("Halts", "pan_tool", "accounts.halt")],
    "Orders": [
        ("Orders", "receipt_long", "orders.order"),
        ("Events", "timeline", "orders.orderevent"),
        ("Executions", "done_all", "orders.execution"),
        ("Requests", "move_to_inbox", "orders.orderrequest"),
        ("Breaks", "difference", "orders.break"),
        ("Reconciliations", "fact_check", "orders.reconciliationrun"),
    ],
    "Statements": [
        ("Flex imports", "upload_file", "orders.fleximport"),
        ("Flex trades", "contract", "orders.flextrade"),
        ("Flex cash", "payments", "orders.flexcash"),
        ("Flex positions", "pie_chart", "orders.flexholding"),
    ],
    "Broker": [
        ("Sessions", "cable", "accounts.gatewaysession"),
        ("Session history", "history", "accounts.gatewaystatechange"),
        ("Accounts", "account_balance", "accounts.brokeraccount"),
        ("Account values", "payments", "accounts.accountvalue"),
        ("Positions", "pie_chart", "accounts.position"),
        ("Snapshots", "show_chart", "accounts.accountsnapshot"),
        ("Limits", "speed", "accounts.limitversion"),
    ],
    "Access": [
        ("Users", "person", "auth.user"),
        ("Groups", "group", "auth.group"),
        ("API keys", "key", "accounts.apikey"),
    ],
}


def at_a_glance(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the first page shows, to those who may see it. Unfold's DASHBOARD_CALLBACK."""
    if request.user.has_perm("alarms.view_alarm"):
        alarms = Alarm.objects.filter(ALARMS_OPEN).order_by("severity", "opened_at")
        context["alarms"] = alarms.filter(UNACKNOWLEDGED)[:SHOWN]
        context["count_alarms"] = alarms.count()
    if request.user.has_perm("accounts.view_halt"):
        context["halts"], context["halt_file"] = switch.active(), stop_file.found()
    if request.user.has_perm("accounts.view_gatewaysession"):
        context["gateway_sessions"] = [_session(row) for row in GatewaySession.objects.order_by("pk")]
        context["next_pause"] = settings.GATEWAY_CALENDAR.following(clock.database_now())
    if request.user.has_perm("orders.view_order"):
        now = clock.database_now()
        context["orders_today"] = today.orders(now)
        context["orders_by_status"] = [
            (word, OrderStatus(word).label, count) for word, count in context["orders_today"].counts.items()
        ]
        if request.user.has_perm("orders.view_execution"):
            context["fills_today"] = today.fills(now)
        # All but the latest orders are read from the small index of orders that are not at rest.
        in_doubt = Order.objects.filter(status=OrderStatus.IN_DOUBT).order_by("-pk")
        context["orders_in_doubt"] = in_doubt[:SHOWN]
        context["count_in_doubt"] = in_doubt.count()
        context["latest_orders"] = presentation.legs(Order.objects.order_by("-pk")[:LATEST])
        context["orders_not_at_rest"] = Order.objects.exclude(status__in=FINAL).count()
        context["verification"] = Verification.objects.filter(scope="").order_by("-ended_at").first()
        context["checkpoint"] = CheckpointRun.objects.first()
    if request.user.has_perm("orders.view_break"):
        breaks = Break.objects.filter(OPEN).order_by("severity", "opened_at")
        context["open_breaks"] = breaks[:SHOWN]
        context["count_breaks"] = breaks.count()
    return context


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, as far as the reader may look. Unfold's SIDEBAR navigation."""
    sections = []
    for title, entries in SECTIONS.items():
        allowed = [entry for entry in entries if _may_view(request, entry[2])]
        items = [{"title": name, "icon": icon, "link": _list_of(model)} for name, icon, model in allowed]
        if items:
            sections.append({"title": title, "separator": True, "items": items})
    return sections


def trading_mode(request: HttpRequest) -> list[str]:
    """Paper or live, and whether trading is halted, on every page. Unfold's ENVIRONMENT."""
    if request.user.is_staff and switch.is_anything_halted():
        return [f"Halted · {settings.TRADING_MODE} trading", "danger"]
    return ["Live trading", "danger"] if settings.TRADING_MODE == "live" else ["Paper trading", "info"]


def colours(request: HttpRequest) -> dict[str, Any]:
    """The theme's colours under a name of ours: where its own template finds none, it writes no style without a nonce.

    Unfold's GLOBAL_CALLBACK.
    """
    palette = get_config()["COLORS"]
    shades = {name: {tone: convert_color(value) for tone, value in tones.items()} for name, tones in palette.items()}
    return {"colors": None, "theme_colors": shades}


def _may_view(request: HttpRequest, model: str) -> bool:
    app, _, name = model.partition(".")
    return bool(request.user.has_perm(f"{app}.view_{name}"))


def _list_of(model: str) -> str:
    return reverse(f"admin:{model.replace('.', '_')}_changelist")


def _session(row: GatewaySession) -> dict[str, Any]:
    standing = standing_of(row, now=clock.database_now())
    stale = not standing.fresh and row.state == "READY"
    return {
        "row": row,
        "state": badge("stale", "Not reporting") if stale else badge(row.state, row.state.replace("_", " ")),
        "diagnosis": diagnose(standing, calendar=settings.GATEWAY_CALENDAR),
        "fresh": standing.fresh,
        "changes": GatewayStateChange.objects.filter(session=row).order_by("-at", "-pk")[:CHANGES],
    }
