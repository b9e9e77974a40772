"""What a browser is told about each answer: what it may load, run, frame, keep and tell others.

Rules: what is no page may do nothing at all, which is the policy of every answer but those named here. A page's own
scripts and styles are files of ours, or carry the answer's nonce. What a page's library cannot do without is let in
here and nowhere else, with the reason beside it (docs/security.md tells what follows from it).
"""

from typing import Any

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# An answer that is no page.
NOTHING: dict[str, Any] = {"default-src": [NONE], "base-uri": [NONE], "form-action": [NONE], "frame-ancestors": [NONE]}
PAGE: dict[str, Any] = NOTHING | {
    "script-src": [SELF, NONCE],
    "style-src": [SELF, NONCE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
}
POLICIES: dict[str, dict[str, Any]] = {
    "/admin/": PAGE
    | {
        "form-action": [SELF],
        # The theme's Alpine.js compiles what its attributes say; the build that does not cannot read the theme's.
        "script-src": [SELF, NONCE, UNSAFE_EVAL],
        # It also writes style attributes (where a list has actions); style elements still need the nonce.
        "style-src-attr": [UNSAFE_INLINE],
    },
    "/docs": PAGE,
    "/redoc": PAGE
    | {
        # ReDoc writes its styles into the page while it runs and has no place for a nonce; it searches in a worker.
        "style-src": [SELF, UNSAFE_INLINE],
        "worker-src": [SELF, "blob:"],
    },
}
HEADERS = {
    # Swagger UI's view would loosen it for logins in another window, which there are none of.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            *("accelerometer", "autoplay", "camera", "display-capture", "fullscreen", "geolocation", "gyroscope"),
            *("magnetometer", "microphone", "midi", "payment", "publickey-credentials-get", "usb"),
        )
    ),
}
FILES = settings.STATIC_URL  # what anybody may keep


class BrowserHeadersMiddleware(CSPMiddleware):
    """Content-Security-Policy by the address, and the headers that Django does not set."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only:
            parts.config = policy_of(request.path, response)
        return parts

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response = super().process_response(request, response)
        for name, value in HEADERS.items():
            response.headers[name] = value
        if not request.path.startswith(FILES) and "no-store" not in response.headers.get("Cache-Control", ""):
            response.headers["Cache-Control"] = "no-store"
        return response


def policy_of(path: str, response: HttpResponseBase) -> dict[str, Any]:
    """The policy of an answer: that of the page at this address, or none at all for what is no page."""
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return NOTHING
    return next((policy for prefix, policy in POLICIES.items() if path.startswith(prefix)), NOTHING)
