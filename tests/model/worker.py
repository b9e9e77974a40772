"""What the workers may do next: one step each of owning, connecting, recovering, claiming, writing, hearing, settling.

Every change of an order is an event of production's, folded by production's lifecycle. A step is what nothing can
interrupt: a commit, a write, the answer to one question. Between any two steps the process may be killed, and any other
process may take any number of its own: that is also what a stopped process looks like.
"""

from collections.abc import Iterator

from tests.model.changes import Step, session_of, set_session, step
from tests.model.claiming import steps_of_cancelling, steps_of_claiming, steps_of_regret, steps_of_withdrawing
from tests.model.hearing import steps_of_hearing
from tests.model.rules import Rules
from tests.model.settling import interrupted, steps_of_recovery, steps_of_settling
from tests.model.world import NOBODY, Phase, Session, Worker, World


def steps(world: World, rules: Rules) -> Iterator[Step]:
    """All that the workers can do, and be done to."""
    for number, worker in enumerate(world.workers):
        if worker.phase is Phase.DEAD:
            if world.budget.kills == 0 or all(w.phase is Phase.DEAD for w in world.workers):
                yield step(world, number, "starts", worker._replace(phase=Phase.STANDBY))
            continue
        if worker.phase is Phase.STANDBY:
            if world.lock == NOBODY:
                yield _takes_over(world, number)
            continue
        if world.budget.kills:
            yield _is_killed(world, number)
        yield from _ownership(world, number)
        yield from _connection(world, number, rules)
        yield from steps_of_claiming(world, number, rules)
        yield from steps_of_cancelling(world, number)
        yield from steps_of_hearing(world, number)
        if worker.phase is Phase.RECOVERING:
            yield from steps_of_recovery(world, number, rules)
        yield from steps_of_settling(world, number, rules)
    yield from steps_of_withdrawing(world, rules)
    yield from steps_of_regret(world)


def _takes_over(world: World, number: int) -> Step:
    epoch = world.epoch + 1
    owner = Worker(phase=Phase.DISCONNECTED, epoch=epoch, claim=world.workers[number].claim)
    return step(world._replace(lock=number, epoch=epoch), number, f"owns the client id, epoch {epoch}", owner)


def _is_killed(world: World, number: int) -> Step:
    freed = hang_up(world, number)._replace(budget=world.budget._replace(kills=world.budget.kills - 1))
    if world.lock == number:
        freed = freed._replace(lock=NOBODY)
    return step(freed, number, "is killed", Worker(), fault=True)


def _ownership(world: World, number: int) -> Iterator[Step]:
    worker = world.workers[number]
    if world.lock == number and world.budget.lost_locks:
        spent = world._replace(lock=NOBODY, budget=world.budget._replace(lost_locks=world.budget.lost_locks - 1))
        yield Step("database: restarts, the ownership lock is free", True, spent)
    if world.lock != number:
        standby = Worker(phase=Phase.STANDBY, claim=worker.claim)
        yield step(hang_up(world, number), number, "notices that the lock is lost and hangs up", standby)


def hang_up(world: World, number: int) -> World:
    """The socket is closed; the gateway still reads what was written."""
    at = session_of(world, number)
    if at is None:
        return world
    return set_session(world, at, world.gateway.sessions[at]._replace(closing=True, outbound=()))


def _connection(world: World, number: int, rules: Rules) -> Iterator[Step]:
    worker, gateway = world.workers[number], world.gateway
    if worker.phase is not Phase.DISCONNECTED:
        if session_of(world, number) is None:
            gone = worker._replace(phase=Phase.DISCONNECTED, rounds=interrupted(worker))
            yield step(world, number, f"notices that connection {worker.epoch}/{worker.connection} is gone", gone)
        return
    client = 0 if rules.one_client_id else number
    if any(session.client == client for session in gateway.sessions) or not gateway.linked:
        return  # 326, or nothing to recover from yet
    session = Session(worker=number, epoch=worker.epoch, connection=worker.connection + 1, client=client)
    connected = worker._replace(
        phase=Phase.RECOVERING,
        connection=session.connection,
        offered=gateway.offers[client],
        next_id=max(worker.next_id, gateway.offers[client]),
        asked=0,
        age=0,
        rounds=interrupted(worker),
    )
    after = _offered(world, connected)._replace(gateway=gateway._replace(sessions=(*gateway.sessions, session)))
    text = f"connects: connection {session.epoch}/{session.connection}, the gateway offers order id {connected.offered}"
    yield step(after, number, text, connected)


def _offered(world: World, worker: Worker) -> World:
    """The first offer on a connection after a claim's is kept: it counts nothing that was sent later."""
    here = worker.epoch, worker.connection
    return world._replace(
        rows=tuple(
            row._replace(offer=worker.offered)
            if row.order_id and row.offer is None and here > (row.epoch, row.connection)
            else row
            for row in world.rows
        )
    )
