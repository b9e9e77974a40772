"""Nobody logs in on loopback, so a browser must not be talked into trading: a page elsewhere may not post here.

Browsers say where a request comes from (`Origin`, `Sec-Fetch-Site`) and pages cannot forge it; other clients send
neither. Reading is refused as well: without CORS headers no page elsewhere sees an answer, but it need not even ask.
A page that points its own name at this machine comes with a Host header that is not in ALLOWED_HOSTS.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # REST framework loads this module while it loads that one
    from rest_framework.views import APIView


class NotFromElsewhere(BasePermission):
    """Refuses what a page of another origin sends, unless CSRF_TRUSTED_ORIGINS names that origin."""

    message = "This request comes from a page of another origin, which may not use this API (CSRF_TRUSTED_ORIGINS)."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        origin = request.headers.get("Origin")
        if origin in settings.CSRF_TRUSTED_ORIGINS:
            return True
        from_here = origin is None or origin == f"{request.scheme}://{request.get_host()}"
        return from_here and request.headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")
