"""The limits on record, and the form that sets the next version. What makes a change valid is `changing`'s to say."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from accounts.display import moment
from accounts.limits import changing, values
from accounts.limits.changing import EVERY, InvalidLimits
from accounts.limits.forms import LimitsForm, initial
from accounts.limits.models import LimitVersion
from accounts.limits.values import LIMITS
from accounts.models import BrokerAccount
from accounts.review import ReviewAdmin

PERMISSION = "accounts.change_limits"
EVERY_OTHER = "Every account without limits of its own"


def _column(name: str, label: str) -> Any:
    @admin.display(description=label)
    def shown(row: LimitVersion) -> str:
        return values.in_words(row.values())[name]

    return shown


COLUMNS = {limit.name: _column(limit.name, limit.label.lower()) for limit in LIMITS}


@admin.register(LimitVersion)
class LimitVersionAdmin(ReviewAdmin):
    """Every version, the newest first."""

    list_display = (
        "whose",
        "version",
        "set_moment",
        "set_by",
        "reason",
        *(COLUMNS[name] for name in ("order_quantity", "order_value", "position", "daily_loss")),
    )
    list_before_template = "limits/accounts.html"
    ordering = ("-set_at", "-pk")
    sortable_by = ()
    search_fields = ("account",)
    readonly_fields = ("whose", "set_moment", *COLUMNS.values())
    fieldsets = (
        (None, {"fields": ("whose", "version", "set_moment", "set_by", "reason")}),
        ("Limits", {"fields": tuple(COLUMNS.values())}),
    )

    @admin.display(description="account")
    def whose(self, row: LimitVersion) -> str:
        return row.account or EVERY_OTHER

    @admin.display(description="set at (UTC)")
    def set_moment(self, row: LimitVersion) -> str:
        return moment(row.set_at)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"limited": _limited()} | (extra_context or {}))

    def get_urls(self) -> list[URLPattern]:
        set_them = self.admin_site.admin_view(self.set_them)
        return [path("set/", set_them, name="accounts_limitversion_set"), *super().get_urls()]

    def set_them(self, request: HttpRequest) -> HttpResponse:
        """The limits of ?account=DU1000001, and for those who may, the form that sets them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        account = request.GET.get("account", EVERY)
        if account and not BrokerAccount.objects.filter(pk=account).exists():
            raise Http404
        form = LimitsForm(initial=initial(changing.in_force(account), account=account))
        if request.method == "POST":
            if not request.user.has_perm(PERMISSION):
                raise PermissionDenied
            form = LimitsForm(request.POST)
            if form.is_valid() and self._saved(request, form, account):
                return redirect(_address(account))
        return self._page(request, form, account)

    def _saved(self, request: HttpRequest, form: LimitsForm, account: str) -> bool:
        try:
            row = form.save(account, by=f"user:{request.user.get_username()}")
        except InvalidLimits as problem:
            form.add_error(problem.field if problem.field in form.fields else None, str(problem))
            return False
        messages.success(request, f"Recorded: version {row.version}. It holds from now on.")
        return True

    def _page(self, request: HttpRequest, form: LimitsForm, account: str) -> HttpResponse:
        limits, may_set = changing.in_force(account), request.user.has_perm(PERMISSION)
        words = values.in_words(limits)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Limits of {account}" if account else "Limits of every other account",
            "opts": self.model._meta,
            "limited": _limited(chosen=account),
            "limits": limits,
            "inherited": bool(limits.version) and limits.account != account,
            "facts": [(limit.label, words[limit.name]) for limit in LIMITS],
            "form": form if may_set else None,
            "media": self.media,
        }
        return TemplateResponse(request, "limits/set.html", context)


def _limited(*, chosen: str | None = None) -> list[dict[str, Any]]:
    """Whose limits there can be, with where they are set."""
    accounts = [EVERY, *BrokerAccount.objects.order_by("pk").values_list("pk", flat=True)]
    return [{"name": name or EVERY_OTHER, "url": _address(name), "chosen": name == chosen} for name in accounts]


def _address(account: str) -> str:
    return f"{reverse('admin:accounts_limitversion_set')}?{urlencode({'account': account})}"
