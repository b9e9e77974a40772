"""What is at stake already: the orders that may be working, and those that wait to be sent."""

from django.db.models import Count
from django.db.models.functions import Now

from orders.models import NOT_AT_REST, Order
from orders.vocabulary import OrderStatus


def working_orders(account: str, symbol: str) -> dict[str, int]:
    """How many orders of an account in a symbol may be working, by side; those that wait to be sent count too."""
    rows = Order.objects.filter(NOT_AT_REST, account_id=account, symbol=symbol).values_list("side")
    return dict(rows.annotate(orders=Count("pk")).order_by())


def backlog() -> int:
    """How many orders wait to be sent and still may be."""
    return Order.objects.filter(status=OrderStatus.RECEIVED, valid_until__gt=Now()).count()
