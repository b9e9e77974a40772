"""The life of an order: one table, and the fold of events into state. Pure.

Rules
1. Everything that decides a status is in TABLE. A pair that is not there cannot happen: `fold` raises.
2. A fill is never refused, whatever the status: the broker's executions are facts.
3. Executions decide, not the word `Filled`. Absence is never a status: no row is reached by not hearing something.
4. After a fill, NEW reads PARTIALLY_FILLED (FIX's order of precedence for OrdStatus); undone altogether, NEW again.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from orders import events
from orders.errors import IllegalTransition
from orders.vocabulary import EventKind as E
from orders.vocabulary import OrderStatus as S

TABLE: dict[tuple[S, E], S] = {
    (S.RECEIVED, E.SENT): S.PENDING_NEW,
    (S.RECEIVED, E.NOT_PLACED): S.NOT_PLACED,
    (S.RECEIVED, E.DENIED): S.DENIED,  # our limits, looked at again before it is sent, say no
    #
    (S.PENDING_NEW, E.ACCEPTED): S.NEW,
    (S.PENDING_NEW, E.REJECTED): S.REJECTED,
    (S.PENDING_NEW, E.PARTIAL_FILL): S.PARTIALLY_FILLED,  # the execution can overtake the acknowledgement
    (S.PENDING_NEW, E.FILL): S.FILLED,
    (S.PENDING_NEW, E.CANCELED): S.CANCELED,  # a bracket's leg leaves with its entry, never acknowledged alone
    (S.PENDING_NEW, E.EXPIRED): S.EXPIRED,
    (S.PENDING_NEW, E.NOT_PLACED): S.NOT_PLACED,  # the write was refused before its first byte
    (S.PENDING_NEW, E.IN_DOUBT): S.IN_DOUBT,
    (S.PENDING_NEW, E.STATUS_REPORTED): S.PENDING_NEW,  # Inactive is neither a yes nor a no
    #
    (S.NEW, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.NEW, E.FILL): S.FILLED,
    (S.NEW, E.CANCEL_REQUESTED): S.PENDING_CANCEL,
    (S.NEW, E.CANCELED): S.CANCELED,  # also by the broker, or by hand in TWS
    (S.NEW, E.EXPIRED): S.EXPIRED,
    (S.NEW, E.REJECTED): S.REJECTED,  # IB takes an order and refuses it a moment later (201)
    (S.NEW, E.RESTATED): S.NEW,
    (S.NEW, E.STATUS_REPORTED): S.NEW,
    (S.NEW, E.FILLED_BY_CORRECTION): S.FILLED,  # its only trade was undone, and then it was not
    (S.NEW, E.RESOLVED_CANCELED): S.CANCELED,  # the broker lists it no more, and a person found out why
    (S.NEW, E.RESOLVED_EXPIRED): S.EXPIRED,
    #
    (S.PARTIALLY_FILLED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, E.FILL): S.FILLED,
    (S.PARTIALLY_FILLED, E.ACCEPTED): S.PARTIALLY_FILLED,  # the acknowledgement came after the first execution
    (S.PARTIALLY_FILLED, E.CANCEL_REQUESTED): S.PENDING_CANCEL,
    (S.PARTIALLY_FILLED, E.CANCELED): S.CANCELED,
    (S.PARTIALLY_FILLED, E.EXPIRED): S.EXPIRED,
    (S.PARTIALLY_FILLED, E.RESTATED): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, E.STATUS_REPORTED): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, E.FILLED_BY_CORRECTION): S.FILLED,
    (S.PARTIALLY_FILLED, E.RESOLVED_CANCELED): S.CANCELED,
    (S.PARTIALLY_FILLED, E.RESOLVED_EXPIRED): S.EXPIRED,
    #
    (S.PENDING_CANCEL, E.CANCEL_REQUESTED): S.PENDING_CANCEL,  # asked again; cancels may be repeated
    (S.PENDING_CANCEL, E.CANCEL_SENT): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, E.CANCEL_REJECTED): S.NEW,
    (S.PENDING_CANCEL, E.CANCELED): S.CANCELED,
    (S.PENDING_CANCEL, E.EXPIRED): S.EXPIRED,
    (S.PENDING_CANCEL, E.REJECTED): S.REJECTED,
    (S.PENDING_CANCEL, E.PARTIAL_FILL): S.PENDING_CANCEL,  # the cancel still stands
    (S.PENDING_CANCEL, E.FILL): S.FILLED,  # the cancel lost the race
    (S.PENDING_CANCEL, E.RESTATED): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, E.STATUS_REPORTED): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, E.FILLED_BY_CORRECTION): S.FILLED,
    (S.PENDING_CANCEL, E.RESOLVED_CANCELED): S.CANCELED,
    (S.PENDING_CANCEL, E.RESOLVED_EXPIRED): S.EXPIRED,
    #
    (S.FILLED, E.PARTIAL_FILL): S.FILLED,
    (S.FILLED, E.FILL): S.FILLED,  # more than was ordered: the broker's word, shown as it is
    (S.FILLED, E.ACCEPTED): S.FILLED,
    (S.FILLED, E.STATUS_REPORTED): S.FILLED,
    (S.FILLED, E.OPENED_BY_CORRECTION): S.NEW,  # less was filled than we were told
    #
    (S.CANCELED, E.PARTIAL_FILL): S.CANCELED,  # a late execution: quantity counts, the order stays gone
    (S.CANCELED, E.FILL): S.FILLED,
    (S.CANCELED, E.REJECTED): S.REJECTED,  # IB says Cancelled first and the reason (201) after it
    (S.CANCELED, E.STATUS_REPORTED): S.CANCELED,
    (S.CANCELED, E.FILLED_BY_CORRECTION): S.FILLED,
    (S.CANCELED, E.ACCEPTED): S.NEW,  # a person had decided so, and the broker lists it as working
    #
    (S.EXPIRED, E.PARTIAL_FILL): S.EXPIRED,
    (S.EXPIRED, E.FILL): S.FILLED,
    (S.EXPIRED, E.STATUS_REPORTED): S.EXPIRED,
    (S.EXPIRED, E.FILLED_BY_CORRECTION): S.FILLED,
    (S.EXPIRED, E.ACCEPTED): S.NEW,  # the same
    #
    (S.REJECTED, E.ACCEPTED): S.NEW,  # an error that looked final, and the order is listed as working
    (S.REJECTED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.REJECTED, E.FILL): S.FILLED,
    (S.REJECTED, E.STATUS_REPORTED): S.REJECTED,
    (S.REJECTED, E.FILLED_BY_CORRECTION): S.FILLED,
    #
    (S.IN_DOUBT, E.ACCEPTED): S.NEW,
    (S.IN_DOUBT, E.REJECTED): S.REJECTED,
    (S.IN_DOUBT, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.IN_DOUBT, E.FILL): S.FILLED,
    (S.IN_DOUBT, E.CANCELED): S.CANCELED,
    (S.IN_DOUBT, E.EXPIRED): S.EXPIRED,
    (S.IN_DOUBT, E.NOT_PLACED): S.NOT_PLACED,
    (S.IN_DOUBT, E.STATUS_REPORTED): S.IN_DOUBT,
    (S.IN_DOUBT, E.STILL_IN_DOUBT): S.IN_DOUBT,  # asked again, and what speaks against a conclusion has changed
    (S.IN_DOUBT, E.RESOLVED_PLACED): S.NEW,  # a person saw it at the broker; what is reported later applies as ever
    (S.IN_DOUBT, E.RESOLVED_NOT_PLACED): S.NOT_PLACED,  # a person is sure; the broker may prove otherwise
    #
    (S.NOT_PLACED, E.ACCEPTED): S.NEW,  # we were wrong, and the broker's word stands
    (S.NOT_PLACED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.NOT_PLACED, E.FILL): S.FILLED,
    (S.NOT_PLACED, E.CANCELED): S.CANCELED,
    (S.NOT_PLACED, E.STATUS_REPORTED): S.NOT_PLACED,  # Inactive is neither a yes nor a no here either
    #
    # Never sent, so never filled; were it to happen, the broker's word would stand here too.
    (S.RECEIVED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.RECEIVED, E.FILL): S.FILLED,
    (S.DENIED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.DENIED, E.FILL): S.FILLED,
    #
    # What decides nothing may come at any time.
    **{(status, E.ERROR_REPORTED): status for status in S},
    **{(status, E.TRADE_CORRECTED): status for status in S},
    **{(status, E.UNEXPECTED): status for status in S},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """What the events of an order add up to; the columns of its row that events may change.

    Quantities in units of the instrument, prices per unit in its currency, `filled_notional` their sum of products.
    """

    status: S
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_quantity: Decimal = Decimal(0)
    filled_notional: Decimal = Decimal(0)
    client_id: int | None = None
    broker_order_id: int | None = None
    perm_id: int | None = None
    broker_status: str = ""
    reason: str = ""

    @property
    def leaves_quantity(self) -> Decimal:
        """What is still to be filled (FIX 151)."""
        return max(self.quantity - self.filled_quantity, Decimal(0))


_TRADES = (events.Trade, events.Correction)


def fold(state: OrderState | None, event: events.Event) -> OrderState:
    """The state after `event`. Raises IllegalTransition for a pair that is not in TABLE."""
    if state is None:
        return _opened(event)
    status = TABLE.get((state.status, event.kind))
    if status is None:
        raise IllegalTransition(state.status, event.kind)
    after = _applied(replace(state, status=status), event)
    if after.status is S.NEW and after.filled_quantity > 0:
        return replace(after, status=S.PARTIALLY_FILLED)
    if after.status is S.PARTIALLY_FILLED and not after.filled_quantity and isinstance(event, _TRADES):
        return replace(after, status=S.NEW)
    return after


def _opened(event: events.Event) -> OrderState:
    match event:
        case events.Received():
            status, reason = S.RECEIVED, ""
        case events.Denied():
            status, reason = S.DENIED, event.reason
        case events.Adopted():
            return OrderState(
                status=S(event.status),
                quantity=event.quantity,
                limit_price=event.limit_price,
                stop_price=event.stop_price,
                client_id=event.client_id,
                broker_order_id=event.broker_order_id,
                perm_id=event.perm_id,
                broker_status=event.broker_status,
            )
        case _:
            raise IllegalTransition(None, event.kind)
    return OrderState(
        status=status,
        quantity=event.quantity,
        limit_price=event.limit_price,
        stop_price=event.stop_price,
        reason=reason,
    )


def _applied(state: OrderState, event: events.Event) -> OrderState:
    """`state` with the event's own values; the status is already the table's."""
    match event:
        case events.Sent():
            return replace(state, client_id=event.client_id, broker_order_id=event.broker_order_id)
        case events.Accepted():
            return replace(state, perm_id=event.perm_id, broker_status=event.broker_status, reason="")
        case events.Trade():
            return replace(
                state,
                perm_id=event.perm_id or state.perm_id,  # before it there may be one that a person typed
                filled_quantity=state.filled_quantity + event.quantity,
                filled_notional=state.filled_notional + event.quantity * event.price,
            )
        case events.Correction():
            before = event.replaced_quantity * event.replaced_price
            return replace(
                state,
                filled_quantity=state.filled_quantity + event.quantity - event.replaced_quantity,
                filled_notional=state.filled_notional + event.quantity * event.price - before,
            )
        case events.Restated():
            return replace(state, quantity=event.quantity, limit_price=event.limit_price, stop_price=event.stop_price)
        case events.StatusReported() | events.Canceled():
            reason = event.reason if isinstance(event, events.Canceled) else ""
            return replace(
                state,
                broker_status=event.broker_status,
                perm_id=event.perm_id or state.perm_id,
                reason=reason or state.reason,
            )
        case events.Expired():
            return replace(state, broker_status=event.broker_status, reason=event.reason)
        case events.ResolvedPlaced():
            return replace(state, perm_id=event.perm_id, reason="")
        case events.ResolvedNotPlaced() | events.ResolvedCanceled() | events.ResolvedExpired():
            return replace(state, reason=f"decided by a person: {event.reason}")  # clients read it: it is no proof
        case events.Denied() | events.NotPlaced() | events.Rejected() | events.InDoubt():
            return replace(state, reason=event.reason)
        case _:
            return state
