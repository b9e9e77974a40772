"""What the gateway may do next: read, answer, lose, forget, restart; and what time and the network do.

Rules
1. One session per client id: a second is refused until the first has ended (326). What a session wrote is read, or
   lost, before its end is noticed.
2. Bytes of one connection are read in the order they were written.
3. A cancellation finds an order that no list shows yet.
"""

from collections.abc import Iterator
from typing import Any

from orders.vocabulary import OrderStatus
from tests.model import lives
from tests.model.changes import Step, session_of, set_session
from tests.model.world import (
    AT_BROKER,
    FOREVER,
    SETTLE_TICKS,
    Cancel,
    Gateway,
    Phase,
    Place,
    Placed,
    Scope,
    Session,
    Stand,
    Told,
    World,
)

DUPLICATE_ORDER_ID, REJECTED, CANCELED, NOT_FOUND, NOT_CANCELABLE = 103, 201, 202, 10147, 10148


def steps(world: World, scope: Scope) -> Iterator[Step]:
    """All that can happen outside the workers."""
    gateway = world.gateway
    for number, session in enumerate(gateway.sessions):
        if session.inbound and gateway.linked:
            yield from _reads(world, scope, number)
        elif session.closing and not session.inbound:
            yield Step(f"gateway: sees that {_name(session)} has ended", False, _without(world, number))
        if session.closing and session.inbound:
            yield Step(f"network: the bytes left of {_name(session)} are lost", True, _without(world, number))
        if not session.closing and world.budget.cuts:
            spent = _spend(world, "cuts")
            yield Step(f"network: {_name(session)} is cut, what is on the wire is lost", True, _without(spent, number))
            half = session._replace(closing=True, outbound=())
            yield Step(
                f"network: {_name(session)} breaks; the gateway has not noticed", True, set_session(spent, number, half)
            )
    yield from _passing_of_time(world)
    yield from _at_the_broker(world)
    yield from _faults(world, scope)


def _passing_of_time(world: World) -> Iterator[Step]:
    workers = tuple(
        w._replace(age=min(SETTLE_TICKS, w.age + 1)) if w.phase is Phase.READY else w for w in world.workers
    )
    orders = tuple(o._replace(hidden=o.hidden - 1) if 0 < o.hidden < FOREVER else o for o in world.gateway.orders)
    rows = tuple(r._replace(overdue=True) if lives.status(r.life) is OrderStatus.PENDING_NEW else r for r in world.rows)
    after = world._replace(workers=workers, rows=rows, gateway=world.gateway._replace(orders=orders))
    if after != world:
        yield Step("time: passes", False, after)


def _at_the_broker(world: World) -> Iterator[Step]:
    if not world.budget.fills:
        return
    gateway = world.gateway
    for number, order in enumerate(gateway.orders):
        if order.stand is Stand.WORKING and order.root in (0, order.order_id):
            filled = _changed(gateway, number, order._replace(stand=Stand.FILLED))
            after = filled._replace(position=filled.position + int(lives.QUANTITY))
            yield Step(f"broker: fills order {order.order_id}", True, _spend(world, "fills")._replace(gateway=after))


def _faults(world: World, scope: Scope) -> Iterator[Step]:
    gateway, budget = world.gateway, world.budget
    if budget.restarts:
        yield from _restarts(_spend(world, "restarts"), scope)
    if gateway.linked and budget.link_losses:
        down = tuple(w._replace(phase=Phase.LINK_DOWN) if _is_up(world, n) else w for n, w in enumerate(world.workers))
        after = _spend(world, "link_losses")._replace(workers=down, gateway=gateway._replace(linked=False))
        yield Step("gateway: loses its link to the broker (1100)", True, after)
    if not gateway.linked:
        again = tuple(
            w._replace(phase=Phase.RECOVERING, asked=0) if w.phase is Phase.LINK_DOWN else w for w in world.workers
        )
        after = world._replace(workers=again, gateway=gateway._replace(linked=True))
        yield Step("gateway: has its link to the broker again (1102)", False, after)
    if budget.midnights:
        # DAY orders expire, and what is finished can no longer be asked for.
        orders = tuple(
            o._replace(stand=Stand.GONE if o.stand is Stand.WORKING else o.stand, listed=False)
            if o.stand in AT_BROKER
            else o
            for o in gateway.orders
        )
        after = _spend(world, "midnights")._replace(gateway=gateway._replace(orders=orders, day=gateway.day + 1))
        yield Step("time: midnight", True, after)


