"""A worker recovers, and goes on asking about what is in doubt."""

from collections.abc import Iterator

from orders import events, evidence
from orders.vocabulary import OrderStatus
from tests.model import lives
from tests.model.changes import Step, in_status, record, set_row, step, write
from tests.model.hearing import COMPLETED, EXECUTIONS, OPEN, answered
from tests.model.rules import Rules, in_doubt
from tests.model.world import SETTLE_TICKS, Cancel, Phase, Round, Worker, World


def steps_of_recovery(world: World, number: int, rules: Rules) -> Iterator[Step]:
    worker = world.workers[number]
    after = answered(world, number, worker.asked)
    if after is None:
        return
    name = ("open orders", "completed orders", "executions and positions")[worker.asked]
    if worker.asked < EXECUTIONS:
        yield step(after, number, f"recovers: asks for {name}", worker._replace(asked=worker.asked + 1))
        return
    for n in in_status(after, OrderStatus.PENDING_NEW):
        if rules.resends_unlisted:
            after = set_row(after, n, after.rows[n]._replace(life=lives.RECEIVED))
        else:
            after = record(after, n, events.InDoubt(reason=""))
    after = _cancel_untransmitted(after, number)
    ready = worker._replace(phase=Phase.READY, asked=0, age=0, rounds=interrupted(worker))
    yield step(after, number, f"recovers: asks for {name}; ready", ready)


def _cancel_untransmitted(world: World, number: int) -> World:
    """Legs in doubt of a bracket none of whose legs is known: the gateway may hold them back."""
    for n in in_status(world, OrderStatus.IN_DOUBT):
        family = [row for row in world.rows if row.request == world.rows[n].request]
        if len(family) > 1 and all(lives.state(row.life).perm_id is None for row in family):
            world = write(world, number, Cancel(world.rows[n].order_id))
    return world


def steps_of_settling(world: World, number: int, rules: Rules) -> Iterator[Step]:
    worker = world.workers[number]
    rounds = worker.rounds
    if rounds.deciding:
        decided = _decided(world, number, rules)
        yield step(decided, number, "settles: decides", worker._replace(rounds=rounds._replace(deciding=False)))
        return
    if worker.phase is not Phase.READY:
        return
    if rules.retries_overdue:
        for n in in_status(world, OrderStatus.PENDING_NEW):
            if world.rows[n].overdue and worker.claim is None:
                again = set_row(world, n, world.rows[n]._replace(life=lives.RECEIVED))
                yield step(again, number, f"sees no acknowledgement of row {n} and tries again", worker)
    overdue = [n for n in in_status(world, OrderStatus.PENDING_NEW) if world.rows[n].overdue]
    if not rounds.asking:
        news = rounds.complete < evidence.ROUNDS or rounds.settled < worker.age
        if not overdue and not (news and in_status(world, OrderStatus.IN_DOUBT)):
            return
        after = answered(world, number, OPEN)
        if after is not None:
            asking = rounds._replace(asking=True, began=worker.age)
            yield step(after, number, "settles: asks for open orders", worker._replace(rounds=asking))
        return
    for question in (COMPLETED, EXECUTIONS):
        after = answered(world, number, question)
        if after is None:
            return
        world = after
    yield _round_done(world, number, rules)


def _round_done(world: World, number: int, rules: Rules) -> Step:
    worker = world.workers[number]
    rounds = worker.rounds
    done = Round(
        complete=min(evidence.ROUNDS, rounds.complete + 1),
        settled=min(SETTLE_TICKS, rounds.began if rules.settled_when_asked else worker.age),
    )
    for n in in_status(world, OrderStatus.PENDING_NEW):
        if world.rows[n].overdue:
            world = record(world, n, events.InDoubt(reason=""))
    text = "settles: asks for the rest"
    if not rules.decides_as_asked:
        return step(world, number, text, worker._replace(rounds=done._replace(deciding=True)))
    counted = step(world, number, text, worker._replace(rounds=done)).world
    return Step(f"worker {number}: {text} and decides", False, _decided(counted, number, rules))


def _decided(world: World, number: int, rules: Rules) -> World:
    worker = world.workers[number]
    explained = 1 + max((row.order_id for row in world.rows if lives.state(row.life).perm_id is not None), default=0)
    for n in in_status(world, OrderStatus.IN_DOUBT):
        row = world.rows[n]
        doubt = in_doubt(
            rules,
            claimed=(row.epoch, row.connection),
            order_id=row.order_id,
            claim_day=row.day,
            claim_unexplained=row.position - row.executed,
            asked=(worker.epoch, worker.connection),
            rounds=worker.rounds.complete,
            settled=worker.rounds.settled,
            offered=row.offer if not rules.explains_offers else worker.offered if worker.offered > explained else 0,
            day=world.gateway.day,
            unexplained=world.position - world.executed,
            disowned=row.disowned == (worker.epoch, worker.connection),
        )
        if not doubt:
            world = record(world, n, events.NotPlaced(reason="nothing speaks for it any more"))
    return world


def interrupted(worker: Worker) -> Round:
    """Rounds begin anew; only a decision under way (in a variant that lets it be overtaken) outlives the connection."""
    return worker.rounds if worker.rounds.deciding else Round()
