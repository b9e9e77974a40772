"""The verbs tests assert with."""

from orders.models import Order


def history(order: Order) -> list[str]:
    """The kinds of an order's events, in order."""
    return list(order.events.order_by("sequence").values_list("kind", flat=True))


def assert_history(order: Order, kinds: str) -> None:
    """`kinds` is a space separated list of event kinds, in any case."""
    assert history(order) == kinds.upper().split()
    order.refresh_from_db()
    assert order.last_sequence == len(kinds.split())
