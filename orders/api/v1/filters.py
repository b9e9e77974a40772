"""What each list can be narrowed by. Every filter has an index in the list's order: see the models' `read_…` indexes.

Filters that are combined use the index of one of them and look the rows through for the others, for as long as
`pages.READ_SECONDS` allows.
"""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from accounts.models import BrokerAccount
from accounts.snapshots.models import AccountSnapshot
from orders.api.v1.parameters import PAGE_PARAMETERS, BadParameter, IdField, InstantField, refuse_unknown
from orders.breaks.models import Break
from orders.breaks.vocabulary import BreakKind
from orders.models import Execution, Order, OrderEvent, OrderRequest
from orders.vocabulary import EventKind, OrderStatus


class InstantFilter(filters.Filter):
    field_class = InstantField

    def __init__(self, *, help_text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs, help_text=help_text)
        extend_schema_field({"type": "string", "format": "date-time", "description": help_text})(self)


class IdFilter(filters.Filter):
    field_class = IdField

    def __init__(self, *, help_text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs, help_text=help_text)
        extend_schema_field({"type": "integer", "format": "int64", "minimum": 1, "description": help_text})(self)


class SymbolFilter(filters.CharFilter):
    """Symbols are stored in upper case, so that they are found in any."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return super().filter(qs, value.upper() if value else value)


def since(column: str) -> InstantFilter:
    return InstantFilter(field_name=column, lookup_expr="gte", help_text=f"{column} at or after this")


def until(column: str) -> InstantFilter:
    return InstantFilter(field_name=column, lookup_expr="lt", help_text=f"{column} before this")


def known_by(column: str, *, help_text: str) -> InstantFilter:
    return InstantFilter(field_name=column, lookup_expr="lte", help_text=help_text)


class OrderFilters(filters.FilterSet):
    account = filters.CharFilter(help_text="the broker's account")
    symbol = SymbolFilter(help_text="the whole symbol, in any case")
    status = filters.ChoiceFilter(choices=OrderStatus.choices, help_text="as it is now; not together with as_of")
    order_ref = filters.CharFilter(strip=False, help_text="the client's own reference, whole")
    perm_id = IdFilter(help_text="IB's permanent id")
    request = IdFilter(help_text="id of the request that led to it")
    received_from = since("received_at")
    received_to = until("received_at")
    as_of = InstantFilter(
        method="on_record", help_text="every order as it was known at this instant; those not known yet are left out"
    )

    class Meta:
        model = Order
        fields: tuple[str, ...] = ()

    def on_record(self, rows: QuerySet[Order], _name: str, instant: Any) -> QuerySet[Order]:
        if self.form.cleaned_data["status"]:
            raise BadParameter("status: This is an order's status now, and cannot be asked for together with as_of.")
        opened = OrderEvent.objects.filter(order=OuterRef("pk"), sequence=1, recorded_at__lte=instant)
        return rows.filter(Exists(opened), received_at__lte=instant)


class RequestFilters(filters.FilterSet):
    endpoint = filters.CharFilter(help_text="like /order/limit")
    request_id = filters.CharFilter(help_text="X-Request-Id of the request")
    idempotency_key = filters.CharFilter(strip=False, help_text="the whole key")
    refused = filters.ChoiceFilter(
        choices=[("true", "Refused"), ("false", "Not refused")],
        method="by_refusal",
        help_text="true: only those refused before anything was done; false: only the others",
    )
    received_from = since("received_at")
    received_to = until("received_at")
    as_of = known_by("received_at", help_text="only what was received by this instant, with the answers given by then")

    class Meta:
        model = OrderRequest
        fields: tuple[str, ...] = ()

    def by_refusal(self, rows: QuerySet[OrderRequest], _name: str, refused: str) -> QuerySet[OrderRequest]:
        return rows.exclude(refusal="") if refused == "true" else rows.filter(refusal="")


class EventFilters(filters.FilterSet):
    order = IdFilter(help_text="id of the order")
    kind = filters.ChoiceFilter(choices=EventKind.choices, help_text="what happened")
    request_id = filters.CharFilter(help_text="X-Request-Id of the request that caused it")
    recorded_from = since("recorded_at")
    recorded_to = until("recorded_at")
    as_of = known_by("recorded_at", help_text="only what was recorded by this instant")

    class Meta:
        model = OrderEvent
        fields: tuple[str, ...] = ()


class ExecutionFilters(filters.FilterSet):
    account = filters.CharFilter(help_text="the broker's account")
    symbol = SymbolFilter(help_text="the whole symbol, in any case")
    order = IdFilter(help_text="id of the order")
    perm_id = IdFilter(help_text="IB's permanent id of the order")
    exec_id = filters.CharFilter(help_text="IB's execution id")
    recorded_from = since("recorded_at")
    recorded_to = until("recorded_at")
    executed_from = since("executed_at")
    executed_to = until("executed_at")
    as_of = known_by(
        "recorded_at", help_text="only what was recorded by this instant, with corrections and costs known by then"
    )

    class Meta:
        model = Execution
        fields: tuple[str, ...] = ()


class AccountFilters(filters.FilterSet):
    gateway = filters.CharFilter(field_name="session", help_text="name of the gateway that serves it")
    as_of = known_by("first_seen_at", help_text="only those first seen by this instant")

    class Meta:
        model = BrokerAccount
        fields: tuple[str, ...] = ()


class SnapshotFilters(filters.FilterSet):
    account = filters.CharFilter(help_text="the broker's account")
    taken_from = since("taken_at")
    taken_to = until("taken_at")
    as_of = known_by("taken_at", help_text="only what was taken by this instant")

    class Meta:
        model = AccountSnapshot
        fields: tuple[str, ...] = ()


class BreakFilters(filters.FilterSet):
    account = filters.CharFilter(help_text="the broker's account")
    kind = filters.ChoiceFilter(choices=BreakKind.choices, help_text="what differs")
    order = IdFilter(help_text="id of the order it is about")
    open = filters.ChoiceFilter(
        choices=[("true", "Open"), ("false", "Closed")],
        method="by_standing",
        help_text="true: only those that are open; false: only those that the books or a person closed; with as_of, "
        "by what was known then",
    )
    opened_from = since("opened_at")
    opened_to = until("opened_at")
    as_of = known_by("opened_at", help_text="only those opened by this instant, each as it was known then")

    class Meta:
        model = Break
        fields: tuple[str, ...] = ()

    def by_standing(self, rows: QuerySet[Break], _name: str, is_open: str) -> QuerySet[Break]:
        instant = self.form.cleaned_data["as_of"]
        if instant is None:
            return rows.filter(closed_at__isnull=is_open == "true")
        closed_by_then = Q(closed_at__isnull=False, closed_at__lte=instant)
        return rows.exclude(closed_by_then) if is_open == "true" else rows.filter(closed_by_then)


class StrictFilters(filters.DjangoFilterBackend):
    """Refuses what the list does not know, and what it cannot understand."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset = self.get_filterset(request, queryset, view)
        known = [*filterset.filters, *PAGE_PARAMETERS]
        refuse_unknown(request.query_params, known=known)
        if not filterset.is_valid():
            name, problems = next(iter(filterset.errors.items()))
            raise BadParameter(f"{name}: {problems[0]}")
        return filterset.qs
