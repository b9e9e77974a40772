"""The worker's other half: whoever owns the client id runs the broker session, around Celery's pool.

Rules
1. An advisory lock says who may try; the epoch, checked in every claim, says whose claims count; the client id at the
   gateway is the fence behind both. A worker without the lock is a standby: it waits and decides nothing.
2. A report is applied before the next one is looked at. While the database is away the consumer waits: nothing that
   the broker said is dropped.
3. Started and stopped by Celery's signals around the pool (ibkr_site.celery). Celery swallows what signal handlers
   raise, so the owner looks after itself.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection
from django.db.models import F, Max
from django.db.models.functions import Greatest
from django.utils import timezone

from accounts.live import LiveBook
from accounts.models import GatewaySession
from accounts.ownership import lock_key
from gateway.errors import WrongAccount
from gateway.reports import (
    AccountValueReport,
    CommissionReport,
    Heard,
    PortfolioReport,
    PositionReport,
    Report,
    SessionChanged,
    SessionState,
)
from gateway.session import BrokerSession
from ibkr_site import checks
from orders import desk, fills, holdings, kill_points, reconcile, reports, sweep
from orders.breaks import reconciliation
from orders.breaks.hearing import Hearing
from orders.day import Day
from orders.models import Order
from orders.waiting import listening_parameters

log = logging.getLogger(__name__)

# What tells of orders, executions and holdings, in floods where much is traded.
GO_TOGETHER = reports.Told | CommissionReport | PositionReport | PortfolioReport | AccountValueReport | Heard
LOCK_SECONDS = 1.0  # how often a standby tries, and how often an owner looks whether it still is
SWEEP_SECONDS = 0.25  # until an order is found that nobody rang for, or that a halt stops
LOOK_SECONDS = 1.0  # until a question is put that is due, or a comparison made that is asked for
DATABASE_SECONDS = 0.5


class Lease:
    """A session-level advisory lock on a connection of its own: gone with the process, or with the connection."""

    def __init__(self, *, gateway: str, client_id: int) -> None:
        self._key = lock_key(gateway=gateway, client_id=client_id)
        self._connection: psycopg.Connection | None = None

    def acquire(self) -> bool:
        """True when this process holds the lock now."""
        self.release()
        try:
            self._connection = psycopg.connect(**listening_parameters(), autocommit=True)
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", [self._key]).fetchone()
        except psycopg.Error as error:
            log.warning("the ownership lock cannot be asked for: %s", error)
            return False
        return bool(row and row[0])

    def holds(self) -> bool:
        """False as soon as the connection that holds the lock does not answer."""
        try:
            return self._connection is not None and self._connection.execute("SELECT 1").fetchone() is not None
        except psycopg.Error:
            return False

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Owner:
    """Takes the lease, runs the session while it holds it, and gives both up in order."""

    def __init__(self) -> None:
        self._lease = Lease(gateway=settings.GATEWAY_NAME, client_id=settings.IB_CLIENT_ID)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="owner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        waiting_was_said = False
        while not self._stopping.is_set():
            if self._lease.acquire():
                try:
                    self._own()
                except Exception:
                    # Whatever it was, this thread has to try again, or let go of the lock.
                    log.exception("the broker session was given up")
                    self._lease.release()
                waiting_was_said = False
            elif not waiting_was_said:
                log.info("another worker owns client id %s; standing by", settings.IB_CLIENT_ID)
                waiting_was_said = True
            self._stopping.wait(LOCK_SECONDS)
        self._lease.release()

    def _own(self) -> None:
        """Run the session until the lease is lost or the worker stops."""
        epoch = _begin_epoch()
        log.info("owner of client id %s at %s, epoch %s", settings.IB_CLIENT_ID, settings.GATEWAY_NAME, epoch)
        book, hearing = LiveBook(gateway=settings.GATEWAY_NAME, epoch=epoch), Hearing()
        day = Day(gateway=settings.GATEWAY_NAME, epoch=epoch)

        def apply_and_hear(reports: Sequence[Report]) -> None:
            self._apply_and_hear(reports, book, day, hearing)

        session = BrokerSession(
            host=settings.IB_HOST,
            port=settings.IB_PORT,
            client_id=settings.IB_CLIENT_ID,
            account=settings.IB_ACCOUNT,
            name=settings.GATEWAY_NAME,
            sink=lambda report: apply_and_hear([report]),
            together=apply_and_hear,
            recover=lambda asked, number: self._recover(asked, number, epoch),
            messages_per_second=settings.IB_MESSAGES_PER_SECOND,
        )
        own = desk.Desk(broker=session, gateway=settings.GATEWAY_NAME, client_id=settings.IB_CLIENT_ID, epoch=epoch)
        over = threading.Event()

        def sweep_and_flush(own: desk.Desk) -> None:
            sweep.sweep(own)
            book.flush()

        def sign_of_life(_: desk.Desk) -> None:  # in a thread of its own: the others may wait for the broker
            book.sign_of_life()

        def compare_books(own: desk.Desk) -> None:
            reconciliation.work(own, hearing)

        chores = {
            sweep_and_flush: SWEEP_SECONDS,
            sweep.withdraw_halted: SWEEP_SECONDS,  # in a thread of its own because it waits for no claim
            sweep.inquire: LOOK_SECONDS,
            sign_of_life: LOOK_SECONDS,
            compare_books: LOOK_SECONDS,
        }
        threads = [
            threading.Thread(target=self._repeat, args=(chore, seconds, own, over), name=chore.__name__, daemon=True)
            for chore, seconds in chores.items()
        ]
        session.start()
        desk.open_desk(own)
        for thread in threads:
            thread.start()
        try:
            while not self._stopping.wait(LOCK_SECONDS):
                if not self._lease.holds():
                    log.error("the ownership lock is lost; the session is dropped")
                    break
        finally:
            desk.close_desk()
            over.set()
            session.stop()
            for thread in threads:
                thread.join(timeout=5)
            self._lease.release()
            connection.close()

    def _repeat(
        self, chore: Callable[[desk.Desk], None], seconds: float, own: desk.Desk, over: threading.Event
    ) -> None:
        while not over.wait(seconds):
            try:
                chore(own)
            except Exception:
                # One bad row must not end the owner of all others, nor an absent database.
                log.exception("%s failed; it is tried again", chore.__name__)
                connection.close()
        connection.close()

    def _apply_and_hear(self, reports: Sequence[Report], book: LiveBook, day: Day, hearing: Hearing) -> None:
        for batch in batches(reports, day):
            self._apply(batch, book, day)
            for report in batch:
                hearing.apply(report)  # behind it, so that our own book has what this report says

    def _apply(self, batch: Sequence[Report], book: LiveBook, day: Day) -> None:
        """Apply one report, or what goes together; waits out a database that is away."""
        first = batch[0]
        name = f"{settings.GATEWAY_NAME}/{settings.IB_CLIENT_ID}/{book.epoch}/{first.connection}"
        while True:
            try:
                kill_points.reached("worker.report")
                if day.gather(first, session=name):
                    return  # a part of an answer, applied with the others before anything that comes after them
                if len(batch) > 1:
                    _apply_together(batch, book, session=name)
                    day.learn(batch)
                    return
                book.apply(first)
                reports.apply_report(first, session=name, client_id=settings.IB_CLIENT_ID)
                holdings.apply_report(first, gateway=settings.GATEWAY_NAME)
                day.learn(batch)
                if isinstance(first, SessionChanged) and first.state is SessionState.DISCONNECTED:
                    connection.close()  # a session's last word, and maybe this thread's as well
                return
            except (OperationalError, InterfaceError):
                log.exception("the database is away; %s waits", type(first).__name__)
                connection.close()
                if self._stopping.wait(DATABASE_SECONDS):
                    raise

    def _recover(self, session: BrokerSession, number: int, epoch: int) -> None:
        name = f"{settings.GATEWAY_NAME}/{settings.IB_CLIENT_ID}/{epoch}/{number}"
        try:
            checks.refuse_wrong_accounts(trading_mode=settings.TRADING_MODE, served=session.status().accounts)
            reconcile.recover(
                session,
                gateway=settings.GATEWAY_NAME,
                client_id=settings.IB_CLIENT_ID,
                session=name,
                connection=number,
            )
        except ImproperlyConfigured as refusal:
            raise WrongAccount(str(refusal)) from refusal
        finally:
            connection.close()


def batches(heard: Sequence[Report], day: Day) -> Iterator[Sequence[Report]]:
    """What is applied at a time: reports that go together and follow each other on one connection, or one alone."""
    batch: list[Report] = []
    for report in heard:
        joins = isinstance(report, GO_TOGETHER) and not day.takes(report)
        if batch and not (joins and report.connection == batch[0].connection):
            yield batch
            batch = []
        batch.append(report)
        if not joins:
            yield batch
            batch = []
    if batch:
        yield batch


def _apply_together(batch: Sequence[Report], book: LiveBook, *, session: str) -> None:
    """Orders and executions in their order, then what executions cost, then what the account is now."""
    if orders := [told for told in batch if isinstance(told, reports.Told)]:
        reports.apply_told(orders, session=session)
    if commissions := [told for told in batch if isinstance(told, CommissionReport)]:
        fills.record_commissions(commissions)
    book.apply_all(told for told in batch if not isinstance(told, reports.Told | CommissionReport))


def _begin_epoch() -> int:
    """Make this process the owner on record. Claims of earlier epochs are refused from here on."""
    endpoint = f"{settings.IB_HOST}:{settings.IB_PORT}"
    GatewaySession.objects.get_or_create(
        pk=settings.GATEWAY_NAME,
        defaults={"client_id": settings.IB_CLIENT_ID, "endpoint": endpoint, "state_since": timezone.now()},
    )
    # Ids are used once per client id, under whatever name the gateway went before.
    ours = Order.objects.filter(client_id=settings.IB_CLIENT_ID, stamp__isnull=False)
    used = ours.aggregate(last=Max("broker_order_id"))
    GatewaySession.objects.filter(pk=settings.GATEWAY_NAME).update(
        next_order_id=Greatest(F("next_order_id"), (used["last"] or 0) + 1),
        epoch=F("epoch") + 1,
        client_id=settings.IB_CLIENT_ID,
        endpoint=endpoint,
    )
    return GatewaySession.objects.values_list("epoch", flat=True).get(pk=settings.GATEWAY_NAME)


_owner: Owner | None = None


def start_owner() -> None:
    """Try to own the session from now on; called when a worker starts."""
    global _owner  # noqa: PLW0603 - one per process, between Celery's two signals
    _owner = Owner()
    _owner.start()


def stop_owner() -> None:
    """Disconnect, hand over what was heard, give the lease back; called once the worker's tasks have ended."""
    if _owner is not None:
        _owner.stop()
