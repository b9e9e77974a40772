from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import Error, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alarms.models import Alarm
from orders.breaks import closing, register
from orders.breaks.books import Comparison, Point
from orders.breaks.models import Break, BreakEvent, PositionAnchor
from orders.breaks.vocabulary import BreakKind, Severity, Source
from tests.orders.builders import ACCOUNT, session_row
from tests.orders.factories import at

pytestmark = pytest.mark.django_db

REASON = "looked at the statement of the day"
PERSON = {"reason": REASON, "actor": "user:ada", "request_id": "ada-1"}
POINT = Point(
    kind=BreakKind.QUANTITY,
    key="order 5 filled quantity",
    account=ACCOUNT,
    symbol="AAPL",
    subject="Filled quantity of order 17",
    expected=D(4),
    actual=D(6),
)
WORDS = replace(POINT, kind=BreakKind.STATUS, key="order 5 status", expected="filled", actual="working")


def differ(*points, source=Source.BROKER):
    return register.keep(Comparison(differences=points), source=source)


def agree(*points, source=Source.BROKER):
    return register.keep(Comparison(agreed=frozenset(point.id for point in points)), source=source)


def story(row=None):
    events = BreakEvent.objects.filter(of=row) if row else BreakEvent.objects.all()
    return " ".join(kind.lower() for kind in events.order_by("pk").values_list("kind", flat=True))


def test_opened_once_and_seen_again():
    kept = differ(POINT)
    row = Break.objects.get()
    with at(timezone.now() + timedelta(minutes=5)):
        again = differ(POINT)

    assert (dict(kept.opened), dict(again.opened)) == ({"QUANTITY": 1}, {})
    seen = Break.objects.get()
    assert (seen.times_seen, seen.opened_at, story()) == (2, row.opened_at, "opened")
    assert seen.last_seen_at - row.last_seen_at > timedelta(minutes=4)
    assert (seen.expected, seen.actual, seen.gap, seen.severity) == ("4", "6", 2, Severity.CRITICAL)


@pytest.mark.parametrize(("severity", "level"), [(Severity.CRITICAL, "CRITICAL"), (Severity.WARNING, "WARNING")])
def test_opening_is_said_aloud_once(caplog, django_capture_on_commit_callbacks, severity, level):
    with django_capture_on_commit_callbacks(execute=True):
        differ(replace(POINT, severity=severity))
    with django_capture_on_commit_callbacks(execute=True):
        differ(replace(POINT, severity=severity))

    (record,) = caplog.records
    assert record.levelname == level
    assert "Quantity: Filled quantity of order 17, account DU1000001: expected 4, actual 6" in record.message
    assert [alarm.subject for alarm in Alarm.objects.all()] == (
        [f"break:{Break.objects.get().pk}"] if severity == Severity.CRITICAL else []
    )


def test_figures_that_change():
    differ(POINT)
    differ(replace(POINT, expected=D(5), actual=D(8), severity=Severity.WARNING))

    row = Break.objects.get()
    assert (row.expected, row.actual, row.gap, row.severity) == ("5", "8", 3, Severity.WARNING)
    assert story() == "opened changed"
    assert list(row.events.order_by("sequence").values_list("expected", "actual")) == [("4", "6"), ("5", "8")]


def test_closed_by_itself_and_opened_anew():
    differ(POINT)
    kept = agree(POINT)

    row = Break.objects.get()
    assert dict(kept.closed) == {"QUANTITY": 1}
    assert (row.is_open, row.closed_by, row.close_reason) == (False, "worker", "the books agree again")
    assert row.gone_at == row.closed_at
    assert story() == "opened agreed"

    differ(POINT)
    assert [row.is_open for row in Break.objects.order_by("pk")] == [False, True]


def test_what_was_not_looked_at_stays():
    differ(POINT)
    differ()

    assert Break.objects.get().is_open
    assert story() == "opened"


def test_a_source_touches_its_own_breaks_alone():
    differ(POINT)
    differ(POINT, source=Source.STATEMENT)
    agree(POINT, source=Source.STATEMENT)

    assert {row.source: row.is_open for row in Break.objects.all()} == {"BROKER": True, "STATEMENT": False}
    assert register.watched(Source.BROKER) == {POINT.id: "6"}
    assert register.watched(Source.STATEMENT) == {}


