"""How the record looks from outside: our own names, decimals as strings, times to the microsecond in UTC."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.db import models
from rest_framework import serializers

from accounts.models import AccountValue, BrokerAccount, Position
from accounts.snapshots.models import AccountSnapshot, PositionSnapshot
from orders.breaks.models import Break, BreakEvent
from orders.breaks.vocabulary import Severity
from orders.knowledge import Knowledge, LaterEvent
from orders.models import Execution, Order, OrderEvent, OrderRequest, RequestAnswer

PRICE_PLACES = 8  # of a computed price


class Exact(serializers.DecimalField):
    """A decimal as text, without an exponent or zeros at its end: "230.5"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": None, "decimal_places": None} | kwargs, coerce_to_string=True)

    def to_representation(self, value: Decimal) -> str:
        return f"{value.normalize():f}"


class Moment(serializers.DateTimeField):
    """2026-01-15T14:30:25.123456Z"""

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Row(serializers.ModelSerializer[Any]):
    """A row as it is."""

    serializer_field_mapping: ClassVar = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DecimalField: Exact,
        models.DateTimeField: Moment,
    }


class OrderRecord(Row):
    side = serializers.CharField(read_only=True)
    order_type = serializers.CharField(
        read_only=True, help_text="MARKET, LIMIT, STOP, STOP_LIMIT; the broker's own word for other types"
    )
    time_in_force = serializers.CharField(read_only=True, help_text="DAY, GTC, or the broker's own word")
    average_price = serializers.SerializerMethodField(
        help_text="mean price of what was filled, to 8 decimals; null before the first fill"
    )

    class Meta:
        model = Order
        fields = (
            "id",
            "request",
            "role",
            "account",
            "symbol",
            "security_type",
            "currency",
            "side",
            "order_type",
            "time_in_force",
            "order_ref",
            "stamp",
            "received_at",
            "valid_until",
            "status",
            "quantity",
            "limit_price",
            "stop_price",
            "filled_quantity",
            "average_price",
            "client_id",
            "broker_order_id",
            "perm_id",
            "broker_status",
            "reason",
            "last_sequence",
        )
        read_only_fields = fields

    def get_average_price(self, order: Order) -> str | None:
        price = order.average_price
        return None if price is None else f"{round(price, PRICE_PLACES).normalize():f}"


class EventRecord(Row):
    payload = serializers.DictField(read_only=True, help_text="what the event says, by its kind; decimals as strings")

    class Meta:
        model = OrderEvent
        fields: tuple[str, ...] = (
            "id",
            "order",
            "sequence",
            "kind",
            "from_status",
            "to_status",
            "actor",
            "occurred_at",
            "recorded_at",
            "payload",
            "session",
            "request_id",
        )
        read_only_fields = fields


class EventDetail(EventRecord):
    raw = serializers.ListField(
        read_only=True, allow_null=True, help_text="the broker's message, field by field; null where there was none"
    )

    class Meta(EventRecord.Meta):
        fields = (*EventRecord.Meta.fields, "raw")
        read_only_fields = fields


class ExecutionRecord(Row):
    source = serializers.CharField(read_only=True, help_text="where it was first seen")  # type: ignore[assignment]
    side = serializers.CharField(read_only=True)
    effective = serializers.BooleanField(
        read_only=True, help_text="false: a later one corrects or busts it, or it is a bust"
    )
    commission = Exact(read_only=True, allow_null=True, help_text="null until it is reported")
    commission_currency = serializers.CharField(read_only=True, allow_null=True)
    realized_pnl = Exact(read_only=True, allow_null=True)

    class Meta:
        model = Execution
        fields: tuple[str, ...] = (
            "id",
            "account",
            "exec_id",
            "replaces",
            "effective",
            "order",
            "perm_id",
            "client_id",
            "broker_order_id",
            "symbol",
            "con_id",
            "security_type",
            "currency",
            "side",
            "quantity",
            "price",
            "commission",
            "commission_currency",
            "realized_pnl",
            "exchange",
            "order_ref",
            "executed_at",
            "time_text",
            "source",
            "recorded_at",
        )
        read_only_fields = fields


class ExecutionDetail(ExecutionRecord):
    raw = serializers.ListField(read_only=True, help_text="the broker's message, field by field")

    class Meta(ExecutionRecord.Meta):
        fields = (*ExecutionRecord.Meta.fields, "raw")
        read_only_fields = fields


class AnswerRecord(Row):
    body = serializers.DictField(read_only=True)
    settled = serializers.BooleanField(read_only=True, help_text="false: the outcome was unknown then")

    class Meta:
        model = RequestAnswer
        fields = ("answered_at", "status_code", "body", "settled")
        read_only_fields = fields


class RequestRecord(Row):
    orders = serializers.PrimaryKeyRelatedField(many=True, read_only=True, help_text="the orders it led to")  # type: ignore[var-annotated]
    answers = AnswerRecord(many=True, read_only=True)

    class Meta:
        model = OrderRequest
        fields = (
            "id",
            "received_at",
            "endpoint",
            "body",
            "body_digest",
            "actor",
            "remote_address",
            "request_id",
            "idempotency_key",
            "refusal",
            "cancels",
            "orders",
            "answers",
        )
        read_only_fields = fields


