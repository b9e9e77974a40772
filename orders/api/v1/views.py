"""GET /api/v1/…: check what was asked, read the rows, render them. Nothing here writes, but that an export is an entry
in the site's chain before its first row leaves."""

from datetime import datetime
from typing import Any, ClassVar

from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpResponseBase
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from accounts import headers
from accounts.access.callers import Caller, caller_of
from accounts.access.models import Scope
from accounts.models import BrokerAccount
from accounts.snapshots.models import AccountSnapshot, PositionSnapshot
from orders import instants, knowledge
from orders.api.v1 import exports, filters, rows, schema, serializers
from orders.api.v1.pages import Pages, Sort, bounded, sort_of
from orders.api.v1.parameters import BadParameter, refuse_unknown
from orders.breaks import hindsight
from orders.breaks.models import Break
from orders.models import Order, OrderEvent


class RecordViewSet(GenericViewSet[Any]):
    """A list and a page per row. `sorts` are the times a list can be ordered by, the first being that of recording.

    `account` is the column with the account that a row belongs to: the others' rows are not there.
    """

    content_negotiation_class = exports.Formats
    filter_backends = (filters.StrictFilters,)
    pagination_class = Pages
    filterset_class: ClassVar[Any]
    list_class: ClassVar[type[Serializer[Any]]]
    detail_class: ClassVar[type[Serializer[Any]]]
    noun: ClassVar[str]  # plural
    sorts: ClassVar[tuple[str, ...]]
    account: ClassVar[str] = "account"
    instant: datetime | None = None  # that was asked about

    def get_serializer_class(self) -> type[Serializer[Any]]:
        return self.list_class if self.action == "list" else self.detail_class

    def get_renderers(self) -> list[BaseRenderer]:
        more: list[BaseRenderer] = [exports.CsvFormat(), exports.LinesFormat()] if self.action == "list" else []
        return [*super().get_renderers(), *more]

    def shown(self, page: list[Any]) -> list[Any]:
        """The rows of a page as they were known at the instant asked about."""
        return page

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with bounded() as now:
            self.instant = asked_instant(request, now=now)
            found = self.filter_queryset(self.granted())
            if request.accepted_renderer.format != "json":
                return self._export(request, found, now=now)
            page = self.shown(self.paginate_queryset(found) or [])
            response = self.get_paginated_response(self.get_serializer(page, many=True).data)
        return self._dated(response, now)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        refuse_unknown(request.query_params, known=["format", "as_of"])
        with bounded() as now:
            self.instant = asked_instant(request, now=now)
            facts = self.facts(self.get_object(), now=now)
            return Response(self.get_serializer(facts).data, headers=headers.as_of(self.instant or now))

    def granted(self) -> QuerySet[Any]:
        """The rows that are there for who asks."""
        return self.get_queryset().filter(self.granted_to(caller_of(self.request)))

    def granted_to(self, caller: Caller) -> Q:
        return caller.within(Scope.READ, self.account)

    def facts(self, row: Any, *, now: datetime) -> Any:
        """What the page of a row shows. Raises: NotFound where it was not on record at the instant asked about."""
        since = getattr(row, self.sorts[0])
        if self.instant is not None and since > self.instant:
            raise NotFound(
                f"{self.noun.removesuffix('s').capitalize()} {row.pk} was not on record at {self.instant.isoformat()}: "
                f"it is there since {since.isoformat()}."
            )
        return self.shown([row])[0]

    def get_object(self) -> Any:
        found = self.granted().filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise NotFound(f"There is no {self.noun.removesuffix('s')} {self.kwargs['pk']}.")
        return found

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        # A refusal is JSON, whatever was asked for.
        self.request.accepted_renderer = super().get_renderers()[0]
        self.request.accepted_media_type = self.request.accepted_renderer.media_type
        return response

    def export(self, asked: exports.Asked, found: QuerySet[Any], *, sort: Sort, now: datetime) -> HttpResponseBase:
        """These rows of the list as a file, for the admin as well: whoever calls this has checked who asks."""
        response = exports.answer(
            asked,
            found.filter(**{f"{self.sorts[0]}__lte": now}),
            sort=sort,
            serializer=self.list_class(),
            shown=self.shown,
            name=self.noun,
        )
        return self._dated(response, now)

    def _export(self, request: Request, found: QuerySet[Any], *, now: datetime) -> HttpResponseBase:
        exports.refuse_pages(request.query_params)
        caller = caller_of(request)
        asked = exports.Asked(
            form=request.accepted_renderer,
            parameters=request.query_params,
            actor=caller.actor,
            address=caller.address,
            request_id=request.headers["X-Request-Id"],
        )
        return self.export(asked, found, sort=sort_of(request, self.sorts), now=now)

    def _dated(self, response: HttpResponseBase, now: datetime) -> HttpResponseBase:
        for name, value in headers.as_of(self.instant or now).items():
            response[name] = value
        return response


