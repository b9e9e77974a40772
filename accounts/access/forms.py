"""The forms that make, rotate and revoke a key. What makes sense is the register's to say."""

import re
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.access import register
from accounts.access.models import ApiKey, Scope
from accounts.access.register import InvalidKeyTerms, NoSuchKey

LONGEST_DAYS = 3660


def words(text: str) -> list[str]:
    """What stands between commas and spaces."""
    return [word for word in re.split(r"[,\s]+", text) if word]


def expiry(days: int | None) -> datetime | None:
    return None if days is None else timezone.now() + timedelta(days=days)


def _text(label: str, help_text: str, *, required: bool = False) -> forms.CharField:
    widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, required=required, widget=widget)


class KeyForm(forms.Form):
    """One change of a key; `secret` is the new key's text, where there is one."""

    secret = ""

    def carry_out(self, *, key_id: str, actor: str) -> ApiKey | None:
        """Do it; None when it was refused, and the form says why."""
        try:
            return self.change(self.cleaned_data, key_id=key_id, actor=actor)
        except InvalidKeyTerms as problem:
            self.add_error(problem.field if problem.field in self.fields else None, str(problem))
        except NoSuchKey as problem:
            self.add_error(None, str(problem))
        return None

    def change(self, given: dict[str, Any], *, key_id: str, actor: str) -> ApiKey:
        """Raises: InvalidKeyTerms, NoSuchKey."""
        raise NotImplementedError


class CreateForm(KeyForm):
    name = _text("Name", "Whose key it is, or what for.", required=True)
    read = _text("May read in", "Accounts, by comma; * for all.")
    trade = _text("May place orders in", "Accounts, by comma; * for all.")
    cancel = _text("May cancel orders in", "Accounts, by comma; * for all.")
    networks = _text("May be used from", "Addresses or ranges like 10.0.0.0/8, by comma; empty for anywhere.")
    days = forms.IntegerField(
        label="Good for days",
        help_text="Empty: until it is revoked.",
        required=False,
        min_value=1,
        max_value=LONGEST_DAYS,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )

    def change(self, given: dict[str, Any], *, key_id: str, actor: str) -> ApiKey:
        key, credential = register.create(
            name=given["name"],
            grants={scope: words(given[scope.value]) for scope in Scope},
            networks_allowed=words(given["networks"]),
            expires_at=expiry(given["days"]),
            actor=actor,
        )
        self.secret = credential.text
        return key


class RotateForm(KeyForm):
    overlap = forms.IntegerField(
        label="The old secret is good for so many minutes more",
        help_text="0: no longer. Long enough to change it wherever it is used.",
        initial=0,
        min_value=0,
        max_value=int(register.LONGEST_OVERLAP.total_seconds() // 60),
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )

    def change(self, given: dict[str, Any], *, key_id: str, actor: str) -> ApiKey:
        key, credential = register.rotate(key_id, overlap=timedelta(minutes=given["overlap"]), actor=actor)
        self.secret = credential.text
        return key


class RevokeForm(KeyForm):
    def change(self, given: dict[str, Any], *, key_id: str, actor: str) -> ApiKey:
        return register.revoke(key_id, actor=actor)
