"""The login form of the admin, which says when it is locked, and the one of the second factor."""

from django import forms
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.logins import lockout

LOCKED = f"Too many tries. Wait {lockout.WINDOW.seconds // 60} minutes, or have it unlocked: manage.py unlock_logins."


class LoginForm(AuthenticationForm):
    """As the theme's, with a word about the lock."""

    def get_invalid_login_error(self) -> ValidationError:
        name, address = self.cleaned_data.get("username") or "", lockout.address_of(self.request)
        if lockout.is_locked(name, address):
            return ValidationError(LOCKED, code="locked")
        return super().get_invalid_login_error()


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code",
        max_length=32,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code", "autofocus": True}),
    )
