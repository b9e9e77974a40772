"""The admin's pages of statements: what was imported, row by row, and the one form that imports.

Rows are for looking only (see accounts.review). To import takes a permission of its own; what makes a file acceptable
is `importing`'s to say.
"""

from itertools import chain, islice
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from unfold.decorators import action
from unfold.widgets import UnfoldAdminFileFieldWidget

from accounts.display import amount, moment
from accounts.review import AccountFilter, DayFilter, ReviewAdmin, SymbolFilter
from orders.flex import differences
from orders.flex.importing import import_file
from orders.flex.models import FlexCash, FlexHolding, FlexImport, FlexTrade
from orders.flex.statement import FlexRefused
from orders.flex.uploads import is_too_large

DIFFERENCES_SHOWN = 100
PERMISSION = "orders.import_flex"
TOO_LARGE = "The file is larger than FLEX_MAX_MEGABYTES allows: choose a shorter period, or fewer sections and fields."


class StatementForm(forms.Form):
    """One file. What is inside is looked at when it is imported, whatever its name says."""

    statement = forms.FileField(
        label="Flex statement",
        help_text="The XML file of an activity or trade confirmation Flex query.",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".xml,text/xml,application/xml"}),
        max_length=255,
        allow_empty_file=True,  # refused with all else that is no statement
    )


class ImportedDay(DayFilter):
    column = "imported_at"


class OfDay(DayFilter):
    """Rows of a date: the broker's day."""

    title = "day"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        within = super().queryset(request, queryset)  # refuses what is no date
        return queryset.filter(**{self.column: self.value()}) if self.value() else within


class TradeDay(OfDay):
    column = "trade_date"


class ReportDay(OfDay):
    column = "report_date"


@admin.register(FlexImport)
class FlexImportAdmin(ReviewAdmin):
    change_form_template = "orders/flex/import.html"
    list_display = ("name", "imported", "imported_by", "bytes", "trades", "executions_added")
    list_filter = (ImportedDay,)
    search_fields = ("sha256",)
    search_help_text = "SHA-256 of the file"
    ordering = ("-imported_at",)
    actions_list = ("import_statement",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ()  # the template shows what there is

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(PERMISSION)) and self.has_view_permission(request)

    @action(description="Import a statement", url_path="import", permissions=["import"])
    def import_statement(self, request: HttpRequest) -> HttpResponse:
        """The form, and the file that comes with it. What is wrong with the file is shown beside it."""
        form = StatementForm()
        if request.method == "POST":
            form = StatementForm(request.POST, request.FILES)
            sha256 = self._import(request, form)
            if sha256:
                return redirect("admin:orders_fleximport_change", sha256)
        context = self.admin_site.each_context(request) | {
            "title": "Import a statement",
            "form": form,
            "opts": self.model._meta,
            "media": self.media,
        }
        return render(request, "orders/flex/upload.html", context)

    def _import(self, request: HttpRequest, form: StatementForm) -> str:
        """The import's key; empty when nothing was imported, and the form says why."""
        if is_too_large(int(request.META.get("CONTENT_LENGTH") or 0)):
            form.fields["statement"].error_messages["required"] = TOO_LARGE  # it was dropped as it came
        if not form.is_valid():
            return ""
        file: Any = form.cleaned_data["statement"]  # reads like a file
        try:
            outcome = import_file(file, name=file.name or "", actor=f"user:{request.user.get_username()}")
        except FlexRefused as refusal:
            form.add_error("statement", f"Refused, nothing was stored: {refusal}.")
            return ""
        tell = messages.success if outcome.known_since is None else messages.warning
        for line in outcome.lines():
            tell(request, f"{line}.")
        return outcome.sha256

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        assert isinstance(obj, FlexImport)
        statements = list(obj.statements.order_by("account", "period_from"))
        every = chain.from_iterable(differences.of_statement(statement) for statement in statements)
        facts = {"file": obj, "statements": statements, "differences": list(islice(every, DIFFERENCES_SHOWN))}
        facts["there_are_more"] = next(every, None) is not None
        return super().render_change_form(request, context | facts, obj=obj, **kwargs)

    @admin.display(description="imported (UTC)", ordering="imported_at")
    def imported(self, row: FlexImport) -> str:
        return moment(row.imported_at)

    @admin.display(description="bytes")
    def bytes(self, row: FlexImport) -> str:
        return f"{row.size:,}"

    @admin.display(description="new trades")
    def trades(self, row: FlexImport) -> str:
        return f"{row.counts['trades']['new']:,}"

    @admin.display(description="executions added")
    def executions_added(self, row: FlexImport) -> str:
        return f"{row.counts['added']['executions']:,}"


class RowAdmin(ReviewAdmin):
    """What a statement says, as columns and as it was written."""

    ordering = ("-id",)
    sortable_by = ("id",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return tuple(each.name for each in self.model._meta.fields)


@admin.register(FlexTrade)
class FlexTradeAdmin(RowAdmin):
    list_display = (
        "id",
        "trade_date",
        "time_text",
        "account",
        "symbol",
        "side",
        "shares",
        "at_price",
        "paid",
        "cancels",
        "exec_id",
    )
    list_filter = (SymbolFilter, AccountFilter, TradeDay)
    search_fields = ("exec_id",)
    search_help_text = "exec_id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[FlexTrade], search_term: str
    ) -> tuple[QuerySet[FlexTrade], bool]:
        term = search_term.strip()
        return (queryset.filter(exec_id=term) if term else queryset), False

    @admin.display(description="quantity")
    def shares(self, row: FlexTrade) -> str:
        return amount(row.quantity)

    @admin.display(description="price")
    def at_price(self, row: FlexTrade) -> str:
        return amount(row.price)

    @admin.display(description="commission")
    def paid(self, row: FlexTrade) -> str:
        return amount(row.commission)


@admin.register(FlexCash)
class FlexCashAdmin(RowAdmin):
    list_display = ("id", "report_date", "account", "type", "sum", "currency", "symbol", "description")
    list_filter = (AccountFilter, SymbolFilter, ReportDay)

    @admin.display(description="amount")
    def sum(self, row: FlexCash) -> str:
        return amount(row.amount)


@admin.register(FlexHolding)
class FlexHoldingAdmin(RowAdmin):
    list_display = ("id", "report_date", "account", "symbol", "security_type", "held", "marked", "cost", "currency")
    list_filter = (AccountFilter, SymbolFilter, ReportDay)

    @admin.display(description="quantity")
    def held(self, row: FlexHolding) -> str:
        return amount(row.quantity)

    @admin.display(description="mark price")
    def marked(self, row: FlexHolding) -> str:
        return amount(row.mark_price)

    @admin.display(description="cost price")
    def cost(self, row: FlexHolding) -> str:
        return amount(row.cost_price)
