"""Whose report is this? An order is known by our stamp, else by IB's permanent id; by nothing else."""

from orders import stamps
from orders.models import Order


def find(order_ref: str, perm_id: int, account: str, *, lock: bool = False) -> Order | None:
    """The order a report is about; with `lock`, its row stays locked until the transaction ends."""
    orders = Order.objects.select_for_update() if lock else Order.objects.all()
    _, stamp = stamps.split(order_ref)
    ours = orders.filter(stamp=stamp).first() if stamp is not None else None
    if ours is not None and (perm_id <= 0 or ours.perm_id in (None, perm_id) or _named_by_a_person(ours)):
        return ours
    if perm_id <= 0:
        return None
    return orders.filter(perm_id=perm_id, account_id=account).order_by("pk").first()


def stamped(order_ref: str) -> Order | None:
    """The order of ours whose stamp this is, whatever permanent id the broker gives it."""
    _, stamp = stamps.split(order_ref)
    return Order.objects.filter(stamp=stamp).first() if stamp is not None else None


def _named_by_a_person(order: Order) -> bool:
    """Its permanent id was typed in to end a doubt, and the broker said nothing of it yet: the stamp knows better."""
    return not order.broker_status and not order.filled_quantity
