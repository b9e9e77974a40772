"""Telling people: the messages that events left behind are sent by webhook and e-mail, until they were taken.

Rules
1. No transaction is open while anything is sent. A message is claimed by moving its due time; who dies while sending
   leaves it due again after a while. So one may come twice, and never silently not at all: its number tells.
2. What was not taken is tried again, ever more rarely, and given up after MOST_ATTEMPTS, which is logged.
3. A webhook's answer outside 2xx is a no; no redirect is followed. With a secret, what is sent is signed.
"""

import hashlib
import hmac
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q

from alarms.models import Alarm, AlarmMessage
from alarms.vocabulary import AlarmEventKind, Channel
from database.clock import database_now

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
LEASE = timedelta(seconds=60)  # longer than any attempt
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=15)
MOST_ATTEMPTS = 100  # about a day
AT_ONCE = 20
DUE = Q(delivered_at__isnull=True, given_up_at__isnull=True)
TIMESTAMP_HEADER, SIGNATURE_HEADER = "X-Alarm-Timestamp", "X-Alarm-Signature"


class NotDelivered(Exception):
    """Why a message was not taken."""


def deliver_due() -> int:
    """Send what is due; how many messages were taken."""
    return sum(_deliver(message) for message in _claimed())


def _claimed() -> list[AlarmMessage]:
    now = database_now()
    with transaction.atomic():
        due = AlarmMessage.objects.filter(DUE, due_at__lte=now).order_by("due_at", "pk")
        pks = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:AT_ONCE])
        AlarmMessage.objects.filter(pk__in=pks).update(due_at=now + LEASE, attempts=F("attempts") + 1)
    return list(AlarmMessage.objects.filter(pk__in=pks).select_related("event__alarm").order_by("pk"))


def _deliver(message: AlarmMessage) -> bool:
    try:
        SENDERS[Channel(message.channel)](message)
    except NotDelivered as error:
        _postpone(message, str(error))
        return False
    AlarmMessage.objects.filter(pk=message.pk).update(delivered_at=database_now(), problem="")
    return True


def _postpone(message: AlarmMessage, problem: str) -> None:
    now = database_now()
    changes: dict[str, Any] = {"problem": problem, "due_at": now + pause_after(message.attempts)}
    if message.attempts >= MOST_ATTEMPTS:
        changes["given_up_at"] = now
        log.error("%s is given up after %s attempts: %s", message, message.attempts, problem)
    else:
        log.warning("%s is tried again: %s", message, problem)
    AlarmMessage.objects.filter(pk=message.pk).update(**changes)


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts."""
    doublings = min(attempts - 1, 10)
    return min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)


# --- Webhook -----------------------------------------------------------------------------------------------------


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is at another address was not configured."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


# Straight to the address: no proxy of the environment, no file, no other scheme.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _post(message: AlarmMessage) -> None:
    body = json.dumps(payload(message), ensure_ascii=False).encode()
    timestamp = str(int(datetime.now(UTC).timestamp()))
    headers = {"Content-Type": "application/json", TIMESTAMP_HEADER: timestamp}
    if settings.ALARM_WEBHOOK_SECRET:
        headers[SIGNATURE_HEADER] = signature(settings.ALARM_WEBHOOK_SECRET, timestamp, body)
    url = settings.ALARM_WEBHOOK_URL
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310  # see checks
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise NotDelivered(f"the webhook answered {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotDelivered(f"the webhook cannot be reached: {error}") from error


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC of `timestamp.body` in hex."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def payload(message: AlarmMessage) -> dict[str, Any]:
    """What a webhook is told. `message` is the same number when it comes again; times are UTC, ISO 8601."""
    event = message.event
    alarm = event.alarm
    return {
        "message": message.pk,
        "installation": settings.AUDIT_ORIGIN,
        "mode": settings.TRADING_MODE,
        "event": event.kind,
        "at": _iso(event.recorded_at),
        "by": event.actor,
        "note": event.note,
        "alarm": {
            "id": alarm.pk,
            "kind": alarm.kind,
            "subject": alarm.subject,
            "severity": alarm.get_severity_display().upper(),
            "text": event.text if event.kind == AlarmEventKind.RAISED else alarm.text,
            "what_to_do": alarm.what_to_do,
            "facts": alarm.facts,
            "opened_at": _iso(alarm.opened_at),
            "times": alarm.times,
        },
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- E-mail ------------------------------------------------------------------------------------------------------


def _mail(message: AlarmMessage) -> None:
    event = message.event
    mail = EmailMessage(
        subject=f"[{settings.AUDIT_ORIGIN}] {event.get_kind_display()}: {event.alarm}",
        body=_letter(event.alarm, message),
        from_email=settings.ALARM_EMAIL_FROM,
        to=settings.ALARM_EMAIL_TO,
    )
    try:
        mail.send()
    except (OSError, SMTPException, ValueError) as error:
        raise NotDelivered(f"the mail was not taken: {error}") from error


def _letter(alarm: Alarm, message: AlarmMessage) -> str:
    event = message.event
    lines = [
        f"{alarm.get_severity_display()}. {event.text}",
        "",
        f"What to do: {alarm.what_to_do}",
        "",
        f"Alarm {alarm.pk}, {alarm.kind} of {alarm.subject}, {event.get_kind_display().lower()} by {event.actor}",
        f"at {_iso(event.recorded_at)}, {settings.TRADING_MODE} trading; open since {_iso(alarm.opened_at)}.",
        f"The admin shows it under /admin/alarms/alarm/{alarm.pk}/change/",
    ]
    return "\n".join([*lines, *([f"Note: {event.note}"] if event.note else [])])


SENDERS: dict[Channel, Callable[[AlarmMessage], None]] = {Channel.WEBHOOK: _post, Channel.EMAIL: _mail}