class AccountRecord(Row):
    gateway = serializers.CharField(source="session_id", read_only=True, help_text="name of the gateway that serves it")

    class Meta:
        model = BrokerAccount
        fields: tuple[str, ...] = ("id", "gateway", "first_seen_at")
        read_only_fields = fields


class ValueRecord(Row):
    class Meta:
        model = AccountValue
        fields = ("key", "currency", "value", "as_of")
        read_only_fields = fields


class HoldingRecord(Row):
    class Meta:
        model = Position
        fields = (
            "con_id",
            "symbol",
            "security_type",
            "currency",
            "quantity",
            "average_cost",
            "market_price",
            "market_value",
            "as_of",
        )
        read_only_fields = fields


class AccountDetail(AccountRecord):
    snapshot = serializers.IntegerField(
        read_only=True,
        allow_null=True,
        help_text="with as_of: id of the last snapshot by then, which the figures and positions are of",
    )
    values = ValueRecord(
        many=True,
        read_only=True,
        allow_null=True,
        help_text="the broker's figures as it last gave them; null with as_of before the first snapshot: not known",
    )
    positions = HoldingRecord(
        many=True,
        read_only=True,
        allow_null=True,
        help_text="open positions as the broker last gave them; null with as_of before the first snapshot: not known",
    )

    class Meta(AccountRecord.Meta):
        fields = (*AccountRecord.Meta.fields, "snapshot", "values", "positions")
        read_only_fields = fields


class SnapshotRecord(Row):
    class Meta:
        model = AccountSnapshot
        fields: tuple[str, ...] = (
            "id",
            "account",
            "due_at",
            "taken_at",
            "as_of",
            "currency",
            "net_liquidation",
            "total_cash",
            "available_funds",
            "buying_power",
            "excess_liquidity",
            "initial_margin",
            "maintenance_margin",
            "gross_position_value",
            "realized_pnl",
            "unrealized_pnl",
            "position_count",
            "position_value",
        )
        read_only_fields = fields


class HeldRecord(Row):
    class Meta:
        model = PositionSnapshot
        fields = (
            "con_id",
            "symbol",
            "security_type",
            "currency",
            "quantity",
            "average_cost",
            "market_price",
            "market_value",
        )
        read_only_fields = fields


class SnapshotDetail(SnapshotRecord):
    positions = HeldRecord(many=True, read_only=True, help_text="what the account held then")

    class Meta(SnapshotRecord.Meta):
        fields = (*SnapshotRecord.Meta.fields, "positions")
        read_only_fields = fields


class BreakRecord(Row):
    severity = serializers.SerializerMethodField(
        help_text="CRITICAL or WARNING; null with as_of where the figures changed later: not known"
    )
    last_seen_at = Moment(
        read_only=True, allow_null=True, help_text="null with as_of where it was seen again later: not known"
    )
    times_seen = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="null with as_of where it was seen again later: not known"
    )

    class Meta:
        model = Break
        fields: tuple[str, ...] = (
            "id",
            "source",
            "kind",
            "account",
            "symbol",
            "subject",
            "order",
            "execution",
            "con_id",
            "security_type",
            "expected",
            "actual",
            "gap",
            "severity",
            "opened_at",
            "last_seen_at",
            "times_seen",
            "closed_at",
            "closed_by",
            "close_reason",
            "gone_at",
        )
        read_only_fields = fields

    def get_severity(self, row: Break) -> str | None:
        severity: int | None = row.severity  # None: as it was known once (breaks.hindsight)
        return None if severity is None else Severity(severity).name


class BreakEventRecord(Row):
    class Meta:
        model = BreakEvent
        fields = ("sequence", "kind", "actor", "recorded_at", "expected", "actual", "reason", "request_id")
        read_only_fields = fields


class BreakDetail(BreakRecord):
    events = BreakEventRecord(many=True, read_only=True, help_text="what became of it, with the figures of each moment")

    class Meta(BreakRecord.Meta):
        fields = (*BreakRecord.Meta.fields, "events")
        read_only_fields = fields


class FillKnown(serializers.Serializer[Any]):
    """An execution that counted then."""

    exec_id = serializers.CharField()
    quantity = Exact()
    price = Exact()
    occurred_at = Moment(allow_null=True, help_text="by the broker's clock, where it said")
    recorded_at = Moment(help_text="when it was known here")


class LaterEventRecord(serializers.Serializer[LaterEvent]):
    """What was not known yet."""

    sequence = serializers.IntegerField(source="row.sequence")
    kind = serializers.CharField(source="row.kind")
    to_status = serializers.CharField(source="row.to_status")
    occurred_at = Moment(source="row.occurred_at", allow_null=True)
    recorded_at = Moment(source="row.recorded_at")
    late = serializers.BooleanField(help_text="it had happened by then, by the broker's clock, and was not known")


class OrderKnown(serializers.Serializer[Knowledge]):
    """An order as it was known at an instant, and what came after."""

    as_of = Moment(source="instant", help_text="the instant that this shows; now, if none was asked for")
    order = OrderRecord(help_text="as it was known then")
    fills = FillKnown(many=True, help_text="what counted then; a correction stands for what it corrects")
    later = LaterEventRecord(many=True, help_text="what came on record after; empty without as_of")


class Refusal(serializers.Serializer[Any]):
    """Every answer of /api/v1/ outside 2xx."""

    detail = serializers.CharField(help_text="what is wrong, in one sentence")
    code = serializers.CharField(help_text="the same for programs: bad_parameter, not_found, …")
