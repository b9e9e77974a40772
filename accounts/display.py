"""How the review pages write states, amounts and times."""

from datetime import UTC, datetime
from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

NOTHING = "\N{EN DASH}"  # an empty cell


def badge(word: str, label: str = "") -> SafeString:
    """A state as a coloured label; the colours are in review.css."""
    return format_html('<span class="badge badge-{}">{}</span>', word.lower(), label or word)


def amount(value: Decimal | None, *, places: int = 8) -> str:
    """A quantity or a price without trailing zeros, thousands set apart."""
    if value is None:
        return NOTHING
    return f"{round(value, places).normalize():,f}"


def money(value: Decimal | None) -> str:
    """An amount of money to the cent."""
    return NOTHING if value is None else f"{value:,.2f}"


def moment(value: datetime | None) -> str:
    """A time to the second, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if value else NOTHING
