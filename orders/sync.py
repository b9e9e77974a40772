"""Asks for the day's orders and executions: on a schedule, and when somebody wants to know.

Rules: one sync at a time; whoever wants one raises a number on the session's row and waits for the other to reach it.
The answers are applied as they come, by the consumer of reports; recovery, after each connect and restored link, asks
the same by itself.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from accounts import freshness
from accounts.models import GatewaySession
from gateway.reports import SessionState
from orders import reconcile, schedule
from orders.desk import Desk
from orders.models import NOT_AT_REST, Order

SHARED = timedelta(seconds=1)
RESTS = 100  # times as long as the day took to be told, at least, passes before a sync that nobody asked for


def sync(desk: Desk) -> None:
    """Ask, if it is time or somebody wants it. Raises: GatewayError."""
    if desk.broker.status().state is not SessionState.READY or not desk.syncing.acquire(blocking=False):
        return
    try:
        ((session, _),) = freshness.SESSION.read(gateway=desk.gateway)
        if _wanted(session) or _why_now(desk, session):
            with desk.telling.timed():
                reconcile.sync_executions(desk.broker)
            sessions = GatewaySession.objects.filter(pk=desk.gateway)
            sessions.update(executions_synced=Greatest(F("executions_synced"), session.executions_wanted))
    finally:
        desk.syncing.release()


def _wanted(session: GatewaySession) -> bool:
    """Whether somebody wants it; refused orders want it by the dozen, and share one."""
    if session.executions_wanted <= session.executions_synced:
        return False
    last = session.executions_as_of
    return last is None or timezone.now() - last >= SHARED


def _why_now(desk: Desk, session: GatewaySession) -> str:
    now, last = timezone.now(), session.executions_as_of
    seldom = timedelta(seconds=desk.telling.rest(RESTS))
    while_working = max(timedelta(seconds=settings.EXECUTION_SYNC_SECONDS), seldom)
    # Looked at last: between two syncs this runs several times a second.
    working = last is not None and now - last >= while_working and _something_works(desk.gateway)
    return schedule.due(
        now,
        last=last,
        working=working,
        while_working=while_working,
        at_rest=max(timedelta(seconds=settings.EXECUTION_SYNC_REST_SECONDS), seldom),
        forgets=_forgets(desk, now),
    )


def _forgets(desk: Desk, now: datetime) -> list[datetime]:
    """When the gateway next forgets the day: its midnight, and its configured restart."""
    following = settings.GATEWAY_CALENDAR.following(now)
    return [schedule.next_midnight(now, desk.broker.status().time_zone), *([following.event] if following else [])]


def _something_works(gateway: str) -> bool:
    return Order.objects.filter(NOT_AT_REST, account__session_id=gateway).exists()
