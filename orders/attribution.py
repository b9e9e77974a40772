"""Whose report is this? An order is known by our stamp, else by IB's permanent id; by nothing else."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from database import prepared
from orders import stamps
from orders.models import Order

_NAMED = "stamp = ANY(%(stamps)s) OR perm_id = ANY(%(perm_ids)s) ORDER BY id"
# Without what no report is held against: a listing tells of a thousand orders.
TOLD_OF = prepared.Selection(Order, _NAMED, without=frozenset({"received_at", "valid_until"}))
LOCKED = prepared.Selection(Order, f"{_NAMED} FOR UPDATE")


class Found:
    """The orders that a batch of reports may be about; one value for each row."""

    def __init__(self, named: Iterable[tuple[str, int]], *, lock: bool) -> None:
        """`named` are the order references and permanent ids of the reports; `lock`: until the transaction ends."""
        references, perm_ids = zip(*named, strict=True)
        marks = {stamp for reference in references if (stamp := stamps.split(reference)[1]) is not None}
        about = LOCKED if lock else TOLD_OF
        found = about.read(stamps=list(marks), perm_ids=[perm_id for perm_id in perm_ids if perm_id > 0])
        # By the database's clock, which is read as each is locked: not before the last of them was.
        self.at = found[-1][1] if found else None
        self._by_stamp = {order.stamp: order for order, _ in found if order.stamp is not None}
        self._by_perm_id: defaultdict[int, list[Order]] = defaultdict(list)
        self._unsettled: list[Order] = []  # who may be given a permanent id, or another one, by a report
        for order, _ in found:
            self.add(order)

    def add(self, order: Order) -> None:
        """One that was not on record when it was looked for."""
        if order.perm_id is None or _named_by_a_person(order):
            self._unsettled.append(order)
        else:
            self._by_perm_id[order.perm_id].append(order)

    def named(self, perm_id: int) -> Order | None:
        """The latest order of that permanent id, whoever's it is."""
        return max(self._named(perm_id), key=lambda order: order.pk, default=None)

    def of(self, order_ref: str, perm_id: int, account: str) -> Order | None:
        _, stamp = stamps.split(order_ref)
        ours = self._by_stamp.get(stamp) if stamp is not None else None
        return _choice(ours, perm_id, lambda: self._of_account(account, perm_id))

    def _of_account(self, account: str, perm_id: int) -> Order | None:
        """The first order of that permanent id in the account."""
        named = (order for order in self._named(perm_id) if order.account_id == account)
        return min(named, key=lambda order: order.pk, default=None)

    def _named(self, perm_id: int) -> list[Order]:
        given = [order for order in self._unsettled if order.perm_id == perm_id]
        return [*self._by_perm_id.get(perm_id, ()), *given]


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
