"""Statements that the server plans once for a connection."""

import pytest
from django.db import ProgrammingError, connection

from database import prepared

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
