"""What may be posted, and how orders and executions look from outside: the API guide's names.

Rules for input
1. Nothing is converted: a number is a JSON number, a text is a JSON string, and neither is trimmed or rounded.
2. Nothing is ignored: a field that is not known may be a typing error in one that matters.
3. No control character passes: the wire separates fields with NUL. Symbols and references are printable ASCII.
4. Amounts lie far below the numbers by which IB means "unset" (2147483647, 1.797e308).
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts.serializers import Number
from orders.vocabulary import ExecutionSource, Side

MAX_AMOUNT = 100_000_000
DECIMAL_PLACES = 4
MAX_PERM_ID = 2**63 - 1
MAX_SYMBOL = 12
SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ .-][A-Za-z0-9]+)*")  # AAPL, BRK B, BF.B, RDS-A
MAX_REFERENCE = 128
REFERENCE = re.compile(r"[ -~]*")


class Amount(serializers.DecimalField):
    """A quantity or a price: above 0, at most 4 decimals."""

    default_error_messages = {
        "invalid": "A number is expected, without quotes.",
        "not_positive": "This must be greater than 0.",
        "too_large": f"This must be at most {MAX_AMOUNT}.",
        "too_precise": f"This may have at most {DECIMAL_PLACES} decimals.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=None, decimal_places=DECIMAL_PLACES, **kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, (int, Decimal)):
            self.fail("invalid")
        number = Decimal(data)
        if number <= 0:
            self.fail("not_positive")
        if number > MAX_AMOUNT:
            self.fail("too_large")
        if number != round(number, DECIMAL_PLACES):
            self.fail("too_precise")
        return Decimal(f"{number.normalize():f}")  # 1e1 and 10.00 stand in the trail as 10


class Text(serializers.CharField):
    """A string that fits a pattern, as it is."""

    default_error_messages = {"invalid": "A string is expected.", "unfit": "{meaning}"}

    def __init__(self, *, pattern: re.Pattern[str], meaning: str, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)
        self.pattern = pattern
        self.meaning = meaning

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not self.pattern.fullmatch(data):
            self.fail("unfit", meaning=self.meaning)
        return data


class Symbol(Text):
    """A stock symbol in any case."""

    def __init__(self) -> None:
        meaning = "A symbol is letters and digits, with single spaces, dots or dashes inside: AAPL, BRK B."
        super().__init__(pattern=SYMBOL, meaning=meaning, max_length=MAX_SYMBOL, help_text="Stock symbol")

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).upper()


class Action(serializers.ChoiceField):
    """BUY or SELL in any case."""

    default_error_messages = {"invalid_choice": "This must be BUY or SELL."}

    def __init__(self) -> None:
        super().__init__(choices=Side.values, help_text="BUY or SELL, in any case")

    def to_internal_value(self, data: Any) -> Side:
        # isascii: some letters elsewhere become an S in upper case.
        if not isinstance(data, str) or not data.isascii() or data.upper() not in Side.values:
            self.fail("invalid_choice")
        return Side(data.upper())


class PermanentId(serializers.IntegerField):
    """IB's permId."""

    default_error_messages = {
        "invalid": "A whole number is expected, without quotes.",
        "out_of_range": "This must be a permId: greater than 0 and below 2^63.",
    }

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        if not 0 < data <= MAX_PERM_ID:
            self.fail("out_of_range")
        return data


class StrictInput(serializers.Serializer[Any]):
    """Refuses what it does not know, before anything else: that is where the mistake was made."""

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        unknown = next((name for name in data if name not in self.fields), None)
        if unknown is not None:
            known = ", ".join(self.fields)
            refusal = f"{ascii(unknown[:40])} is not a field of this request: it has {known}."
            raise serializers.ValidationError({"non_field_errors": [refusal]})
        return super().to_internal_value(data)


class OrderInput(StrictInput):
    symbol = Symbol()
    action = Action()
    quantity = Amount(help_text="Number of shares")


class Reference(Text):
    def __init__(self) -> None:
        super().__init__(
            pattern=REFERENCE,
            meaning="A reference is printable ASCII: no control characters, no accents.",
            max_length=MAX_REFERENCE,
            required=False,
            allow_blank=True,
            allow_null=True,
            help_text="Your own reference; comes back in /executions",
        )


class MarketOrderInput(OrderInput):
    order_ref = Reference()


class LimitOrderInput(OrderInput):
    limit_price = Amount(help_text="Limit price")
    order_ref = Reference()


class StopOrderInput(OrderInput):
    stop_price = Amount(help_text="The order is set off when the price reaches this")
    order_ref = Reference()


