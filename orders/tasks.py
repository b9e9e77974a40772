"""Doorbells: each carries an id and asks to look at the rows. Run twice, late or never, they do no harm.

No result is kept and nothing is retried by Celery: what matters is in Postgres, and the worker sweeps it.
"""

import logging
import subprocess
import sys

from celery import shared_task
from django.conf import settings

from accounts.snapshots import taking
from alarms.register import clear, raise_alarm
from alarms.vocabulary import AlarmKind
from audit.models import Verification
from audit.verification import Verdict
from gateway.errors import GatewayError
from orders import desk, dispatch, sync
from orders import sweep as sweeping
from orders.breaks import runs
from orders.errors import NotOwner

log = logging.getLogger(__name__)

VERIFIED = "verification"  # what its alarms are about
VERDICTS = frozenset(int(verdict) for verdict in Verdict)


@shared_task(ignore_result=True)
def submit_order(request_pk: int) -> None:
    """Place the orders of a request."""
    try:
        dispatch.submit(request_pk, desk=desk.current())
    except NotOwner as error:
        log.info("request %s is left to the owner: %s", request_pk, error)


@shared_task(ignore_result=True)
def cancel_order(order_pk: int) -> None:
    """Send the requested cancellation of an order."""
    try:
        dispatch.cancel(order_pk, desk=desk.current())
    except NotOwner as error:
        log.info("the cancel of order %s is left to the owner: %s", order_pk, error)


@shared_task(ignore_result=True)
def list_open_orders() -> None:
    """Ask for everybody's open orders: GET /orders waits for the answer."""
    try:
        sweeping.list_open_orders(desk.current())
    except (GatewayError, NotOwner) as error:
        log.warning("open orders are not listed: %s", error)


@shared_task(ignore_result=True)
def sync_executions() -> None:
    """Ask for the day's orders and executions, if it is time or somebody wants it."""
    try:
        sync.sync(desk.current())
    except (GatewayError, NotOwner) as error:
        log.warning("executions are not synchronised: %s", error)


@shared_task(ignore_result=True)
def compare_books() -> None:
    """Ask for our books to be compared with the broker's; the owner of the session sees the row."""
    runs.request(settings.GATEWAY_NAME, by=runs.SCHEDULE)


@shared_task(ignore_result=True)
def sweep() -> None:
    """Find what lost doorbells left behind; the owner does so itself, this is its net."""
    try:
        sweeping.sweep(desk.current())
    except NotOwner as error:
        log.debug("no sweep here: %s", error)


@shared_task(ignore_result=True)
def snapshot_accounts() -> None:
    """Keep what the accounts are worth and hold, when that is due."""
    try:
        here = desk.current()
    except NotOwner as error:
        log.debug("no snapshot here: %s", error)
        return
    taking.take_due(here.broker, gateway=here.gateway)


@shared_task(ignore_result=True)
def verify_audit() -> None:
    """Verify the whole trail, in a process of its own: it computes for minutes, and this one has orders to send."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "verify_audit", "--verbosity", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    if done.returncode not in VERDICTS:
        said = " ".join((done.stdout + done.stderr).split())
        raise_alarm(AlarmKind.VERIFICATION, VERIFIED, text=said[-500:] or f"it ended with {done.returncode}")
        return
    clear(AlarmKind.VERIFICATION, VERIFIED)
    if done.returncode != Verdict.INTACT:
        raise_alarm(AlarmKind.TRAIL, VERIFIED, text=Verification.objects.latest("ended_at").words)