def _restarts(world: World, scope: Scope) -> Iterator[Step]:
    """Sessions and what is on the wire are gone; held orders too. What else goes wrong is a choice."""
    gateway = world.gateway
    dropped = tuple(o._replace(stand=Stand.LOST) if o.stand is Stand.HELD else o for o in gateway.orders)
    calm = gateway._replace(sessions=(), orders=dropped)
    yield Step("gateway: restarts", True, world._replace(gateway=calm))
    unheard = tuple(
        o._replace(stand=Stand.LOST) if o.stand is Stand.WORKING and not o.acknowledged else o for o in dropped
    )
    if unheard != dropped:
        known = max((o.order_id for o in unheard if o.stand in AT_BROKER), default=0)
        forgetful = calm._replace(orders=unheard, offers=(known + 1, 1))
        yield Step(
            "gateway: restarts and has lost what it had not acknowledged", True, world._replace(gateway=forgetful)
        )
    if scope.rolls_back:
        late = tuple(o._replace(hidden=scope.late) if o.stand in AT_BROKER else o for o in dropped)
        text = f"gateway: restarts, names order id 1 again and lists its orders {_ticks(scope.late)} late"
        yield Step(text, True, world._replace(gateway=calm._replace(orders=late, offers=(1, 1))))

    if scope.forgets_fills:
        filled = tuple(o._replace(listed=o.listed and o.stand is not Stand.FILLED) for o in dropped)
        text = "gateway: restarts, names order id 1 again and has forgotten what was filled"
        yield Step(text, True, world._replace(gateway=calm._replace(orders=filled, offers=(1, 1))))


def _reads(world: World, scope: Scope, number: int) -> Iterator[Step]:
    session = world.gateway.sessions[number]
    message = session.inbound[0]
    world = set_session(world, number, session._replace(inbound=session.inbound[1:]))
    match message:
        case Cancel():
            yield _reads_cancel(world, number, message)
        case Place():
            yield from _reads_place(world, scope, number, message)


def _reads_place(world: World, scope: Scope, number: int, message: Place) -> Iterator[Step]:
    gateway, client = world.gateway, world.gateway.sessions[number].client
    what = f"gateway: reads order {message.order_id} of {_name(gateway.sessions[number])}"
    world = world._replace(breach=world.breach or _breach(world, client, message))
    received = _replaced(gateway.received, client, max(gateway.received[client], message.order_id))
    if message.order_id < gateway.offers[client]:
        answered = _tell(
            gateway._replace(received=received), number, Told(DUPLICATE_ORDER_ID, message.row, message.order_id)
        )
        yield Step(f"{what}: duplicate order id (103)", False, world._replace(gateway=answered))
        return
    offers = _replaced(gateway.offers, client, message.order_id + 1)
    gateway = gateway._replace(received=received, offers=offers)
    if world.budget.refusals and message.transmit:
        refused = _tell(gateway, number, Told(REJECTED, message.row, message.order_id))
        yield Step(f"{what}, the broker refuses it (201)", True, _spend(world, "refusals")._replace(gateway=refused))
    order = Placed(
        row=message.row,
        order_id=message.order_id,
        perm_id=len(gateway.orders) + 1,
        root=message.root,
        client=client,
        stand=Stand.HELD,
    )
    held = gateway._replace(orders=(*gateway.orders, order))
    if not message.transmit:
        yield Step(f"{what} and holds it", False, world._replace(gateway=held))
        return
    if message.root and not any(o.order_id == message.root and o.stand is Stand.HELD for o in gateway.orders):
        # 10006: its entry is gone. The id is used up all the same.
        refused = _tell(gateway, number, Told(10006, message.row, message.order_id))
        yield Step(f"{what}: missing parent order (10006)", False, world._replace(gateway=refused))
        return
    world = world._replace(breach=world.breach or _breach_of_bracket(world, held, order))
    yield Step(f"{what}: accepted", False, world._replace(gateway=_accepted(held, number, order, hidden=0)))
    if world.budget.late:
        late = _spend(world, "late")._replace(gateway=_accepted(held, number, order, hidden=scope.late))
        yield Step(f"{what}: accepted, and shown to nobody for {_ticks(scope.late)}", True, late)


