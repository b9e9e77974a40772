"""The application's own role, against the database itself."""

import json
from datetime import UTC, datetime

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from audit import roles
from audit.models import Chain, CheckpointRun, Entry, SignedChain, Verification
from orders.breaks.models import Break
from orders.models import Order, OrderEvent
from orders.waiting import listening_parameters

PASSWORD = "not a secret"
TRAIL = ["audit_entry", "audit_chain", "orders_orderevent", "orders_execution", "orders_commission"]

RECORD = [  # nothing of it is ever changed
    "orders_orderrequest",
    "orders_requestanswer",
    "orders_breakevent",
    "orders_positionanchor",
    "orders_anchoredholding",
    "accounts_halt",
    "accounts_resumption",
    "accounts_haltedorder",
    "accounts_limitversion",
    "alarms_alarmevent",
    "audit_verification",
]
STANDING = ["orders_order", "orders_break", "alarms_alarm", "audit_signedchain", "audit_checkpointrun"]  # as it is now


@pytest.fixture
def application(transactional_db):
    """A connection as the application's role."""
    role = f"app_of_{connection.settings_dict['NAME']}"  # roles are the whole server's, and tests run side by side
    roles.grant(role, password=PASSWORD)
    with psycopg.connect(**listening_parameters() | {"user": role, "password": PASSWORD}, autocommit=True) as connected:
        yield connected
    with connection.cursor() as cursor:
        cursor.execute(f"DROP OWNED BY {role}")
        cursor.execute(f"DROP ROLE {role}")


def draft(application, chain="site"):
    application.execute(
        "INSERT INTO audit_draft (chain, kind, subject, record, facts) VALUES (%s, 'login', '', NULL, '{}')", [chain]
    )


def test_it_can_add_to_the_trail(application):
    draft(application)
    draft(application)

    assert list(Entry.objects.order_by("seq").values_list("chain", "seq")) == [("site", 1), ("site", 2)]
    assert Chain.objects.get().size == 2


@pytest.mark.parametrize(
    ("table", "change"),
    [
        *((table, "UPDATE {} SET id = id") for table in TRAIL if table != "audit_chain"),
        ("audit_chain", "UPDATE {} SET size = 0"),
        *((table, "DELETE FROM {}") for table in TRAIL),
        *((table, "TRUNCATE {} CASCADE") for table in TRAIL),
        *((table, "ALTER TABLE {} DISABLE TRIGGER ALL") for table in TRAIL),
        *((table, "DROP TABLE {} CASCADE") for table in TRAIL),
        ("audit_chain", "INSERT INTO {} (name, size, head) VALUES ('site', 0, '')"),
        ("audit_entry", "INSERT INTO {} SELECT * FROM audit_entry"),
        *((table, "UPDATE {} SET id = id") for table in RECORD),
        *((table, "DELETE FROM {}") for table in [*RECORD, *STANDING]),
        *((table, "TRUNCATE {} CASCADE") for table in [*RECORD, *STANDING]),
        ("audit_draft", "UPDATE {} SET kind = ''"),
        ("audit_draft", "DELETE FROM {}"),
    ],
)
def test_it_cannot_change_what_is_there(application, table, change):
    draft(application)

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(change.format(table))

    assert Entry.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["UPDATE {} SET verdict = 'INTACT'", "DELETE FROM {}", "TRUNCATE {}"])
def test_nor_does_the_owner_change_what_a_verification_found(change):
    at = datetime(2024, 1, 15, tzinfo=UTC)
    Verification.objects.create(began_at=at, ended_at=at, entries=1, verdict="REWRITTEN")

    with pytest.raises(DatabaseError, match="Cannot update or delete|cannot be truncated"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(change.format("audit_verification"))

    assert Verification.objects.get().verdict == "REWRITTEN"


@pytest.mark.parametrize(
    "statement",
    ["SET session_replication_role = replica", "CREATE TABLE mine (id int)", "CREATE ROLE another SUPERUSER"],
)
def test_it_cannot_get_past_the_triggers(application, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement)


def test_it_cannot_give_rights_that_the_trail_does_not_tell_of(application):
    """Not even where it puts a table of its own before the one that drafts go to."""
    User.objects.create_user("alice")
    application.execute("CREATE TEMP TABLE audit_draft (LIKE public.audit_draft)")
    application.execute("SET search_path = pg_temp, public")

    application.execute("UPDATE auth_user SET is_superuser = true")

    details = json.loads(Entry.objects.get(kind="user changed").body)["facts"]["details"]
    assert (details["name"], details["is_superuser"]) == ("alice", True)
    assert details["role"] == application.info.user
    for table in ("auth_user", "auth_user_groups"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


def test_rights_follow_from_the_triggers():
    assert roles.rights(OrderEvent) == ["SELECT", "INSERT"]
    assert roles.rights(Verification) == ["SELECT", "INSERT"]
    for model in (Order, Break, SignedChain, CheckpointRun):
        assert roles.rights(model) == ["SELECT", "INSERT", "UPDATE"]
    assert roles.rights(User) == ["SELECT", "INSERT", "UPDATE", "DELETE"]
