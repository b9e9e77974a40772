"""The switch itself: scopes, who may resume, the file, the commands, and what halts without a person."""

import os
from io import StringIO

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.halts import automatic, switch
from accounts.halts.models import Halt, Resumption, Scope
from accounts.halts.switch import InvalidScope, NotHalted, SecondPersonNeeded
from alarms.models import Alarm
from alarms.notes import InvalidNote
from alarms.register import raise_alarm
from alarms.vocabulary import AlarmKind
from audit import roles
from audit.models import Draft

pytestmark = pytest.mark.django_db

ADA = {"reason": "it sends what it should not", "actor": "user:ada", "request_id": "ada-1"}
BOB = {"reason": "it was put right", "actor": "user:bob"}
ORDER = {"account": "DU1", "symbol": "AAPL", "actor": "key:k1"}


@pytest.fixture(autouse=True)
def no_file(settings, tmp_path):
    settings.HALT_FILE = tmp_path / "HALT"


@pytest.fixture
def live(settings):
    settings.TRADING_MODE = "live"


@pytest.mark.parametrize(
    ("scope", "value", "others"),
    [
        ("ALL", "", []),
        ("ACCOUNT", "du1", [{"account": "DU2"}]),
        ("SYMBOL", "aapl", [{"symbol": "AAP"}, {"symbol": "MSFT"}]),
        ("KEY", "k1", [{"actor": "key:k2"}, {"actor": "api"}, {"actor": "user:k1"}]),
        ("KEY", "key:k1", [{"actor": "k1"}]),
    ],
)
def test_a_halt_is_for_its_scope_alone(scope, value, others):
    assert switch.reason_against(**ORDER) == ""
    row = switch.halt(Scope(scope), value, **ADA)

    with CaptureQueriesContext(connection) as queries:
        assert switch.reason_against(**ORDER) == f"trading is halted ({row.what}): {ADA['reason']}"
    assert len(queries) == 1
    for other in others:
        assert switch.reason_against(**ORDER | other) == ""


def test_who_when_and_why_are_kept_and_said():
    row = switch.halt(Scope.SYMBOL, "AAPL", **ADA)

    assert (row.halted_by, row.reason, row.request_id) == ("user:ada", ADA["reason"], "ada-1")
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.subject, alarm.is_open) == ("HALTED", f"halt:{row.pk}", True)
    draft = Draft.objects.get(kind="halt")
    assert (draft.chain, "user:ada" in draft.facts, ADA["reason"] in draft.facts) == ("site", True, True)


def test_pressed_twice_is_one_halt():
    first = switch.halt(Scope.ALL, **ADA)

    assert switch.halt(Scope.ALL, **BOB) == first
    assert Halt.objects.count() == 1


def test_resumed_and_halted_again():
    row = switch.halt(Scope.ALL, **ADA)
    switch.resume(row.pk, **BOB)
    assert switch.reason_against(**ORDER) == ""
    assert not Alarm.objects.get().is_open
    assert Draft.objects.filter(kind="resume").count() == 1

    assert switch.halt(Scope.ALL, **ADA).pk != row.pk
    assert switch.reason_against(**ORDER) != ""


def test_the_application_s_role_is_enough():
    """It may not update a halt, so it cannot lock one either."""
    role = f"app_of_{connection.settings_dict['NAME']}"
    roles.grant(role, password="of this test alone")
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {role}")
        row = switch.halt(Scope.ALL, **ADA)
        switch.resume(row.pk, **BOB)

        cursor.execute("RESET ROLE")
    assert switch.reason_against(**ORDER) == ""
    assert Resumption.objects.get().resumed_by == "user:bob"


def test_one_of_two_halts_that_ends_leaves_the_other():
    row = switch.halt(Scope.ALL, **ADA)
    switch.halt(Scope.SYMBOL, "AAPL", **ADA)
    switch.resume(row.pk, **BOB)

    assert "symbol AAPL" in switch.reason_against(**ORDER)


