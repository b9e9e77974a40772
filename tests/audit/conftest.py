import pytest
from django.db import connection


@pytest.fixture
def committed():
    """Makes the database do what it does at a commit."""

    def commit():
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")

    return commit
