"""Production's worker against the paper gateway's real exchange, by chance, in virtual time: cut, killed, restarted."""

import random
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import transaction

from accounts.models import GatewaySession
from gateway.errors import GatewayError
from orders import claims, dispatch, evidence, intake, journal, reconcile, stamps, sweep, withdrawal
from orders.models import Execution, Order, OrderEvent
from orders.vocabulary import Actor, EventKind, OrderStatus, OrderType, Side
from tests.model.paper import Clock, Gateway, Killed, Session
from tests.orders.builders import BRACKET, CLIENT_ID, GATEWAY, LIMIT, asked, placement, session_row

pytestmark = pytest.mark.django_db

FAULTS = 0.02  # of each call of the port: half of them kill the process, half cut the connection
REQUESTS = 8
LATE_SECONDS = 25.0  # for which lists may lag behind: less than the settle time
MARKET = intake.Leg(side=Side.SELL, order_type=OrderType.MARKET)


class Walk:
    """A worker, its gateway and its clients, and the steps by which chance leads them on."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self.chance = random.Random(seed)
        self.clock = clock
        self.gateway = Gateway(clock, self.chance)
        self.faults = FAULTS
        self.taken: list[str] = [f"seed {seed}"]
        self.requests = 0
        self.worker = self._new_worker()

    def go(self, steps: int) -> None:
        """`steps` steps with faults between them."""
        actions = {
            self.place: 3,
            self.sweep: 6,
            self.inquire: 6,
            self.hear: 4,
            self.read: 6,
            self.wait: 6,
            self.trade: 1,
            self.reconnect: 4,
            self.cancel: 1,
            self.withdraw: 0.3,
            self.cut: 0.5,
            self.restart: 0.3,
        }
        for _ in range(steps):
            (action,) = self.chance.choices(list(actions), weights=list(actions.values()))
            self.taken.append(action.__name__)
            with self._mortal():
                action()
            self.check()

    def rest(self) -> None:
        """No more faults: what is open comes to rest, after at most one more connection."""
        self.faults = self.worker.faults = 0.0
        for _ in range(2):
            self.gateway.drop()
            for _ in range(12):
                self.reconnect()
                self.sweep()
                while self.gateway.inbound:
                    self.gateway.read()
                self.worker.hear(len(self.worker.outbound))
                self.inquire()
                self.clock.seconds += 11
        self.check()

    def check(self) -> None:
        if what := broken(self.gateway):
            raise AssertionError("\n".join([*self.taken, what]))

    # Steps

    def place(self) -> None:
        if self.requests < REQUESTS:
            self.requests += 1
            legs = self.chance.choice([(LIMIT,), (MARKET,), BRACKET])
            intake.place(asked(), placement(*legs, valid_for=timedelta(hours=1)))

    def withdraw(self) -> None:
        for request_pk in dispatch.waiting_requests(desk=self.worker.desk)[:1]:
            withdrawal.withdraw(request_pk, reason="nobody waits any more", actor=Actor.API)

    def cancel(self) -> None:
        orders = Order.objects.filter(status=OrderStatus.NEW, perm_id__isnull=False).order_by("pk")
        if orders:
            perm_id = self.chance.choice(orders).perm_id
            intake.request_cancel(asked(), perm_id=perm_id, client_id=CLIENT_ID)

    def sweep(self) -> None:
        sweep.sweep(self.worker.desk)

    def inquire(self) -> None:
        sweep.inquire(self.worker.desk)

    def hear(self) -> None:
        self.worker.hear(self.chance.randint(1, 4))

    def read(self) -> None:
        for _ in range(min(self.chance.randint(1, 4), len(self.gateway.inbound))):
            self.gateway.read(late=self.chance.choice((0.0, 0.0, LATE_SECONDS)))

    def wait(self) -> None:
        self.clock.seconds += self.chance.choice((0.5, 5, 11))

    def trade(self) -> None:
        self.gateway.step()

    def reconnect(self) -> None:
        if self.worker.stands:
            return
        self.worker.notice()
        if self.gateway.session is None:
            while self.gateway.inbound:  # of a session that has ended: read before its client id is free
                self.gateway.read()
        if self.worker.connect():
            self._recover()

    def cut(self) -> None:
        self.gateway.drop()

    def restart(self) -> None:
        self.gateway.restart(rolls_back=self.chance.random() < 0.5, late=self.chance.choice((0.0, LATE_SECONDS)))

    def _recover(self) -> None:
        worker = self.worker
        name = worker.desk.session(worker.connection)
        try:
            reconcile.recover(
                worker, gateway=worker.desk.gateway, client_id=CLIENT_ID, session=name, connection=worker.connection
            )
        except GatewayError:
            self.gateway.drop()
        else:
            worker.ready()

    @contextmanager
    def _mortal(self):
        try:
            yield
        except Killed:
            # What was written is still read; a new owner begins.
            self.taken.append("… and is killed")
            self.gateway.session = None
            self.worker = self._new_worker()

    def _new_worker(self) -> Session:
        row = GatewaySession.objects.get(pk=GATEWAY)
        row.epoch += 1
        row.save(update_fields=["epoch"])
        return Session(self.gateway, epoch=row.epoch, faults=self.faults)


def broken(gateway: Gateway) -> str:
    """The first invariant that the ledger and the database break together, in words; empty when none."""
    order_ids = [received.placement.order_id for received in gateway.ledger]
    if order_ids != sorted(set(order_ids)):
        return f"I10: order ids came as {order_ids}"
    sent = OrderEvent.objects.filter(kind=EventKind.SENT).values_list("payload__broker_order_id", flat=True)
    if not set(order_ids) <= set(sent):
        return "I11: received without a claim"
    there = at_broker(gateway)
    stamped = Counter(stamp for stamp, _ in there.values())
    if twice := [stamp for stamp, count in stamped.items() if count > 1]:
        return f"I1: twice at the broker: {twice}"
    for order in Order.objects.all():
        status = order.status
        if order.perm_id is not None and there.get(order.perm_id, ("", ""))[0] != order.stamp:
            return f"I3: order {order.pk} is called placed as {order.perm_id}, which is not at the broker"
        if order.stamp in stamped and order.events.filter(kind=EventKind.NOT_PLACED).exists():
            return f"I4: order {order.pk} was called not placed and is at the broker"
        if status in (OrderStatus.CANCELED, OrderStatus.REJECTED) and order.stamp in working(gateway):
            return f"I16: order {order.pk} is called {status} and works at the broker"
    return ""


def may_stay_in_doubt(order: Order) -> bool:
    """I6: the gateway used its id and shows no order."""
    last = order.events.filter(kind=EventKind.STILL_IN_DOUBT).latest("sequence")
    return all("as if it had seen" in doubt for doubt in last.payload["doubts"])


def at_broker(gateway: Gateway) -> dict[int, tuple[str | None, str]]:
    """Stamp and status of every order that the broker has or had, by permId."""
    register = gateway.exchange.register
    orders = {**register.working, **register.completed}
    return {perm_id: (stamps.split(order.order_ref)[1], order.status.value) for perm_id, order in orders.items()}


def working(gateway: Gateway) -> set[str | None]:
    return {stamps.split(order.order_ref)[1] for order in gateway.exchange.register.working.values()}


@pytest.fixture
def clock(monkeypatch):
    """Every claim is overdue at once; all pauses pass in virtual time."""
    clock = Clock()
    monkeypatch.setattr(reconcile, "time", clock)
    for module in (claims, dispatch):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(sweep, "time", clock)
    monkeypatch.setattr(reconcile, "ACKNOWLEDGED_WITHIN", timedelta(0))
    session_row(epoch=0)
    return clock


@pytest.mark.parametrize("seed", range(10))
def test_walk_comes_to_rest_in_truth(seed, clock):
    walk = Walk(seed, clock)

    walk.go(120)
    walk.rest()

    told = "\n".join(walk.taken)
    orders = list(Order.objects.all())
    stamped = {stamp for stamp, _ in at_broker(walk.gateway).values()}
    restless = {OrderStatus.RECEIVED, OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL}
    assert [order.pk for order in orders if order.status in restless] == [], told
    for order in orders:
        if order.status == OrderStatus.IN_DOUBT:
            assert order.stamp not in stamped, told
            assert may_stay_in_doubt(order), told
    assert {order.stamp for order in orders if order.perm_id is not None} == stamped, told
    executed = {execution.exec_id for execution in walk.gateway.exchange.register.executions}
    assert set(Execution.objects.values_list("exec_id", flat=True)) == executed, told
    assert all(journal.replay(order) == order.state() for order in orders)


def test_walks_can_fail(monkeypatch, clock):
    """Whoever takes silence for proof is caught, and the walk says by which steps."""
    monkeypatch.setattr(evidence, "doubts", lambda claim, seen, settled_after: [])

    found = next(filter(None, (_found(seed, clock) for seed in range(20))))

    assert found.startswith("seed ")
    assert "was called not placed and is at the broker" in found


def _found(seed: int, clock: Clock) -> str:
    with transaction.atomic():
        try:
            Walk(seed, clock).go(120)
        except AssertionError as told:
            return str(told)
        finally:
            transaction.set_rollback(True)
    return ""
