"""Fixtures that every test may use."""

import logging

import pytest
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations

from accounts.access import tally


@pytest.fixture(autouse=True, scope="session")
def flush_past_the_triggers():
    """Tests that commit are cleaned up by TRUNCATE, which the record's triggers refuse: not for this one purpose."""
    flush = DatabaseOperations.execute_sql_flush

    def flush_as_replica(self, sql_list):
        return flush(self, ["SET LOCAL session_replication_role = replica", *sql_list])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_as_replica)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The process's LISTEN connection lives as long as the process; the test database does not."""
    yield
    logging.getLogger("orders.waiting").disabled = True  # that it lost its connection is no news here
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def count_afresh():
    """What a test left counted would be written in the next one, of keys that are no more there."""
    yield
    tally.uses.clear()
    tally.refusals.clear()
