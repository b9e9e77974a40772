"""The switch: halting, resuming, and whether something is halted.

Rules
1. Halting needs no lock that a claim holds and waits for nobody. A claim's look at halts is good for less than a second
   (orders.dispatch), so that nothing is sent one second after a halt was committed.
2. To halt is always allowed to who may; to resume takes a reason, and in live mode a second person.
3. Each is in the site's chain of the audit trail and opens or ends an alarm, in the same transaction.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from accounts.halts import stop_file
from accounts.halts.models import ON, Halt, Resumption, Scope
from alarms.notes import checked_note
from alarms.register import clear, raise_alarm
from alarms.vocabulary import AlarmKind
from audit.record import record_site
from database import prepared
from database.clock import database_now

SYSTEM = "SYSTEM"
PERSON = "user:"
KEY = "key:"
NAME = re.compile(r"[A-Za-z0-9]+(?:[ ._-][A-Za-z0-9]+)*")  # a misspelt halt must not look like one that holds
# As JSON, the oldest halt that is on for an order of %(account)s in %(symbol)s, asked for with %(key)s if with any.
FIRST_ON = """
    SELECT to_jsonb(h) FROM accounts_halt h
    WHERE (h.scope, h.value) IN (
            ('ALL', ''), ('ACCOUNT', %(account)s), ('SYMBOL', %(symbol)s), ('KEY', %(key)s)
        )
        AND NOT EXISTS (SELECT 1 FROM accounts_resumption r WHERE r.halt_id = h.id)
    ORDER BY h.id LIMIT 1
"""
_LOCK = 7_401_177  # an advisory lock of ours: halts come one after the other


class HaltError(Exception):
    """The text says what is wrong, for whoever asked."""


class InvalidScope(HaltError):
    pass


class NotHalted(HaltError):
    pass


class SecondPersonNeeded(HaltError):
    pass


def halt(scope: Scope, value: str = "", *, reason: str, actor: str, request_id: str = "") -> Halt:
    """Halt from now on; the halt that is on where there is one already. Raises: InvalidScope, InvalidNote."""
    value, reason = checked_value(scope, value), checked_note(reason, name="reason")
    with transaction.atomic():
        _one_after_the_other()
        before = active().filter(scope=scope, value=value).first()
        if before is not None:
            return before
        row = Halt.objects.create(
            scope=scope, value=value, reason=reason, halted_by=actor, halted_at=database_now(), request_id=request_id
        )
        record_site("halt", actor, {"halt": row.pk, "scope": scope, "value": value, "reason": reason})
        raise_alarm(AlarmKind.HALTED, subject_of(row), text=f"{row.what}, by {actor}: {reason}", actor=actor)
    return row


def resume(halt_pk: int, *, reason: str, actor: str, request_id: str = "") -> Resumption:
    """End a halt. Raises: NotHalted, SecondPersonNeeded, InvalidNote."""
    reason = checked_note(reason, name="reason")
    with transaction.atomic():
        _one_after_the_other()
        row = active().filter(pk=halt_pk).first()
        if row is None:
            raise NotHalted(f"Halt #{halt_pk} is not on. Nothing was changed.")
        _refuse_the_same_person(row, actor)
        end = Resumption.objects.create(
            halt=row, reason=reason, resumed_by=actor, resumed_at=database_now(), request_id=request_id
        )
        record_site("resume", actor, {"halt": row.pk, "scope": row.scope, "value": row.value, "reason": reason})
        clear(AlarmKind.HALTED, subject_of(row), text=f"resumed by {actor}: {reason}", actor=actor)
    return end


def _one_after_the_other() -> None:
    """Halts and their ends: rows that nothing may update cannot be locked either, under the application's role."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def reason_against(*, account: str, symbol: str, actor: str) -> str:
    """For clients: why an order may not be sent now; empty when it may. One query.

    `actor`: who asked for it, as in orders' requests; `key:<id>` for an API key.
    """
    if text := stop_file.found():
        return text
    (found,) = prepared.one(f"SELECT ({FIRST_ON})::text", {"account": account, "symbol": symbol, "key": key_of(actor)})
    return reason(json.loads(found) if found else None)


def reason(first: Mapping[str, Any] | None) -> str:
    """The same for what FIRST_ON found, and for the file that needs no database."""
    return stop_file.found() or (Halt(**first).words if first else "")


def key_of(actor: str) -> str | None:
    """The id of the API key that somebody acts with."""
    return actor.removeprefix(KEY) if actor.startswith(KEY) else None


def active() -> QuerySet[Halt]:
    """The halts that are on, the oldest first."""
    return Halt.objects.filter(ON).order_by("pk")


ANY = prepared.Query(lambda: active().values_list("pk")[:1])


def is_anything_halted() -> bool:
    """Whether there is a reason to look closer."""
    return bool(stop_file.found()) or bool(ANY.rows())


def subject_of(row: Halt) -> str:
    """How alarms name a halt."""
    return f"halt:{row.pk}"


def checked_value(scope: Scope, value: str) -> str:
    """The account, symbol or key as it is looked up. Raises: InvalidScope."""
    value = value.strip().removeprefix(KEY) if scope is Scope.KEY else value.strip().upper()
    if (scope is Scope.ALL) is bool(value):
        raise InvalidScope("Name the account, symbol or key that is to be halted; for ALL name none.")
    if value and (len(value) > 80 or not NAME.fullmatch(value)):
        raise InvalidScope("That names no account, symbol or key.")
    return value


def _refuse_the_same_person(row: Halt, actor: str) -> None:
    if settings.TRADING_MODE != "live":
        return
    if not actor.startswith(PERSON):
        raise SecondPersonNeeded("With real money a person resumes, in the admin. Nothing was changed.")
    if actor == row.halted_by:
        raise SecondPersonNeeded("With real money another person resumes than who halted. Nothing was changed.")
