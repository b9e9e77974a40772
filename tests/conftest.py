"""Fixtures that every test may use."""

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations


@pytest.fixture(autouse=True, scope="session")
def flush_past_the_triggers():
    """Tests that commit are cleaned up by TRUNCATE, which the record's triggers refuse: not for this one purpose."""
    flush = DatabaseOperations.execute_sql_flush

    def flush_as_replica(self, sql_list):
        return flush(self, ["SET LOCAL session_replication_role = replica", *sql_list])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_as_replica)
        yield
