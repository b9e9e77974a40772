"""Events in the admin: of all orders, or every one of an order whose own page has the beginning and the end alone."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesRadioFilter, TextFilter

from accounts.display import badge, moment
from accounts.review import DayFilter, RecordAdmin
from orders import presentation, timeline
from orders.api.v1.parameters import IdField
from orders.api.v1.views import EventRecordViewSet
from orders.exporting import ExportsRows
from orders.models import OrderEvent


class RecordedDay(DayFilter):
    column = "recorded_at"


class OrderFilter(TextFilter):
    """The events of one order: ?order=17."""

    title = "order id"
    parameter_name = "order"

    def queryset(self, request: HttpRequest, queryset: QuerySet[OrderEvent]) -> QuerySet[OrderEvent]:
        given = (self.value() or "").strip()
        if not given:
            return queryset
        try:
            order_id = IdField().clean(given)
        except ValidationError as problem:
            raise IncorrectLookupParameters from problem
        return queryset.filter(order=order_id)


@admin.register(OrderEvent)
class OrderEventAdmin(ExportsRows, RecordAdmin):
    change_form_template = "orders/review/event.html"
    exported = EventRecordViewSet
    list_display = ("id", "recorded", "of_order", "sequence", "kind_now", "words", "status_then", "by", "request_id")
    sortable_by = ()
    # Each with the list's order has an index, as in the read API; those of one order are few.
    list_filter: ClassVar = (OrderFilter, ("kind", ChoicesRadioFilter), RecordedDay)
    list_select_related = ("order",)
    search_fields = ("request_id",)
    search_help_text = "the whole request id"
    ordering = ("-recorded_at", "-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderEvent], search_term: str
    ) -> tuple[QuerySet[OrderEvent], bool]:
        term = search_term.strip()
        return (queryset.filter(request_id=term) if term else queryset), False

    @admin.display(description="recorded (UTC)")
    def recorded(self, event: OrderEvent) -> str:
        return moment(event.recorded_at)

    @admin.display(description="order")
    def of_order(self, event: OrderEvent) -> SafeString:
        return presentation.order_link(event.order)

    @admin.display(description="what")
    def kind_now(self, event: OrderEvent) -> str:
        return event.get_kind_display()

    @admin.display(description="in words")
    def words(self, event: OrderEvent) -> str:
        return timeline.in_words(event)

    @admin.display(description="led to")
    def status_then(self, event: OrderEvent) -> SafeString:
        return badge(event.to_status, event.get_to_status_display())

    @admin.display(description="by")
    def by(self, event: OrderEvent) -> str:
        return event.actor

    def facts(self, row: OrderEvent) -> dict[str, Any]:
        (entry,) = timeline.entries([row])
        return {"entry": entry, "order_link": presentation.order_link(row.order)}
