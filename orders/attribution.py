"""Whose report is this? An order is known by our stamp, else by IB's permanent id; by nothing else."""

from collections.abc import Callable, Iterable

from database import prepared
from orders import stamps
from orders.models import Order

_NAMED = "stamp = ANY(%(stamps)s) OR perm_id = ANY(%(perm_ids)s) ORDER BY id"
TOLD_OF = prepared.Selection(Order, _NAMED)
LOCKED = prepared.Selection(Order, f"{_NAMED} FOR UPDATE")


class Found:
    """The orders that a batch of reports may be about; one value for each row."""

    def __init__(self, named: Iterable[tuple[str, int]], *, lock: bool) -> None:
        """`named` are the order references and permanent ids of the reports; `lock`: until the transaction ends."""
        references, perm_ids = zip(*named, strict=True)
        marks = {stamp for reference in references if (stamp := stamps.split(reference)[1]) is not None}
        about = LOCKED if lock else TOLD_OF
        found = about.read(stamps=list(marks), perm_ids=[perm_id for perm_id in perm_ids if perm_id > 0])
        self.at = found[-1][1] if found else None  # by the database's clock, once they were locked
        self._orders = [order for order, _ in found]
        self._by_stamp = {order.stamp: order for order in self._orders if order.stamp is not None}

    def add(self, order: Order) -> None:
        """One that was not on record when it was looked for."""
        self._orders.append(order)

    def named(self, perm_id: int) -> Order | None:
        """The latest order of that permanent id, whoever's it is."""
        return max((o for o in self._orders if o.perm_id == perm_id), key=lambda o: o.pk, default=None)

    def of(self, order_ref: str, perm_id: int, account: str) -> Order | None:
        _, stamp = stamps.split(order_ref)
        ours = self._by_stamp.get(stamp) if stamp is not None else None
        named = (order for order in self._orders if (order.perm_id, order.account_id) == (perm_id, account))
        return _choice(ours, perm_id, lambda: next(named, None))


def find(order_ref: str, perm_id: int, account: str) -> Order | None:
    """The order a report is about."""
    named = Order.objects.filter(perm_id=perm_id, account_id=account).order_by("pk")
    return _choice(stamped(order_ref), perm_id, named.first)


def stamped(order_ref: str) -> Order | None:
    """The order of ours whose stamp this is, whatever permanent id the broker gives it."""
    _, stamp = stamps.split(order_ref)
    return Order.objects.filter(stamp=stamp).first() if stamp is not None else None


def _choice(ours: Order | None, perm_id: int, named: Callable[[], Order | None]) -> Order | None:
    """Ours, unless the broker has that stamp on another order; then the one `named` by the permanent id."""
    if ours is not None and (perm_id <= 0 or ours.perm_id in (None, perm_id) or _named_by_a_person(ours)):
        return ours
    return named() if perm_id > 0 else None


def _named_by_a_person(order: Order) -> bool:
    """Its permanent id was typed in to end a doubt, and the broker said nothing of it yet: the stamp knows better."""
    return not order.broker_status and not order.filled_quantity
