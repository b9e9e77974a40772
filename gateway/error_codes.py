"""What the broker's error codes mean for an order: one table, from which the code and the docs take it.

A code that is not listed is stored and changes nothing (`Effect.NONE`). ib_insync would call most of these
"Cancelled"; on live orders that is false, and people have placed orders twice for it.
"""

from enum import StrEnum
from typing import NamedTuple


class Effect(StrEnum):
    """What an error on an order id does to that order."""

    NONE = "none"  # stored
    WARNING = "warning"  # stored; the order is live
    REJECTS = "rejects"  # refuses an order that was not acknowledged yet
    REJECTED = "rejected"  # the broker refuses it, acknowledged or not
    CANCEL_CONFIRMED = "cancel confirmed"  # said beside the Cancelled status, which decides
    CANCEL_REFUSED = "cancel refused"  # the answer to a cancel; what the order is must be asked
    RECOVER = "recover"  # contradicts what we know: ask, conclude nothing


class ErrorCode(NamedTuple):
    meaning: str
    effect: Effect


ERROR_CODES: dict[int, ErrorCode] = {
    100: ErrorCode("more than 50 messages a second", Effect.RECOVER),
    103: ErrorCode("duplicate order id", Effect.RECOVER),
    104: ErrorCode("a filled order cannot be modified", Effect.RECOVER),
    105: ErrorCode("modification does not match the original order", Effect.RECOVER),
    106: ErrorCode("cannot transmit the order", Effect.REJECTS),
    107: ErrorCode("cannot transmit an incomplete order", Effect.REJECTS),
    109: ErrorCode("price outside the precautionary range", Effect.REJECTS),
    110: ErrorCode("price does not conform to the minimum price variation", Effect.REJECTS),
    135: ErrorCode("no order with that id", Effect.REJECTS),
    160: ErrorCode("zero size", Effect.WARNING),
    161: ErrorCode("order is not in a state that can be cancelled", Effect.CANCEL_REFUSED),
    200: ErrorCode("no such contract, or more than one", Effect.REJECTS),
    201: ErrorCode("order rejected", Effect.REJECTED),
    202: ErrorCode("order canceled", Effect.CANCEL_CONFIRMED),
    203: ErrorCode("the security is not available for this account", Effect.REJECTS),
    320: ErrorCode("the request could not be read", Effect.RECOVER),
    321: ErrorCode("the request did not validate", Effect.REJECTS),
    387: ErrorCode("unsupported order type for this exchange and security", Effect.REJECTS),
    399: ErrorCode("order message", Effect.WARNING),
    404: ErrorCode("shares are being located; the order is held", Effect.WARNING),
    434: ErrorCode("zero size", Effect.WARNING),
    492: ErrorCode("order message", Effect.WARNING),
    2102: ErrorCode("the order is still being processed and cannot be modified yet", Effect.WARNING),
    2109: ErrorCode("outside-regular-hours is ignored", Effect.WARNING),
    10006: ErrorCode("missing parent order", Effect.REJECTS),
    10147: ErrorCode("the order to be cancelled is not found", Effect.CANCEL_REFUSED),
    10148: ErrorCode("the order cannot be cancelled in its state", Effect.CANCEL_REFUSED),
    10243: ErrorCode("fractional size is not supported through the API", Effect.REJECTS),
    10318: ErrorCode("this order does not support fractional quantity", Effect.REJECTS),
    10268: ErrorCode("the eTradeOnly attribute is not supported", Effect.REJECTS),
    10269: ErrorCode("the firmQuoteOnly attribute is not supported", Effect.REJECTS),
    10349: ErrorCode("time in force was set by an order preset", Effect.WARNING),
}


def effect_of(code: int) -> Effect:
    """What an error of that code does to the order it names."""
    known = ERROR_CODES.get(code)
    return known.effect if known else Effect.NONE
