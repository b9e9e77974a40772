"""The admin's pages about sessions, accounts and holdings, and about who may log in."""

from typing import ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import alarm_review, groups  # noqa: F401 - Django looks for pages in this module only
from accounts.access import admin as access_admin  # noqa: F401
from accounts.diagnosis import Diagnosis, diagnose
from accounts.display import amount, badge, moment
from accounts.freshness import standing_of
from accounts.history import GatewayStateChange
from accounts.limits import admin as limits_admin  # noqa: F401 - as below
from accounts.models import AccountValue, BrokerAccount, GatewaySession, Position
from accounts.review import AccountFilter, DayFilter, ReviewAdmin, SymbolFilter
from accounts.snapshots import admin as snapshots_admin  # noqa: F401 - as above
from database import clock

admin.site.unregister([User, Group])
# Their pages show secrets and would change a second factor behind `logins.factor`, which records what is done to one.
admin.site.unregister([TOTPDevice, StaticDevice])


@admin.register(User)
class ReviewerAdmin(UserAdmin, ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Who gives rights to others gives none to himself, and none that only a superuser has."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and _is_below(obj, request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_below(obj, request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else (*fields, "is_superuser", "user_permissions")


def _is_below(other: Model | None, user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether that user's rights are for this one to decide; no user in particular: some are."""
    if not isinstance(other, User) or not isinstance(user, User) or user.is_superuser:
        return True
    return not other.is_superuser and other.pk != user.pk


@admin.register(Group)
class ReviewerGroupAdmin(GroupAdmin, ModelAdmin):
    """Our four groups are what `groups.TABLE` says, for looking only; nobody changes a group he is in."""

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and _is_free(obj, request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_free(obj, request.user)


def _is_free(group: Group | None, user: AbstractBaseUser | AnonymousUser) -> bool:
    if group is None or not isinstance(user, User):
        return True
    if group.name in groups.TABLE:
        return False
    return user.is_superuser or not user.groups.filter(pk=group.pk).exists()


@admin.register(GatewaySession)
class GatewaySessionAdmin(ReviewAdmin):
    list_display = ("name", "current_state", "explanation", "since", "heard", "client_id", "endpoint", "epoch")
    readonly_fields = ("current_state", "problem", "explanation", "advice", "since", "heard")
    fieldsets: ClassVar = [
        (None, {"fields": ("name", "current_state", "problem", "explanation", "advice", "since", "heard")}),
        ("Connection", {"fields": ("endpoint", "client_id", "epoch", "connection", "next_order_id", "accounts")}),
        (
            "Answers",
            {
                "fields": (
                    "open_orders_as_of",
                    "open_perm_ids",
                    "executions_as_of",
                )
            },
        ),
    ]

    @admin.display(description="state")
    def current_state(self, session: GatewaySession) -> SafeString:
        return badge(session.state, session.state.replace("_", " ").capitalize())

    @admin.display(description="reason")
    def explanation(self, session: GatewaySession) -> str:
        # The row says what the worker last knew; a worker that died could not write that it did.
        return standing_of(session, now=clock.database_now()).reason or "in order"

    @admin.display(description="what it is")
    def problem(self, session: GatewaySession) -> str:
        return _diagnosis(session).words

    @admin.display(description="what to do")
    def advice(self, session: GatewaySession) -> str:
        return _diagnosis(session).what_to_do

    @admin.display(description="since (UTC)")
    def since(self, session: GatewaySession) -> str:
        return moment(session.state_since)

    @admin.display(description="last heard (UTC)")
    def heard(self, session: GatewaySession) -> str:
        return moment(session.heard_at)


def _diagnosis(session: GatewaySession) -> Diagnosis:
    return diagnose(standing_of(session, now=clock.database_now()), calendar=settings.GATEWAY_CALENDAR)


class ChangedDay(DayFilter):
    column = "at"


@admin.register(GatewayStateChange)
class GatewayStateChangeAdmin(ReviewAdmin):
    """What each session went through, the newest first."""

    list_display = ("moment_of", "session", "current_state", "reason", "cause", "epoch", "connection")
    list_select_related = ("session",)
    list_filter = (ChangedDay,)
    ordering = ("-at", "-pk")
    sortable_by = ("moment_of",)
    fields = ("moment_of", "session", "current_state", "reason", "cause", "epoch", "connection")
    readonly_fields = ("moment_of", "current_state")

    @admin.display(description="at (UTC)", ordering="at")
    def moment_of(self, change: GatewayStateChange) -> str:
        return moment(change.at)

    @admin.display(description="state")
    def current_state(self, change: GatewayStateChange) -> SafeString:
        return badge(change.state, change.state.replace("_", " ").capitalize())


@admin.register(BrokerAccount)
class BrokerAccountAdmin(ReviewAdmin):
    list_display = ("id", "session", "first_seen")
    list_select_related = ("session",)
    fields = ("id", "session", "first_seen")
    readonly_fields = ("first_seen",)
    search_fields = ("id",)

    @admin.display(description="first seen (UTC)")
    def first_seen(self, account: BrokerAccount) -> str:
        return moment(account.first_seen_at)


@admin.register(AccountValue)
class AccountValueAdmin(ReviewAdmin):
    list_display = ("account", "key", "value", "currency", "at")
    list_select_related = ("account",)
    list_filter = (AccountFilter,)
    search_fields = ("key",)
    ordering = ("account", "key", "currency")
    fields = ("account", "key", "value", "currency", "at")
    readonly_fields = ("at",)

    @admin.display(description="as of (UTC)")
    def at(self, value: AccountValue) -> str:
        return moment(value.as_of)


@admin.register(Position)
class PositionAdmin(ReviewAdmin):
    list_display = (
        "account",
        "symbol",
        "security_type",
        "holding",
        "cost",
        "price",
        "worth",
        "currency",
        "at",
    )
    list_select_related = ("account",)
    list_filter = (AccountFilter, SymbolFilter)
    ordering = ("account", "symbol")
    fields = ("account", "symbol", "con_id", "security_type", "holding", "cost", "price", "worth", "currency", "at")
    readonly_fields = ("holding", "cost", "price", "worth", "at")

    @admin.display(description="quantity", ordering="quantity")
    def holding(self, position: Position) -> str:
        return amount(position.quantity)

    @admin.display(description="average cost")
    def cost(self, position: Position) -> str:
        return amount(position.average_cost, places=4)

    @admin.display(description="market price")
    def price(self, position: Position) -> str:
        return amount(position.market_price, places=4)

    @admin.display(description="market value", ordering="market_value")
    def worth(self, position: Position) -> str:
        return amount(position.market_value, places=2)

    @admin.display(description="as of (UTC)")
    def at(self, position: Position) -> str:
        return moment(position.as_of)
