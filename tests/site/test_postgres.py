"""A kept connection is looked at, and asked only when there is reason to."""

import time

import pytest
from django.db import OperationalError, connection, connections


@pytest.fixture
def another():
    """A connection of our own, as a request of another thread has one."""
    own = connections.create_connection("default")
    own.settings_dict = {**own.settings_dict, "NAME": connection.settings_dict["NAME"]}
    yield own
    own.close()


def value(own, query):
    with own.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_a_good_connection_is_not_asked(another):
    pid = value(another, "SELECT pg_backend_pid()")

    assert another.is_usable()

    last_asked = value(connection, f"SELECT query FROM pg_stat_activity WHERE pid = {pid}")
    assert last_asked == "SELECT pg_backend_pid()"


@pytest.mark.django_db
def test_one_that_the_server_ended_is_found_out(another):
    pid = value(another, "SELECT pg_backend_pid()")

    assert value(connection, f"SELECT pg_terminate_backend({pid}, 5000)")

    deadline = time.monotonic() + 5
    while another.is_usable():
        assert time.monotonic() < deadline
    with pytest.raises(OperationalError):
        value(another, "SELECT 1")


@pytest.mark.django_db
def test_one_that_ended_in_the_middle_of_a_request_is_found_out(another):
    pid = value(another, "SELECT pg_backend_pid()")
    assert value(connection, f"SELECT pg_terminate_backend({pid}, 5000)")
    with pytest.raises(OperationalError):
        value(another, "SELECT 1")

    assert not another.is_usable()


def test_a_closed_one_is_of_no_use(another):
    assert not another.is_usable()
