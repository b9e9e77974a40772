"""Passwords are not to be guessed: so many tries, then none for a while.

Rules: a try is counted before its password is looked at, in a row of its own, so that tries at once are counted too;
it needs PostgreSQL and nothing else. What is locked is one name from one address first, and the name, or the address,
altogether only after many more: nobody locks somebody else out with five requests. While it is locked, tries are not
counted and the right password is refused as well.
"""

from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from accounts.logins.models import LoginAttempt
from audit.record import record_site
from database import clock

WINDOW = timedelta(minutes=15)
BY_NAME_AND_ADDRESS, BY_NAME, BY_ADDRESS = 5, 30, 60
KEPT = timedelta(days=1)


class LockedOut(PermissionDenied):
    """Too many tries; no other way of logging in is looked at."""


class CountingBackend:
    """Stands before the one that looks at passwords, and knows no users itself. Raises: LockedOut."""

    def authenticate(self, request: HttpRequest | None, username: str | None = None, **_: Any) -> None:
        if request is not None and username:  # without a request it is a command or a shell
            count(_name(username), address_of(request))


def count(name: str, address: str) -> None:
    """Count a try. Raises: LockedOut."""
    if is_locked(name, address):
        raise LockedOut
    LoginAttempt.objects.filter(at__lt=clock.database_now() - KEPT).delete()
    LoginAttempt.objects.create(name=name, address=address)
    for limit, tries in _tries(name, address):
        if tries > limit:  # tries at once may go past it together
            raise LockedOut
        if tries == limit:
            record_site("logins locked", "ANONYMOUS", {"name": name, "address": address, "tries": tries})


def is_locked(username: str, address: str) -> bool:
    return any(tries >= limit for limit, tries in _tries(_name(username), address))


def forget(username: str, address: str) -> None:
    """The name came in from there."""
    LoginAttempt.objects.filter(name=_name(username), address=address).delete()


def unlock(*, actor: str, username: str | None = None, address: str | None = None) -> int:
    """Forget the tries of a name, of an address, or all. Returns how many there were."""
    attempts: QuerySet[LoginAttempt] = LoginAttempt.objects.all()
    if username is not None:
        attempts = attempts.filter(name=_name(username))
    if address is not None:
        attempts = attempts.filter(address=address)
    removed, _ = attempts.delete()
    record_site("logins unlocked", actor, {"name": username or "", "address": address or "", "tries": removed})
    return removed


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


def _tries(name: str, address: str) -> list[tuple[int, int]]:
    """(limit, tries) of each kind, within the window."""
    recent = LoginAttempt.objects.filter(at__gte=clock.database_now() - WINDOW)
    tries = recent.aggregate(
        both=Count("pk", filter=Q(name=name, address=address)),
        name=Count("pk", filter=Q(name=name)),
        address=Count("pk", filter=Q(address=address)),
    )
    return [(BY_NAME_AND_ADDRESS, tries["both"]), (BY_NAME, tries["name"]), (BY_ADDRESS, tries["address"])]


def _name(username: str) -> str:
    # PostgreSQL holds no NUL; what else was typed may be anything.
    return username.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:150]