def test_what_is_not_halted_is_not_resumed():
    row = switch.halt(Scope.ALL, **ADA)
    switch.resume(row.pk, **BOB)
    for pk in (row.pk, 999):
        with pytest.raises(NotHalted):
            switch.resume(pk, **BOB)

    assert Resumption.objects.count() == 1


@pytest.mark.parametrize("actor", ["user:ada", "SYSTEM", "api", "key:k1"])
def test_with_real_money_another_person_resumes(live, actor):
    row = switch.halt(Scope.ALL, **ADA)
    with pytest.raises(SecondPersonNeeded):
        switch.resume(row.pk, reason="it was put right", actor=actor)

    assert switch.reason_against(**ORDER) != ""
    assert not Resumption.objects.exists()
    assert Alarm.objects.get().is_open
    switch.resume(row.pk, **BOB)
    assert switch.reason_against(**ORDER) == ""


def test_with_paper_money_the_same_may():
    row = switch.halt(Scope.ALL, **ADA)
    switch.resume(row.pk, **ADA)

    assert switch.reason_against(**ORDER) == ""


@pytest.mark.parametrize(
    ("scope", "value"),
    [("ALL", "AAPL"), ("SYMBOL", ""), ("ACCOUNT", " "), ("KEY", "x" * 81), ("SYMBOL", "A\nB"), ("SYMBOL", "AAPL,")],
)
def test_a_scope_that_is_none_halts_nothing(scope, value):
    with pytest.raises(InvalidScope):
        switch.halt(Scope(scope), value, **ADA)

    assert not Halt.objects.exists()


@pytest.mark.parametrize("reason", ["", "no", "x" * 501, "a\nb"])
def test_without_a_reason_nothing_changes(reason):
    with pytest.raises(InvalidNote):
        switch.halt(Scope.ALL, **ADA | {"reason": reason})
    assert not Halt.objects.exists()
    row = switch.halt(Scope.ALL, **ADA)
    with pytest.raises(InvalidNote):
        switch.resume(row.pk, **BOB | {"reason": reason})

    assert not Resumption.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_halt SET value = 'MSFT'",
        "DELETE FROM accounts_halt",
        "TRUNCATE accounts_halt CASCADE",
        "INSERT INTO accounts_halt (scope, value, reason, halted_by, halted_at, request_id)"
        " VALUES ('SYMBOL', '', 'why', 'x', now(), '')",
    ],
)
def test_the_database_keeps_halts(statement):
    switch.halt(Scope.SYMBOL, "AAPL", **ADA)
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert list(Halt.objects.values_list("value", flat=True)) == ["AAPL"]


# The file


def test_the_file_halts_everything_and_needs_no_database(settings):
    settings.HALT_FILE.write_text("fire in the house\nsecond line\n")

    with CaptureQueriesContext(connection) as queries:
        assert switch.reason_against(**ORDER) == "trading is halted (everything): fire in the house"
    assert len(queries) == 0
    settings.HALT_FILE.unlink()
    assert switch.reason_against(**ORDER) == ""


def test_an_empty_file_is_enough(settings):
    settings.HALT_FILE.touch()
    assert switch.reason_against(**ORDER) == "trading is halted (everything): the file HALT is there"


def test_a_directory_of_that_name_is_enough(settings):
    settings.HALT_FILE.mkdir()
    assert "the file HALT is there" in switch.reason_against(**ORDER)


