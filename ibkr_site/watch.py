"""The watch: looks for conditions that nobody is there to report, and sends what is to be told. Runs in beat.

Rules
1. Beat is not the worker: a worker that died cannot say so, and this must not wait behind orders.
2. What is looked at is on record; a look raises what is new and clears what is over. It changes nothing else, but that
   it writes into the site's chain when the file that halts comes, says something else, or goes.
3. Who has just started gives others a minute: a machine that comes up is away from the broker until it is not.
4. While the database is away there is nothing to look at, and that is said in the log.
"""

import json
import logging
import threading
import time
from datetime import UTC, timedelta

from django.conf import settings
from django.db import Error, connection

from accounts.diagnosis import Finding, diagnose
from accounts.freshness import standing
from accounts.halts import stop_file, switch
from accounts.limits import losses
from accounts.models import GatewaySession
from alarms import delivery, register
from alarms.vocabulary import AlarmKind
from audit.chain import SITE
from audit.models import CheckpointRun, Entry, Verification
from audit.record import append
from audit.signing import NOT_SIGNED
from audit.verification import Verdict
from database import clock
from gateway import times
from orders import trail
from orders.breaks.models import OPEN, Break
from orders.breaks.vocabulary import Severity
from orders.models import Order
from orders.reconcile import words_of_doubt
from orders.schedule import last_midnight
from orders.tasks import VERIFIED
from orders.vocabulary import OrderStatus

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
GRACE_SECONDS = 60.0
CHECKPOINT_ROUNDS = 5  # so many that did not come are no delay any more
SIGNED = "checkpoints"
VERIFIED_WITHIN = timedelta(hours=26)  # a night's run may take two
OVERDUE = "verification overdue"
TO_DO_WHEN_LATE = "Run manage.py verify_audit by hand, and look in the worker's log why the night's run did not end."
PLANNED = "the gateway is away by plan now"
OVER = {
    Finding.IN_ORDER: "orders can be sent again",
    **dict.fromkeys((Finding.RESTART, Finding.LOGIN, Finding.WEEKEND), PLANNED),
}


class Watch:
    """Looks every few seconds until it is stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=delivery.TIMEOUT_SECONDS)

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopping.is_set():
            try:
                look(settled=time.monotonic() - began > GRACE_SECONDS)
                delivery.deliver_due()
            except Error as error:
                log.error("no look at alarms: the database is away (%s)", type(error).__name__)  # noqa: TRY400
                connection.close()
            except Exception:
                log.exception("the watch failed; it looks again")
                connection.close()
            self._stopping.wait(LOOK_SECONDS)
        connection.close()


def look(*, settled: bool = True) -> None:
    """Bring the lasting alarms in step with the record. `settled`: others had the time to start."""
    _look_at_stop_file()
    doubts = Order.objects.filter(status=OrderStatus.IN_DOUBT).order_by("pk")
    found = {trail.subject(order.pk): words_of_doubt(order) for order in doubts}
    register.keep(AlarmKind.IN_DOUBT, found, over="it is known what became of it")
    breaks = Break.objects.filter(OPEN, severity=Severity.CRITICAL).order_by("pk")
    register.keep(AlarmKind.BREAK, {f"break:{row.pk}": row.words for row in breaks}, over="it is closed")
    _look_at_trail()
    _look_at_checkpoints(settled=settled)
    _look_at_session(settled=settled)
    _look_at_losses()


def _look_at_stop_file() -> None:
    """The chain itself says what was seen last, so that a change is there once, whatever was restarted meanwhile."""
    text, subject = stop_file.found(), f"halt:file:{settings.GATEWAY_NAME}"
    last = Entry.objects.filter(subject=subject).order_by("-id").values_list("body", flat=True).first()
    before = json.loads(last)["facts"]["details"]["text"] if last else ""
    if text != before:
        change = "found" if text else "gone"
        facts = {"actor": switch.SYSTEM, "details": {"change": change, "text": text}}
        append(SITE, "halt file", facts, subject=subject)


def _look_at_trail() -> None:
    whole = Verification.objects.filter(scope="").order_by("-ended_at").first()
    _look_at_age(whole)
    if whole is None:
        return
    # One that looked at a part can find what is wrong, and cannot say that all is right.
    wrong = Verification.objects.exclude(verdict=Verdict.INTACT.name).filter(ended_at__gte=whole.ended_at)
    latest = wrong.order_by("-ended_at").first()
    found = {} if latest is None else {VERIFIED: latest.words}
    register.keep(AlarmKind.TRAIL, found, of={VERIFIED}, over="the whole trail was verified and is intact")


def _look_at_age(whole: Verification | None) -> None:
    """Whether the whole trail was verified of late: a night's run that never began cannot say so."""
    first = None if whole is not None else Entry.objects.order_by("pk").values_list("recorded_at", flat=True).first()
    since = whole.ended_at if whole is not None else first
    late = {}
    if since is not None and clock.database_now() - since > VERIFIED_WITHIN:
        what = (
            "the whole trail was verified last" if whole is not None else "the whole trail was never verified; it began"
        )
        late = {OVERDUE: f"{what} at {since:%Y-%m-%d %H:%M} UTC"}
    # Another subject than the task's: that one says that it could not look, and is over when it can.
    register.keep(
        AlarmKind.VERIFICATION, late, of={OVERDUE}, what_to_do=TO_DO_WHEN_LATE, over="the whole trail was verified"
    )


def _look_at_checkpoints(*, settled: bool) -> None:
    run = CheckpointRun.objects.first()
    if run is None:
        return
    broken = {SIGNED: run.problem} if NOT_SIGNED in run.problem else {}
    register.keep(AlarmKind.TRAIL, broken, of={SIGNED}, over="all chains are signed again")
    since = clock.database_now() - run.at
    failing = {SIGNED: run.problem} if run.problem and not broken else {}
    if settled and since > timedelta(seconds=CHECKPOINT_ROUNDS * max(settings.AUDIT_SECONDS, 60)):
        failing = {SIGNED: f"none was signed since {run.at:%Y-%m-%d %H:%M:%S} UTC"}
    register.keep(AlarmKind.CHECKPOINTS, failing, over="they are signed and kept again")


def _look_at_session(*, settled: bool) -> None:
    found = standing(settings.GATEWAY_NAME)
    after = timedelta(seconds=settings.ALARM_DISCONNECTED_SECONDS)
    diagnosis = diagnose(found, calendar=settings.GATEWAY_CALENDAR, critical_after=after)
    subject = f"session:{settings.GATEWAY_NAME}"
    if diagnosis.critical and settled:
        # The finding alone: reasons change with every attempt to connect.
        now = {subject: diagnosis.words}
        register.keep(AlarmKind.DISCONNECTED, now, of={subject}, what_to_do=diagnosis.what_to_do)
    elif diagnosis.finding in OVER:
        register.keep(AlarmKind.DISCONNECTED, {}, of={subject}, over=OVER[diagnosis.finding])


def _look_at_losses() -> None:
    session = GatewaySession.objects.filter(pk=settings.GATEWAY_NAME).first()
    zone = times.zone(session.time_zone) if session is not None else None
    began = last_midnight(clock.database_now(), zone or UTC)
    register.keep(AlarmKind.DAILY_LOSS, losses.reached(began), over="the loss is below the limit, or a new day began")


_watch: Watch | None = None


def start_watch() -> None:
    """Look from now on; called when beat starts."""
    global _watch  # noqa: PLW0603 - one per process, between Celery's signal and the process's end
    _watch = Watch()
    _watch.start()