# A person closes


def closed_by_a_person(point=POINT):
    differ(point)
    return closing.close(Break.objects.get().pk, **PERSON)


def test_a_person_closes_with_a_reason():
    row = closed_by_a_person()

    assert (row.is_open, row.closed_by, row.close_reason, row.gone_at) == (False, "user:ada", REASON, None)
    event = row.events.get(kind="CLOSED")
    assert (event.actor, event.reason, event.request_id, event.sequence) == ("user:ada", REASON, "ada-1", 2)


@pytest.mark.parametrize(
    ("case", "point", "now"),
    [
        ("the same", POINT, POINT),
        ("both sides moved together", POINT, replace(POINT, expected=D(5), actual=D(7))),
        ("the same word", WORDS, WORDS),
        ("the broker's word stays", WORDS, replace(WORDS, expected="ended")),
    ],
)
def test_closed_by_a_person_stays_closed_while_it_is_the_same(case, point, now):
    row = closed_by_a_person(point)

    kept = differ(now)

    assert sum(kept.opened.values()) == 0
    assert not Break.objects.get().is_open
    assert Break.objects.get().times_seen == 2
    assert story(row) == "opened closed"
    assert register.watched(Source.BROKER) != {}


@pytest.mark.parametrize(
    ("case", "point", "now"),
    [
        ("another figure", POINT, replace(POINT, actual=D(7))),
        ("another word", WORDS, replace(WORDS, actual="ended")),
        ("a word where a figure was", POINT, replace(POINT, actual="no price")),
    ],
)
def test_another_difference_is_a_break_of_its_own(case, point, now):
    row = closed_by_a_person(point)

    differ(now)

    old, new = Break.objects.order_by("pk")
    assert (old.pk, old.gone_at is not None, new.is_open) == (row.pk, True, True)
    assert story(old) == "opened closed gone"
    assert story(new) == "opened"


def test_closed_by_a_person_and_gone_and_back():
    row = closed_by_a_person()

    kept = agree(POINT)
    assert sum(kept.closed.values()) == 0
    assert story(row) == "opened closed gone"

    differ(POINT)
    assert Break.objects.filter(closed_at=None).count() == 1


# What the database keeps


def refused(error=Error, match=None):
    return pytest.raises(error, match=match)


@pytest.fixture
def row():
    differ(POINT)
    return Break.objects.get()


def test_a_break_changes_only_with_its_event(row):
    for changes in ({"closed_at": timezone.now()}, {"actual": "4"}, {"last_sequence": 2, "close_reason": "quietly"}):
        with refused(match="only together with its next event"), transaction.atomic():
            Break.objects.filter(pk=row.pk).update(**changes)
    Break.objects.filter(pk=row.pk).update(times_seen=9, last_seen_at=timezone.now())


def test_a_break_has_a_first_event(row):
    with refused(match="has no first event"), transaction.atomic():
        values = {"opened_at": timezone.now(), "last_seen_at": timezone.now(), "severity": 1}
        Break.objects.create(source="BROKER", kind="PRICE", key="k", account=ACCOUNT, subject="s", **values)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_nothing_is_deleted_and_events_are_append_only(row):
    PositionAnchor.objects.create(account=session_row().broker_accounts.get(), taken_at=timezone.now())
    for table in (Break, BreakEvent, PositionAnchor):
        with refused(), transaction.atomic():
            table.objects.all().delete()
    with refused(), transaction.atomic():
        BreakEvent.objects.update(reason="another")
    with refused(), transaction.atomic():
        PositionAnchor.objects.update(taken_at=timezone.now())
    with refused(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE orders_breakevent")


def test_one_live_break_for_a_difference(row):
    with refused(IntegrityError), transaction.atomic():
        register._open(POINT, Source.BROKER, register.Origin(at=timezone.now(), actor="worker"))


def test_queries_do_not_grow_with_the_breaks_that_are_left_alone():
    def count():
        with CaptureQueriesContext(connection) as queries:
            differ()
        return len(queries)

    before = count()
    differ(*(replace(POINT, key=f"order {number}") for number in range(20)))

    assert count() == before
