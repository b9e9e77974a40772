"""Adding to the trail: inside the transaction of the change, so that neither is without the other.

The entry itself is made at the commit (see `models`).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from django.db.models import Model

from audit import canonical
from audit.chain import SITE
from audit.models import Draft
from database import prepared

DRAFTS = prepared.Insertion(Draft)
DRAFT_OF_EACH = """
    INSERT INTO audit_draft (chain, kind, subject, record, facts)
    SELECT told.chain, told.kind, told.subject, inserted.key, told.facts
    FROM inserted JOIN jsonb_to_recordset(%(drafts)s::jsonb)
        AS told (ordinal bigint, chain text, kind text, subject text, facts text) USING (ordinal)
    ORDER BY ordinal RETURNING record
"""

Row = TypeVar("Row", bound=Model)


def append(chain: str, kind: str, facts: dict[str, Any], *, subject: str = "", record: int | None = None) -> None:
    """Add to a chain what happened. See `draft`. Raises: NotCanonical."""
    append_all([draft(chain, kind, facts, subject=subject, record=record)])


def append_all(drafts: Iterable[Draft]) -> None:
    """Add several, in their order."""
    DRAFTS.write(list(drafts))


class Recorded(Generic[Row]):
    """Inserts rows of a model together with the drafts that tell of them, in one statement."""

    def __init__(self, model: type[Row]) -> None:
        self._insertion = prepared.Insertion(model, then=DRAFT_OF_EACH)

    def insert(self, rows: Sequence[Row], drafts: Iterable[Draft]) -> None:
        """A draft for each row, whose key it gets as its `record`. Sets the keys of the rows."""
        told = [
            {"ordinal": ordinal, "chain": one.chain, "kind": one.kind, "subject": one.subject, "facts": one.facts}
            for ordinal, one in enumerate(drafts, start=1)
        ]
        self._insertion.write(rows, drafts=json.dumps(told, ensure_ascii=False))


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
