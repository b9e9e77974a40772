"""What of the record is in the audit trail, and in which words. The journal and its neighbours append; verification
compares rows with what is told here.

Rules: each row has one entry in the chain of its account, of which a change of any column is a change. Decimals are
text without trailing zeros, times are text in UTC. What the broker sent belongs to the event or row it caused. An
order's terms, and the digest of the request behind it, stand in the entry of its first event.
"""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Max, Model

from accounts.models import BrokerAccount
from audit import canonical, chain
from audit.canonical import INTEGER_LIMIT
from audit.record import append, append_all, draft
from orders.models import Commission, Execution, Order, OrderEvent, OrderRequest

EVENT, EXECUTION, COMMISSION, OPENING = "order event", "execution", "commission", "opening"
MODELS: dict[str, type[Model]] = {EVENT: OrderEvent, EXECUTION: Execution, COMMISSION: Commission}
TERMS = (
    "role",
    "account_id",
    "symbol",
    "security_type",
    "currency",
    "side",
    "order_type",
    "time_in_force",
    "order_ref",
    "stamp",
    "received_at",
    "valid_until",
)
EXECUTED = tuple(
    field.attname for field in Execution._meta.concrete_fields if field.name != "id" and not field.generated
)
CHARGED = tuple(field.attname for field in Commission._meta.concrete_fields if field.name != "id")
REQUESTED = ("endpoint", "actor", "remote_address", "request_id", "idempotency_key", "received_at")


def append_events(rows: Sequence[OrderEvent]) -> None:
    append_all(
        draft(
            chain.of_account(row.order.account_id),
            EVENT,
            event_facts(row, row.order if row.sequence == 1 else None),
            subject=subject(row.order_id),
            record=row.pk,
        )
        for row in rows
    )


def append_executions(rows: Sequence[Execution]) -> None:
    append_all(
        draft(
            chain.of_account(row.account),
            EXECUTION,
            facts(row),
            subject=subject(row.order_id) if row.order_id else "",
            record=row.pk,
        )
        for row in rows
    )


def append_commissions(rows: Sequence[Commission]) -> None:
    """A commission names no account but its execution; one that comes before it stands in the site's chain."""
    accounts = BrokerAccount.objects.values_list("pk", flat=True)
    executed = Execution.objects.filter(account__in=list(accounts), exec_id__in={row.exec_id for row in rows})
    known = {
        exec_id: (account, order) for exec_id, account, order in executed.values_list("exec_id", "account", "order")
    }
    drafts = []
    for row in rows:
        account, order_pk = known.get(row.exec_id, (None, None))
        name = chain.of_account(account) if account else chain.SITE
        about = subject(order_pk) if order_pk else ""
        drafts.append(draft(name, COMMISSION, facts(row), subject=about, record=row.pk))
    append_all(drafts)


def append_opening() -> None:
    """Begin the trail of a database that has a record already: with a digest of it. Nothing where there is none."""
    if not any(model._default_manager.exists() for model in MODELS.values()):
        return
    last = {kind: model._default_manager.aggregate(last=Max("pk"))["last"] or 0 for kind, model in MODELS.items()}
    append(chain.SITE, OPENING, {kind: before(model, last=last[kind]) for kind, model in MODELS.items()})


def before(model: type[Model], *, last: int) -> dict[str, Any]:
    """How many rows there are up to that one, and the SHA-256 of their facts, a line each."""
    digest, count = hashlib.sha256(), 0
    for row in model._default_manager.filter(pk__lte=last).order_by("pk").iterator():
        digest.update(canonical.dumps(facts(row)).encode() + b"\n")
        count += 1
    return {"last": last, "count": count, "sha256": digest.hexdigest()}


def facts(row: Model, order: Order | None = None) -> dict[str, Any]:
    """What the trail says of a row; `order`: see `event_facts`."""
    match row:
        case OrderEvent():
            return event_facts(row, order)
        case Execution():
            return _columns(row, EXECUTED)
        case Commission():
            return _columns(row, CHARGED)
    raise TypeError(f"nothing of {row!r} is in the trail")


def subject(order_pk: int) -> str:
    """How entries name an order."""
    return f"order:{order_pk}"


def event_facts(row: OrderEvent, order: Order | None) -> dict[str, Any]:
    """All that an event says; with `order`, for the first one, the order's terms as well."""
    told = {
        "order": row.order_id,
        "sequence": row.sequence,
        "kind": row.kind,
        "from": row.from_status,
        "to": row.to_status,
        "actor": row.actor,
        "occurred_at": row.occurred_at,
        "recorded_at": row.recorded_at,
        "payload": row.payload,
        "raw": row.raw,
        "session": row.session,
        "request_id": row.request_id,
    }
    if order is not None:
        told["terms"] = _columns(order, TERMS)
        told["request"] = _request(order.request) if order.request is not None else None
    return {name: _exact(value) for name, value in told.items()}


def plain(value: Decimal) -> str:
    """A decimal without trailing zeros."""
    return f"{value.normalize():f}" if value else "0"


def _request(request: OrderRequest) -> dict[str, Any]:
    digest = hashlib.sha256(request.body.encode(errors="surrogatepass")).hexdigest()
    return {"id": request.pk, "body_sha256": digest, **_columns(request, REQUESTED)}


def _columns(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _exact(getattr(row, name)) for name in names}


def _exact(value: Any) -> Any:
    """The value as the trail can hold it."""
    match value:
        case Decimal():
            return plain(value)
        case bool() | str() | None:
            return value
        case int():
            return value if abs(value) < INTEGER_LIMIT else str(value)
        case float():
            return repr(value)
        case dict():
            return {name: _exact(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_exact(inner) for inner in value]
        case _:
            return chain.moment(value)