def test_what_cannot_be_looked_at_counts_as_halted(settings, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    settings.HALT_FILE = tmp_path / "loop"

    assert "cannot be looked at" in switch.reason_against(**ORDER)


def test_nothing_that_could_break_a_line_is_passed_on(settings):
    settings.HALT_FILE.write_bytes(b"a\x07b\xff\x00c" + b"d" * 500)

    text = switch.reason_against(**ORDER)
    assert text.isprintable()
    assert len(text) < 300


# The commands


def command(name, *words):
    out = StringIO()
    call_command(name, *words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("words", "scope", "value"),
    [(["--all"], "ALL", ""), (["--account", "DU1"], "ACCOUNT", "DU1"), (["--symbol", "aapl"], "SYMBOL", "AAPL")],
)
def test_halted_and_resumed_by_command(words, scope, value):
    assert "on since" in command("halt", *words, "--reason", "by hand")
    row = Halt.objects.get()
    assert (row.scope, row.value, row.halted_by) == (scope, value, "SYSTEM")
    assert switch.reason_against(**ORDER) != ""

    assert "resumed" in command("resume", *words, "--reason", "by hand")
    assert switch.reason_against(**ORDER) == ""


def test_resume_says_what_is_still_on(settings):
    switch.halt(Scope.ALL, **ADA)
    switch.halt(Scope.SYMBOL, "AAPL", **ADA)
    settings.HALT_FILE.touch()

    said = command("resume", "--all", "--reason", "by hand")

    assert "still on: Halt" in said
    assert "the file HALT is there" in said


def test_commands_that_are_refused_change_nothing(live):
    with pytest.raises(CommandError, match="not halted"):
        command("resume", "--all", "--reason", "by hand")
    switch.halt(Scope.ALL, **ADA)
    with pytest.raises(CommandError, match="in the admin"):
        command("resume", "--all", "--reason", "by hand")
    with pytest.raises(CommandError):
        command("halt", "--all", "--symbol", "AAPL", "--reason", "by hand")

    assert Halt.objects.count() == 1
    assert not Resumption.objects.exists()


# Without a person


@pytest.mark.parametrize("kind", ["DUPLICATE", "ORPHAN"])
def test_an_alarm_of_those_kinds_halts_the_account_it_names(kind):
    raise_alarm(AlarmKind(kind), "order:1", text="two of\nthem", facts={"account": "DU1"})

    row = Halt.objects.get()
    assert (row.scope, row.value, row.halted_by) == ("ACCOUNT", "DU1", "SYSTEM")
    assert "two of them" in row.reason
    assert switch.reason_against(**ORDER | {"account": "DU2"}) == ""


def test_one_that_names_none_halts_everything():
    raise_alarm(AlarmKind.TRAIL, "verification", text="REWRITTEN")

    assert Halt.objects.get().scope == "ALL"


def test_other_kinds_and_the_same_again_halt_nothing(settings):
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told", facts={"account": "DU1"})
    assert not Halt.objects.exists()
    raise_alarm(AlarmKind.DUPLICATE, "order:1", text="two of them", facts={"account": "DU1"})
    switch.resume(Halt.objects.get().pk, **BOB)
    raise_alarm(AlarmKind.DUPLICATE, "order:1", text="two of them", facts={"account": "DU1"})  # seen again, no news
    assert not switch.active().exists()

    settings.AUTO_HALT = []
    raise_alarm(AlarmKind.ORPHAN, "perm_id:1", text="whose is it")
    assert not switch.active().exists()


def test_where_halting_fails_the_alarm_stays_and_that_is_said():
    raise_alarm(AlarmKind.DUPLICATE, "order:1", text="two of them", facts={"account": "D" * 100})

    assert not Halt.objects.exists()
    assert sorted(Alarm.objects.values_list("kind", flat=True)) == ["AUTO_HALT", "DUPLICATE"]


@pytest.mark.parametrize("kind", ["HALTED", "AUTO_HALT", "SOMETHING"])
def test_kinds_that_cannot_halt_are_refused_at_the_start(settings, kind):
    settings.AUTO_HALT = [kind]
    with pytest.raises(ImproperlyConfigured, match=f"AUTO_HALT names {kind}"):
        automatic.begin()


def test_the_file_stays_the_operators(settings):
    settings.HALT_FILE.touch()
    os.chmod(settings.HALT_FILE, 0)

    assert switch.reason_against(**ORDER) != ""