def _accepted(gateway: Gateway, number: int, last: Placed, *, hidden: int) -> Gateway:
    """The order and, for a bracket, what was held for it go to the broker; each is acknowledged unless hidden."""
    for n in _family(gateway, last):
        order = gateway.orders[n]
        gateway = _changed(gateway, n, order._replace(stand=Stand.WORKING, hidden=hidden))
        if not hidden:
            gateway = _tell(gateway, number, Told(0, order.row, order.order_id, order.perm_id))
    return gateway


def _family(gateway: Gateway, last: Placed) -> list[int]:
    """Who leaves together with the leg that releases a bracket, or with a single order: nobody else."""
    return [
        n
        for n, o in enumerate(gateway.orders)
        if o.stand is Stand.HELD and o.client == last.client and (o is last or (last.root and o.root == last.root))
    ]


def _reads_cancel(world: World, number: int, message: Cancel) -> Step:
    gateway = world.gateway
    what = f"gateway: reads the cancel of order {message.order_id}"
    found = [
        (n, o)
        for n, o in enumerate(gateway.orders)
        if o.order_id == message.order_id and o.client == gateway.sessions[number].client and o.stand is not Stand.LOST
    ]
    if not found or not found[0][1].listed:
        row = _row_of(world, message.order_id)
        answered = _tell(gateway, number, Told(NOT_FOUND, row, message.order_id))
        return Step(f"{what}: not found (10147)", False, world._replace(gateway=answered))
    n, order = found[0]
    if order.stand in (Stand.FILLED, Stand.GONE):
        answered = _tell(gateway, number, Told(NOT_CANCELABLE, order.row, order.order_id))
        return Step(f"{what}: too late (10148)", False, world._replace(gateway=answered))
    if order.stand is Stand.HELD:
        gateway = gateway._replace(
            orders=tuple(
                o._replace(stand=Stand.LOST) if o.stand is Stand.HELD and order.order_id in (o.order_id, o.root) else o
                for o in gateway.orders
            )
        )
    else:
        gateway = _changed(gateway, n, order._replace(stand=Stand.GONE))
    answered = _tell(gateway, number, Told(CANCELED, order.row, order.order_id, order.perm_id))
    return Step(f"{what}: canceled (202)", False, world._replace(gateway=answered))


def _breach(world: World, client: int, message: Place) -> str:
    row = world.rows[message.row]
    if message.order_id >= world.next_id:
        return "I11: received before its claim was committed"
    if row.order_id == message.order_id and (row.epoch, row.connection) != (message.epoch, message.connection):
        return "I12: sent by another than its claimer"
    if message.order_id <= world.gateway.received[client]:
        return "I10: an order id came again, or after a higher one"
    return ""


def _breach_of_bracket(world: World, gateway: Gateway, last: Placed) -> str:
    legs = sum(row.request == world.rows[last.row].request for row in world.rows)
    return "" if len(_family(gateway, last)) == legs else "I15: a bracket without one of its legs"


def _tell(gateway: Gateway, number: int, told: Told) -> Gateway:
    session = gateway.sessions[number]
    if session.closing:
        return gateway
    heard = session._replace(outbound=(*session.outbound, told))
    return gateway._replace(sessions=_replaced(gateway.sessions, number, heard))


def _row_of(world: World, order_id: int) -> int:
    return next(n for n, row in enumerate(world.rows) if row.order_id == order_id)


def _is_up(world: World, number: int) -> bool:
    return world.workers[number].phase in (Phase.RECOVERING, Phase.READY) and session_of(world, number) is not None


def _without(world: World, number: int) -> World:
    sessions = world.gateway.sessions
    return world._replace(gateway=world.gateway._replace(sessions=sessions[:number] + sessions[number + 1 :]))


def _changed(gateway: Gateway, number: int, order: Placed) -> Gateway:
    return gateway._replace(orders=_replaced(gateway.orders, number, order))


def _replaced(items: tuple[Any, ...], number: int, item: object) -> tuple[Any, ...]:
    return (*items[:number], item, *items[number + 1 :])


def _spend(world: World, fault: str) -> World:
    return world._replace(budget=world.budget._replace(**{fault: getattr(world.budget, fault) - 1}))


def _name(session: Session) -> str:
    return f"connection {session.epoch}/{session.connection}"


def _ticks(number: int) -> str:
    return "ever" if number >= FOREVER else f"{number} tick(s)"
