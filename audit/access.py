"""Who came in, who did not, and what the admin notes of itself: written to the site's chain.

What becomes of users, groups and their rights the database itself writes down (migration 0004), in the transaction of
the change and whatever the way: the admin, a command, a bulk update in a shell, psql. It knows no person but its own
role; for changes in the admin the entry of the admin's note says who it was.
"""

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import signals
from django.db.models.signals import post_save
from django.http import HttpRequest

from audit.record import record_site

LONGEST_NAME = 150


def watch() -> None:
    """Begin to write down; called once, when the application is ready."""
    signals.user_logged_in.connect(_logged_in)
    signals.user_logged_out.connect(_logged_out)
    signals.user_login_failed.connect(_refused)
    post_save.connect(_administered, sender=LogEntry)


def _logged_in(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    record_site("login", _actor(user), _origin(request))


def _logged_out(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    if user is not None:
        record_site("logout", _actor(user), _origin(request))


def _refused(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    # What was typed as a name may be anything, a password too: as much of it as names have.
    name = str(credentials.get("username", ""))[:LONGEST_NAME]
    record_site("login refused", "ANONYMOUS", {"name": _text(name), **_origin(request)})


def _administered(sender: Any, instance: LogEntry, **_: Any) -> None:
    """What the admin notes of itself says who it was."""
    what = {
        "object": _text(instance.object_repr),
        "id": _text(str(instance.object_id or "")),
        "action": instance.action_flag,
    }
    kind = instance.content_type.model if instance.content_type else ""
    record_site("admin", _actor(instance.user), {**what, "kind": kind, "message": _text(instance.change_message)})


def _actor(user: Any) -> str:
    return _text(f"user:{user.get_username()}")


def _origin(request: HttpRequest | None) -> dict[str, str]:
    if request is None:
        return {}
    return {"address": request.META.get("REMOTE_ADDR", ""), "request_id": request.META.get("HTTP_X_REQUEST_ID", "")}


def _text(value: str) -> str:
    """A text that the trail can hold, whatever was typed."""
    return value.encode(errors="replace").decode()
