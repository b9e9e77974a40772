"""Orders as a batch of reports finds them, and the events it leads to: one look, and one transaction if there is news.

Rules
1. What is decided rests on rows that nobody held. Before the events are written the rows are locked; when one has
   changed since it was read, nothing is written and the batch is to be decided anew (Overtaken).
2. A sheet is for one decision: it is written once, or thrown away.
"""

from collections.abc import Iterable

from django.db import transaction

from database import prepared
from orders import attribution, events, journal
from orders.models import Order

LOCK = "SELECT id, last_sequence FROM orders_order WHERE id = ANY(%(orders)s) ORDER BY id FOR UPDATE"


class Overtaken(Exception):
    """Somebody else changed an order while it was decided about; nothing was written."""


class Sheet:
    """`named` are the order references and permanent ids of the reports."""

    def __init__(self, named: Iterable[tuple[str, int]]) -> None:
        self.found = attribution.Found(named, lock=False)
        self._draft = journal.Draft(now=self.found.at)
        self._read: dict[int, int] = {}  # the sequence of a changed row as it was read
        self._said: list[tuple[int, events.Event]] = []

    def note(self, order: Order, event: events.Event, *, origin: journal.Origin) -> None:
        """Put an event down; the order is from here on as it leaves it."""
        self._read.setdefault(order.pk, order.last_sequence)
        self._said.append((order.pk, event))
        self._draft.add(order, event, origin=origin)

    def has(self, order: Order, event: events.Event) -> bool:
        """Whether just this is on the sheet."""
        return (order.pk, event) in self._said

    def write(self) -> None:
        """Raises: Overtaken."""
        if not self._read:
            return
        with transaction.atomic():
            if dict(prepared.many(LOCK, {"orders": list(self._read)})) != self._read:
                raise Overtaken
            self._draft.write()
