"""accounts.display for the review pages' templates. Imports nothing of the admin, which loads it while it loads."""

from datetime import UTC, datetime
from decimal import Decimal

from django import template
from django.utils.safestring import SafeString

from accounts import display

register = template.Library()

register.filter(display.amount)
register.filter(display.moment)
register.filter(display.money)


@register.filter
def price(value: Decimal | None) -> str:
    """A computed price, rounded."""
    return display.amount(value, places=4)


@register.filter
def exact_moment(value: datetime) -> str:
    """A time to the millisecond, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


@register.filter
def badge(word: str, label: str) -> SafeString:
    return display.badge(word, label)
