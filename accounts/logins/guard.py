"""Between a password and the admin: a session that lasts too long ends, and a second factor is asked for.

Rules: nothing of the admin but logging out is reached before the second factor, where the user has one or must have
one. It is asked for once per session. The API knows no session.
"""

from collections.abc import Callable
from functools import cached_property
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts.logins import factor
from database import clock

BEGAN = "began"


class AdminGuard:
    """After the middlewares that know the user and his device."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    @cached_property
    def admin(self) -> str:
        """Where the admin's pages are; the addresses are not known yet when middlewares are made."""
        return reverse("admin:index")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(self.admin) or not request.user.is_authenticated:
            return self.get_response(request)
        if _is_over(request):
            logout(request)
            return redirect(f"{reverse('admin:login')}?{_next(request)}")
        page = _missing(request)
        if page and request.path not in (reverse(page), reverse("admin:logout"), reverse("admin:jsi18n")):
            return redirect(f"{reverse(page)}?{_next(request)}")
        return self.get_response(request)


def _is_over(request: HttpRequest) -> bool:
    now = clock.database_now().timestamp()
    began: float = request.session.setdefault(BEGAN, now)
    return now - began > settings.SESSION_LIFETIME_SECONDS


def _missing(request: HttpRequest) -> str | None:
    """The page that this session must pass first."""
    if factor.is_verified(request):
        return None
    if factor.is_enrolled(request.user):
        return "second-factor"
    return "second-factor-enrol" if settings.SECOND_FACTOR_REQUIRED else None


def _next(request: HttpRequest) -> str:
    return urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
