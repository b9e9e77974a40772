"""The register of alarms: the one place where a condition is raised, seen again, acknowledged and cleared.

Rules
1. `raise_alarm` and `clear` write in the caller's transaction, if there is one: an alarm is there exactly if what it is
   about is. They never make the caller fail: what goes wrong is logged, with what should have been said.
2. Of one condition, a kind and a subject, there is one open alarm. Raised again it counts; in other words it changes.
   After it was cleared it is a new one.
3. Every change is an event with its actor. Each that concerns people leaves a message for `delivery`, in the same
   transaction; nothing is sent from here.
4. What happened and does not last is over when a person has acknowledged it.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from alarms.models import OPEN, Alarm, AlarmEvent, AlarmMessage
from alarms.notes import checked_note
from alarms.vocabulary import MEANINGS, AlarmEventKind, AlarmKind, Channel, Severity
from audit.record import record_site
from database.clock import database_now

log = logging.getLogger(__name__)

LEVELS = {Severity.CRITICAL: logging.CRITICAL, Severity.WARNING: logging.WARNING}
SYSTEM = "SYSTEM"
TOLD = frozenset({AlarmEventKind.RAISED, AlarmEventKind.ACKNOWLEDGED, AlarmEventKind.CLEARED})

Reaction = Callable[[Alarm], None]
# What else happens, in the same transaction, when an alarm is opened: see `react_to_new`.
_reactions: list[Reaction] = []


class NotToAcknowledge(Exception):
    """The alarm was acknowledged already; the text says by whom."""


def react_to_new(reaction: Reaction) -> None:
    """Have `reaction` called for each alarm that is opened, in its transaction. Called once, when an app is ready."""
    _reactions.append(reaction)


def raise_alarm(
    kind: AlarmKind,
    subject: str,
    *,
    text: str,
    what_to_do: str = "",
    facts: Mapping[str, Any] | None = None,
    actor: str = SYSTEM,
) -> None:
    """Say that a condition is there. Never fails.

    `subject`: what it is about, as `order:12`; `text`: the case at hand, without times that pass; `what_to_do`: other
    advice than the kind's; `facts`: JSON without floats.
    """
    log.log(LEVELS[MEANINGS[kind].severity], "alarm: %s, %s: %s", kind.label, subject, text)
    words = {"text": text, "what_to_do": what_to_do or MEANINGS[kind].what_to_do, "facts": dict(facts or {})}
    try:
        with transaction.atomic():
            _raise(kind, subject, words, actor)
    except Exception:
        log.exception("the alarm could not be kept: %s, %s: %s", kind.label, subject, text)


def clear(kind: AlarmKind, subject: str, *, text: str = "it is over", actor: str = SYSTEM) -> None:
    """Say that a condition is over, whether or not it was raised. Never fails."""
    try:
        with transaction.atomic():
            row = _open(kind, subject)
            if row is not None:
                now = database_now()
                row.cleared_at = now
                _change(row, AlarmEventKind.CLEARED, now=now, actor=actor, text=text)
                log.info("alarm over: %s, %s: %s", kind.label, subject, text)
    except Exception:
        log.exception("the end of an alarm could not be kept: %s, %s", kind.label, subject)


def keep(
    kind: AlarmKind,
    conditions: Mapping[str, str],
    *,
    of: Collection[str] | None = None,
    what_to_do: str = "",
    over: str = "it is over",
) -> None:
    """Bring a kind in step with its conditions of now, `{subject: text}`: raise what is new, clear what is gone.

    `of`: the subjects that were looked at; all of the kind without it. What is as it was costs one query.
    """
    known = dict(Alarm.objects.filter(OPEN, kind=kind).values_list("subject", "text"))
    if of is not None:
        known = {subject: text for subject, text in known.items() if subject in of}
    for subject, text in conditions.items():
        if known.get(subject) != text:
            raise_alarm(kind, subject, text=text, what_to_do=what_to_do)
    for subject in known.keys() - conditions.keys():
        clear(kind, subject, text=over)


def acknowledge(alarm_pk: int, *, note: str, actor: str, request_id: str) -> Alarm:
    """Record that a person has taken note. Raises: InvalidNote, NotToAcknowledge."""
    note = checked_note(note)
    with transaction.atomic():
        row = Alarm.objects.select_for_update().get(pk=alarm_pk)
        if row.acknowledged_at is not None:
            raise NotToAcknowledge(f"{row.acknowledged_by} has acknowledged it already. Nothing was changed.")
        now = database_now()
        row.acknowledged_at, row.acknowledged_by, row.note = now, actor, note
        if not MEANINGS[AlarmKind(row.kind)].lasting:
            row.cleared_at = row.cleared_at or now
        _change(row, AlarmEventKind.ACKNOWLEDGED, now=now, actor=actor, text=row.text, note=note, request_id=request_id)
        record_site("alarm acknowledged", actor, {"alarm": row.pk, "of": f"{row.kind} {row.subject}", "note": note})
    return row


def _open(kind: AlarmKind, subject: str) -> Alarm | None:
    return Alarm.objects.filter(OPEN, kind=kind, subject=subject).select_for_update().first()


def _raise(kind: AlarmKind, subject: str, words: dict[str, Any], actor: str) -> None:
    row = _open(kind, subject)
    if row is None:
        try:
            with transaction.atomic():
                _begin(kind, subject, words, actor)
        except IntegrityError:
            row = _open(kind, subject)  # another transaction was first, and has committed
            if row is None:
                raise
    if row is not None:
        _again(row, words, actor)


def _begin(kind: AlarmKind, subject: str, words: dict[str, Any], actor: str) -> None:
    now = database_now()
    severity = MEANINGS[kind].severity
    row = Alarm(kind=kind, subject=subject, severity=severity, opened_at=now, last_seen_at=now, **words)
    row.save(force_insert=True)
    _append(row, AlarmEventKind.RAISED, now=now, actor=actor, text=row.text)
    for reaction in _reactions:
        reaction(row)


def _again(row: Alarm, words: dict[str, Any], actor: str) -> None:
    now = database_now()
    row.last_seen_at, row.times = now, row.times + 1
    if all(getattr(row, name) == said for name, said in words.items()):
        row.save(update_fields=["last_seen_at", "times"])
        return
    for name, said in words.items():
        setattr(row, name, said)
    _change(row, AlarmEventKind.CHANGED, now=now, actor=actor, text=row.text)


def _change(row: Alarm, kind: AlarmEventKind, **said: Any) -> None:
    """Save a changed row together with its event. Call inside a transaction, with the row locked."""
    row.last_sequence += 1
    _append(row, kind, **said)
    row.save()


def _append(
    row: Alarm,
    kind: AlarmEventKind,
    *,
    now: datetime,
    actor: str,
    text: str,
    note: str = "",
    request_id: str = "",
) -> None:
    event = AlarmEvent.objects.create(
        alarm=row,
        sequence=row.last_sequence,
        kind=kind,
        actor=actor,
        recorded_at=now,
        text=text,
        note=note,
        request_id=request_id,
    )
    if kind in TOLD:
        AlarmMessage.objects.bulk_create(
            AlarmMessage(event=event, channel=channel, due_at=now) for channel in configured()
        )


def configured() -> list[Channel]:
    """Where people are told."""
    channels = [(Channel.WEBHOOK, settings.ALARM_WEBHOOK_URL), (Channel.EMAIL, settings.ALARM_EMAIL_TO)]
    return [channel for channel, wanted in channels if wanted]
