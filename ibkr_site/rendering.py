"""Writing JSON. Numbers are exact inside and JSON numbers outside: the one place where a Decimal becomes one."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder


class NumberEncoder(JSONEncoder):
    """10, 230.5: an integral Decimal as an integer, another as the float whose shortest form it is."""

    def default(self, obj: Any) -> Any:
        if isinstance(obj, Decimal) and obj.is_finite():
            return int(obj) if obj == obj.to_integral_value() else float(obj)
        return super().default(obj)


class NumberRenderer(JSONRenderer):
    encoder_class = NumberEncoder


class OneFormat(DefaultContentNegotiation):
    """Answers are what they are, whatever `Accept` prefers: 406 would be one more thing to handle for nothing."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only = next(iter(renderers))
        return only, only.media_type or ""
