"""What of the record is in the audit trail, and in which words. The journal and its neighbours append; verification
compares rows with what is told here.

Rules: each row has one entry in the chain of its account, of which a change of any column is a change. Decimals are
text without trailing zeros, times are text in UTC. What the broker sent belongs to the event or row it caused. An
order's terms, and the digest of the request behind it, stand in the entry of its first event. A request that led to no
order of its own has an entry itself, and each answer has one; where no order is known, in the chain of the site.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Max, Model

from audit import canonical, chain
from audit.canonical import INTEGER_LIMIT
from audit.models import OPENING, Draft, Entry
from audit.record import Recorded, append, append_all, draft
from database import prepared
from orders.models import Commission, Execution, Order, OrderEvent, OrderRequest, RequestAnswer

EVENT, EXECUTION, COMMISSION, REQUEST, ANSWER = "order event", "execution", "commission", "request", "answer"
MODELS: dict[str, type[Model]] = {
    EVENT: OrderEvent,
    EXECUTION: Execution,
    COMMISSION: Commission,
    REQUEST: OrderRequest,
    ANSWER: RequestAnswer,
}
# What a trail tells of from its first entry on, unless an opening entry says from where.
FROM_THE_BEGINNING = frozenset({EVENT, EXECUTION, COMMISSION})
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
EXECUTED_UNDER = """
    SELECT exec_id, account, order_id FROM orders_execution
    WHERE account IN (SELECT id FROM accounts_brokeraccount) AND exec_id = ANY(%(exec_ids)s)
"""
EXECUTED = tuple(
    field.attname for field in Execution._meta.concrete_fields if field.name != "id" and not field.generated
)
CHARGED = tuple(field.attname for field in Commission._meta.concrete_fields if field.name != "id")
EVENTS, EXECUTIONS, COMMISSIONS = Recorded(OrderEvent), Recorded(Execution), Recorded(Commission)
ANSWERS = Recorded(RequestAnswer)
REQUESTED = ("endpoint", "actor", "remote_address", "request_id", "idempotency_key", "received_at")
REFUSED = ("body_digest", "refusal", "cancels_id")
ANSWERED = tuple(field.attname for field in RequestAnswer._meta.concrete_fields if field.name != "id")


def insert_events(rows: Sequence[OrderEvent]) -> None:
    """Insert events, each with its entry."""
    EVENTS.insert(rows, of_events(rows))


def insert_executions(rows: Sequence[Execution]) -> None:
    EXECUTIONS.insert(rows, of_executions(rows))


def insert_commissions(rows: Sequence[Commission]) -> None:
    if rows:
        COMMISSIONS.insert(rows, of_commissions(rows))


def of_events(rows: Iterable[OrderEvent]) -> list[Draft]:
    return [
        draft(
            chain.of_account(row.order.account_id),
            EVENT,
            event_facts(row, row.order if row.sequence == 1 else None),
            subject=subject(row.order_id),
            record=row.pk,
        )
        for row in rows
    ]


def of_executions(rows: Iterable[Execution]) -> list[Draft]:
    return [
        draft(
            chain.of_account(row.account),
            EXECUTION,
            facts(row),
            subject=subject(row.order_id) if row.order_id else "",
            record=row.pk,
        )
        for row in rows
    ]


def of_commissions(rows: Sequence[Commission]) -> list[Draft]:
    """A commission names no account but its execution; one that comes before it stands in the site's chain."""
    executed = prepared.many(EXECUTED_UNDER, {"exec_ids": [row.exec_id for row in rows]})
    known = {exec_id: (account, order) for exec_id, account, order in executed}
    drafts = []
    for row in rows:
        account, order_pk = known.get(row.exec_id, (None, None))
        name = chain.of_account(account) if account else chain.SITE
        about = subject(order_pk) if order_pk else ""
        drafts.append(draft(name, COMMISSION, facts(row), subject=about, record=row.pk))
    return drafts


def append_request(row: OrderRequest, *, about: Order | None) -> None:
    """A request that opens no order. `about`: the order it names, if any."""
    append_all([_request_draft(row, about)])


def append_refusal(row: OrderRequest, answer: RequestAnswer, *, about: Order | None) -> None:
    """A request that opens no order, and what it was told at once."""
    append_all([_request_draft(row, about), _answer_draft(answer, about)])


def insert_answer(row: RequestAnswer, *, about: Order | None) -> None:
    """Insert an answer with its entry: a client waits, and this is one way to the database."""
    ANSWERS.insert([row], [_answer_draft(row, about)])


def append_opening() -> None:
    """Begin the trail of what it did not tell of yet, with a digest of the rows there are. May run at every start."""
    told = opened()
    new = {kind: model for kind, model in MODELS.items() if kind not in told}
    if not new:
        return
    last = {kind: model._default_manager.aggregate(last=Max("pk"))["last"] or 0 for kind, model in new.items()}
    append(chain.SITE, OPENING, {kind: before(model, last=last[kind]) for kind, model in new.items()})


def opened() -> Mapping[str, int]:
    """The kinds that the trail tells of, with the number of the last row that is older than its telling."""
    told = dict.fromkeys(FROM_THE_BEGINNING, 0) if Entry.objects.exists() else {}
    for body in Entry.objects.filter(kind=OPENING).values_list("body", flat=True):
        told |= {kind: facts["last"] for kind, facts in json.loads(body)["facts"].items()}
    return told


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
        case OrderRequest():
            return {**_request(row), **_columns(row, REFUSED)}
        case RequestAnswer():
            return _columns(row, ANSWERED)
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


def _request_draft(row: OrderRequest, about: Order | None) -> Draft:
    return draft(_chain_of(about), REQUEST, facts(row), subject=_subject_of(about), record=row.pk)


def _answer_draft(row: RequestAnswer, about: Order | None) -> Draft:
    return draft(_chain_of(about), ANSWER, facts(row), subject=_subject_of(about), record=row.pk)


def _chain_of(order: Order | None) -> str:
    return chain.of_account(order.account_id) if order else chain.SITE


def _subject_of(order: Order | None) -> str:
    return subject(order.pk) if order else ""


def _request(request: OrderRequest) -> dict[str, Any]:
    digest = hashlib.sha256(request.body.encode(errors="surrogatepass")).hexdigest()
    return {"id": request.pk, "body_sha256": digest, **_columns(request, REQUESTED)}


def _columns(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _exact(getattr(row, name)) for name in names}


def _exact(value: Any) -> Any:
    """The value as the trail can hold it."""
    match value:
        case str() | bool() | None:
            return value
        case Decimal():
            return plain(value)
        case int():
            return value if abs(value) < INTEGER_LIMIT else str(value)
        case float():
            return repr(value)
        case dict():
            return {name: _exact(inner) for name, inner in value.items()}
        case list() | tuple():
            return [inner if type(inner) is str else _exact(inner) for inner in value]
        case _:
            return chain.moment(value)
