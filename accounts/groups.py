"""Who may do what in the admin: four groups, and what each of them may.

Rules: the table is the truth. Every start brings the four groups in line with it, so that a permission which a later
version brings is granted by itself; one that does not exist is not. Whoever needs something else makes a group with
another name, which nothing here touches. `security` gives rights to others and has none over orders.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from django.contrib.auth.models import Group, Permission
from django.db import transaction

VIEWER, OPERATOR, RISK, SECURITY = "viewer", "operator", "risk", "security"

# Patterns of <app>.<codename>.
REVIEW = ("accounts.view_*", "alarms.view_*", "audit.view_*", "orders.view_*")
KEYS = "accounts.*apikey*"  # who may act through the API is for those to know who decide it
TABLE: dict[str, tuple[str, ...]] = {
    VIEWER: REVIEW,
    OPERATOR: (
        *REVIEW,
        "accounts.halt",
        "alarms.acknowledge*",
        "orders.close_break",
        "orders.import_flex",
        "orders.resolve_in_doubt",
    ),
    RISK: (*REVIEW, "accounts.change_limits", "accounts.halt", "accounts.resume"),
    SECURITY: ("admin.view_logentry", "auth.*_group", "auth.*_user", KEYS),
}


def establish() -> None:
    """Make the four groups and let each do what the table says; changes nothing where it is so already."""
    permissions = list(Permission.objects.select_related("content_type"))
    with transaction.atomic():
        for name in TABLE:
            group, _ = Group.objects.get_or_create(name=name)
            group.permissions.set(permission for permission in permissions if allows(name, _full_name(permission)))


def allows(group: str, permission: str) -> bool:
    """Whether the table gives that group the permission, written as <app>.<codename>."""
    if group != SECURITY and fnmatchcase(permission, KEYS):
        return False
    return _fits(permission, TABLE[group])


def _fits(permission: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(permission, pattern) for pattern in patterns)


def _full_name(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"
