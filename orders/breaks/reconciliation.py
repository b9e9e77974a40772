"""One run: ask the broker everything, compare, confirm what is new, keep what is true.

Rules
1. Each question goes to its end marker on one connection and one uninterrupted stretch of READY, or the run has
   failed: then nothing is opened and nothing is closed.
2. A difference that was not known before is looked at twice, some seconds apart: what only was on its way is gone then.
3. Runs are done by one thread of the worker that owns the session, one after the other.
"""

import logging
import time
from datetime import datetime, timedelta
from datetime import time as time_of_day

from django.db import Error, transaction
from django.utils import timezone

from accounts.models import GatewayConnection
from gateway.broker import SessionStatus
from gateway.errors import GatewayError, NotConnected, QueryFailed
from gateway.reports import SessionState
from orders.breaks import comparison, ours, register, runs, statements
from orders.breaks.books import BrokerBook, Comparison, OurBook
from orders.breaks.hearing import QUERIES, Hearing
from orders.breaks.models import AnchoredHolding, PositionAnchor, ReconciliationRun
from orders.breaks.trade_points import NEVER_HELD
from orders.breaks.vocabulary import Source
from orders.desk import Desk
from orders.reconcile import patience

log = logging.getLogger(__name__)

RESTS = 20  # times as long as the day took to be told, at least, passes before a run that nobody asked for
CONFIRM_SECONDS = 2.0
# So far around the gateway's midnight, which clock is right decides what its list of the day holds.
AROUND_MIDNIGHT = timedelta(minutes=5)


def work(desk: Desk, hearing: Hearing) -> None:
    """Do the run that was asked for, if there is one."""
    run = runs.take_up(desk.gateway, scheduled=desk.telling.has_rested(RESTS))
    if run is None:
        return
    _look_at_statements()
    try:
        reconcile(desk, hearing, run)
    except GatewayError as error:
        log.warning("reconciliation %s failed: %s", run.pk, error)
        runs.fail(run, reason=str(error))
    except Error:
        raise  # without the database there is nobody to tell; the next one to look calls it interrupted
    except Exception as problem:
        runs.fail(run, reason=f"an error of our own: {problem!r}")
        raise


def _look_at_statements() -> None:
    """The third side. It needs no broker, and what is wrong with it must not keep the broker from being asked."""
    try:
        statements.look()
    except Error:
        raise
    except Exception:
        log.exception("the imported statements could not be held against the record; they are looked at again")


def reconcile(desk: Desk, hearing: Hearing, run: ReconciliationRun) -> None:
    """Compare and keep. Raises: GatewayError, with nothing opened or closed."""
    theirs, mine, found = _look(desk, hearing)
    if comparison.news(found, mine):
        time.sleep(CONFIRM_SECONDS)
        first = found
        theirs, mine, found = _look(desk, hearing)
        found = comparison.confirmed(first, found, mine)
    with transaction.atomic():
        kept = register.keep(found, source=Source.BROKER, run=run)
        _take_anchors(theirs, mine)
        compared = {
            "orders": len(theirs.orders) + len(theirs.agreed_orders),
            "executions": len(theirs.executions) + len(theirs.agreed_executions),
            "positions": len(theirs.holdings),
        }
        runs.complete(run, kept, compared=compared)


def _look(desk: Desk, hearing: Hearing) -> tuple[BrokerBook, OurBook, Comparison]:
    """Both books of one moment, compared."""
    status = desk.broker.status()
    if status.state is not SessionState.READY:
        raise NotConnected(f"the session is {status.state}" + (f": {status.reason}" if status.reason else ""))
    scope = _scope(desk, status)
    hearing.begin(connection=status.connection, since=timezone.now(), reader=ours.Reader(scope))
    try:
        with desk.telling.timed():
            for query in QUERIES:
                desk.broker.ask(query, timeout=patience(query), connection=status.connection)
        if desk.broker.status().ready_since != status.ready_since:
            raise QueryFailed("the link to the broker was lost in between")
        theirs, mine = hearing.end()
    finally:
        hearing.stop()
    return theirs, mine, comparison.compare(mine, theirs)


def _scope(desk: Desk, status: SessionStatus) -> ours.Scope:
    now = timezone.now()
    day_began = datetime.combine(now.astimezone(status.time_zone).date(), time_of_day.min, tzinfo=status.time_zone)
    here = GatewayConnection.objects.filter(session=desk.gateway, epoch=desk.epoch, number=status.connection)
    connected_at = here.values_list("opened_at", flat=True).first()
    another_day = status.trading_day(now - AROUND_MIDNIGHT) != status.trading_day(now + AROUND_MIDNIGHT)
    return ours.Scope(
        accounts=frozenset(status.accounts),
        client_id=desk.client_id,
        day_began=day_began,
        listed_since=None if another_day else connected_at,
    )


def _take_anchors(theirs: BrokerBook, mine: OurBook) -> None:
    """What accounts not looked at before hold now is where counting begins."""
    for account in sorted(mine.accounts - mine.anchored):
        anchor = PositionAnchor.objects.create(account_id=account, taken_at=mine.read_at)
        AnchoredHolding.objects.bulk_create(
            AnchoredHolding(
                anchor=anchor,
                con_id=con_id,
                symbol=holding.symbol,
                security_type=holding.security_type,
                quantity=holding.quantity,
            )
            for (holder, con_id), holding in theirs.holdings.items()
            if holder == account and holding.quantity and holding.security_type not in NEVER_HELD
        )
