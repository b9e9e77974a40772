"""Alarms in the admin: the work list, the page of each, and the form that acknowledges one, for those who may.

For looking only but for that form (see accounts.review). What makes a note valid is the register's to say.
"""

import copy
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, RadioFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.display import badge, moment
from accounts.review import DayFilter, RecordAdmin
from alarms import register
from alarms.models import OPEN, UNACKNOWLEDGED, Alarm
from alarms.notes import InvalidNote
from alarms.vocabulary import MEANINGS, AlarmKind

PERMISSION = "alarms.acknowledge_alarm"
LASTING = "It stays open until the condition is over. Nobody is told again meanwhile."
HAPPENED = "It is over with that. If it happens again, that is a new alarm."
# Where what an alarm is about is shown.
PAGES = {"order": "orders_order", "break": "orders_break", "session": "accounts_gatewaysession"}


class AcknowledgeForm(forms.Form):
    note = forms.CharField(
        label="Note",
        help_text="What you found, or what you do about it. It is recorded with your name and cannot be changed.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )


class StandingFilter(RadioFilter):
    """The work list is what is open; the rest is asked for."""

    title = "standing"
    parameter_name = "standing"
    choices_of: ClassVar[dict[str, Q]] = {"unacknowledged": OPEN & UNACKNOWLEDGED, "over": ~OPEN, "all": Q()}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unacknowledged", "Open, not acknowledged"), ("over", "Over"), ("all", "Open and over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> QuerySet[Alarm]:
        return queryset.filter(self.choices_of.get(self.value() or "", OPEN))


class RaisedDay(DayFilter):
    column = "opened_at"


@admin.register(Alarm)
class AlarmAdmin(RecordAdmin):
    change_form_template = "review/alarm.html"
    list_display = ("severity_now", "kind_now", "subject", "text", "raised", "seen", "standing", "acknowledged_by")
    list_display_links = ("severity_now", "kind_now")
    sortable_by = ()
    list_filter = (StandingFilter, ("kind", ChoicesCheckboxFilter), RaisedDay)
    ordering = ("severity", "opened_at", "pk")

    @admin.display(description="severity")
    def severity_now(self, row: Alarm) -> SafeString:
        return _severity(row)

    @admin.display(description="kind")
    def kind_now(self, row: Alarm) -> str:
        return row.get_kind_display()

    @admin.display(description="raised (UTC)")
    def raised(self, row: Alarm) -> str:
        return moment(row.opened_at)

    @admin.display(description="seen")
    def seen(self, row: Alarm) -> str:
        return "once" if row.times == 1 else f"{row.times:,} times"

    @admin.display(description="standing")
    def standing(self, row: Alarm) -> SafeString:
        return _standing(row)

    def get_urls(self) -> list[URLPattern]:
        acknowledge = self.admin_site.admin_view(self.acknowledge)
        return [path("<int:pk>/acknowledge/", acknowledge, name="alarms_alarm_acknowledge"), *super().get_urls()]

    def acknowledge(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The form, sent. What is wrong with it is shown on the page it came from."""
        alarm = self.get_object(request, str(pk))
        if not self.has_view_permission(request, alarm) or not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        if alarm is None:
            raise Http404
        if request.method != "POST":
            return redirect("admin:alarms_alarm_change", pk)
        form = AcknowledgeForm(request.POST)
        if form.is_valid() and self._acknowledged(request, pk, form):
            return redirect("admin:alarms_alarm_change", pk)
        page = copy.copy(request)  # the alarm's page, which is only looked at, with what was typed
        page.method = "GET"
        return self.change_view(page, str(pk), extra_context={"sent_form": form})

    def _acknowledged(self, request: HttpRequest, pk: int, form: AcknowledgeForm) -> bool:
        actor, request_id = f"user:{request.user.get_username()}", request.headers["X-Request-Id"]
        try:
            register.acknowledge(pk, note=form.cleaned_data["note"], actor=actor, request_id=request_id)
        except InvalidNote as problem:
            form.add_error("note", str(problem))
            return False
        except register.NotToAcknowledge as problem:
            messages.warning(request, str(problem))
        else:
            messages.success(request, "Recorded: you have taken note.")
        return True

    def facts(self, row: Alarm) -> dict[str, Any]:
        lasting = MEANINGS[AlarmKind(row.kind)].lasting
        return {
            "alarm": row,
            "severity": _severity(row),
            "standing": _standing(row),
            "link": _page_of(row),
            "story": row.events.order_by("sequence").prefetch_related("messages"),
            "consequences": LASTING if lasting else HAPPENED,
        }

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None and obj.acknowledged_at is None and request.user.has_perm(PERMISSION):
            context["form"] = context.get("sent_form") or AcknowledgeForm()
        else:
            context["form"] = None
        return super().render_change_form(request, context, obj=obj, **kwargs)


def _severity(row: Alarm) -> SafeString:
    return badge(f"severity-{row.severity}", row.get_severity_display())


def _standing(row: Alarm) -> SafeString:
    if not row.is_open:
        return badge("over", "Over")
    return badge("open", "Open") if row.acknowledged_at is None else badge("acknowledged", "Acknowledged")


def _page_of(row: Alarm) -> str:
    about, _, key = row.subject.partition(":")
    return reverse(f"admin:{PAGES[about]}_change", args=[key]) if about in PAGES and key else ""
