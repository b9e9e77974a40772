import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.calendar import Calendar, Kind, span
from accounts.models import GatewaySession
from alarms.models import Alarm
from alarms.register import raise_alarm
from alarms.vocabulary import AlarmKind
from audit.models import CheckpointRun, Draft, Entry, Verification
from audit.record import record_site
from ibkr_site import watch
from orders.breaks.models import Break
from orders.tasks import VERIFIED
from tests.orders.breaks.test_register import POINT, agree, differ
from tests.orders.builders import session_row
from tests.orders.factories import order_in

pytestmark = pytest.mark.django_db


def alarms():
    """Those that stand, but for the halts that some of them call for."""
    rows = Alarm.objects.filter(cleared_at=None).exclude(kind="HALTED")
    return {(row.kind, row.subject): row.text for row in rows}


def verified(verdict="INTACT", scope="", findings=(), *, ago=timedelta(0)):
    now = timezone.now() - ago
    Verification.objects.create(
        began_at=now, ended_at=now, scope=scope, entries=1, verdict=verdict, findings=list(findings)
    )


def signed(*, problem="", ago=0):
    at = timezone.now() - timedelta(seconds=ago)
    CheckpointRun.objects.update_or_create(pk=1, defaults={"at": at, "chains": 1, "entries": 1, "problem": problem})


def away(seconds, **changes):
    since = timezone.now() - timedelta(seconds=seconds)
    session_row(state="DISCONNECTED", cause="NOT_LISTENING", reason="refused", away_since=since, **changes)


HALTED = "trading is halted (everything): "


@pytest.fixture
def halt_file(settings, tmp_path):
    settings.HALT_FILE = tmp_path / "HALT"
    return settings.HALT_FILE


@pytest.fixture
def seen(transactional_db):
    """Looks, and tells what the site's chain then has of the file."""

    def look(times=1):
        for _ in range(times):
            watch.look()
        rows = Entry.objects.filter(chain="site", kind="halt file").order_by("seq")
        facts = [json.loads(row.body)["facts"] for row in rows]
        assert {fact["actor"] for fact in facts} <= {"SYSTEM"}
        return [(fact["details"]["change"], fact["details"]["text"]) for fact in facts]

    return look


def test_no_halt_file_is_no_news(halt_file, seen):
    assert seen(3) == []


def test_a_halt_file_and_its_end_are_in_the_trail_once(halt_file, seen):
    halt_file.write_text("fire in the house\n")
    found = ("found", f"{HALTED}fire in the house")
    assert seen(3) == [found]

    halt_file.unlink()
    assert seen(3) == [found, ("gone", "")]
    halt_file.touch()
    assert seen(3) == [found, ("gone", ""), ("found", f"{HALTED}the file HALT is there")]


def test_what_a_halt_file_says_anew_is_in_the_trail(halt_file, seen):
    halt_file.touch()
    seen()
    halt_file.write_text("fire in the house")

    assert seen(2) == [("found", f"{HALTED}the file HALT is there"), ("found", f"{HALTED}fire in the house")]


def test_a_halt_file_that_cannot_be_looked_at_counts_as_found(halt_file, seen):
    halt_file.symlink_to(halt_file)

    ((change, text),) = seen(2)

    assert (change, text) == ("found", f"{HALTED}HALT_FILE cannot be looked at: Too many levels of symbolic links")


def test_whatever_a_halt_file_holds_can_be_told(halt_file, seen):
    halt_file.write_bytes(b'"a\\\x07\xff\x00\xed\xa0\x80 \xf0\x9f\x94\xa5' + b"d" * 500)

    ((_, text),) = seen(2)

    assert text.startswith(f'{HALTED}"a\\')
    assert len(text) < 300


def test_a_halt_file_that_comes_or_goes_while_nobody_looks_is_told_at_the_next_look(halt_file, seen):
    """What was seen last is read from the chain: another process that begins now tells nothing twice."""
    halt_file.touch()
    seen()
    halt_file.unlink()
    assert not Draft.objects.exists()

    assert seen()[1:] == [("gone", "")]


