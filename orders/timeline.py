"""An order's events as a person reads them: what happened in words, and the broker's message field by field.

Rules: the trail is shown even where it cannot be read: an event whose payload does not fit its kind keeps its parts.
Nothing is interpreted beyond what the event says. Texts are plain: escaping is the template's.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any

from accounts.display import amount
from gateway.error_codes import ERROR_CODES
from orders import events, latencies
from orders.models import OrderEvent
from orders.vocabulary import Actor, EventKind, OrderStatus

# IB's names for the messages that can lie behind an event, by the number that stands first in each.
MESSAGES = {
    "3": "orderStatus",
    "4": "error",
    "5": "openOrder",
    "11": "execDetails",
    "59": "commissionReport",
    "101": "completedOrder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event, ready to be shown. `lapse`: since the one before. `payload` and `raw`: pairs of name or position and
    text."""

    row: OrderEvent
    lapse: str
    kind: str
    actor: str
    words: str
    changed: bool
    from_label: str
    to_label: str
    payload: Sequence[tuple[str, str]]
    message: str
    raw: Sequence[tuple[int, str]]


def entries(rows: Iterable[OrderEvent]) -> list[Entry]:
    """The events in the order given."""
    rows = list(rows)
    return [_entry(row, lapse) for row, lapse in zip(rows, latencies.lapses(rows), strict=True)]


def in_words(row: OrderEvent) -> str:
    """What happened, in a sentence; empty when the payload cannot be read."""
    try:
        event = events.from_payload(row.kind, row.payload)
        return _our_doing(event) or _what_the_broker_said(event)
    except (TypeError, ValueError, AttributeError, InvalidOperation):
        return ""


def as_text(value: Any) -> str:
    """A JSON value as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def message_name(raw: Sequence[str]) -> str:
    """IB's name for a raw message, with its number."""
    number = str(raw[0]) if raw else ""
    name = MESSAGES.get(number)
    if name:
        return f"{name} ({number})"
    return f"message {number}" if number.isdecimal() else number  # what came by another way says so itself


def _entry(row: OrderEvent, lapse: str) -> Entry:
    payload = row.payload if isinstance(row.payload, dict) else {"payload": row.payload}
    raw = row.raw if isinstance(row.raw, list) else []
    return Entry(
        row=row,
        lapse=lapse,
        kind=_label(EventKind, row.kind),
        actor=_label(Actor, row.actor),
        words=in_words(row),
        changed=row.from_status != row.to_status,
        from_label=_label(OrderStatus, row.from_status),
        to_label=_label(OrderStatus, row.to_status),
        payload=[(name.replace("_", " "), as_text(value)) for name, value in payload.items()],
        message=message_name(raw),
        raw=list(enumerate(map(as_text, raw), start=1)),
    )


def _label(words: type[EventKind | Actor | OrderStatus], word: str | None) -> str:
    """The label of a word of the vocabulary; what is not in it stands for itself."""
    return str(dict(words.choices).get(word, word)) if word else ""


def _our_doing(event: events.Event) -> str:
    match event:
        case events.Received():
            return f"Persisted: {_terms(event)}. Nothing was sent yet."
        case events.Denied():
            return f"Refused before anything was sent: {event.reason}"
        case events.Sent():
            return f"Claimed as order {event.broker_order_id} of client {event.client_id}, then written to the broker."
        case events.NotPlaced():
            return f"Proved never placed: {event.reason}"
        case events.CancelRequested():
            return "Somebody asked to cancel it." + _then(event.reason)
        case events.CancelSent():
            return "The cancellation was written to the broker."
        case events.InDoubt():
            return f"Whether it exists cannot be told: {event.reason}"
        case events.StillInDoubt():
            times = "once" if event.rounds == 1 else f"{event.rounds} times"
            asked = f"asked {times} on this connection, last {event.settled_seconds} s after it was ready"
            return f"Not among what the broker lists, {asked}. Against “not placed”: {'; '.join(event.doubts)}."
        case _:
            return _a_persons_decision(event)


def _a_persons_decision(event: events.Event) -> str:
    match event:
        case events.ResolvedPlaced():
            return f"A person decided that the broker holds it under permId {event.perm_id}: {event.reason}"
        case events.ResolvedNotPlaced():
            return f"A person decided that it was never placed: {event.reason}"
        case events.ResolvedCanceled():
            return f"The broker lists it no more; a person decided that it was canceled: {event.reason}"
        case events.ResolvedExpired():
            return f"The broker lists it no more; a person decided that it expired: {event.reason}"
        case _:
            return ""


def _what_the_broker_said(event: events.Event) -> str:
    match event:
        case events.Adopted():
            return f"First seen at the broker, as {event.broker_status}: {_terms(event)}."
        case events.Accepted():
            return f"The broker holds it under permId {event.perm_id}, as {event.broker_status}."
        case events.Rejected():
            return f"The broker refused it{_code(event.code)}: {event.reason}"
        case events.CancelRejected():
            return f"It could not be canceled{_code(event.code)}: {event.reason}"
        case events.Canceled() | events.Expired():
            return f"The broker says {event.broker_status}." + _then(event.reason)
        case events.Restated():
            return f"The broker holds it with other terms: {_terms(event)}."
        case events.StatusReported():
            held = f", held: {event.why_held}" if event.why_held else ""
            return f"The broker's word is now {event.broker_status}{held}."
        case events.ErrorReported():
            return f"The broker sent{_code(event.code)}: {event.text}"
        case events.Unexpected():
            refused, status = _label(EventKind, event.refused), _label(OrderStatus, event.status)
            return f"A report that does not fit: {refused} while {status}. It changed nothing."
        case _:
            return _trade(event)


def _trade(event: events.Event) -> str:
    match event:
        case events.Trade():
            return f"{amount(event.quantity)} at {amount(event.price)}, execution {event.exec_id}."
        case events.Correction() if not event.quantity:
            before = f"{amount(event.replaced_quantity)} at {amount(event.replaced_price)}"
            return f"Execution {event.exec_id} busts {event.replaces}: {before} never was."
        case events.Correction():
            before = f"{amount(event.replaced_quantity)} at {amount(event.replaced_price)}"
            after = f"{amount(event.quantity)} at {amount(event.price)}"
            return f"Execution {event.exec_id} corrects {event.replaces}: {before} became {after}."
        case _:
            return ""


def _then(reason: str) -> str:
    return f" {reason}" if reason else ""


def _terms(event: events.Received | events.Adopted | events.Restated) -> str:
    limit = f", limit {amount(event.limit_price)}" if event.limit_price is not None else ""
    stop = f", stop {amount(event.stop_price)}" if event.stop_price is not None else ""
    return f"{amount(event.quantity)}{limit}{stop}"


def _code(code: int | None) -> str:
    if not code:
        return ""
    known = ERROR_CODES.get(code)
    return f" code {code} ({known.meaning})" if known else f" code {code}"
