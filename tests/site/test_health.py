from datetime import UTC, timedelta
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now
from django.utils import timezone

from accounts.calendar import Calendar, Kind, Window
from accounts.diagnosis import ADVICE, Finding
from alarms.models import Alarm
from alarms.register import acknowledge, clear, raise_alarm
from alarms.vocabulary import AlarmKind
from tests.orders.breaks.test_register import POINT, differ
from tests.orders.builders import session_row
from tests.orders.factories import order_in


@pytest.mark.parametrize("path", ["/health/live", "/health/live/"])
def test_live_asks_nobody(client, path):
    response = client.get(path)  # no database is allowed in this test

    assert (response.status_code, response.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_ready(client):
    session = session_row()

    response = client.get("/health/ready")

    assert response.status_code == 200
    body = response.json()
    assert (body["status"], body["database"], body["in_doubt"], body["breaks"]) == ("ready", "ok", 0, 0)
    assert "hint" not in body
    assert body["session"]["state"] == "READY"
    assert body["session"]["endpoint"] == "127.0.0.1:4002"
    assert body["session"]["client_id"] == 17
    assert body["session"]["heard_at"].startswith(f"{session.heard_at:%Y-%m-%dT%H:%M:%S}")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "DISCONNECTED", "reason": "refused"}, "broker session: refused"),
        ({"state": "LINK_DOWN", "reason": ""}, "broker session: the session is LINK_DOWN"),
        ({"heard_at": None}, "broker session: the gateway worker has not reported for some seconds"),
        (
            {"heard_at": timezone.now() - timedelta(days=1)},
            "broker session: the gateway worker has not reported for some seconds",
        ),
    ],
)
def test_not_ready_says_why(client, changes, reason):
    session_row(**changes)

    response = client.get("/health/ready")

    assert response.status_code == 503
    body = response.json()
    assert (body["status"], body["detail"], body["reasons"]) == ("not ready", reason, [reason])
    assert body["session"]["state"] == changes.get("state", "READY")


@pytest.mark.django_db
@pytest.mark.parametrize(("state", "status"), [("READY", 200), ("DISCONNECTED", 503)])
def test_orders_in_doubt_are_told_and_are_no_reason(client, state, status):
    for _ in range(2):
        order_in("IN_DOUBT")
    order_in("NEW")
    session_row(state=state)

    response = client.get("/health/ready")

    assert response.status_code == status
    body = response.json()
    assert body["in_doubt"] == 2
    assert body["hint"].endswith("a person's decision: /admin/orders/order/?status__exact=IN_DOUBT")
    assert "doubt" not in str(body.get("reasons", ""))


@pytest.mark.django_db
def test_open_breaks_are_told_and_are_no_reason(client):
    session_row()
    differ(POINT)

    response = client.get("/health/ready")

    assert (response.status_code, response.json()["breaks"]) == (200, 1)


@pytest.mark.django_db
def test_alarms_are_counted_and_are_no_reason(client):
    session_row()
    for subject in ("order:1", "order:2"):
        raise_alarm(AlarmKind.IN_DOUBT, subject, text="it cannot be told")
    raise_alarm(AlarmKind.DISPROVED, "order:3", text="it works there")
    raise_alarm(AlarmKind.BREAK, "break:1", text="differs")
    clear(AlarmKind.BREAK, "break:1")
    acknowledge(Alarm.objects.earliest("pk").pk, note="looking", actor="user:ada", request_id="")

    response = client.get("/health/ready")

    assert response.status_code == 200
    alarms = {"open": 3, "unacknowledged": 2, "kinds": {"DISPROVED": 1, "IN_DOUBT": 2}}
    assert response.json()["alarms"] == alarms


@pytest.mark.django_db
def test_before_the_first_worker(client):
    response = client.get("/health/ready/")

    assert response.status_code == 503
    assert response.json()["session"] is None
    assert response.json()["reasons"] == ["broker session: no gateway worker has reported yet: start one"]


@pytest.mark.django_db
def test_without_a_database(client):
    with mock.patch.object(BaseDatabaseWrapper, "cursor", side_effect=OperationalError("at 10.0.0.1")):
        response = client.get("/health/ready")

    assert response.status_code == 503
    assert response.json()["database"] == "away"
    assert response.json()["in_doubt"] is None
    assert response.json()["alarms"] is None
    assert "PostgreSQL" in response.json()["detail"]
    assert "10.0.0.1" not in response.content.decode()


@pytest.mark.django_db
def test_what_is_wrong_and_what_to_do(client):
    session_row(state="DISCONNECTED", cause="READ_ONLY", reason="the gateway's API is read-only", owner_seen_at=Now())

    body = client.get("/health/ready").json()

    assert (body["problem"], body["critical"]) == ("READ_ONLY", False)
    assert body["what_to_do"] == ADVICE[Finding.READ_ONLY].what_to_do
    assert body["session"]["reason"] == "the gateway's API is read-only"


@pytest.mark.django_db
def test_away_for_long_is_critical(client):
    session_row(state="LINK_DOWN", cause="LINK_DOWN", away_since=timezone.now() - timedelta(seconds=90))

    body = client.get("/health/ready").json()

    assert (body["problem"], body["critical"]) == ("LINK_DOWN", True)
    assert body["session"]["away_since"] is not None


@pytest.mark.django_db
@pytest.mark.parametrize(("state", "others"), [("READY", []), ("DISCONNECTED", ["broker session: refused"])])
def test_a_planned_pause_is_a_reason(client, settings, state, others):
    at = (timezone.now() - timedelta(seconds=10)).astimezone(UTC).time()
    window = Window(kind=Kind.RESTART, zone=ZoneInfo("UTC"), at=at, lasts=timedelta(seconds=100))
    settings.GATEWAY_CALENDAR = Calendar(windows=(window,))
    session_row(state=state, reason="refused" if others else "")

    response = client.get("/health/ready")

    body = response.json()
    assert (response.status_code, body["problem"], body["critical"]) == (503, "RESTART", False)
    assert 80 <= int(response.headers["Retry-After"]) <= 90
    assert body["reasons"][0].startswith("planned pause: no orders are sent during the gateway's nightly restart")
    assert body["reasons"][1:] == others
    assert body["detail"] == "; ".join(body["reasons"])


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_head_is_answered_as_get_is(client, path):
    session_row()

    assert client.head(path).status_code == client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_only_get(client, path):
    assert client.post(path).status_code == 405
