"""One sample of every event, with plain values; tests vary what they care about."""

from decimal import Decimal
from typing import Any

from orders import events
from orders.vocabulary import EventKind

D = Decimal

_CORRECTION = {
    "exec_id": "a.b.01.02",
    "replaces": "a.b.01.01",
    "quantity": D(3),
    "price": D("231"),
    "replaced_quantity": D(4),
    "replaced_price": D("230.5"),
}
_SAMPLES: dict[EventKind, dict[str, Any]] = {
    EventKind.RECEIVED: {"quantity": D(10), "limit_price": D("230")},
    EventKind.DENIED: {"quantity": D(10), "reason": "account not allowed"},
    EventKind.ADOPTED: {"status": "NEW", "quantity": D(10), "perm_id": 77, "broker_status": "Submitted"},
    EventKind.SENT: {
        "client_id": 17,
        "broker_order_id": 5,
        "connection": 1,
        "epoch": 1,
        "stamp": "A" * 13,
        "digest": "0" * 64,
        "unexplained": D(0),
        "trading_day": "2026-01-15",
    },
    EventKind.NOT_PLACED: {"reason": "nothing was sent"},
    EventKind.ACCEPTED: {"perm_id": 1788680597, "broker_status": "Submitted"},
    EventKind.REJECTED: {"reason": "Order rejected - reason:no funds", "code": 201},
    EventKind.PARTIAL_FILL: {"exec_id": "a.b.01.01", "quantity": D(4), "price": D("230.5"), "perm_id": 1788680597},
    EventKind.FILL: {"exec_id": "a.b.02.01", "quantity": D(10), "price": D("230.5"), "perm_id": 1788680597},
    EventKind.TRADE_CORRECTED: _CORRECTION,
    EventKind.FILLED_BY_CORRECTION: _CORRECTION,
    EventKind.OPENED_BY_CORRECTION: _CORRECTION,
    EventKind.CANCEL_REQUESTED: {},
    EventKind.CANCEL_SENT: {"connection": 1},
    EventKind.CANCEL_REJECTED: {"reason": "not in a state that can be cancelled", "code": 161},
    EventKind.CANCELED: {"broker_status": "Cancelled"},
    EventKind.EXPIRED: {"broker_status": "Cancelled"},
    EventKind.RESTATED: {"quantity": D(20), "limit_price": D("229")},
    EventKind.STATUS_REPORTED: {"broker_status": "PreSubmitted"},
    EventKind.ERROR_REPORTED: {"code": 399, "text": "order message"},
    EventKind.IN_DOUBT: {"reason": "not listed"},
    EventKind.STILL_IN_DOUBT: {"rounds": 2, "settled_seconds": 31, "doubts": ["the position is 10 and not 0"]},
    EventKind.RESOLVED_PLACED: {"perm_id": 1788680597, "reason": "working in TWS under our stamp"},
    EventKind.RESOLVED_NOT_PLACED: {"reason": "in no list of TWS and on no statement"},
    EventKind.RESOLVED_CANCELED: {"reason": "the statement lists it as cancelled"},
    EventKind.RESOLVED_EXPIRED: {"reason": "a day order; the statement lists it as expired"},
    EventKind.UNEXPECTED: {"refused": "CANCELED", "status": "DENIED", "details": {}},
}


def sample(kind: EventKind | str, **changes: Any) -> events.Event:
    """An event of that kind."""
    kind = EventKind(kind)
    return events.BY_KIND[kind](**_SAMPLES[kind] | changes)
