"""The admin's pages for reviewing orders, executions and requests. For looking only (see accounts.review), but for
the two decisions about an order in doubt."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesRadioFilter, RadioFilter

from accounts.display import NOTHING, amount, moment
from accounts.review import AccountFilter, DayFilter, RecordAdmin, SymbolFilter
from orders import event_review as _events  # noqa: F401 - registers its pages
from orders import halt_review as _halts  # noqa: F401 - registers its pages
from orders import latencies, presentation, proof, stamps, timeline
from orders.api.v1.views import ExecutionRecordViewSet, OrderRecordViewSet, RequestRecordViewSet
from orders.breaks import admin as _breaks  # noqa: F401 - registers its pages
from orders.decisions import DecidesDoubts
from orders.exporting import ExportsRows
from orders.flex import admin as flex_admin
from orders.hindsight import ShowsThePast
from orders.models import Commission, Execution, Order, OrderEvent, OrderRequest, RequestAnswer

BREAK = mark_safe("<br>")
# Of a long story a page has the beginning and the end; the API lists all of it.
FIRST_EVENTS, LAST_EVENTS, EXECUTIONS_SHOWN = 50, 250, 300
ORDERS_SEARCHED = 1000  # of one reference, the latest
__all__ = ["flex_admin"]  # registered by being imported: Django looks here alone


class ReceivedDay(DayFilter):
    column = "received_at"


class ExecutedDay(DayFilter):
    column = "executed_at"


class OriginFilter(RadioFilter):
    title = "origin"
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("ours", "Placed here"), ("external", "Placed elsewhere")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        return queryset.filter(request__isnull=self.value() == "external") if self.value() else queryset


@admin.register(Order)
class OrderAdmin(ShowsThePast, DecidesDoubts, ExportsRows, RecordAdmin):
    change_form_template = "orders/review/order.html"
    exported = OrderRecordViewSet
    list_display = (
        "id",
        "received",
        "of_account",
        "symbol",
        "side",
        "ordered",
        "kind",
        "prices",
        "status_now",
        "filled",
        "average",
        "permanent_id",
        "order_ref",
    )
    # Each of these has an index; a sort by another column would read the whole table, and one by reference all orders
    # that have none.
    sortable_by = ("received", "permanent_id")
    # Each has an index in the order of the list, but for the side: about half of the orders are of either, and the list
    # is read until a page is full.
    list_filter = (
        ("status", ChoicesCheckboxFilter),
        AccountFilter,
        SymbolFilter,
        ("side", ChoicesRadioFilter),
        ReceivedDay,
        OriginFilter,
    )
    search_fields = ("order_ref",)
    search_help_text = "Whole id, permId, order_ref or stamp"
    ordering = ("-received_at", "-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        term = search_term.strip()
        _, stamp = stamps.split(term)  # the broker shows our stamp behind the reference
        found = Q(order_ref=term) | Q(stamp=stamp or term.upper())  # whole, for which there are indexes
        if term.isascii() and term.isdecimal():
            found |= Q(pk=term) | Q(perm_id=term)
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description="received (UTC)", ordering="received_at")
    def received(self, order: Order) -> str:
        return moment(order.received_at)

    @admin.display(description="account")
    def of_account(self, order: Order) -> str:
        return order.account_id

    @admin.display(description="type")
    def kind(self, order: Order) -> str:
        return order.get_order_type_display()

    @admin.display(description="permId", ordering="perm_id")
    def permanent_id(self, order: Order) -> int | None:
        return order.perm_id

    @admin.display(description="quantity")
    def ordered(self, order: Order) -> str:
        return amount(order.quantity)

    @admin.display(description="price")
    def prices(self, order: Order) -> str:
        return presentation.prices(order)

    @admin.display(description="status")
    def status_now(self, order: Order) -> SafeString:
        return presentation.status_badge(order)

    @admin.display(description="filled")
    def filled(self, order: Order) -> str:
        return amount(order.filled_quantity)

    @admin.display(description="average price")
    def average(self, order: Order) -> str:
        return amount(order.average_price, places=4)

    def facts(self, row: Order) -> dict[str, Any]:
        asked = Q(pk=row.request_id) | Q(cancels=row)
        story = _story(row)
        requests = presentation.requests(OrderRequest.objects.filter(asked).order_by("pk"))
        legs = Order.objects.filter(request=row.request_id).order_by("pk") if row.request_id else Order.objects.none()
        return {
            "order": row,
            "status": presentation.status_badge(row),
            "prices": presentation.prices(row),
            "proof": proof.of(row),
            "steps": latencies.steps(story, **presentation.asked_and_answered(row, requests)),
            "timeline": timeline.entries(story),
            "left_out": row.last_sequence - len(story),
            "executions": presentation.executions(
                Execution.objects.of(row).order_by("executed_at", "pk")[:EXECUTIONS_SHOWN]
            ),
            "executions_shown": EXECUTIONS_SHOWN,
            "requests": requests,
            "legs": presentation.legs(legs, seen_from=row),
        }


def _story(order: Order) -> list[OrderEvent]:
    if order.last_sequence <= FIRST_EVENTS + LAST_EVENTS:
        return list(order.events.order_by("sequence"))
    last = order.events.order_by("-sequence")[:LAST_EVENTS]
    return [*order.events.order_by("sequence")[:FIRST_EVENTS], *reversed(last)]


@admin.register(Execution)
class ExecutionAdmin(ExportsRows, RecordAdmin):
    change_form_template = "orders/review/execution.html"
    exported = ExecutionRecordViewSet
    list_display = (
        "id",
        "executed",
        "account",
        "symbol",
        "side",
        "shares",
        "at_price",
        "commission",
        "standing",
        "of_order",
        "exec_id",
        "permanent_id",
        "source",
    )
    sortable_by = ("permanent_id",)
    # As for orders: of the sources, those of most executions have no index either.
    list_filter = (
        SymbolFilter,
        AccountFilter,
        ("side", ChoicesRadioFilter),
        ExecutedDay,
        ("source", ChoicesRadioFilter),
    )
    search_fields = ("exec_id",)
    search_help_text = "Whole exec_id, permId or order_ref"
    ordering = ("-recorded_at", "-id")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # Those of a day in the order of that time: so its index finds them.
        return ("-executed_at", "-id") if request.GET.get(ExecutedDay.parameter_name) else self.ordering

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        return presentation.with_standing(super().get_queryset(request)).select_related("order")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Execution], search_term: str
    ) -> tuple[QuerySet[Execution], bool]:
        term = search_term.strip()
        # By way of the orders, whose references have an index.
        orders = Order.objects.filter(order_ref=term).order_by("-received_at", "-pk") if term else Order.objects.none()
        found = Q(exec_id=term) | Q(order__in=list(orders.values_list("pk", flat=True)[:ORDERS_SEARCHED]))
        if term.isascii() and term.isdecimal():
            found |= Q(perm_id=term)
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description="executed (UTC)")
    def executed(self, execution: Execution) -> str:
        return moment(execution.executed_at) if execution.executed_at else execution.time_text

    @admin.display(description="permId", ordering="perm_id")
    def permanent_id(self, execution: Execution) -> int:
        return execution.perm_id

    @admin.display(description="quantity")
    def shares(self, execution: Execution) -> str:
        return amount(execution.quantity)

    @admin.display(description="price")
    def at_price(self, execution: Execution) -> str:
        return amount(execution.price)

    @admin.display(description="commission")
    def commission(self, execution: Any) -> str:
        return amount(execution.charged)

    @admin.display(description="standing")
    def standing(self, execution: Any) -> SafeString:
        return presentation.standing(execution)

    @admin.display(description="order")
    def of_order(self, execution: Execution) -> SafeString | str:
        return presentation.order_number(execution.order) if execution.order else NOTHING

    def facts(self, row: Any) -> dict[str, Any]:
        return {
            "execution": row,
            "standing": self.standing(row),
            "order_link": presentation.order_link(row.order) if row.order else NOTHING,
            "commissions": Commission.objects.filter(exec_id=row.exec_id).order_by("pk"),
            "message": timeline.message_name(row.raw),
            "raw": list(enumerate(row.raw, start=1)),
        }


@admin.register(OrderRequest)
class OrderRequestAdmin(ExportsRows, RecordAdmin):
    change_form_template = "orders/review/request.html"
    exported = RequestRecordViewSet
    list_display = (
        "id",
        "received",
        "endpoint",
        "answered",
        "refusal",
        "led_to",
        "actor",
        "idempotency_key",
        "request_id",
    )
    sortable_by = ("received",)
    list_filter = (ReceivedDay,)
    search_fields = ("request_id",)
    search_help_text = "Whole id, request id or Idempotency-Key"
    ordering = ("-received_at", "-id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderRequest]:
        last = RequestAnswer.objects.filter(request=OuterRef("pk")).order_by("-pk")
        rows = super().get_queryset(request).select_related("cancels").prefetch_related("orders")
        return rows.annotate(status_code=Subquery(last.values("status_code")[:1]))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderRequest], search_term: str
    ) -> tuple[QuerySet[OrderRequest], bool]:
        term = search_term.strip()
        found = Q(request_id=term) | Q(idempotency_key=term)
        if term.isascii() and term.isdecimal():
            found |= Q(pk=term)
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description="received (UTC)", ordering="received_at")
    def received(self, request: OrderRequest) -> str:
        return moment(request.received_at)

    @admin.display(description="answered")
    def answered(self, request: Any) -> SafeString | str:
        return presentation.answer_badge(request.status_code) if request.status_code else NOTHING

    @admin.display(description="orders")
    def led_to(self, request: OrderRequest) -> SafeString | str:
        about = [request.cancels] if request.cancels else list(request.orders.all())
        return format_html_join(BREAK, "{}", ((presentation.order_link(order),) for order in about)) or NOTHING

    def facts(self, row: OrderRequest) -> dict[str, Any]:
        return {
            "asked": presentation.requests(OrderRequest.objects.filter(pk=row.pk))[0],
            "legs": presentation.legs(row.orders.order_by("pk")),
            "cancels": presentation.order_link(row.cancels) if row.cancels else "",
        }
