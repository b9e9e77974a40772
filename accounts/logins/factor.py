"""The second factor of a user: codes that change every 30 seconds, and ten recovery codes that work once each.

Rules: a factor counts once a first code proved that the app has it; recovery codes are kept as digests only and are
shown once; what is enrolled, refused and reset stands in the site's chain. Codes are slowed down by their device after
each wrong one.
"""

import secrets
from hashlib import sha256

import segno
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.http import HttpRequest
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from audit.record import record_site

RECOVERY_CODES = 10
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is read as something else


def is_enrolled(user: User | AnonymousUser) -> bool:
    return isinstance(user, User) and TOTPDevice.objects.filter(user=user, confirmed=True).exists()


def is_verified(request: HttpRequest) -> bool:
    """Whether this session has shown its user's second factor."""
    return getattr(request.user, "otp_device", None) is not None


def begin(user: User) -> TOTPDevice:
    """The factor that the user is about to put into an app: the same one until it is confirmed."""
    device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    return device or TOTPDevice.objects.create(user=user, name="app", confirmed=False)


def qr_code(device: TOTPDevice) -> str:
    """The factor for an app's camera, as SVG."""
    return str(segno.make_qr(device.config_url).svg_inline(scale=5, border=4, light="#ffffff"))


@transaction.atomic
def confirm(user: User, code: str, *, actor: str) -> tuple[Device, list[str]] | None:
    """Make the factor count, if the code is its. Returns it and the recovery codes."""
    device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False).first()
    if device is None or is_enrolled(user) or not device.verify_token(code.strip()):
        _refused(user, "enrolment")
        return None
    return device, _enrolled(device, actor=actor)


@transaction.atomic
def enrol(user: User, *, actor: str) -> tuple[TOTPDevice, list[str]]:
    """Give the user a new factor, without a first code: for a command. Returns it and the recovery codes."""
    _forget(user)
    device = TOTPDevice(user=user, name="app")
    return device, _enrolled(device, actor=actor)


@transaction.atomic
def reset(user: User, *, actor: str) -> bool:
    """Take the factor and the recovery codes away. Returns whether there were any."""
    had = _forget(user)
    record_site("second factor reset", actor, {"user": user.get_username(), "had": had})
    return had


@transaction.atomic
def verify(user: User, code: str) -> Device | None:
    """The device that the code is of: the app's, or a recovery code, which is used up."""
    app = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
    typed = code.strip().lower()
    if app is not None and typed.isascii() and typed.isdigit():
        if app.verify_token(typed):
            return app
    elif app is not None:
        recovery = StaticDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
        if recovery is not None and recovery.verify_token(_digest(typed)):
            left = recovery.token_set.count()
            record_site("recovery code used", f"user:{user.get_username()}", {"left": left})
            return app
    _refused(user, "login")
    return None


@transaction.atomic
def renew_recovery_codes(user: User, *, actor: str) -> list[str]:
    """New recovery codes in the place of those there were."""
    StaticDevice.objects.filter(user=user).delete()
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(12)) for _ in range(RECOVERY_CODES)]
    device = StaticDevice.objects.create(user=user, name="recovery")
    for code in codes:
        device.token_set.create(token=_digest(code))
    record_site("recovery codes made", actor, {"user": user.get_username()})
    return codes


def _enrolled(device: TOTPDevice, *, actor: str) -> list[str]:
    device.confirmed = True
    device.save()
    record_site("second factor enrolled", actor, {"user": device.user.get_username()})
    return renew_recovery_codes(device.user, actor=actor)


def _forget(user: User) -> bool:
    removed = [kind.objects.filter(user=user).delete()[0] for kind in (TOTPDevice, StaticDevice)]
    return any(removed)


def _refused(user: User, where: str) -> None:
    record_site("second factor refused", f"user:{user.get_username()}", {"at": where})


def _digest(code: str) -> str:
    return sha256(code.encode()).hexdigest()[:16]  # as much as the column holds; the codes are random
