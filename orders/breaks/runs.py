"""Runs of the reconciliation as rows: asked for by anybody, taken up by the worker that owns the gateway's session.

A row is the letter: nobody has to ring, and none is lost. One waits at a time; who asks meanwhile shares it. What only
the schedule asks for may wait on, where the broker has just told a long day; for an hour at most.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from database import prepared
from orders.breaks.models import OPEN, Break, ReconciliationRun
from orders.breaks.register import Kept
from orders.breaks.vocabulary import RunOutcome

SCHEDULE = "schedule"  # who asks when nobody does
LONGEST_WAIT = timedelta(hours=1)
INTERRUPTED = "the worker ended, or lost the session, before it was done"


def request(gateway: str, *, by: str) -> ReconciliationRun:
    """The run that waits to be taken up; a new one, if none does."""
    run = _waiting(gateway).first() or _begin(gateway, by)
    if by != SCHEDULE and run.requested_by == SCHEDULE:
        _waiting(gateway).filter(pk=run.pk).update(requested_by=by)  # it rests no longer
    return run


def _waiting(gateway: str) -> QuerySet[ReconciliationRun]:
    return ReconciliationRun.objects.filter(gateway_id=gateway, started_at__isnull=True)


def _begin(gateway: str, by: str) -> ReconciliationRun:
    try:
        with transaction.atomic():
            return ReconciliationRun.objects.create(gateway_id=gateway, requested_by=by, requested_at=timezone.now())
    except IntegrityError:
        return _waiting(gateway).get()  # somebody was faster by a moment


def withdraw(run_pk: int, *, reason: str) -> bool:
    """Give up a run that nobody took up; false when somebody did after all."""
    now = timezone.now()
    waiting = ReconciliationRun.objects.filter(pk=run_pk, started_at__isnull=True)
    return bool(waiting.update(started_at=now, finished_at=now, outcome=RunOutcome.FAILED, reason=reason))


def _unfinished(gateway: str) -> QuerySet[ReconciliationRun]:
    return ReconciliationRun.objects.filter(gateway_id=gateway, finished_at__isnull=True)


UNFINISHED = prepared.Query(lambda gateway: _unfinished(gateway).values_list("pk")[:1])


def take_up(gateway: str, *, scheduled: bool = True) -> ReconciliationRun | None:
    """The run that waits, started now; runs left behind by an owner that died are closed first.

    `scheduled`: whether one that nobody but the schedule asked for is taken up before it has waited for an hour.
    """
    if not UNFINISHED.rows(gateway):
        return None
    rows = list(_unfinished(gateway).order_by("pk"))
    for run in rows:
        if run.started_at is not None:
            fail(run, reason=INTERRUPTED)
    waiting = next((run for run in rows if run.started_at is None), None)
    if waiting is None:
        return None
    if waiting.requested_by == SCHEDULE and not scheduled and timezone.now() - waiting.requested_at < LONGEST_WAIT:
        return None
    # By compare-and-set: whoever asked may give up at this moment.
    taken = ReconciliationRun.objects.filter(pk=waiting.pk, started_at__isnull=True).update(started_at=timezone.now())
    return waiting if taken else None


def complete(run: ReconciliationRun, kept: Kept, *, compared: Mapping[str, int]) -> None:
    counts = {"compared": dict(compared), "opened": dict(kept.opened), "closed": dict(kept.closed)}
    _finish(run, RunOutcome.COMPLETE, **counts)


def fail(run: ReconciliationRun, *, reason: str) -> None:
    _finish(run, RunOutcome.FAILED, reason=reason)


def _finish(run: ReconciliationRun, outcome: RunOutcome, **changes: Any) -> None:
    # What a successor called interrupted stays so.
    running = ReconciliationRun.objects.filter(pk=run.pk, finished_at__isnull=True)
    running.update(
        finished_at=timezone.now(), outcome=outcome, open_breaks=Break.objects.filter(OPEN).count(), **changes
    )
