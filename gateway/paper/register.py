"""The register: which orders there are, and every number that must never be given twice.

Rules: order ids belong to a client id and only grow; permIds and execution numbers belong to the whole gateway. Held
orders (transmit=False) are known to nobody but their client. Finished orders and executions stay until midnight.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.paper.orders import Execution, Order

FIRST_PERM_ID = 1_788_680_597

Key = TypeVar("Key")
OrderKey = tuple[int, int]  # client id, order id


@dataclass(slots=True)
class Counters:
    """What must survive even when the orders themselves are gone."""

    next_perm_id: int = FIRST_PERM_ID
    next_execution: int = 1
    next_turn: int = 1
    highest_order_id: dict[int, int] = field(default_factory=dict)  # by client id


class Register:
    """All orders of the gateway and the day's executions."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.working: dict[int, Order] = {}
        self.completed: dict[int, Order] = {}
        self.executions: list[Execution] = []
        self.held: dict[OrderKey, Order] = {}
        self._by_key: dict[OrderKey, Order] = {}
        self._groups: defaultdict[tuple[str, str], dict[int, Order]] = defaultdict(dict)
        self._children: defaultdict[int, dict[int, Order]] = defaultdict(dict)

    def find(self, client_id: int, order_id: int) -> Order | None:
        """A transmitted order of that client, working or finished today."""
        return self._by_key.get((client_id, order_id))

    def next_valid_id(self, client_id: int) -> int:
        return self.counters.highest_order_id.get(client_id, 0) + 1

    def use_order_id(self, client_id: int, order_id: int) -> None:
        highest = self.counters.highest_order_id
        highest[client_id] = max(order_id, highest.get(client_id, 0))

    def take_perm_id(self) -> int:
        self.counters.next_perm_id += 1
        return self.counters.next_perm_id - 1

    def take_turn(self) -> int:
        self.counters.next_turn += 1
        return self.counters.next_turn - 1

    def take_exec_id(self) -> str:
        """`xxxxxxxx.xxxxxxxx.NN.01`: the last part is the revision, which a correction would raise."""
        number = self.counters.next_execution
        self.counters.next_execution += 1
        return f"0000e0d5.{number >> 8:08x}.{number & 0xFF:02x}.01"

    def hold(self, order: Order) -> None:
        self.held[order.client_id, order.order_id] = order

    def release(self, order: Order) -> list[Order]:
        """The held parent, brothers and children of a transmitted order, and itself: parent first, then by id."""
        client, root = order.client_id, order.parent_id or order.order_id
        self.held[client, order.order_id] = order
        family = [
            held for held in self.held.values() if held.client_id == client and root in (held.order_id, held.parent_id)
        ]
        for member in family:
            del self.held[client, member.order_id]
        return sorted(family, key=lambda member: (member.order_id != root, member.order_id))

    def enlist(self, order: Order) -> None:
        """From here on the order works; its group and its parent know it."""
        self.working[order.perm_id] = order
        self._by_key[order.client_id, order.order_id] = order
        if order.oca_group:
            self._groups[order.account, order.oca_group][order.perm_id] = order
        if order.parent_perm_id:
            self._children[order.parent_perm_id][order.perm_id] = order

    def finish(self, order: Order) -> None:
        self.working.pop(order.perm_id, None)
        self.completed[order.perm_id] = order
        self._by_key[order.client_id, order.order_id] = order
        if order.oca_group:
            _forget(self._groups, (order.account, order.oca_group), order)
        if order.parent_perm_id:
            _forget(self._children, order.parent_perm_id, order)

    def brothers(self, order: Order) -> list[Order]:
        """The other working orders of its one-cancels-all group."""
        group = self._groups.get((order.account, order.oca_group), {}) if order.oca_group else {}
        return [member for member in group.values() if member is not order]

    def children(self, parent: Order) -> list[Order]:
        return list(self._children.get(parent.perm_id, {}).values())

    def waits_for_parent(self, order: Order) -> bool:
        return order.parent_perm_id in self.working

    def forget_day(self) -> None:
        """Midnight: finished orders and executions can no longer be asked for."""
        for order in self.completed.values():
            self._by_key.pop((order.client_id, order.order_id), None)
        self.completed.clear()
        self.executions.clear()

    def restore(self, orders: Iterable[Order], executions: Iterable[Execution]) -> None:
        """Take over orders from a saved state, in any order; counters are restored by whoever holds them."""
        for order in orders:
            (self.finish if order.done else self.enlist)(order)
        self.executions.extend(executions)


def _forget(index: defaultdict[Key, dict[int, Order]], key: Key, order: Order) -> None:
    members = index.get(key, {})
    members.pop(order.perm_id, None)
    if not members:
        index.pop(key, None)
