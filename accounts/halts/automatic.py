"""Halts that no person presses: an alarm of a kind that AUTO_HALT lists halts the account it names, or everything.

In the transaction that opens the alarm, so that there is neither without the other; where halting fails the alarm
stays, and that it failed is an alarm of its own.
"""

import logging

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from accounts.halts import switch
from accounts.halts.models import Scope
from alarms.models import Alarm
from alarms.notes import LONGEST_NOTE
from alarms.register import raise_alarm, react_to_new
from alarms.vocabulary import AlarmKind

log = logging.getLogger(__name__)

# What a halt itself raises would halt for ever.
POSSIBLE = frozenset(AlarmKind) - {AlarmKind.HALTED, AlarmKind.AUTO_HALT}


def begin() -> None:
    """Halt by itself from now on; called once, when the application is ready. Raises: ImproperlyConfigured."""
    if unknown := sorted(set(settings.AUTO_HALT) - POSSIBLE):
        kinds = ", ".join(sorted(POSSIBLE))
        raise ImproperlyConfigured(f"AUTO_HALT names {unknown[0]}, which is none of {kinds}.")
    react_to_new(halt_for)


def halt_for(alarm: Alarm) -> None:
    """Halt what the alarm is about, if its kind is one of those."""
    if alarm.kind not in settings.AUTO_HALT:
        return
    account = str(alarm.facts.get("account", "")) or _account_named_by(alarm.subject)
    scope = Scope.ACCOUNT if account else Scope.ALL
    said = "".join(character if character.isprintable() else " " for character in f"{alarm}: {alarm.text}")
    try:
        with transaction.atomic():
            switch.halt(scope, account, reason=said[:LONGEST_NOTE], actor=switch.SYSTEM)
    except Exception as error:
        log.exception("an automatic halt failed")
        raise_alarm(AlarmKind.AUTO_HALT, f"alarm:{alarm.pk}", text=f"after {alarm}: {error}")


def _account_named_by(subject: str) -> str:
    kind, _, name = subject.partition(":")
    return name if kind == "account" else ""
