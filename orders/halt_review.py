"""Halts in the admin: the button, the list, and the page of each with the orders that were to be cancelled with it.

For looking only (see accounts.review), but for three forms: halt, resume, and cancel what works, for those who may.
What makes them valid is accounts.halts.switch's to say.
"""

import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, RadioFilter
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts.display import NOTHING, badge, moment
from accounts.halts import stop_file, switch
from accounts.halts.models import ON, Halt, Scope
from accounts.review import DayFilter, RecordAdmin
from alarms.notes import InvalidNote
from orders.models import Order
from orders.recall import recall

MAY_HALT, MAY_RESUME = "accounts.halt", "accounts.resume"


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Reason",
        help_text="It is recorded with your name and cannot be changed.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )


class HaltForm(ReasonForm):
    scope = forms.ChoiceField(label="What", choices=Scope.choices, widget=UnfoldAdminSelectWidget)
    value = forms.CharField(
        label="Which",
        required=False,
        max_length=80,
        help_text="The account, the symbol, or the key's public id. Empty for everything.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    reason = forms.CharField(
        label="Reason",
        help_text="Clients are told it with every order that is refused. It cannot be changed.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    cancel = forms.BooleanField(
        label="Cancel what works at the broker as well",
        help_text="Everything, the stops of open positions too: what is held then has no protection at the broker.",
        required=False,
        widget=UnfoldBooleanWidget,
    )
    field_order = ("scope", "value", "reason", "cancel")


class StandingFilter(RadioFilter):
    """What is on, and what was."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("on", "On"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Halt]) -> QuerySet[Halt]:
        return queryset.filter({"on": ON, "over": ~ON}.get(self.value() or "", Q()))


class HaltedDay(DayFilter):
    column = "halted_at"


@admin.register(Halt)
class HaltAdmin(RecordAdmin):
    change_list_template = "orders/review/halts.html"
    change_form_template = "orders/review/halt.html"
    list_display = ("number", "what_now", "standing", "reason", "halted_by", "since", "until", "ended_by")
    list_select_related = ("resumption",)
    sortable_by = ()
    list_filter = (StandingFilter, ("scope", ChoicesCheckboxFilter), HaltedDay)
    ordering = ("-pk",)

    @admin.display(description="halt")
    def number(self, row: Halt) -> str:
        return f"#{row.pk}"

    @admin.display(description="what")
    def what_now(self, row: Halt) -> str:
        return row.what

    @admin.display(description="standing")
    def standing(self, row: Halt) -> SafeString:
        return _standing(row)

    @admin.display(description="since (UTC)")
    def since(self, row: Halt) -> str:
        return moment(row.halted_at)

    @admin.display(description="until (UTC)")
    def until(self, row: Halt) -> str:
        return moment(row.resumption.resumed_at) if not _is_on(row) else NOTHING

    @admin.display(description="resumed by")
    def ended_by(self, row: Halt) -> str:
        return row.resumption.resumed_by if not _is_on(row) else NOTHING

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("press/", view(self.press), name="accounts_halt_press"),
            path("<int:pk>/resume/", view(self.resume), name="accounts_halt_resume"),
            path("<int:pk>/cancel/", view(self.cancel), name="accounts_halt_cancel"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context: dict[str, Any] = {"halt_file": stop_file.found()}
        if request.user.has_perm(MAY_HALT):
            context["form"] = HaltForm()
        return super().changelist_view(request, context | (extra_context or {}))

    def press(self, request: HttpRequest) -> HttpResponse:
        """Halt. What is wrong with the form is shown above the list."""
        self._require(request, MAY_HALT)
        if request.method != "POST":
            return redirect("admin:accounts_halt_changelist")
        form = HaltForm(request.POST)
        if form.is_valid():
            given, actor, request_id = form.cleaned_data, _actor(request), request.headers["X-Request-Id"]
            try:
                row = switch.halt(
                    Scope(given["scope"]), given["value"], reason=given["reason"], actor=actor, request_id=request_id
                )
            except switch.HaltError as problem:
                form.add_error("value", str(problem))
            except InvalidNote as problem:
                form.add_error("reason", str(problem))
            else:
                orders = recall(row, actor=actor, request_id=request_id) if given["cancel"] else ()
                asked = f" Cancellations asked for: {sum(not order.problem for order in orders)}." if orders else ""
                messages.success(request, f"Halted: {row.what}. Nothing is sent there any more.{asked}")
                return redirect("admin:accounts_halt_change", row.pk)
        page = _as_get(request)
        return self.changelist_view(page, extra_context={"form": form})

    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        """End the halt. What is wrong with the form is shown on the halt's page."""
        self._require(request, MAY_RESUME)
        if request.method != "POST":
            return redirect("admin:accounts_halt_change", pk)
        form = ReasonForm(request.POST)
        if form.is_valid():
            reason, request_id = form.cleaned_data["reason"], request.headers["X-Request-Id"]
            try:
                switch.resume(pk, reason=reason, actor=_actor(request), request_id=request_id)
            except InvalidNote as problem:
                form.add_error("reason", str(problem))
            except switch.HaltError as problem:
                messages.warning(request, str(problem))
                return redirect("admin:accounts_halt_change", pk)
            else:
                messages.success(request, "Resumed: orders are sent there again, unless another halt is on.")
                return redirect("admin:accounts_halt_change", pk)
        return self.change_view(_as_get(request), str(pk), extra_context={"sent_form": form})

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the cancellation of what works within the halt."""
        self._require(request, MAY_HALT)
        row = Halt.objects.filter(ON, pk=pk).first()
        if row is None:
            raise Http404
        if request.method == "POST":
            orders = recall(row, actor=_actor(request), request_id=request.headers["X-Request-Id"])
            messages.success(request, f"Looked at {len(orders)} orders: what came of each stands below.")
        return redirect("admin:accounts_halt_change", pk)

    def _require(self, request: HttpRequest, permission: str) -> None:
        if not self.has_view_permission(request) or not request.user.has_perm(permission):
            raise PermissionDenied

    def facts(self, row: Halt) -> dict[str, Any]:
        asked = list(row.orders.order_by("order"))
        orders = Order.objects.in_bulk([each.order for each in asked])
        return {
            "halt": row,
            "on": _is_on(row),
            "standing": _standing(row),
            "recalled": [{"asked": each, "order": orders.get(each.order)} for each in asked],
        }

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        on = obj is not None and _is_on(obj)
        may_resume = on and request.user.has_perm(MAY_RESUME)
        context["form"] = (context.get("sent_form") or ReasonForm()) if may_resume else None
        context["may_cancel"] = on and request.user.has_perm(MAY_HALT)
        return super().render_change_form(request, context, obj=obj, **kwargs)


def _is_on(row: Halt) -> bool:
    return not hasattr(row, "resumption")


def _standing(row: Halt) -> SafeString:
    return badge("halted", "On") if _is_on(row) else badge("over", "Over")


def _actor(request: HttpRequest) -> str:
    return f"{switch.PERSON}{request.user.get_username()}"


def _as_get(request: HttpRequest) -> HttpRequest:
    """The page that a form was sent from, which is only looked at."""
    page = copy.copy(request)
    page.method = "GET"
    return page
