"""Lives of orders as small numbers: each stands for a state that production's own fold led to.

Worlds are hashed by the hundred thousand; a number hashes faster than eleven columns.
"""

from decimal import Decimal
from functools import cache

from orders import events, lifecycle
from orders.vocabulary import OrderStatus

QUANTITY = Decimal(10)

_states: list[lifecycle.OrderState] = []
_numbers: dict[lifecycle.OrderState, int] = {}


def _number(state: lifecycle.OrderState) -> int:
    if state not in _numbers:
        _numbers[state] = len(_states)
        _states.append(state)
    return _numbers[state]


@cache
def advance(life: int, event: events.Event) -> int:
    """The life after an event. Raises IllegalTransition where the table has no row."""
    return _number(lifecycle.fold(_states[life], event))


def status(life: int) -> OrderStatus:
    return _states[life].status


def state(life: int) -> lifecycle.OrderState:
    return _states[life]


RECEIVED = _number(lifecycle.fold(None, events.Received(quantity=QUANTITY)))
