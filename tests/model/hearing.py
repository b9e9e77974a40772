"""A worker hears: what the gateway tells unasked, and answers. It counts only where `orders.reports` would let it."""

from collections.abc import Iterator

from gateway.error_codes import Effect, effect_of
from orders import events
from orders.reconcile import NOT_FOUND
from orders.reports import DISPROVED_BY_LISTING, UNACKNOWLEDGED
from orders.vocabulary import FINAL, OrderStatus
from tests.model import lives
from tests.model.changes import Step, record, session_of, set_row, set_session
from tests.model.world import Placed, Stand, Told, World

OPEN, COMPLETED, EXECUTIONS = range(3)
ACCEPTED_WORD = "Submitted"


def steps_of_hearing(world: World, number: int) -> Iterator[Step]:
    at = session_of(world, number)
    if at is None or not world.gateway.sessions[at].outbound:
        return
    told = world.gateway.sessions[at].outbound[0]
    text = f"worker {number}: hears " + (f"error {told.code} for" if told.code else "of") + f" order {told.order_id}"
    yield Step(text, False, _heard_one(world, at))


def _heard_one(world: World, at: int) -> World:
    session = world.gateway.sessions[at]
    rest = session._replace(outbound=session.outbound[1:])
    return apply(set_session(world, at, rest), session.outbound[0], said_on=(session.epoch, session.connection))


def apply(world: World, told: Told, *, said_on: tuple[int, int]) -> World:
    """What `orders.reports` makes of what the gateway told."""
    row = world.rows[told.row]
    if row.order_id != told.order_id:
        return world
    status = lives.status(row.life)
    if told.code == 0:
        return _acknowledged(world, told.row, told.perm_id)
    effect, known = effect_of(told.code), lives.state(row.life).perm_id is not None
    refused = effect is Effect.REJECTS and status in UNACKNOWLEDGED and not known
    if refused or (effect is Effect.REJECTED and status not in FINAL - {OrderStatus.CANCELED}):
        return record(world, told.row, events.Rejected(reason="", code=told.code))
    if effect is Effect.CANCEL_CONFIRMED and (status is OrderStatus.IN_DOUBT or (known and status not in FINAL)):
        return record(world, told.row, events.Canceled(broker_status="Cancelled"))
    if effect is Effect.CANCEL_REFUSED and status is OrderStatus.PENDING_CANCEL:
        return record(world, told.row, events.CancelRejected(reason="", code=told.code))
    if told.code == NOT_FOUND:
        return set_row(world, told.row, row._replace(disowned=said_on))
    return world


def _acknowledged(world: World, number: int, perm_id: int) -> World:
    world = world._replace(
        gateway=world.gateway._replace(
            orders=tuple(o._replace(acknowledged=True) if o.perm_id == perm_id else o for o in world.gateway.orders)
        )
    )
    if lives.status(world.rows[number].life) in DISPROVED_BY_LISTING:
        return record(world, number, events.Accepted(perm_id=perm_id, broker_status=ACCEPTED_WORD))
    return world


def answered(world: World, number: int, question: int) -> World | None:
    """The whole answer to a question, applied; what was told before it is heard before it."""
    at = session_of(world, number)
    if at is None or not world.gateway.linked:
        return None
    while world.gateway.sessions[at].outbound:
        world = _heard_one(world, at)
    for order in world.gateway.orders:
        if not order.hidden and order.order_id == world.rows[order.row].order_id:
            world = _listed(world, order, question)
    if question == EXECUTIONS:
        world = world._replace(position=world.gateway.position)
    return world


def _listed(world: World, order: Placed, question: int) -> World:
    row = world.rows[order.row]
    if question == OPEN and order.stand is Stand.WORKING:
        return _acknowledged(world, order.row, order.perm_id)
    if question == COMPLETED and order.stand is Stand.FILLED and order.listed:
        return _acknowledged(world, order.row, order.perm_id)
    over = lives.status(row.life) in FINAL - {OrderStatus.NOT_PLACED}
    if question == COMPLETED and order.stand is Stand.GONE and order.listed and not over:
        return record(world, order.row, events.Canceled(broker_status="Cancelled", perm_id=order.perm_id))
    if question == EXECUTIONS and order.stand is Stand.FILLED and order.listed:
        state = lives.state(row.life)
        if not state.filled_quantity:
            fill = events.trade(
                exec_id=f"{order.perm_id}.01",
                quantity=lives.QUANTITY,
                price=lives.QUANTITY,
                perm_id=order.perm_id,
                leaves=state.leaves_quantity,
                occurred_at=None,
            )
            return record(world, order.row, fill)._replace(executed=world.executed + int(lives.QUANTITY))
    return world
