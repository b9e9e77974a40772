"""A login that succeeded ends the counting of those that did not; Django says so by a signal and in no other way."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from accounts.logins import lockout


def watch() -> None:
    """Begin; called once, when the application is ready."""
    user_logged_in.connect(_logged_in)


def _logged_in(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None:
        lockout.forget(user.get_username(), lockout.address_of(request))
