"""Who came in, who did not, and who may do what: written to the site's chain.

Django's own signals are the only place where all ways meet: the admin, commands, a shell.
"""

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model, signals
from django.contrib.auth.models import Group
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.http import HttpRequest

from audit.record import record_site

SYSTEM = "SYSTEM"  # a command or a shell: no person is known
LONGEST_NAME = 150
CHANGES = {"post_add": "added", "post_remove": "removed", "post_clear": "cleared"}


def watch() -> None:
    """Begin to write down; called once, when the application is ready."""
    user = get_user_model()
    signals.user_logged_in.connect(_logged_in)
    signals.user_logged_out.connect(_logged_out)
    signals.user_login_failed.connect(_refused)
    for model in (user, Group):
        post_save.connect(_saved, sender=model)
        post_delete.connect(_deleted, sender=model)
    for relation in (user.groups, user.user_permissions, Group.permissions):
        m2m_changed.connect(_rights_changed, sender=relation.through)
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


def _saved(sender: type[Model], instance: Any, created: bool, update_fields: Any, raw: bool, **_: Any) -> None:
    if raw or (update_fields and set(update_fields) == {"last_login"}):
        return
    kind = f"{sender._meta.model_name} {'created' if created else 'changed'}"
    flags = {
        name: getattr(instance, name) for name in ("is_active", "is_staff", "is_superuser") if hasattr(instance, name)
    }
    new_password = bool(getattr(instance, "_password", None))  # set, and about to be forgotten by the instance
    record_site(kind, SYSTEM, {"id": instance.pk, "name": _text(str(instance)), "new_password": new_password, **flags})


def _deleted(sender: type[Model], instance: Any, **_: Any) -> None:
    record_site(f"{sender._meta.model_name} deleted", SYSTEM, {"id": instance.pk, "name": _text(str(instance))})


def _rights_changed(sender: Any, instance: Any, action: str, model: type[Model], pk_set: Any, **_: Any) -> None:
    if action in CHANGES:
        given = sorted(str(row) for row in model._default_manager.filter(pk__in=pk_set or ()))
        what = {"of": _text(str(instance)), "kind": instance._meta.model_name, "list": model._meta.model_name}
        record_site("rights changed", SYSTEM, {**what, "change": CHANGES[action], "entries": [_text(r) for r in given]})


def _administered(sender: Any, instance: LogEntry, **_: Any) -> None:
    """What the admin notes of itself says who it was; the signals above say what became of it."""
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
