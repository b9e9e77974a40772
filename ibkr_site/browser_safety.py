"""Nobody logs in on loopback, so a browser must not be talked into trading: a page elsewhere may not post here.

Browsers say where a request comes from (`Origin`, `Sec-Fetch-Site`) and pages cannot forge it; other clients send
neither. Reading needs no such rule: without CORS headers no page elsewhere sees an answer.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # REST framework loads this module while it loads that one
    from rest_framework.views import APIView


class NotFromElsewhere(BasePermission):
    """Refuses what a page of another origin sends, unless CSRF_TRUSTED_ORIGINS names that origin."""

    message = "This request comes from a page of another origin, which may not trade here (CSRF_TRUSTED_ORIGINS)."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.method in SAFE_METHODS:
            return True
        origin = request.headers.get("Origin")
        if origin in settings.CSRF_TRUSTED_ORIGINS:
            return True
        own = f"{request.scheme}://{request.get_host()}"
        return origin in (None, own) and request.headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")
