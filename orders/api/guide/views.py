"""The guide's order endpoints: check what came, call one function, render what it says.

Whatever is posted to an endpoint is kept, refusals with their reason: see `KeptRequests`.
"""

from functools import cache
from typing import Any

from django.db import Error
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from accounts import headers
from accounts.access.callers import Caller, caller_of
from accounts.access.models import Scope
from orders import intake
from orders.api.guide import cancelling, envelope, ledger, pending, placing, replays, schema
from orders.api.guide.answers import Answer
from orders.api.guide.serializers import (
    BracketOrderInput,
    CancelInput,
    ExecutionQuery,
    ExecutionsOutput,
    LimitOrderInput,
    MarketOrderInput,
    PendingOrdersOutput,
    StopOrderInput,
)
from orders.intake import Asked


@cache
def _kept(serializer_class: type[Serializer[Any]]) -> Serializer[Any]:
    """One for all requests: what is checked is passed through it, and making one anew copies each of its fields."""
    return serializer_class()


class KeptRequests(GenericViewSet[Any]):
    """Views that keep what is posted to them: what they refuse, here; what they accept, in the function they call."""

    fields: dict[str, Any] | None = None  # of the body, once it was parsed

    def asked(self, request: Request) -> Asked:
        """The request as it came. Raises: ParseError, InvalidKey, KeyReused, KeyInProgress, Replay."""
        envelope.require_well_formed(request)
        envelope.read(request)
        self.fields = dict(request.data)  # the parser gives objects only
        asked = envelope.received(request, fields=self.fields)
        intake.check_key(asked)
        return asked

    def checked(self) -> dict[str, Any]:
        """The fields, checked by the serializer of the action. Raises: ValidationError."""
        serializer_class: Any = self.get_serializer_class()
        return dict(_kept(serializer_class).run_validation(self.fields))

    def handle_exception(self, exc: Exception) -> Response:
        try:
            if isinstance(exc, intake.Replay):
                return rendered(replays.answer(exc, envelope.received(self.request, fields=self.fields)))
            response = super().handle_exception(exc)
            # Who was not let in is counted (accounts.access.tally): a flood must not fill the record.
            let_in = response.status_code != 503 and isinstance(self.request.auth, Caller)
            if self.request.method == "POST" and let_in:
                asked = envelope.received(self.request, fields=self.fields)
                intake.refuse(asked, reason=response.data["detail"], status_code=response.status_code)
        except Error as error:
            # Not even the refusal can be kept; then that is what is said.
            return super().handle_exception(error)
        return response


class OrderEntryViewSet(KeptRequests):
    """POST /order/…"""

    serializer_classes: dict[str, type[Serializer[Any]]] = {
        "limit": LimitOrderInput,
        "market": MarketOrderInput,
        "stop": StopOrderInput,
        "bracket": BracketOrderInput,
        "cancel": CancelInput,
    }

    def get_serializer_class(self) -> type[Serializer[Any]]:
        return self.serializer_classes[self.action_map["post"]]  # OPTIONS describes it too

    @property
    def scope(self) -> Scope:
        return Scope.CANCEL if self.action_map["post"] == "cancel" else Scope.TRADE

    @schema.LIMIT
    def limit(self, request: Request) -> Response:
        return self._place(request)

    @schema.MARKET
    def market(self, request: Request) -> Response:
        return self._place(request)

    @schema.STOP
    def stop(self, request: Request) -> Response:
        return self._place(request)

    @schema.BRACKET
    def bracket(self, request: Request) -> Response:
        return self._place(request)

    @schema.CANCEL
    def cancel(self, request: Request) -> Response:
        asked = self.asked(request)
        perm_id = self.checked()["perm_id"]
        return rendered(cancelling.cancel(asked, perm_id=perm_id, caller=caller_of(request)))

    def _place(self, request: Request) -> Response:
        asked = self.asked(request)
        return rendered(placing.place(asked, self.action, self.checked(), caller=caller_of(request)))


class PendingOrderViewSet(GenericViewSet[Any]):
    """GET /orders"""

    serializer_class = PendingOrdersOutput

    @schema.ORDERS
    def list(self, request: Request) -> Response:
        listing = pending.list_orders(caller_of(request))
        return Response(self.get_serializer(listing).data, headers=headers.as_of(listing.as_of))


class ExecutionViewSet(GenericViewSet[Any]):
    """GET /executions"""

    serializer_class = ExecutionsOutput

    @schema.EXECUTIONS
    def list(self, request: Request) -> Response:
        query = ExecutionQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        found = ledger.read(caller_of(request), query.validated_data.get("symbol", ""))
        facts = {**headers.as_of(found.as_of), headers.SESSION_STATE: found.session_state}
        return Response(self.get_serializer(found).data, headers=facts)


def rendered(answer: Answer) -> Response:
    return Response(answer.body, status=answer.status_code, headers=answer.headers)
