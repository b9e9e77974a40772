"""The admin's pages for reviewing orders, executions and requests. For looking only: see accounts.review."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Exists, Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesRadioFilter, RadioFilter

from accounts.display import NOTHING, amount, badge, moment
from accounts.review import AccountFilter, DayFilter, ReviewAdmin, SymbolFilter
from orders import stamps, timeline
from orders.models import Commission, Execution, Order, OrderRequest, RequestAnswer
from orders.vocabulary import OrderStatus, OrderType


def status_badge(order: Order) -> SafeString:
    return badge(order.status, order.get_status_display())


def prices(order: Order) -> str:
    """The prices of an order by what they are; a limit alone needs no name."""
    named = [
        f"{amount(price)}{name}"
        for price, name in ((order.stop_price, " stop"), (order.limit_price, ""))
        if price is not None
    ]
    if order.order_type == OrderType.STOP_LIMIT:
        named[-1] += " limit"
    return ", ".join(named) or NOTHING


def pretty(body: str) -> str:
    """JSON laid out; anything else as it came."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def order_link(order: Order) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:orders_order_change", args=[order.pk]), order)


def request_link(request: OrderRequest) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:orders_orderrequest_change", args=[request.pk]), request)


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
class OrderAdmin(RecordAdmin):
    change_form_template = "orders/review/order.html"
    list_display = (
        "id",
        "received",
        "account_id",
        "symbol",
        "side",
        "ordered",
        "order_type",
        "prices",
        "status_now",
        "filled",
        "average",
        "perm_id",
        "order_ref",
    )
    # Each of these has an index; a sort by another column would read the whole table.
    sortable_by = ("id", "received", "perm_id", "order_ref")
    list_filter = (
        ("status", ChoicesCheckboxFilter),
        AccountFilter,
        SymbolFilter,
        ("side", ChoicesRadioFilter),
        ReceivedDay,
        OriginFilter,
    )
    search_fields = ("order_ref",)
    search_help_text = "permId, order_ref, id or stamp"
    ordering = ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        term = search_term.strip()
        _, stamp = stamps.split(term)  # the broker shows our stamp behind the reference
        found = Q(order_ref=term) | Q(stamp=stamp or term.upper())
        if term.isascii() and term.isdecimal():
            found |= Q(pk=term) | Q(perm_id=term)
        elif term:
            found |= Q(order_ref__icontains=term)
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description="received (UTC)", ordering="id")
    def received(self, order: Order) -> str:
        return moment(order.received_at)

    @admin.display(description="quantity")
    def ordered(self, order: Order) -> str:
        return amount(order.quantity)

    @admin.display(description="price")
    def prices(self, order: Order) -> str:
        return prices(order)

    @admin.display(description="status")
    def status_now(self, order: Order) -> SafeString:
        return status_badge(order)

    @admin.display(description="filled")
    def filled(self, order: Order) -> str:
        return amount(order.filled_quantity)

    @admin.display(description="average price")
    def average(self, order: Order) -> str:
        return amount(order.average_price, places=4)

    def facts(self, row: Order) -> dict[str, Any]:
        asked = Q(pk=row.request_id) | Q(cancels=row)
        return {
            "order": row,
            "status": status_badge(row),
            "prices": prices(row),
            "in_doubt": row.status == OrderStatus.IN_DOUBT,
            "timeline": timeline.entries(row.events.order_by("sequence")),
            "executions": _executions(row.executions.order_by("executed_at", "pk")),
            "requests": _requests(OrderRequest.objects.filter(asked).order_by("pk")),
            "legs": _with_badges(Order.objects.filter(request=row.request_id).exclude(pk=row.pk).order_by("pk"))
            if row.request_id
            else [],
        }


