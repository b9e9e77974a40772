"""A worker claims, writes and cancels; a client gives up waiting."""

from collections.abc import Iterator

from orders import events
from orders.dispatch import CLAIMED
from orders.vocabulary import OrderStatus
from tests.model import lives
from tests.model.changes import Step, in_status, record, set_row, step, write
from tests.model.rules import Rules
from tests.model.world import NOBODY, Cancel, Claim, Phase, Place, World


def steps_of_withdrawing(world: World, rules: Rules) -> Iterator[Step]:
    """Whoever waited has waited long enough: what nobody claimed is closed, all legs of a request or none."""
    unclaimed = [n for n in in_status(world, OrderStatus.RECEIVED) if not world.rows[n].order_id]
    late = events.NotPlaced(reason="not sent before it lost its validity")
    for request in sorted({world.rows[n].request for n in unclaimed}):
        legs = [n for n in unclaimed if world.rows[n].request == request]
        withdrawn = world
        for n in legs if rules.withdraws_requests else legs[:1]:
            withdrawn = record(withdrawn, n, late)
        yield Step(f"web: request {request} is withdrawn unsent", True, withdrawn)


def steps_of_claiming(world: World, number: int, rules: Rules) -> Iterator[Step]:
    worker = world.workers[number]
    if worker.claim is not None:
        yield from _writing(world, number, rules)
        return
    if worker.failed != NOBODY:
        yield _closes_failed(world, number, rules)
        return
    if worker.phase is not Phase.READY or worker.epoch != world.epoch:
        return
    for request in sorted({world.rows[n].request for n in in_status(world, OrderStatus.RECEIVED)}):
        claimed = _claimed(world, number, request)
        claim = Claim(request, worker.epoch, worker.connection)
        if not rules.writes_ahead:
            # The bytes first, the record of it after them.
            sent = write(world, number, *_bytes(world, number, request, [row.order_id for row in claimed.rows]))
            yield step(sent, number, f"writes request {request}, claiming it later", worker._replace(claim=claim))
            continue
        yield step(claimed, number, f"claims request {request}", worker._replace(claim=claim))
        if world.budget.failed_commits:
            spent = world.budget._replace(failed_commits=world.budget.failed_commits - 1)
            unsure = worker._replace(failed=request)
            text = f"claims request {request}, the commit fails"
            yield step(world._replace(budget=spent), number, text, unsure, fault=True)
            yield step(claimed._replace(budget=spent), number, f"{text}, and had happened", unsure, fault=True)


def _claimed(world: World, number: int, request: int) -> World:
    worker = world.workers[number]
    first = max(world.next_id, worker.next_id)
    for n in in_status(world, OrderStatus.RECEIVED, request=request):
        order_id = max(first, world.next_id)
        sent = events.Sent(
            client_id=0,
            broker_order_id=order_id,
            connection=worker.connection,
            epoch=worker.epoch,
            stamp="",
            digest="",
            unexplained=lives.QUANTITY * 0,
            trading_day="",
        )
        world = record(world, n, sent)
        row = world.rows[n]._replace(
            order_id=order_id,
            epoch=worker.epoch,
            connection=worker.connection,
            day=world.gateway.day,
            position=world.position,
            executed=world.executed,
            overdue=False,
            offer=None,
            disowned=None,
        )
        world = set_row(world, n, row)._replace(next_id=order_id + 1)
    return world


def _writing(world: World, number: int, rules: Rules) -> Iterator[Step]:
    worker = world.workers[number]
    assert worker.claim is not None
    claim, done = worker.claim, worker._replace(claim=None)
    if not rules.writes_ahead:
        if in_status(world, OrderStatus.RECEIVED, request=claim.request):
            yield step(_claimed(world, number, claim.request), number, f"records request {claim.request} as sent", done)
        else:
            yield step(world, number, "finds it recorded", done)
        return
    here = (claim.epoch, claim.connection) == (worker.epoch, worker.connection) or not rules.writes_where_claimed
    if worker.phase is Phase.READY and here:
        sent = write(world, number, *_bytes(world, number, claim.request, [row.order_id for row in world.rows]))
        yield step(sent, number, f"writes request {claim.request}", done)
        return
    for n in in_status(world, *CLAIMED, request=claim.request):
        world = record(world, n, events.NotPlaced(reason="connection failed"))
    yield step(world, number, f"may not write request {claim.request} any more and gives it up", done)


def _bytes(world: World, number: int, request: int, ids: list[int]) -> tuple[Place, ...]:
    """The messages of a request: a bracket's legs name the first of them, and only the last releases the group."""
    worker = world.workers[number]
    rows = [n for n, row in enumerate(world.rows) if row.request == request and ids[n]]
    root = ids[rows[0]] if len(rows) > 1 else 0
    return tuple(Place(n, ids[n], root, n == rows[-1], worker.epoch, worker.connection) for n in rows)


def _closes_failed(world: World, number: int, rules: Rules) -> Step:
    worker = world.workers[number]
    for n in in_status(world, *CLAIMED, request=worker.failed):
        if world.rows[n].epoch == worker.epoch or not rules.closes_own_claims_only:
            world = record(world, n, events.NotPlaced(reason="connection failed"))
    text = f"closes what it failed to claim of request {worker.failed}"
    return step(world, number, text, worker._replace(failed=NOBODY))


# Cancelling


def steps_of_cancelling(world: World, number: int) -> Iterator[Step]:
    """A cancel goes out once per connection, until it is answered."""
    worker = world.workers[number]
    if worker.phase is not Phase.READY:
        return
    here = worker.epoch, worker.connection
    for n in in_status(world, OrderStatus.PENDING_CANCEL):
        if world.rows[n].cancel_sent != here:
            marked = record(world, n, events.CancelSent(connection=worker.connection))
            marked = set_row(marked, n, marked.rows[n]._replace(cancel_sent=here))
            written = write(marked, number, Cancel(world.rows[n].order_id))
            yield step(written, number, f"sends the cancel of order {world.rows[n].order_id}", worker)


def steps_of_regret(world: World) -> Iterator[Step]:
    """Somebody wants an order gone."""
    if not world.budget.cancels:
        return
    for n in in_status(world, OrderStatus.NEW):
        spent = world._replace(budget=world.budget._replace(cancels=world.budget.cancels - 1))
        asked = record(spent, n, events.CancelRequested())
        asked = set_row(asked, n, asked.rows[n]._replace(cancel_sent=None))
        yield Step(f"web: order {world.rows[n].order_id} is to be cancelled", True, asked)