def test_a_halt_file_is_told_before_a_look_fails(halt_file, seen, monkeypatch):
    halt_file.touch()
    monkeypatch.setattr(watch, "_look_at_trail", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        watch.look()
    monkeypatch.undo()

    assert len(seen()) == 1


def test_in_order_raises_nothing():
    session_row()
    verified()
    signed()
    watch.look()

    assert not Alarm.objects.exists()


def test_an_order_in_doubt_is_found_and_its_end_too():
    session_row()
    order = order_in("IN_DOUBT")
    watch.look()
    watch.look()
    ((identity, text),) = alarms().items()
    assert identity == ("IN_DOUBT", f"order:{order.pk}")
    assert str(order) in text
    assert Alarm.objects.get().times == 1  # to look is not to see it happen again

    with CaptureQueriesContext(connection) as queries:
        watch.look()
    assert len(queries) < 17


def test_a_critical_break_until_it_is_closed():
    session_row()
    differ(POINT)
    raised = alarms()
    watch.look()
    assert alarms() == raised == {("BREAK", f"break:{Break.objects.get().pk}"): Break.objects.get().words}

    agree(POINT)
    watch.look()
    assert alarms() == {}


@pytest.mark.parametrize(("seconds", "raised"), [(55, False), (65, True)])
def test_away_for_longer_than_a_minute(seconds, raised):
    away(seconds, owner_seen_at=timezone.now())
    watch.look()

    assert bool(alarms()) is raised


def test_the_minute_is_a_setting(settings):
    settings.ALARM_DISCONNECTED_SECONDS = 10
    away(15, owner_seen_at=timezone.now())
    watch.look()

    assert alarms() == {("DISCONNECTED", "session:default"): "The gateway cannot be reached"}


def test_a_worker_that_died_is_found_by_others_and_its_return_too():
    seen = timezone.now() - timedelta(seconds=90)
    session_row(state="READY", heard_at=seen, owner_seen_at=seen)
    watch.look()
    assert alarms() == {("DISCONNECTED", "session:default"): "Nobody owns the session: no worker running"}

    GatewaySession.objects.update(heard_at=timezone.now(), owner_seen_at=timezone.now())
    watch.look()
    assert alarms() == {}
    assert Alarm.objects.get().events.last().text == "orders can be sent again"


def test_who_has_just_started_gives_others_a_minute():
    away(3600, owner_seen_at=None)
    signed(ago=3600)
    watch.look(settled=False)

    assert not Alarm.objects.exists()


def test_a_planned_pause_is_no_alarm(settings):
    now = datetime.now(UTC)
    begins, ends = now - timedelta(hours=2), now + timedelta(hours=2)
    text = f"{begins:%a %H:%M} - {ends:%a %H:%M} UTC"
    away(3600, owner_seen_at=now)
    watch.look()
    assert len(alarms()) == 1

    settings.GATEWAY_CALENDAR = Calendar(windows=(span(Kind.WEEKEND, text),), guard=timedelta(0))
    watch.look()
    assert alarms() == {}


def test_a_trail_that_is_not_intact_until_the_whole_is():
    session_row()
    verified("REWRITTEN", findings=["site, entry 3: its hash is another"])
    watch.look()
    assert alarms() == {("TRAIL", "verification"): "REWRITTEN: site, entry 3: its hash is another"}

    verified(scope="account DU1")  # a part says nothing of the whole
    watch.look()
    assert len(alarms()) == 1
    verified()
    watch.look()
    assert alarms() == {}


def test_a_part_can_find_what_is_wrong():
    session_row()
    verified()
    verified("DIFFERS", scope="order 5", findings=["order 5 differs"])
    watch.look()

    assert alarms() == {("TRAIL", "verification"): "DIFFERS: order 5 differs"}


@pytest.mark.parametrize(("hours", "raised"), [(25.9, False), (26.1, True)])
def test_a_whole_verification_that_is_too_long_ago(hours, raised):
    session_row()
    verified(ago=timedelta(hours=hours))
    verified(scope="account DU1")  # a part says nothing of the whole
    watch.look()

    assert bool(alarms()) is raised


def test_a_late_verification_until_one_ends():
    session_row()
    verified(ago=timedelta(hours=27))
    for _ in range(2):
        watch.look()
    ((identity, text),) = alarms().items()
    assert identity == ("VERIFICATION", "verification overdue")
    assert text.startswith("the whole trail was verified last at 20")
    assert Alarm.objects.get().times == 1

    verified("DIFFERS", findings=["order 5 differs"])  # it was looked at, whatever was found
    watch.look()
    assert set(alarms()) == {("TRAIL", "verification")}


@pytest.mark.parametrize(("hours", "raised"), [(25, False), (27, True)])
def test_a_trail_that_was_never_verified(monkeypatch, hours, raised):
    session_row()
    record_site("login", "user:alice", {})
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    later = timezone.now() + timedelta(hours=hours)
    monkeypatch.setattr(watch.clock, "database_now", lambda: later)
    watch._look_at_trail()

    assert bool(alarms()) is raised
    if raised:
        assert alarms()["VERIFICATION", "verification overdue"].startswith(
            "the whole trail was never verified; it began"
        )


def test_what_the_night_s_run_said_is_not_taken_back_by_the_watch():
    session_row()
    verified()
    raise_alarm(AlarmKind.VERIFICATION, VERIFIED, text="there are no public keys")
    watch.look()

    assert alarms() == {("VERIFICATION", "verification"): "there are no public keys"}


def test_a_chain_that_is_not_signed_any_more_is_no_mere_failure():
    session_row()
    signed(problem="site is not what was signed at noon up to entry 3; not signed")
    watch.look(settled=False)
    assert set(alarms()) == {("TRAIL", "checkpoints")}

    signed()
    watch.look()
    assert alarms() == {}


def test_checkpoints_that_cannot_be_kept_or_do_not_come():
    session_row()
    signed(problem="not kept: /mnt/checkpoints: No space left on device")
    watch.look()
    assert set(alarms()) == {("CHECKPOINTS", "checkpoints")}

    signed(ago=290)
    watch.look()
    assert alarms() == {}
    signed(ago=310)
    watch.look()
    assert "none was signed since" in alarms()["CHECKPOINTS", "checkpoints"]
