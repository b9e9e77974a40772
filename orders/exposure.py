"""What is at stake already: the orders that may be working, and those that wait to be sent.

An order of which the broker, asked twice, has nothing left (a live break says so) takes none of its room there: an
order that expired over night would otherwise keep new ones out for ever.
"""

from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import Now

from orders.breaks.models import LIVE, Break
from orders.breaks.vocabulary import NOT_WORKING_THERE, Source
from orders.models import NOT_AT_REST, Order
from orders.vocabulary import OrderStatus


def working_orders(account: str, symbol: str) -> dict[str, int]:
    """How many orders of an account in a symbol may be working, by side; those that wait to be sent count too."""
    gone = Break.objects.filter(LIVE, order=OuterRef("pk"), source=Source.BROKER, kind__in=NOT_WORKING_THERE)
    rows = Order.objects.filter(NOT_AT_REST, ~Exists(gone), account_id=account, symbol=symbol).values_list("side")
    return dict(rows.annotate(orders=Count("pk")).order_by())


def backlog() -> int:
    """How many orders wait to be sent and still may be."""
    return Order.objects.filter(status=OrderStatus.RECEIVED, valid_until__gt=Now()).count()
