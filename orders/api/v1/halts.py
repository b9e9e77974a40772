"""GET and POST /api/v1/halts: what is halted, and halting. Resuming is done in the admin, or by command."""

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access.callers import Caller, NotGranted, caller_of
from accounts.access.models import Scope as Grant
from accounts.halts import switch
from accounts.halts.models import Halt, HaltedOrder, Scope
from alarms.notes import LONGEST_NOTE, SHORTEST_NOTE
from orders import recall
from orders.api.v1.schema import ACCESS_CASES, DATABASE_AWAY, Case, refusals


class HaltInput(serializers.Serializer[Any]):
    scope = serializers.ChoiceField(Scope.choices)
    value = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=80, help_text="which account, symbol or key"
    )
    reason = serializers.CharField(min_length=SHORTEST_NOTE, max_length=LONGEST_NOTE)
    cancel = serializers.BooleanField(
        required=False, default=False, help_text="ask for the cancellation of what works at the broker as well"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise serializers.ValidationError({unknown[0]: "This field is unknown."})
        return attrs


class RecalledOutput(serializers.ModelSerializer[HaltedOrder]):
    """`problem`: why the cancellation of the order could not be asked for; empty when it was."""

    class Meta:
        model = HaltedOrder
        fields = ("order", "problem")


class HaltOutput(serializers.ModelSerializer[Halt]):
    """A halt that is on."""

    orders = RecalledOutput(many=True, help_text="those whose cancellation was to be asked for with it")

    class Meta:
        model = Halt
        fields = ("id", "scope", "value", "reason", "halted_by", "halted_at", "orders")


SAMPLE = {
    "id": 1,
    "scope": "SYMBOL",
    "value": "AAPL",
    "reason": "the strategy sends what it should not",
    "halted_by": "api",
    "halted_at": "2024-01-15T14:30:25.123456Z",
    "orders": [{"order": 12, "problem": ""}],
}
CASES: tuple[Case, ...] = (
    ("400", "Unknown field", "resume: This field is unknown.", "invalid"),
    ("400", "No account named", "Name the account, symbol or key that is to be halted; for ALL name none.", "invalid"),
)
ASKED = {"scope": "SYMBOL", "value": "AAPL", "reason": "the strategy sends what it should not", "cancel": True}


class HaltViewSet(GenericViewSet[Any]):
    queryset = Halt.objects.all()
    pagination_class = None
    filter_backends = ()

    def get_serializer_class(self) -> type[serializers.Serializer[Any]]:
        return HaltInput if self.action == "create" else HaltOutput

    @extend_schema(
        operation_id="list_halts",
        summary="What is halted",
        tags=["Halts"],
        responses={"200": HaltOutput(many=True), **refusals(*ACCESS_CASES, DATABASE_AWAY)},
        # Of one row: the generator puts it on a list.
        examples=[OpenApiExample("One symbol", value=SAMPLE, response_only=True, status_codes=["200"])],
    )
    def list(self, request: Request) -> Response:
        """The halts that are on, the oldest first. Not the file: GET /health/ready tells of it."""
        shown = switch.active().prefetch_related("orders")
        caller = caller_of(request)
        if caller.accounts(Grant.READ) is not None:
            shown = shown.filter(_own(caller, Grant.READ))
        return Response(HaltOutput(shown, many=True).data)

    @extend_schema(
        operation_id="halt",
        summary="Halt trading",
        tags=["Halts"],
        request=HaltInput,
        responses={"201": HaltOutput, **refusals(*CASES, *ACCESS_CASES, DATABASE_AWAY)},
        examples=[
            OpenApiExample("One symbol", value=ASKED, request_only=True),
            OpenApiExample("Halted", value=SAMPLE, response_only=True, status_codes=["201"]),
        ],
    )
    def create(self, request: Request) -> Response:
        """From this answer on nothing is sent within the scope. Where it is halted already, that halt is answered."""
        wanted = HaltInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        given, request_id = wanted.validated_data, request.headers.get("X-Request-Id", "")
        caller, scope = caller_of(request), Scope(given["scope"])
        for grant in (Grant.TRADE, *([Grant.CANCEL] if given["cancel"] else [])):
            _refuse_what_is_not_granted(caller, grant, scope, switch.checked_value(scope, given["value"]))
        halt = switch.halt(scope, given["value"], reason=given["reason"], actor=caller.actor, request_id=request_id)
        if given["cancel"]:
            recall.recall(halt, actor=caller.actor, request_id=request_id)
        return Response(HaltOutput(halt).data, status=201)


def _own(caller: Caller, grant: Grant) -> Q:
    """Halts that concern nobody but a caller who is not granted every account: of its accounts, and of its key."""
    accounts = Q(scope=Scope.ACCOUNT) & caller.within(grant, "value")
    return accounts | Q(scope=Scope.KEY, value=caller.actor.removeprefix(switch.KEY))


def _refuse_what_is_not_granted(caller: Caller, grant: Grant, scope: Scope, value: str) -> None:
    """Raises: NotGranted."""
    granted = caller.accounts(grant)
    own_key = scope is Scope.KEY and value == caller.actor.removeprefix(switch.KEY) and grant is Grant.TRADE
    if granted is None or own_key or (scope is Scope.ACCOUNT and value in granted):
        return
    raise NotGranted(f"This API key may {grant} in some accounts only: it can halt each of those, and its own key.")
