"""What must hold in every world, and where every world must be able to get to. Names are RELIABILITY's."""

from orders.vocabulary import OrderStatus
from tests.model import lives
from tests.model.world import AT_BROKER, FOREVER, Placed, Stand, World

UNSETTLED = (OrderStatus.RECEIVED, OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL)


def broken(world: World) -> str:
    """The first invariant this world breaks, in words; empty when none."""
    if world.breach:
        return world.breach
    seen: set[int] = set()
    for order in world.gateway.orders:
        if order.stand is Stand.HELD:
            continue
        if order.row in seen:
            return f"I1: row {order.row} is at the broker twice"
        seen.add(order.row)
        if order.stand in AT_BROKER and world.rows[order.row].ever_not_placed:
            return f"I4: row {order.row} was called not placed and is at the broker as order {order.order_id}"
    by_perm_id = {order.perm_id: order for order in world.gateway.orders}
    for number, row in enumerate(world.rows):
        perm_id = lives.state(row.life).perm_id
        if what := _untrue(world, number):
            return what
        if perm_id is not None and not _is(by_perm_id.get(perm_id), number):
            return f"I3: row {number} is called placed as {perm_id}, which the broker does not know"
    return ""


def _untrue(world: World, number: int) -> str:
    """What is called over and is not."""
    status = lives.status(world.rows[number].life)
    if status in (OrderStatus.CANCELED, OrderStatus.REJECTED):
        for order in world.gateway.orders:
            if order.row == number and order.stand in (Stand.WORKING, Stand.FILLED):
                return f"I16: row {number} is called {status} and is {order.stand.name} at the broker"
    return ""


def _is(order: Placed | None, row: int) -> bool:
    return order is not None and order.row == row and order.stand is not Stand.HELD


def at_rest(world: World) -> bool:
    """I5: nothing is left RECEIVED or PENDING_NEW, and every cancel is answered."""
    return not any(lives.status(row.life) in UNSETTLED for row in world.rows)


def undoubted(world: World) -> bool:
    """I5 and I6: at rest, and in doubt only where it cannot be told."""
    return at_rest(world) and all(
        _cannot_be_told(world, number)
        for number, row in enumerate(world.rows)
        if lives.status(row.life) is OrderStatus.IN_DOUBT
    )


def _cannot_be_told(world: World, number: int) -> bool:
    row = world.rows[number]
    mine = [order for order in world.gateway.orders if order.row == number]
    return (
        row.day != world.gateway.day  # finished orders of yesterday are not listed
        or row.offer is None  # the connection it was sent on still stands
        or row.offer > row.order_id  # the gateway used its id, and shows no order
        or row.position + world.executed - row.executed != world.position  # an execution is missing, maybe its own
        or any(order.hidden == FOREVER or not order.listed for order in mine)
    )
