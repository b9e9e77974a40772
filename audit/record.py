"""Adding to the trail: inside the transaction of the change, so that neither is without the other.

The entry itself is made at the commit (see `models`).
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import Model
from django.db.models.sql import InsertQuery

from audit import canonical
from audit.chain import SITE
from audit.models import Draft
from database import prepared

DRAFTS = prepared.Insertion(Draft)


def append(chain: str, kind: str, facts: dict[str, Any], *, subject: str = "", record: int | None = None) -> None:
    """Add to a chain what happened. See `draft`. Raises: NotCanonical."""
    append_all([draft(chain, kind, facts, subject=subject, record=record)])


def append_all(drafts: Iterable[Draft]) -> None:
    """Add several, in their order."""
    DRAFTS.write(list(drafts))


def insert_with(row: Model, entry: Draft) -> None:
    """Insert a row, and the draft that tells of it, in one statement: one way to the database, one commit.

    Sets the key of the row.
    """
    query = InsertQuery(type(row))
    query.insert_values([field for field in row._meta.concrete_fields if not field.primary_key], [row])
    ((insert, values),) = query.get_compiler(connection=connection).as_sql()
    key = connection.ops.quote_name(str(row._meta.pk.column))
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH inserted AS ({insert} RETURNING {key} AS key)"  # noqa: S608 - names of columns only
            " INSERT INTO audit_draft (chain, kind, subject, record, facts)"
            " SELECT %s, %s, %s, key, %s FROM inserted RETURNING record",
            [*values, entry.chain, entry.kind, entry.subject, entry.facts],
        )
        (row.pk,) = cursor.fetchone()


def draft(chain: str, kind: str, facts: dict[str, Any], *, subject: str = "", record: int | None = None) -> Draft:
    """What is to be added. `facts`: JSON values without floats; `record`: key of the row they are of.

    Raises: NotCanonical.
    """
    return Draft(chain=chain, kind=kind, subject=subject, record=record, facts=canonical.dumps(facts))


def record_site(kind: str, actor: str, details: dict[str, Any]) -> None:
    """Add to the site's own chain: a login, a change of rights or keys, a halt, an export, a decision.

    `kind`: a few plain words; `actor`: as in orders' events ("user:<name>", "SYSTEM", …). Raises: NotCanonical.
    """
    append(SITE, kind, {"actor": actor, "details": details})
