"""The admin's pages about snapshots: the list, one with its positions, and an account's charts over time.

The charts are SVG written by the server: they need no script and no network, and follow the theme's colours.
"""

import math
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import TabularInline

from accounts.display import NOTHING, amount, moment, money
from accounts.models import BrokerAccount
from accounts.review import AccountFilter, DayFilter, ReviewAdmin
from accounts.snapshots import drawing, series
from accounts.snapshots.models import AccountSnapshot, PositionSnapshot, SkippedSnapshot
from database import clock

FIGURES = (
    ("net_liquidation", "net liquidation"),
    ("total_cash", "cash"),
    ("available_funds", "available funds"),
    ("buying_power", "buying power"),
    ("excess_liquidity", "excess liquidity"),
    ("initial_margin", "initial margin"),
    ("maintenance_margin", "maintenance margin"),
    ("gross_position_value", "gross position value"),
    ("position_value", "positions' market value"),
    ("realized_pnl", "realized P&L"),
    ("unrealized_pnl", "unrealized P&L"),
)
CHARTS = (("net_liquidation", "Net liquidation"), ("position_value", "Positions' market value"))
SKIPS_SHOWN = 5
BRIDGED = 2.5  # intervals: one snapshot that was skipped is no gap yet


class TakenDay(DayFilter):
    column = "taken_at"


class HeldThen(TabularInline):
    """The positions of one snapshot."""

    model = PositionSnapshot
    verbose_name_plural = "positions"
    extra = 0
    can_delete = False
    fields = ("symbol", "con_id", "security_type", "holding", "cost", "price", "worth", "currency")
    readonly_fields = ("holding", "cost", "price", "worth")
    ordering = ("symbol", "con_id")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="quantity")
    def holding(self, position: PositionSnapshot) -> str:
        return amount(position.quantity)

    @admin.display(description="average cost")
    def cost(self, position: PositionSnapshot) -> str:
        return amount(position.average_cost, places=4)

    @admin.display(description="market price")
    def price(self, position: PositionSnapshot) -> str:
        return amount(position.market_price, places=4)

    @admin.display(description="market value")
    def worth(self, position: PositionSnapshot) -> str:
        return money(position.market_value)


def _column(name: str, label: str) -> Any:
    @admin.display(description=label)
    def shown(snapshot: AccountSnapshot) -> str:
        return money(getattr(snapshot, name))

    return shown


COLUMNS = {name: _column(name, label) for name, label in FIGURES}


@admin.register(AccountSnapshot)
class AccountSnapshotAdmin(ReviewAdmin):
    """Every snapshot, the newest first."""

    list_display = (
        "taken",
        "account",
        *(COLUMNS[name] for name in ("net_liquidation", "total_cash", "available_funds", "buying_power")),
        *(COLUMNS[name] for name in ("position_value", "realized_pnl", "unrealized_pnl")),
        "currency",
        "position_count",
    )
    list_select_related = ("account",)
    list_filter = (AccountFilter, TakenDay)
    list_before_template = "snapshots/to_charts.html"
    ordering = ("-taken_at",)
    sortable_by = ("taken",)
    inlines = (HeldThen,)
    readonly_fields = ("taken", "said", "for_moment", *COLUMNS.values())
    fieldsets = (
        (None, {"fields": ("account", "taken", "said", "for_moment", "currency", "epoch", "connection")}),
        ("Figures", {"fields": (*COLUMNS.values(), "position_count")}),
    )

    @admin.display(description="taken at (UTC)", ordering="taken_at")
    def taken(self, snapshot: AccountSnapshot) -> str:
        return moment(snapshot.taken_at)

    @admin.display(description="as of (UTC)")
    def said(self, snapshot: AccountSnapshot) -> str:
        return moment(snapshot.as_of)

    @admin.display(description="due at (UTC)")
    def for_moment(self, snapshot: AccountSnapshot) -> str:
        return moment(snapshot.due_at)

    def get_urls(self) -> list[URLPattern]:
        charts = self.admin_site.admin_view(self.charts)
        return [path("charts/", charts, name="accounts_accountsnapshot_charts"), *super().get_urls()]

    def charts(self, request: HttpRequest) -> HttpResponse:
        """An account's charts: ?account=DU1000001&over=week."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        accounts = list(BrokerAccount.objects.order_by("pk").values_list("pk", flat=True))
        account = request.GET.get("account") or (accounts[0] if accounts else "")
        over = request.GET.get("over") or "day"
        if over not in series.RANGES or (accounts and account not in accounts):
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": f"Snapshots of {account}" if account else "Snapshots",
            "opts": self.model._meta,
            "accounts": [_link(name, account=name, over=over, chosen=name == account) for name in accounts],
            "ranges": [_link(name, account=account, over=name, chosen=name == over) for name in series.RANGES],
            "media": self.media,
            **_drawn(account, over=over),
            **_around(account),
        }
        return TemplateResponse(request, "snapshots/charts.html", context)


def _drawn(account: str, *, over: str) -> dict[str, Any]:
    found = series.read(account, over=over, now=clock.database_now())
    charts = [
        (label, _chart(found, name))
        for name, label in CHARTS
        if any(getattr(point, name) is not None for point in found.points)
    ]
    return {"charts": charts, "points": len(found.points), "begins": found.begins, "ends": found.ends}


def _chart(found: series.Series, name: str) -> drawing.Drawing:
    samples = [drawing.Sample(point.piece, point.at, getattr(point, name)) for point in found.points]
    piece = (found.ends - found.begins).total_seconds() / series.POINTS
    bridge = max(2, math.ceil(BRIDGED * settings.SNAPSHOT_SECONDS / piece))
    return drawing.draw(samples, begins=found.begins, ends=found.ends, bridge=bridge)


def _around(account: str) -> dict[str, Any]:
    """What stands beside the charts: the latest snapshot, and what was skipped last."""
    latest = AccountSnapshot.objects.filter(account=account).order_by("-taken_at").first()
    figures = [(label, money(getattr(latest, name))) for name, label in FIGURES] if latest else []
    held = latest.positions.order_by("symbol", "con_id") if latest else PositionSnapshot.objects.none()
    skipped = SkippedSnapshot.objects.filter(session__broker_accounts=account).order_by("-due_at")[:SKIPS_SHOWN]
    return {"latest": latest, "figures": figures, "held": held, "skipped": skipped, "nothing": NOTHING}


def _link(name: str, *, account: str, over: str, chosen: bool) -> dict[str, Any]:
    query = urlencode({"account": account, "over": over})
    return {"name": name, "url": f"{reverse('admin:accounts_accountsnapshot_charts')}?{query}", "chosen": chosen}


@admin.register(SkippedSnapshot)
class SkippedSnapshotAdmin(ReviewAdmin):
    """Snapshots that could not be taken when they were due."""

    list_display = ("due", "session", "reason")
    list_select_related = ("session",)
    ordering = ("-due_at",)
    sortable_by = ("due",)
    fields = ("due", "session", "reason")
    readonly_fields = ("due",)

    @admin.display(description="due at (UTC)", ordering="due_at")
    def due(self, skipped: SkippedSnapshot) -> str:
        return moment(skipped.due_at)
