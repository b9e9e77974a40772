"""Breaks as a work list, the page of each with what to do about it, and the runs that found them.

For looking only (see accounts.review), but for the forms that close a break, for those who may. What makes a decision
valid is `closing`'s to say.
"""

import copy
from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesRadioFilter, RadioFilter

from accounts.display import NOTHING, badge, moment
from accounts.review import AccountFilter, DayFilter, RecordAdmin, ReviewAdmin, SymbolFilter
from orders import presentation
from orders.breaks.forms import ADVICE, FORMS, ClosingForm, ways_to_close
from orders.breaks.models import LIVE, OPEN, Break, BreakEvent, ReconciliationRun
from orders.breaks.vocabulary import BreakKind, RunOutcome, Severity
from orders.errors import BreakNotOpen, InvalidDecision

PERMISSION = "orders.close_break"


class StandingFilter(RadioFilter):
    """The work list is what is open; the rest is asked for."""

    title = "standing"
    parameter_name = "standing"
    choices_of: ClassVar[dict[str, Q]] = {
        "closed": ~OPEN,
        "there": ~OPEN & LIVE,
        "all": Q(),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("closed", "Closed"), ("there", "Closed by a person, still different"), ("all", "Open and closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Break]) -> QuerySet[Break]:
        return queryset.filter(self.choices_of.get(self.value() or "", OPEN))


class OpenedDay(DayFilter):
    column = "opened_at"


@admin.register(Break)
class BreakAdmin(RecordAdmin):
    change_form_template = "orders/review/break.html"
    list_display = (
        "severity_now",
        "kind_now",
        "subject",
        "symbol",
        "account",
        "expected",
        "actual",
        "about",
        "age",
        "seen",
        "against",
        "standing",
    )
    list_display_links = ("severity_now", "kind_now")
    list_select_related = ("order", "execution")
    sortable_by = ()
    list_filter = (
        StandingFilter,
        ("kind", ChoicesCheckboxFilter),
        ("severity", ChoicesRadioFilter),
        ("source", ChoicesRadioFilter),
        AccountFilter,
        SymbolFilter,
        OpenedDay,
    )
    search_fields = ("subject",)
    search_help_text = "id, permId, execution id or stamp"
    ordering = ("severity", "opened_at", "pk")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Break], search_term: str
    ) -> tuple[QuerySet[Break], bool]:
        term = search_term.strip()
        found = Q(subject__icontains=term) | Q(key__icontains=term)
        if term.isascii() and term.isdecimal():
            found |= Q(pk=term)
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description="severity")
    def severity_now(self, row: Break) -> SafeString:
        return severity_badge(row)

    @admin.display(description="kind")
    def kind_now(self, row: Break) -> str:
        return row.get_kind_display()

    @admin.display(description="about")
    def about(self, row: Break) -> SafeString | str:
        return _about(row)

    @admin.display(description="age")
    def age(self, row: Break) -> str:
        return _age(row)

    @admin.display(description="seen")
    def seen(self, row: Break) -> str:
        return "once" if row.times_seen == 1 else f"{row.times_seen:,} times"

    @admin.display(description="against")
    def against(self, row: Break) -> str:
        return row.get_source_display()

    @admin.display(description="standing")
    def standing(self, row: Break) -> SafeString:
        return standing_badge(row)

    def facts(self, row: Break) -> dict[str, Any]:
        return {
            "break": row,
            "severity": severity_badge(row),
            "standing": standing_badge(row),
            "about": _about(row),
            "age": _age(row),
            "advice": ADVICE[BreakKind(row.kind)],
            "story": _story(row),
        }

    # Closing

    def get_urls(self) -> list[URLPattern]:
        close = self.admin_site.admin_view(self.close)
        return [path("<int:pk>/close/<str:way>/", close, name="orders_break_close"), *super().get_urls()]

    def close(self, request: HttpRequest, pk: int, way: str) -> HttpResponse:
        """One of the forms, sent. What is wrong with it is shown on the page it came from."""
        row = self.get_object(request, str(pk))
        if not self.has_view_permission(request, row) or not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        if row is None or way not in FORMS:
            raise Http404
        if request.method != "POST":
            return redirect("admin:orders_break_change", pk)
        if row.is_open and way not in ways_to_close(row):
            messages.warning(request, "Nothing was changed: what this break needs is another decision by now.")
            return redirect("admin:orders_break_change", pk)
        form = FORMS[way](request.POST, auto_id=f"{way}-%s")
        if form.is_valid() and self._closed(request, row, form):
            return redirect("admin:orders_break_change", pk)
        page = copy.copy(request)  # the break's page, which is only looked at, with what was typed
        page.method = "GET"
        return self.change_view(page, str(pk), extra_context={"sent_form": {way: form}})

    def _closed(self, request: HttpRequest, row: Break, form: ClosingForm) -> bool:
        """Take the decision; false when the form has to be shown again."""
        actor, request_id = f"user:{request.user.get_username()}", request.headers["X-Request-Id"]
        try:
            form.close(row, actor=actor, request_id=request_id)
        except InvalidDecision as problem:
            form.add_error(problem.field, str(problem))
            return False
        except BreakNotOpen as problem:
            messages.warning(request, str(problem))
        else:
            messages.success(request, f"Recorded: {form.title}. The break is closed.")
        return True

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        if isinstance(obj, Break) and obj.is_open:
            context["may_close"] = request.user.has_perm(PERMISSION)
            sent = context.get("sent_form", {})
            ways = ways_to_close(obj) if context["may_close"] else ()
            context["closings"] = [(way, sent.get(way) or FORMS[way](auto_id=f"{way}-%s")) for way in ways]
        return super().render_change_form(request, context, obj=obj, **kwargs)


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReviewAdmin):
    list_display = (
        "id",
        "asked",
        "requested_by",
        "result",
        "took",
        "compared_now",
        "opened_now",
        "closed_now",
        "open_breaks",
        "reason",
    )
    sortable_by = ()
    list_filter = (("outcome", ChoicesRadioFilter),)
    list_select_related = ("gateway",)
    ordering = ("-id",)
    fields = ("gateway", *list_display[1:])
    readonly_fields = fields

    @admin.display(description="asked for (UTC)")
    def asked(self, run: ReconciliationRun) -> str:
        return moment(run.requested_at)

    @admin.display(description="result")
    def result(self, run: ReconciliationRun) -> SafeString:
        if run.finished_at is None:
            return badge("waiting" if run.started_at is None else "running")
        return badge("ready" if run.outcome == RunOutcome.COMPLETE else "rejected", run.get_outcome_display())

    @admin.display(description="took")
    def took(self, run: ReconciliationRun) -> str:
        if run.started_at is None or run.finished_at is None:
            return NOTHING
        return f"{(run.finished_at - run.started_at).total_seconds():.1f} s"

    @admin.display(description="compared")
    def compared_now(self, run: ReconciliationRun) -> str:
        return _counts(run.compared, str)

    @admin.display(description="opened")
    def opened_now(self, run: ReconciliationRun) -> str:
        return _counts(run.opened, lambda kind: str(BreakKind(kind).label))

    @admin.display(description="closed by themselves")
    def closed_now(self, run: ReconciliationRun) -> str:
        return _counts(run.closed, lambda kind: str(BreakKind(kind).label))


