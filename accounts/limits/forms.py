"""All limits of an account on one form: an empty field is no limit."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts.limits import changing
from accounts.limits.models import LimitVersion
from accounts.limits.values import LIMITS, Limit, Limits, plain


class LimitsForm(forms.Form):
    """The limits in force, to be changed; `seen` is the version they were read from."""

    seen = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Reason",
        help_text="Why they are changed. It is recorded with your name and cannot be changed.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields |= {limit.name: _field(limit) for limit in LIMITS}
        self.order_fields([*(limit.name for limit in LIMITS), "reason", "seen"])

    def save(self, account: str, *, by: str) -> LimitVersion:
        """Set what was given. Raises: InvalidLimits."""
        given = self.cleaned_data
        changes = {limit.name: _value(limit, given[limit.name]) for limit in LIMITS}
        return changing.change(account, changes, by=by, reason=given["reason"], seen=given["seen"])


def initial(limits: Limits, *, account: str) -> dict[str, Any]:
    """What the fields of an account's form hold at first."""
    shown = {limit.name: _shown(getattr(limits, limit.name)) for limit in LIMITS}
    return shown | {"seen": limits.version if limits.account == account else 0}


def _field(limit: Limit) -> forms.Field:
    words: dict[str, Any] = {"label": limit.label, "help_text": limit.help_text, "required": False}
    if limit.kind == "yes/no":
        return forms.BooleanField(**words, widget=UnfoldBooleanWidget)
    widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    match limit.kind:
        case "decimal":
            return forms.DecimalField(**words, widget=widget)
        case "count":
            return forms.IntegerField(**words, widget=widget)
    return forms.CharField(**words, widget=widget)


def _value(limit: Limit, given: Any) -> Any:
    return given.replace(",", "\n").splitlines() if limit.kind in ("symbols", "types") else given


def _shown(value: Any) -> Any:
    match value:
        case tuple():
            return ", ".join(value)
        case Decimal():
            return plain(value)
    return value
