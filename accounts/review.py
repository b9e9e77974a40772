"""What every page that shows the record has in common.

Rules: pages show and never change anything, by GET or POST; a page costs the same number of queries however many rows
there are, and counts no further than it can list; times are UTC and say so.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, cast

from django.contrib.admin import ShowFacets
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.contrib.filters.forms import SearchForm

from accounts.display import NOTHING
from accounts.models import BrokerAccount

LISTED_AT_MOST = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts and lists the first LISTED_AT_MOST matches; older ones are reached by filters."""

    @cached_property
    def count(self) -> int:
        matches = cast("QuerySet[Any]", self.object_list)
        return matches.order_by().values("pk")[:LISTED_AT_MOST].count()


class ReviewAdmin(ModelAdmin):
    """A list and a page per row, for looking only."""

    actions = None
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # a count per choice reads the whole table for each
    list_per_page = 50
    list_fullwidth = True
    list_filter_submit = True
    list_after_template = "review/listed_at_most.html"
    empty_value_display = NOTHING

    class Media:
        css: ClassVar = {"all": ["review/review.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        return super().changelist_view(request, {"listed_at_most": LISTED_AT_MOST} | (extra_context or {}))


class RecordAdmin(ReviewAdmin):
    """A page of ours for each row, in the place of a form."""

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ()  # the templates show what there is

    def facts(self, row: Any) -> dict[str, Any]:
        """What the page's template is given."""
        raise NotImplementedError

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], obj: Model | None = None, **kwargs: Any
    ) -> HttpResponse:
        return super().render_change_form(request, context | self.facts(obj), obj=obj, **kwargs)


class DayForm(SearchForm):
    """One date."""

    def __init__(self, name: str, label: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(name, label, *args, **kwargs)
        self.fields[name].widget.input_type = "date"


class DayFilter(TextFilter):
    """Rows of one day, in UTC: ?day=2026-01-31. `column` is the time that counts."""

    title = "day (UTC)"
    parameter_name = "day"
    form_class = DayForm
    column: ClassVar[str]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            start = datetime.combine(date.fromisoformat(self.value()), time.min, UTC)
            end = start + timedelta(days=1)
        except (ValueError, OverflowError) as problem:
            raise IncorrectLookupParameters from problem
        return queryset.filter(**{f"{self.column}__gte": start, f"{self.column}__lt": end})


class SymbolFilter(TextFilter):
    """Typed, not chosen: to list the symbols would mean to read the whole table."""

    title = "symbol"
    parameter_name = "symbol"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        symbol = (self.value() or "").strip().upper()
        return queryset.filter(symbol=symbol) if symbol else queryset


class AccountFilter(DropdownFilter):
    """One of the broker's accounts."""

    title = "account"
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(pk, pk) for pk in BrokerAccount.objects.order_by("pk").values_list("pk", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(account=self.value()) if self.value() else queryset