@admin.register(Execution)
class ExecutionAdmin(RecordAdmin):
    change_form_template = "orders/review/execution.html"
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
        "perm_id",
        "source",
    )
    sortable_by = ("id", "perm_id")
    list_filter = (
        SymbolFilter,
        AccountFilter,
        ("side", ChoicesRadioFilter),
        ExecutedDay,
        ("source", ChoicesRadioFilter),
    )
    search_fields = ("exec_id",)
    search_help_text = "exec_id, permId or order_ref"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        return _with_standing(super().get_queryset(request)).select_related("order")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Execution], search_term: str
    ) -> tuple[QuerySet[Execution], bool]:
        term = search_term.strip()
        found = Q(exec_id=term) | Q(order_ref=term)
        if term.isascii() and term.isdecimal():
            found |= Q(perm_id=term)
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description="executed (UTC)")
    def executed(self, execution: Execution) -> str:
        return moment(execution.executed_at) if execution.executed_at else execution.time_text

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
        return badge("replaced" if execution.is_replaced else "effective")

    @admin.display(description="order")
    def of_order(self, execution: Execution) -> SafeString | str:
        return order_link(execution.order) if execution.order else NOTHING

    def facts(self, row: Any) -> dict[str, Any]:
        return {
            "execution": row,
            "standing": self.standing(row),
            "order_link": self.of_order(row),
            "commissions": Commission.objects.filter(exec_id=row.exec_id).order_by("pk"),
            "message": timeline.message_name(row.raw),
            "raw": list(enumerate(row.raw, start=1)),
        }


@admin.register(OrderRequest)
class OrderRequestAdmin(RecordAdmin):
    change_form_template = "orders/review/request.html"
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
    sortable_by = ("id", "received")
    list_filter = (ReceivedDay,)
    search_fields = ("request_id",)
    search_help_text = "id, request id or Idempotency-Key"
    ordering = ("-id",)

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
        return answer_badge(request.status_code) if request.status_code else NOTHING

    @admin.display(description="orders")
    def led_to(self, request: OrderRequest) -> SafeString | str:
        about = [request.cancels] if request.cancels else list(request.orders.all())
        return format_html_join(format_html("<br>"), "{}", ((order_link(order),) for order in about)) or NOTHING

    def facts(self, row: OrderRequest) -> dict[str, Any]:
        return {
            "asked": _requests(OrderRequest.objects.filter(pk=row.pk))[0],
            "legs": _with_badges(row.orders.order_by("pk")),
            "cancels": order_link(row.cancels) if row.cancels else "",
        }


def answer_badge(status_code: int) -> SafeString:
    return badge(f"http-{status_code // 100}", str(status_code))


def _with_standing(rows: QuerySet[Execution]) -> QuerySet[Execution]:
    """Executions with what they cost, and whether a later one took their place."""
    later = Execution.objects.filter(account=OuterRef("account"), replaces=OuterRef("exec_id")).exclude(replaces="")
    charges = Commission.objects.filter(exec_id=OuterRef("exec_id")).order_by("-pk")
    return rows.annotate(
        is_replaced=Exists(later),
        charged=Subquery(charges.values("amount")[:1]),
        charged_in=Subquery(charges.values("currency")[:1]),
    )


def _executions(rows: QuerySet[Execution]) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "standing": badge("replaced" if row.is_replaced else "effective"),
            "commission": f"{amount(row.charged)} {row.charged_in}" if row.charged is not None else NOTHING,
        }
        for row in _with_standing(rows)
    ]


def _requests(rows: QuerySet[OrderRequest]) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "link": request_link(row),
            "body": pretty(row.body),
            "answers": [
                (answer, answer_badge(answer.status_code), json.dumps(answer.body, indent=2, ensure_ascii=False))
                for answer in sorted(row.answers.all(), key=lambda answer: answer.pk)
            ],
        }
        for row in rows.prefetch_related("answers")
    ]


def _with_badges(orders: QuerySet[Order]) -> list[dict[str, Any]]:
    return [
        {"order": order, "link": order_link(order), "status": status_badge(order), "prices": prices(order)}
        for order in orders
    ]
