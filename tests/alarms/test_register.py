import pytest
from django.db import Error, connection, transaction
from django.test.utils import CaptureQueriesContext

from alarms import register
from alarms.models import Alarm, AlarmEvent, AlarmMessage
from alarms.notes import InvalidNote
from alarms.register import NotToAcknowledge, acknowledge, clear, keep, raise_alarm
from alarms.vocabulary import MEANINGS, AlarmKind, Severity
from audit.models import Draft

pytestmark = pytest.mark.django_db

PERSON = {"note": "looked at it in TWS", "actor": "user:ada", "request_id": "ada-1"}


def story():
    return " ".join(kind.lower() for kind in AlarmEvent.objects.order_by("pk").values_list("kind", flat=True))


def test_raised_once_and_seen_again():
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told", facts={"account": "DU1"})
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told", facts={"account": "DU1"})
    raise_alarm(AlarmKind.IN_DOUBT, "order:2", text="it cannot be told")

    first, second = Alarm.objects.order_by("pk")
    assert (first.subject, first.times, first.severity, first.facts) == (
        "order:1",
        2,
        Severity.CRITICAL,
        {"account": "DU1"},
    )
    assert first.last_seen_at > first.opened_at
    assert first.what_to_do == MEANINGS[AlarmKind.IN_DOUBT].what_to_do
    assert (second.subject, second.times) == ("order:2", 1)
    assert story() == "raised raised"


def test_in_other_words_it_has_changed():
    raise_alarm(AlarmKind.BREAK, "break:1", text="4 and 5")
    raise_alarm(AlarmKind.BREAK, "break:1", text="4 and 6")

    assert Alarm.objects.get().text == "4 and 6"
    assert list(AlarmEvent.objects.order_by("pk").values_list("kind", "text")) == [
        ("RAISED", "4 and 5"),
        ("CHANGED", "4 and 6"),
    ]


def test_cleared_and_raised_again_is_another_one():
    raise_alarm(AlarmKind.BREAK, "break:1", text="4 and 5")
    clear(AlarmKind.BREAK, "break:1", text="the books agree again")
    clear(AlarmKind.BREAK, "break:1")
    raise_alarm(AlarmKind.BREAK, "break:1", text="4 and 5")

    first, second = Alarm.objects.order_by("pk")
    assert (first.is_open, second.is_open, second.times) == (False, True, 1)
    assert story() == "raised cleared raised"


def test_what_never_was_is_cleared_without_a_word():
    clear(AlarmKind.BREAK, "break:1")

    assert not Alarm.objects.exists()


def test_a_kind_is_kept_in_step_with_what_there_is():
    keep(AlarmKind.BREAK, {"break:1": "one", "break:2": "two"})
    keep(AlarmKind.BREAK, {"break:2": "two", "break:3": "three"}, over="closed")

    assert dict(Alarm.objects.filter(cleared_at=None).values_list("subject", "times")) == {"break:2": 1, "break:3": 1}
    assert AlarmEvent.objects.get(kind="CLEARED").text == "closed"


def test_what_was_not_looked_at_is_left():
    raise_alarm(AlarmKind.DISCONNECTED, "session:other", text="no worker")
    keep(AlarmKind.DISCONNECTED, {}, of={"session:default"})

    assert Alarm.objects.get().is_open


def test_what_is_as_it_was_costs_one_query():
    conditions = {f"break:{n}": "differs" for n in range(20)}
    keep(AlarmKind.BREAK, conditions)
    with CaptureQueriesContext(connection) as queries:
        keep(AlarmKind.BREAK, conditions)

    assert len(queries) == 1


def test_an_alarm_is_there_exactly_if_the_transaction_is():
    with transaction.atomic():
        raise_alarm(AlarmKind.ORPHAN, "perm_id:1", text="whose is it")
        assert Alarm.objects.exists()
        transaction.set_rollback(True)
    assert not Alarm.objects.exists()


def test_the_caller_never_fails_and_the_log_says_so(caplog):
    with transaction.atomic():
        raise_alarm(AlarmKind.ORPHAN, "x" * 1000, text="too long a subject")  # refused by the column
        Draft.objects.count()  # the caller's transaction goes on

    assert not Alarm.objects.exists()
    assert "could not be kept" in caplog.text
    assert "too long a subject" in caplog.text


@pytest.mark.parametrize(("kind", "level"), [(AlarmKind.ORPHAN, "CRITICAL"), (AlarmKind.HALTED, "WARNING")])
def test_raising_is_said_aloud(caplog, kind, level):
    raise_alarm(kind, "perm_id:1", text="whose is it")

    assert (caplog.records[0].levelname, caplog.records[0].getMessage()) == (
        level,
        f"alarm: {kind.label}, perm_id:1: whose is it",
    )


def test_acknowledged_and_still_open():
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told")
    row = acknowledge(Alarm.objects.get().pk, **PERSON)

    assert (row.acknowledged_by, row.note, row.is_open) == ("user:ada", PERSON["note"], True)
    event = AlarmEvent.objects.get(kind="ACKNOWLEDGED")
    assert (event.actor, event.note, event.request_id) == ("user:ada", PERSON["note"], "ada-1")
    draft = Draft.objects.get()
    assert (draft.chain, draft.kind) == ("site", "alarm acknowledged")
    assert "user:ada" in draft.facts
    assert PERSON["note"] in draft.facts


def test_what_has_happened_is_over_when_it_is_acknowledged():
    raise_alarm(AlarmKind.DUPLICATE, "order:1", text="two of them")
    told = Alarm.objects.filter(kind=AlarmKind.DUPLICATE)  # it halts trading too, which is told as well
    acknowledge(told.get().pk, **PERSON)
    raise_alarm(AlarmKind.DUPLICATE, "order:1", text="two of them")

    assert [row.is_open for row in told.order_by("pk")] == [False, True]


def test_acknowledged_by_one_person():
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told")
    acknowledge(Alarm.objects.get().pk, **PERSON)
    with pytest.raises(NotToAcknowledge, match="user:ada"):
        acknowledge(Alarm.objects.get().pk, **PERSON | {"actor": "user:bob"})

    assert Alarm.objects.get().acknowledged_by == "user:ada"
    assert story() == "raised acknowledged"


@pytest.mark.parametrize("note", ["", "  a ", "x" * 501, "two\nlines", "a bell\a"])
def test_a_note_that_is_none_changes_nothing(note):
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told")
    with pytest.raises(InvalidNote):
        acknowledge(Alarm.objects.get().pk, **PERSON | {"note": note})

    assert Alarm.objects.get().acknowledged_at is None
    assert story() == "raised"
    assert not Draft.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alarms_alarm SET text = 'nothing'",
        "UPDATE alarms_alarm SET cleared_at = now()",
        "DELETE FROM alarms_alarm",
        "TRUNCATE alarms_alarm CASCADE",
        "UPDATE alarms_alarmevent SET text = 'nothing'",
        "DELETE FROM alarms_alarmevent",
    ],
)
def test_the_database_keeps_the_history(statement):
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told")
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert Alarm.objects.get().text == "it cannot be told"
    assert story() == "raised"


def test_every_kind_has_its_meaning():
    assert set(MEANINGS) == set(AlarmKind)


def test_nobody_is_told_where_nothing_is_configured():
    raise_alarm(AlarmKind.IN_DOUBT, "order:1", text="it cannot be told")

    assert register.configured() == []
    assert not AlarmMessage.objects.exists()
