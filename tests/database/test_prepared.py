"""Statements that the server plans once for a connection."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    close_old_connections,
    connection,
    transaction,
)
from django.db.models.functions import Now

from accounts.models import AccountValue, BrokerAccount, GatewaySession, Position
from audit.models import Draft
from database import prepared
from orders.models import OrderEvent
from tests.orders.builders import ACCOUNT, GATEWAY, placed, session_row

pytestmark = pytest.mark.django_db
STATEMENT = "SELECT %(number)s::int + 1 AS the_next_one"


def planned():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%the_next_one%'")
        return cursor.fetchone()[0]


def test_it_is_planned_once_and_kept():
    before = planned()

    assert prepared.one(STATEMENT, {"number": 1}) == (2,)
    assert prepared.one(STATEMENT, {"number": 41}) == (42,)

    assert planned() == before + 1


def test_the_driver_keeps_no_other_statement():
    prepared.one(STATEMENT, {"number": 1})
    kept = len(connection.connection._prepared._counts)

    with connection.cursor() as cursor:
        for number in range(5):
            cursor.execute(f"SELECT {number}, %s", ["a long text of a bulk insert"])

    assert connection.connection.prepare_threshold is None
    assert len(connection.connection._prepared._counts) == kept


def test_a_statement_that_fails_leaves_the_connection_as_it_was():
    with pytest.raises(ProgrammingError):
        prepared.one(STATEMENT, {"number": object()})

    assert connection.connection.prepare_threshold is None


# Rows

AT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
VALUES = prepared.Insertion(AccountValue)
POSITIONS = prepared.Insertion(Position)
SESSIONS = prepared.Selection(GatewaySession, "name = %(name)s", without=frozenset({"executions_tally"}))


def value(key, text="1", **changes):
    return AccountValue(**{"account_id": ACCOUNT, "key": key, "value": text, "currency": "USD", "as_of": AT} | changes)


def test_rows_are_written_in_their_order_and_have_their_keys():
    session_row()
    rows = [value(key, text) for key, text in (("b", 'with "quotes" and \\'), ("a", "ü✅"), ("c", "%s $1 {}"))]

    VALUES.write(rows)

    assert [row.pk for row in rows] == sorted(row.pk for row in rows)
    stored = AccountValue.objects.order_by("pk").values_list("pk", "key", "value", "as_of")
    assert list(stored) == [(row.pk, row.key, row.value, AT) for row in rows]


def test_numbers_and_what_is_not_known_come_back_as_they_were():
    session_row()
    kept = {
        "quantity": Decimal("-0.00000001"),
        "average_cost": None,
        "market_price": Decimal("9999999999999999.12345678"),
    }
    row = Position(account_id=ACCOUNT, con_id=2**62, symbol="A", security_type="STK", currency="USD", as_of=AT, **kept)

    POSITIONS.write([row])

    stored = Position.objects.get(pk=row.pk)
    assert {name: getattr(stored, name) for name in kept} == kept
    assert stored.con_id == 2**62


def plan_of_last_statement(*parameters):
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements ORDER BY prepare_time DESC LIMIT 1")
        (name,) = cursor.fetchone()
        cursor.execute(f'EXPLAIN EXECUTE "{name}" ({", ".join(["%s"] * len(parameters))})', parameters)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_a_row_of_many_is_changed_without_reading_the_others():
    session_row()
    rows = [value(f"key {number}") for number in range(4000)]
    VALUES.write(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_accountvalue")

    prepared.Change(AccountValue, ["value"]).write(rows[:1])

    plan = plan_of_last_statement("[]", [rows[0].pk])
    assert "accounts_accountvalue_pkey" in plan
    assert "Seq Scan" not in plan


def test_statements_are_planned_once_whatever_they_are_asked_with():
    with connection.cursor() as cursor:
        cursor.execute("SHOW plan_cache_mode")
        assert cursor.fetchone() == ("force_generic_plan",)


def write_at_once(rows):
    with transaction.atomic():
        VALUES.write(rows)
        connection.check_constraints()


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (value("k" * 61), DataError),
        (value("k\x00"), DataError),
        (value("k", as_of=None), IntegrityError),
        (value("k", account_id="NOBODY"), IntegrityError),
    ],
    ids=["too long", "a character that text cannot hold", "missing", "of nobody"],
)
def test_what_does_not_fit_is_refused_and_not_cut(row, error):
    session_row()

    with pytest.raises(error):
        write_at_once([value("before"), row])

    assert not AccountValue.objects.exists()


def test_nothing_is_written_of_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        VALUES.write([])
        prepared.Change(Position, ["quantity"]).write([])


def test_what_else_a_statement_does_with_the_keys_of_its_rows():
    session_row()
    noting = prepared.Insertion(
        AccountValue,
        then="""INSERT INTO audit_draft (chain, kind, subject, record, facts)
            SELECT 'site', 'a test', told.word, inserted.key, '{}'
            FROM inserted JOIN jsonb_to_recordset(%(told)s::jsonb) AS told (ordinal bigint, word text) USING (ordinal)
            ORDER BY ordinal RETURNING record""",
    )
    rows = [value(key, "1") for key in "cab"]
    told = [{"ordinal": ordinal, "word": row.key} for ordinal, row in enumerate(rows, start=1)]

    noting.write(rows, told=json.dumps(told))
    noting.write([], told="[]")

    assert [(row.key, row.pk) for row in rows] == [(row.key, row.pk) for row in AccountValue.objects.order_by("pk")]
    drafts = Draft.objects.order_by("pk").values_list("subject", "record")
    assert list(drafts) == [(row.key, row.pk) for row in rows]


def test_what_is_changed_must_be_there():
    session_row()
    rows = [Position(account_id=ACCOUNT, con_id=n, symbol="A", quantity=Decimal(n), as_of=AT) for n in (1, 2)]
    POSITIONS.write(rows)
    for row in rows:
        row.quantity, row.symbol = row.quantity + 1, "not to be written"
    prepared.Change(Position, ["quantity"]).write(rows)

    assert list(Position.objects.order_by("con_id").values_list("quantity", "symbol")) == [(2, "A"), (3, "A")]
    Position.objects.filter(con_id=1).delete()
    with pytest.raises(DatabaseError, match="1 rows of accounts_position were there, not 2"):
        prepared.Change(Position, ["quantity"]).write(rows)


def test_a_selection_is_the_row_and_the_moment():
    session_row(accounts=[ACCOUNT, "DU2"], reason="ü")

    ((row, at),) = SESSIONS.read(name=GATEWAY)

    assert row == GatewaySession.objects.get()
    assert (row.accounts, row.reason, row.executions_tally) == ([ACCOUNT, "DU2"], "ü", {})
    assert at.tzinfo is not None
    assert SESSIONS.read(name="another") == []
    assert BrokerAccount.objects.filter(session=row).exists()


def test_what_the_driver_gives_in_another_form_is_not_selected_unseen():
    with pytest.raises(TypeError, match="payload, raw"):
        prepared.Selection(OrderEvent, "id = %(id)s")


def test_an_event_is_stored_as_it_was_said():
    session_row()
    (order,) = placed()
    event = order.events.get()
    copy = OrderEvent(**{field.attname: getattr(event, field.attname) for field in OrderEvent._meta.concrete_fields})
    copy.pk, copy.sequence = None, 2
    copy.payload, copy.raw = {"b": [1, None, "\u2028"], "a": {"ü": "✅"}}, ["3", "", "x\ty"]

    prepared.Insertion(OrderEvent).write([copy])

    stored = OrderEvent.objects.get(pk=copy.pk)
    assert (stored.payload, stored.raw, stored.recorded_at) == (copy.payload, copy.raw, event.recorded_at)


def test_a_query_is_composed_once_for_each_set_of_arguments():
    composed = []

    def of_key(key):
        composed.append(key)
        return AccountValue.objects.filter(key=key, as_of__lt=Now()).order_by("pk").values_list("value")

    session_row()
    query = prepared.Query(of_key)
    VALUES.write([value("a", "1"), value("b", "2"), value("a", "3", currency="")])

    assert [query.rows("a"), query.rows("b"), query.rows("a")] == [[("1",), ("3",)], [("2",)], [("1",), ("3",)]]
    AccountValue.objects.filter(value="1").delete()
    assert query.rows("a") == [("3",)]
    assert composed == ["a", "b"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", [lambda: prepared.one(STATEMENT, {"number": 1}), lambda: SESSIONS.read(name="g")])
def test_a_connection_that_broke_is_an_error_of_django_s_and_replaced(statement):
    statement()
    connection.connection.close()  # as after a restart of the server, noticed in the middle of a request

    with pytest.raises(OperationalError):
        statement()
    close_old_connections()  # what begins the next request, and the next task

    statement()
