"""What the database lets the application do: a role that adds to the record and cannot change what is there.

Rules: rights follow from the triggers that stand beside the models. Rows that may not be updated or deleted give no
such right; entries and chains of the trail can only be read, because the database writes them itself at each commit.
Nobody but the owner may truncate, alter, or switch triggers off. Granting again takes away what is not listed.
"""

import pgtrigger
from django.apps import apps
from django.db import connection, models, transaction
from psycopg import sql

from audit.models import Chain, Draft, Entry


def rights(model: type[models.Model]) -> list[str]:
    """What the application may do with a model's table."""
    if model in (Chain, Entry):
        return ["SELECT"]
    if model is Draft:
        return ["SELECT", "INSERT"]
    protected = [t for t in getattr(model._meta, "triggers", ()) if isinstance(t, pgtrigger.Protect)]
    refused = {word for trigger in protected for word in str(trigger.operation).split(" OR ")}
    return [right for right in ("SELECT", "INSERT", "UPDATE", "DELETE") if right not in refused]


def statements(role: str) -> list[sql.Composed]:
    """All that makes the rights of an existing role what they should be."""
    name = sql.Identifier(role)
    granted = {
        model._meta.db_table: rights(model)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }
    granted["django_migrations"] = ["SELECT"]
    return [
        sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name),
        sql.SQL("REVOKE CREATE ON SCHEMA public FROM {}").format(name),
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name),
        *(
            sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(", ").join(map(sql.SQL, words)), sql.Identifier(table), name)
            for table, words in sorted(granted.items())
        ),
    ]


def grant(role: str, *, password: str = "") -> None:
    """Give the role its rights; made first where it does not exist and a password is given."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
        if cursor.fetchone() is None and password:
            created = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            cursor.execute(created)
        for statement in statements(role):
            cursor.execute(statement)
