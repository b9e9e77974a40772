"""Changes that steps are made of: an event recorded, bytes put on a wire, a worker in another state."""

from typing import NamedTuple

from orders import events
from orders.vocabulary import OrderStatus
from tests.model import lives
from tests.model.world import Cancel, Place, Row, Session, Worker, World


class Step(NamedTuple):
    """Something that can happen: in words, whether it is a fault, and what the world is after it."""

    text: str
    fault: bool
    world: World


def step(world: World, number: int, text: str, worker: Worker, *, fault: bool = False) -> Step:
    workers = (*world.workers[:number], worker, *world.workers[number + 1 :])
    return Step(f"worker {number}: {text}", fault, world._replace(workers=workers))


# The database


def record(world: World, number: int, event: events.Event) -> World:
    """Append an event to an order."""
    row = world.rows[number]
    life = lives.advance(row.life, event)
    never = row.ever_not_placed or lives.status(life) is OrderStatus.NOT_PLACED
    return set_row(world, number, row._replace(life=life, ever_not_placed=never))


def set_row(world: World, number: int, row: Row) -> World:
    return world._replace(rows=(*world.rows[:number], row, *world.rows[number + 1 :]))


def in_status(world: World, *statuses: OrderStatus, request: int | None = None) -> list[int]:
    return [
        n for n, row in enumerate(world.rows) if lives.status(row.life) in statuses and request in (None, row.request)
    ]


# The wire


def session_of(world: World, number: int) -> int | None:
    """The place among the gateway's sessions of a worker's connection, while it stands."""
    worker = world.workers[number]
    for n, session in enumerate(world.gateway.sessions):
        mine = session.worker == number and (session.epoch, session.connection) == (worker.epoch, worker.connection)
        if mine and not session.closing:
            return n
    return None


def set_session(world: World, at: int, session: Session) -> World:
    gateway = world.gateway
    sessions = (*gateway.sessions[:at], session, *gateway.sessions[at + 1 :])
    return world._replace(gateway=gateway._replace(sessions=sessions))


def write(world: World, number: int, *messages: Place | Cancel) -> World:
    """Bytes of a worker. A socket that is gone takes them all the same, and nobody gets them."""
    at = session_of(world, number)
    if at is None:
        return world
    session = world.gateway.sessions[at]
    return set_session(world, at, session._replace(inbound=session.inbound + messages))
