"""How accounts and positions look from outside: the API guide's names, numbers as JSON numbers."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.models import Position


class Number(serializers.DecimalField):
    """A Decimal, given out as it is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=None, decimal_places=None, **kwargs)

    def to_representation(self, value: Decimal) -> Decimal:  # type: ignore[override]
        return value


@extend_schema_serializer(many=False)  # one object, although `list` answers it
class AccountOutput(serializers.Serializer[Any]):
    balance = Number(help_text="Net liquidation value: total account equity")
    cash = Number(help_text="Funds available for trading")


class PositionOutput(serializers.Serializer[Position]):
    symbol = serializers.CharField()
    qty = Number(source="quantity", help_text="Positive: long. Negative: short")
    avg_cost = Number(source="average_cost", help_text="Average cost per share")
    market_value = serializers.SerializerMethodField(help_text="qty × avg_cost")

    def get_market_value(self, position: Position) -> Decimal | None:
        cost = position.average_cost
        return None if cost is None else position.quantity * cost


@extend_schema_serializer(many=False)  # one object, although `list` answers it
class PositionsOutput(serializers.Serializer[Any]):
    positions = PositionOutput(many=True)


class Problem(serializers.Serializer[Any]):
    """Every answer outside 2xx."""

    detail = serializers.CharField(help_text="What is wrong, in one sentence")
