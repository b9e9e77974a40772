"""Changing limits: the next version of an account's row, with who and why, and the same in the site's chain."""

import dataclasses
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.limits import values
from accounts.limits.models import LimitVersion
from accounts.limits.values import LIMITS, Limits
from audit.record import record_site
from database import clock

EVERY = ""  # the account of the row for all accounts without rows of their own
ACCOUNT = re.compile(r"[A-Z0-9]{1,20}")
SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9 .\-]{0,39}")
TYPES = ("MARKET", "LIMIT", "STOP")
LARGEST = Decimal(10) ** 15
LARGEST_COUNT = 2**31 - 1
SHORTEST_REASON, LONGEST_REASON = 5, 500


class InvalidLimits(Exception):
    """A change that cannot be made; `field` is the limit that is wrong, account, reason, or empty."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def in_force(account: str) -> Limits:
    """The limits that hold for an account now: its own, else those of every account, else the mode's defaults."""
    rows = LimitVersion.objects.filter(account__in={account, EVERY})
    row = rows.order_by("-account", "-version").first()  # an account's own name sorts behind the empty one
    return row.values() if row else values.DEFAULTS[settings.TRADING_MODE]


def change(account: str, changes: Mapping[str, Any], *, by: str, reason: str, seen: int | None = None) -> LimitVersion:
    """Set some limits of an account, by name; the others stay as they are in force.

    `seen` is the version that the person looked at, where there was one: another one now refuses the change.
    Raises: InvalidLimits, with nothing written.
    """
    if account and not ACCOUNT.fullmatch(account):
        raise InvalidLimits("account", f"{account!r} is no account: name one like DU1000001.")
    reason = _checked_reason(reason)
    checked = {name: _checked(name, value) for name, value in changes.items()}
    try:
        with transaction.atomic():
            return _write(account, checked, by=by, reason=reason, seen=seen)
    except IntegrityError as error:
        if "one_row_per_limit_version" not in str(error):
            raise
        raise InvalidLimits("", "Somebody else changed these limits in this very moment: look at them again.") from None


def _write(account: str, changes: dict[str, Any], *, by: str, reason: str, seen: int | None) -> LimitVersion:
    before = in_force(account)
    own = before.version if before.account == account else 0
    if seen is not None and seen != own:
        raise InvalidLimits("", f"These limits were changed meanwhile, to version {own}: look at them again.")
    after = dataclasses.replace(before, account=account, version=own + 1, **changes)
    if own and dataclasses.replace(after, version=own) == before:
        raise InvalidLimits("", "Nothing would change.")
    columns = {field.name: getattr(after, field.name) for field in dataclasses.fields(after)}
    columns |= {name: list(value) for name, value in columns.items() if isinstance(value, tuple)}
    row = LimitVersion.objects.create(**columns, set_at=clock.database_now(), set_by=by, reason=reason)
    then, now = values.in_words(before), values.in_words(after)
    changed = {name: {"from": then[name], "to": now[name]} for name in now if then[name] != now[name]}
    details = {"account": account, "version": row.version, "reason": reason, "changed": changed, "limits": now}
    record_site("limits changed", by, details)
    return row


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise InvalidLimits(
            "reason", f"Say why, in one line of {SHORTEST_REASON} to {LONGEST_REASON} printable characters."
        )
    return reason


_KINDS = {limit.name: limit.kind for limit in LIMITS}


def _checked(name: str, value: Any) -> Any:
    """The value as it is stored. Raises: InvalidLimits."""
    kind = _KINDS.get(name)
    if kind is None:
        raise InvalidLimits(name, f"{name} is no limit: there are {', '.join(_KINDS)}.")
    if kind == "yes/no":
        if not isinstance(value, bool):
            raise InvalidLimits(name, "Say yes or no.")
        return value
    if value is None:
        return None
    if kind == "decimal":
        return _checked_amount(name, value)
    if kind == "count":
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_COUNT:
            raise InvalidLimits(name, "Give a whole number from 0 on, or nothing for no limit.")
        return value
    return _checked_words(name, value, types=kind == "types")


def _checked_amount(name: str, value: Any) -> Decimal:
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value < LARGEST:
        raise InvalidLimits(name, "Give a number from 0 on, or nothing for no limit.")
    if value != round(value, 8):
        raise InvalidLimits(name, "At most 8 decimals are kept.")
    return value


def _checked_words(name: str, value: Any, *, types: bool) -> tuple[str, ...] | None:
    words = tuple(sorted({str(word).strip().upper() for word in value} - {""}))
    for word in words:
        if types and word not in TYPES:
            raise InvalidLimits(name, f"{word} is no order type: there are {', '.join(TYPES)}.")
        if not SYMBOL.fullmatch(word):
            raise InvalidLimits(name, f"{word} is no symbol.")
    return words or None
