"""The trades that events tell of against the executions of the broker, with nothing left over.

Rules: events come one by one, order after order, and are compared some at a time; what is kept of an order meanwhile is
the ids of its trades, however many events it has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from orders.models import Execution, Order, OrderEvent
from orders.trail import plain

TRADES_AT_A_TIME = 1000
ORDERS_AT_A_TIME = 500


class Trade(NamedTuple):
    """What an event says of an execution."""

    order_pk: int
    account: str
    sequence: int
    exec_id: str
    quantity: Any
    price: Any


@dataclass
class TradeCheck:
    """Each method yields what differs, in words."""

    _trades: list[Trade] = field(default_factory=list)
    _told: dict[int, set[str]] = field(default_factory=dict)  # ids of the trades of an order

    def add(self, order: Order, row: OrderEvent) -> Iterator[str]:
        """The next event of an order."""
        told = self._told.setdefault(order.pk, set())
        if not (isinstance(row.payload, dict) and "exec_id" in row.payload):
            return
        said = row.payload
        told.add(said["exec_id"])
        trade = Trade(
            order.pk, order.account_id, row.sequence, said["exec_id"], said.get("quantity"), said.get("price")
        )
        self._trades.append(trade)
        if len(self._trades) >= TRADES_AT_A_TIME:
            yield from self._compare()

    def end(self, order: Order) -> Iterator[str]:
        """All events of an order were added."""
        self._told.setdefault(order.pk, set())
        if len(self._told) >= ORDERS_AT_A_TIME or len(self._told[order.pk]) >= TRADES_AT_A_TIME:
            yield from self.finish()

    def finish(self) -> Iterator[str]:
        """What is still to be compared, and the executions that no event tells of."""
        yield from self._compare()
        theirs = Execution.objects.filter(order__in=list(self._told)).values_list("pk", "order_id", "exec_id")
        # One that its correction overtook, or that was busted before it was known, is kept and counts nothing.
        untold = [pk for pk, order_pk, exec_id in theirs.iterator() if exec_id not in self._told[order_pk]]
        for execution in Execution.objects.effective().filter(pk__in=untold).defer("raw").order_by("pk"):
            yield f"order {execution.order_id}: execution {execution.exec_id} is in none of its events"
        self._told.clear()

    def _compare(self) -> Iterator[str]:
        accounts, ids = {trade.account for trade in self._trades}, {trade.exec_id for trade in self._trades}
        rows = Execution.objects.filter(account__in=accounts, exec_id__in=ids).defer("raw")
        executions = {(row.account, row.exec_id): row for row in rows}
        for trade in self._trades:
            execution = executions.get((trade.account, trade.exec_id))
            about = f"order {trade.order_pk}: event {trade.sequence}"
            if execution is None:
                yield f"{about} tells of execution {trade.exec_id}, which is not in the record"
            elif not _same(trade, execution):
                stands = f"{plain(execution.quantity)} at {plain(execution.price)}"
                yield f"{about} says {trade.quantity} at {trade.price}, execution {trade.exec_id} says {stands}"
        self._trades.clear()


def _same(trade: Trade, execution: Execution) -> bool:
    try:
        said = Decimal(trade.quantity), Decimal(trade.price)
    except (TypeError, InvalidOperation):
        return False
    return said == (execution.quantity, execution.price)
