"""Adding to the trail: inside the transaction of the change, so that neither is without the other.

The entry itself is made at the commit (see `models`).
"""

from collections.abc import Iterable
from typing import Any

from audit import canonical
from audit.chain import SITE
from audit.models import Draft


def append(chain: str, kind: str, facts: dict[str, Any], *, subject: str = "", record: int | None = None) -> None:
    """Add to a chain what happened. See `draft`. Raises: NotCanonical."""
    append_all([draft(chain, kind, facts, subject=subject, record=record)])


def append_all(drafts: Iterable[Draft]) -> None:
    """Add several, in their order."""
    Draft.objects.bulk_create(drafts)


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
