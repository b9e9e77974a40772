"""Is this process alive, and is the whole ready for orders? Answers for machines, with reasons for people."""

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from accounts.freshness import standing


def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the web process answers at all."""
    return JsonResponse({"status": "live"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 when an order placed now would be sent; 503 with every reason why not."""
    try:
        connection.ensure_connection()
        found = standing(settings.GATEWAY_NAME, now=timezone.now())
    except Error as error:
        reason = f"database: {type(error).__name__}; is PostgreSQL running at DATABASE_URL?"
        return JsonResponse({"status": "not ready", "reasons": [reason]}, status=503)
    session = found.session
    facts = {
        "database": "ok",
        "session": {
            "state": session.state if session else "UNKNOWN",
            "endpoint": session.endpoint if session else None,
            "client_id": session.client_id if session else None,
            "since": session.state_since if session else None,
            "heard_at": session.heard_at if session else None,
        },
    }
    if not found.fresh:
        return JsonResponse(
            {"status": "not ready", "reasons": [f"broker session: {found.reason}"], **facts}, status=503
        )
    return JsonResponse({"status": "ready", **facts})
