"""Is it up, and what to try next: the last lines of a start."""

import http.client
import json
import time

from django.conf import settings

from ibkr_site.first_start import ADMIN, admin_password_file
from ibkr_site.supervisor import Supervisor


def site() -> str:
    """The address a person on this machine uses."""
    host = "localhost" if settings.HOST in ("127.0.0.1", "::1", "0.0.0.0", "::") else settings.HOST  # noqa: S104
    return f"http://{host}:{settings.PORT}"


def reasons_not_ready() -> list[str]:
    """What /health/ready objects to; an empty list is a yes."""
    host = "127.0.0.1" if settings.HOST in ("localhost", "0.0.0.0") else settings.HOST  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.PORT, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return [f"web: nothing answers on {host}:{settings.PORT} ({error})"]
    finally:
        connection.close()
    if response.status == http.client.OK:
        return []
    try:
        found = json.loads(body)
        return [f"{reason}. {found['what_to_do']}" for reason in found["reasons"]]
    except (ValueError, KeyError, TypeError):
        return [f"web: /health/ready answers {response.status}"]


def wait_until_ready(supervisor: Supervisor, *, seconds: float) -> list[str]:
    """Look after the programs until the site is ready, or the time is over; what is still missing then."""
    deadline = time.monotonic() + seconds
    while (reasons := reasons_not_ready()) and time.monotonic() < deadline:
        if supervisor.stopping.wait(0.4):
            break
        supervisor.look_after_all()
    return reasons


def lines(reasons: list[str], *, first_time: bool, seconds: float) -> list[str]:
    """What to tell the person who started us."""
    if reasons:
        return [f"NOT READY after {seconds:.0f} s; still trying. {reason}" for reason in reasons]
    broker = f"paper gateway on port {settings.IB_PORT}" if settings.PAPER_GATEWAY else "gateway"
    if not settings.PAPER_GATEWAY:
        broker = f"{settings.TRADING_MODE} trading through the gateway at {settings.IB_HOST}:{settings.IB_PORT}"
    order = '{"action": "BUY", "symbol": "AAPL", "quantity": 10}'
    return [
        "",
        f"READY after {seconds:.1f} s: {broker}",
        "",
        f"  API docs   {site()}/docs   (or /redoc, /openapi.json)",
        f"  Admin      {site()}/admin/   {_login(first_time=first_time)}",
        f"  Health     {site()}/health/ready",
        "",
        "Try, in another terminal:",
        f"  curl {site()}/account",
        f"  curl -X POST {site()}/order/market -H 'Content-Type: application/json' -d '{order}'",
        f"  curl {site()}/executions",
        f"  curl {site()}/positions",
        "",
        "Ctrl-C stops everything; the data stays.",
        "",
    ]


def _login(*, first_time: bool) -> str:
    file = admin_password_file()
    if not file.exists():
        return "with your own login"
    if first_time:
        return f"user {ADMIN}, password {file.read_text().strip()}   (kept in {file})"
    return f"user {ADMIN}, password in {file} unless you changed it"