@schema.ORDERS
class OrderRecordViewSet(RecordViewSet):
    noun = "orders"
    queryset = Order.objects.all()
    sorts = ("received_at",)
    filterset_class = filters.OrderFilters
    list_class = serializers.OrderRecord
    detail_class = serializers.OrderKnown

    def shown(self, page: list[Order]) -> list[Order]:
        return page if self.instant is None else knowledge.as_known(page, self.instant)

    def facts(self, row: Order, *, now: datetime) -> knowledge.Knowledge:
        return knowledge.at(row, self.instant or now)


@schema.REQUESTS
class RequestRecordViewSet(RecordViewSet):
    noun = "requests"
    sorts = ("received_at",)
    filterset_class = filters.RequestFilters
    list_class = detail_class = serializers.RequestRecord

    def get_queryset(self) -> QuerySet[Any]:
        return rows.requests(self.instant)

    def granted_to(self, caller: Caller) -> Q:
        return rows.requests_within(caller.accounts(Scope.READ), actor=caller.actor)


@schema.EVENTS
class EventRecordViewSet(RecordViewSet):
    noun = "events"
    account = "order__account"
    sorts = ("recorded_at",)
    filterset_class = filters.EventFilters
    list_class = serializers.EventRecord
    detail_class = serializers.EventDetail

    def get_queryset(self) -> QuerySet[OrderEvent]:
        return OrderEvent.objects.defer("raw") if self.action == "list" else OrderEvent.objects.all()


@schema.EXECUTIONS
class ExecutionRecordViewSet(RecordViewSet):
    noun = "executions"
    sorts = ("recorded_at", "executed_at")
    filterset_class = filters.ExecutionFilters
    list_class = serializers.ExecutionRecord
    detail_class = serializers.ExecutionDetail

    def get_queryset(self) -> QuerySet[Any]:
        found = rows.executions(self.instant)
        return found.defer("raw") if self.action == "list" else found


@schema.ACCOUNTS
class AccountRecordViewSet(RecordViewSet):
    noun = "accounts"
    account = "pk"
    sorts = ("first_seen_at",)
    filterset_class = filters.AccountFilters
    list_class = serializers.AccountRecord
    detail_class = serializers.AccountDetail

    def get_queryset(self) -> QuerySet[BrokerAccount]:
        return BrokerAccount.objects.all()

    def facts(self, row: BrokerAccount, *, now: datetime) -> rows.AccountKnown:
        return rows.account(super().facts(row, now=now), self.instant)


@schema.SNAPSHOTS
class SnapshotRecordViewSet(RecordViewSet):
    noun = "snapshots"
    sorts = ("taken_at",)
    filterset_class = filters.SnapshotFilters
    list_class = serializers.SnapshotRecord
    detail_class = serializers.SnapshotDetail

    def get_queryset(self) -> QuerySet[AccountSnapshot]:
        snapshots = AccountSnapshot.objects.all()
        if self.action == "list":
            return snapshots
        return snapshots.prefetch_related(Prefetch("positions", PositionSnapshot.objects.order_by("symbol", "con_id")))


@schema.BREAKS
class BreakRecordViewSet(RecordViewSet):
    noun = "breaks"
    sorts = ("opened_at",)
    filterset_class = filters.BreakFilters
    list_class = serializers.BreakRecord
    detail_class = serializers.BreakDetail

    def get_queryset(self) -> QuerySet[Break]:
        with_events = self.action != "list" or self.instant is not None
        return rows.breaks(self.instant) if with_events else Break.objects.all()

    def shown(self, page: list[Break]) -> list[Break]:
        return page if self.instant is None else [hindsight.as_known(row, self.instant) for row in page]


def asked_instant(request: Request, *, now: datetime) -> datetime | None:
    """The instant of `as_of`; None when nothing was asked. Raises: BadParameter."""
    text = request.query_params.get("as_of")
    if not text:
        return None
    try:
        instant = instants.parse(text)
    except ValueError as problem:
        raise BadParameter(f"as_of: {problem}") from None
    if instant > now:
        raise BadParameter(f"as_of: This lies in the future: it is {now.isoformat()} by the database's clock.")
    return instant
