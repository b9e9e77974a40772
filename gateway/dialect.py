"""IB's words and FIX's, side by side; the only place that knows both. Pure: safe to import anywhere.

Words without a partner are passed on as they are: an order adopted from TWS may be of a type we never place.
"""

ORDER_TYPES = {  # FIX 40 -> IB orderType
    "MARKET": "MKT",
    "LIMIT": "LMT",
    "STOP": "STP",
    "STOP_LIMIT": "STP LMT",
}
FROM_ORDER_TYPES = {ib: fix for fix, ib in ORDER_TYPES.items()}

# IB statuses in which the broker holds the order as one that may trade.
WORKING_STATUSES = frozenset({"ApiPending", "PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel"})
CANCELED_STATUSES = frozenset({"Cancelled", "ApiCancelled"})
FILLED_STATUS = "Filled"
# The four that the API guide calls pending, in its spelling.
PENDING_WORDS = ("PENDINGSUBMIT", "PRESUBMITTED", "SUBMITTED", "APIPENDING")

# auxPrice is the price that sets these off; for all other types it means something else, or nothing.
TRIGGERED_BY_AUX_PRICE = frozenset({"STP", "STP LMT", "MIT", "LIT"})


def fix_order_type(ib_word: str) -> str:
    """FIX's word for IB's order type; IB's own where FIX has none."""
    return FROM_ORDER_TYPES.get(ib_word, ib_word)


def ib_order_type(fix_word: str) -> str:
    """IB's word for an order type."""
    return ORDER_TYPES.get(fix_word, fix_word)


def fix_side(ib_word: str) -> str:
    """BUY or SELL for BUY, SELL, SSHORT, BOT, SLD."""
    return {"BOT": "BUY", "SLD": "SELL", "SSHORT": "SELL", "SLONG": "SELL"}.get(ib_word, ib_word)