def severity_badge(row: Break) -> SafeString:
    return badge(f"severity-{row.severity}", Severity(row.severity).label)


def standing_badge(row: Break) -> SafeString:
    if row.is_open:
        return badge("open")
    return badge("closed") if row.gone_at is not None else badge("still-different", "closed, still different")


def _about(row: Break) -> SafeString | str:
    if row.order is not None:
        return presentation.order_number(row.order)
    if row.execution is None:
        return NOTHING
    address = reverse("admin:orders_execution_change", args=[row.execution_id])
    return format_html('<a href="{}">{}</a>', address, row.execution)


def _age(row: Break) -> str:
    return timesince(row.opened_at, row.closed_at or timezone.now(), depth=1)


def _counts(counts: dict[str, int], name: Callable[[str], str]) -> str:
    return ", ".join(f"{count:,} {name(what)}" for what, count in counts.items() if count) or NOTHING


def _story(row: Break) -> list[dict[str, Any]]:
    """The events of a break, the oldest first."""
    rows: QuerySet[BreakEvent] = row.events.select_related("run").order_by("sequence")
    return [
        {
            "row": event,
            "kind": event.get_kind_display(),
            "run": format_html(
                '<a href="{}">{}</a>', reverse("admin:orders_reconciliationrun_change", args=[event.run_id]), event.run
            )
            if event.run_id
            else "",
        }
        for event in rows
    ]