class BracketOrderInput(OrderInput):
    entry_price = Amount(help_text="Limit price of the entry")
    stop_loss = Amount(help_text="Stop price of the stop-loss")
    take_profit = Amount(help_text="Limit price of the take-profit")
    order_ref = Reference()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        prices = [attrs["stop_loss"], attrs["entry_price"], attrs["take_profit"]]
        if attrs["action"] is Side.BUY and not prices[0] < prices[1] < prices[2]:
            self._refuse("A BUY bracket needs stop_loss < entry_price < take_profit.")
        if attrs["action"] is Side.SELL and not prices[0] > prices[1] > prices[2]:
            self._refuse("A SELL bracket needs take_profit < entry_price < stop_loss.")
        return attrs

    def _refuse(self, sentence: str) -> NoReturn:
        raise serializers.ValidationError(sentence)


class CancelInput(StrictInput):
    perm_id = PermanentId(help_text="permId from the placement's answer or from GET /orders")


class ExecutionQuery(serializers.Serializer[Any]):
    symbol = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, max_length=40)


class PlacedOutput(serializers.Serializer[Any]):
    status = serializers.CharField()
    permId = serializers.IntegerField(help_text="Permanent order id: use it to cancel the order")


class BracketPlacedOutput(serializers.Serializer[Any]):
    status = serializers.CharField()
    permIds = serializers.ListField(
        child=serializers.IntegerField(), min_length=3, max_length=3, help_text="Entry, stop-loss, take-profit"
    )


class CancelledOutput(serializers.Serializer[Any]):
    status = serializers.CharField()
    order_status = serializers.CharField(
        required=False, help_text="PENDINGCANCEL: the broker has the cancellation and has not confirmed it yet"
    )


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "string", "enum": ["—"]}]})
class TriggerField(serializers.Field[Any, Any, Any, Any]):
    """A price, or a dash where the type has none."""

    def to_representation(self, value: Decimal | str) -> Decimal | str:
        return value


class PendingOrderOutput(serializers.Serializer[Any]):
    orderId = serializers.IntegerField(source="order_id", help_text="At the gateway; changes on restart")
    permId = serializers.IntegerField(source="perm_id", help_text="Permanent; 0 until the broker has given one")
    symbol = serializers.CharField()
    action = serializers.ChoiceField(choices=Side.values)
    quantity = Number(help_text="As ordered")
    type = serializers.CharField(help_text="IB's word: LMT, MKT, STP, …")
    trigger = TriggerField(help_text="Limit or stop price, or —")
    status = serializers.ChoiceField(choices=["PENDINGSUBMIT", "PRESUBMITTED", "SUBMITTED", "APIPENDING"])
    inDoubt = serializers.BooleanField(
        source="in_doubt", required=False, help_text="Only true: whether the broker has it cannot be told"
    )


@extend_schema_serializer(many=False)  # one object, although `list` answers it
class PendingOrdersOutput(serializers.Serializer[Any]):
    orders = PendingOrderOutput(many=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """By hand, as executions are, which leaves out what is not known: a key is never null."""
        return {"orders": [_pending(order) for order in instance.orders]}


def _pending(order: Any) -> dict[str, Any]:
    row = {
        "orderId": order.order_id,
        "permId": order.perm_id,
        "symbol": order.symbol,
        "action": order.action,
        "quantity": order.quantity,
        "type": order.type,
        "trigger": order.trigger,
        "status": order.status,
    }
    if order.in_doubt is not None:
        row["inDoubt"] = order.in_doubt
    return row


class ExecutionOutput(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=Side.values)
    qty = Number()
    price = Number()
    time = serializers.CharField(required=False, help_text="YYYYMMDD HH:MM:SS, UTC")
    orderId = serializers.IntegerField(source="order_id", required=False)
    orderRef = serializers.CharField(source="order_ref", required=False)
    source = serializers.ChoiceField(choices=ExecutionSource.values)  # type: ignore[assignment]


@extend_schema_serializer(many=False)  # one object, although `list` answers it
class ExecutionsOutput(serializers.Serializer[Any]):
    executions = ExecutionOutput(many=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """By hand: the ledger is one answer, and field by field it would take most of the time."""
        return {"executions": [_execution(entry) for entry in instance.executions]}


def _execution(entry: Any) -> dict[str, Any]:
    row = {"symbol": entry.symbol, "side": entry.side, "qty": entry.qty, "price": entry.price}
    if entry.time is not None:
        row["time"] = entry.time
    if entry.order_id is not None:
        row["orderId"] = entry.order_id
    if entry.order_ref is not None:
        row["orderRef"] = entry.order_ref
    row["source"] = entry.source
    return row
