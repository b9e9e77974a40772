"""The words of the house, which are FIX's. IB's words stay in `gateway`."""

from django.db.models import TextChoices


class Side(TextChoices):  # FIX 54
    BUY = "BUY", "Buy"
    SELL = "SELL", "Sell"


class OrderType(TextChoices):  # FIX 40
    """The types we place. Orders adopted from elsewhere keep the broker's own word where none of these fits."""

    MARKET = "MARKET", "Market"
    LIMIT = "LIMIT", "Limit"
    STOP = "STOP", "Stop"
    STOP_LIMIT = "STOP_LIMIT", "Stop limit"


class TimeInForce(TextChoices):  # FIX 59
    DAY = "DAY", "Day"
    GTC = "GTC", "Good till cancel"


class Role(TextChoices):
    """What an order is within its request: alone, or one leg of a bracket."""

    SINGLE = "SINGLE", "Single"
    ENTRY = "ENTRY", "Bracket entry"
    STOP_LOSS = "STOP_LOSS", "Bracket stop-loss"
    TAKE_PROFIT = "TAKE_PROFIT", "Bracket take-profit"


class OrderStatus(TextChoices):  # FIX 39, and three of our own
    RECEIVED = "RECEIVED", "Received"  # ours: persisted, nothing sent
    DENIED = "DENIED", "Denied"  # ours: refused before sending, by a limit or the account guard
    PENDING_NEW = "PENDING_NEW", "Pending new"  # claimed; bytes may be out
    NEW = "NEW", "New"  # the broker acknowledged it
    PARTIALLY_FILLED = "PARTIALLY_FILLED", "Partially filled"
    FILLED = "FILLED", "Filled"
    PENDING_CANCEL = "PENDING_CANCEL", "Pending cancel"
    CANCELED = "CANCELED", "Canceled"
    REJECTED = "REJECTED", "Rejected"  # the broker said no
    EXPIRED = "EXPIRED", "Expired"
    NOT_PLACED = "NOT_PLACED", "Not placed"  # ours: proved never placed
    IN_DOUBT = "IN_DOUBT", "In doubt"  # ours: cannot be told; a person looks


# Statuses in which the order may still trade, or may turn out to.
WORKING = frozenset(
    {
        OrderStatus.PENDING_NEW,
        OrderStatus.NEW,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.IN_DOUBT,
    }
)
# Statuses that only a fill, or the broker proving us wrong, can leave.
FINAL = frozenset(
    {
        OrderStatus.DENIED,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.NOT_PLACED,
    }
)


class EventKind(TextChoices):  # FIX 150 ExecType where there is one
    RECEIVED = "RECEIVED", "Received"
    DENIED = "DENIED", "Denied"
    ADOPTED = "ADOPTED", "Adopted"  # an order placed elsewhere, first seen at the broker
    SENT = "SENT", "Sent"  # written before the bytes go out
    NOT_PLACED = "NOT_PLACED", "Not placed"
    ACCEPTED = "ACCEPTED", "Accepted"
    REJECTED = "REJECTED", "Rejected"
    PARTIAL_FILL = "PARTIAL_FILL", "Partial fill"
    FILL = "FILL", "Fill"
    TRADE_CORRECTED = "TRADE_CORRECTED", "Trade corrected"
    FILLED_BY_CORRECTION = "FILLED_BY_CORRECTION", "Filled by a correction"  # FIX G as well: nothing is left now
    OPENED_BY_CORRECTION = "OPENED_BY_CORRECTION", "Opened by a correction"  # and here something is left again
    CANCEL_REQUESTED = "CANCEL_REQUESTED", "Cancel requested"
    CANCEL_SENT = "CANCEL_SENT", "Cancel sent"
    CANCEL_REJECTED = "CANCEL_REJECTED", "Cancel rejected"
    CANCELED = "CANCELED", "Canceled"
    EXPIRED = "EXPIRED", "Expired"
    RESTATED = "RESTATED", "Restated"  # quantity or prices changed at the broker
    STATUS_REPORTED = "STATUS_REPORTED", "Status reported"  # the broker's word changed, ours did not
    ERROR_REPORTED = "ERROR_REPORTED", "Error reported"
    IN_DOUBT = "IN_DOUBT", "In doubt"
    STILL_IN_DOUBT = "STILL_IN_DOUBT", "Asked again"
    RESOLVED_PLACED = "RESOLVED_PLACED", "Resolved as placed"  # a person's decision, as is the next
    RESOLVED_NOT_PLACED = "RESOLVED_NOT_PLACED", "Resolved as not placed"
    RESOLVED_CANCELED = "RESOLVED_CANCELED", "Resolved as canceled"  # the broker lists it no more; a person decided
    RESOLVED_EXPIRED = "RESOLVED_EXPIRED", "Resolved as expired"
    UNEXPECTED = "UNEXPECTED", "Unexpected"  # a report that fits no row of the lifecycle; kept, changes nothing


class ExecutionSource(TextChoices):
    """Where an execution was first seen; the words are the API guide's, but for those it does not know."""

    REQUESTED = "reqExecutions", "Asked for"
    LIVE = "trades()", "Live"
    COMPLETED = "reqCompletedOrders", "Completed orders"
    POSITION = "positions()", "Position"
    FLEX = "flex", "Flex statement"


class Actor(TextChoices):
    """Who acted when it was no user and no key."""

    API = "api", "API client"
    WORKER = "worker", "Gateway worker"
    BROKER = "broker", "Broker"
    SYSTEM = "system", "System"
