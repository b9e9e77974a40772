"""What can go wrong with an order before the broker has a say.

    OrderError
    ├── IllegalTransition      an event that the lifecycle table has no row for
    ├── OrderNotFound          no order of ours, or none that can still be cancelled
    │   └── NotOnRecordYet     the order was not known at the instant asked about
    ├── BrokenRecord           the events of an order do not add up
    ├── Unresolved             whether the broker has the order is not known yet
    ├── NotOurs                the order belongs to another client of the gateway
    ├── NotInDoubt             a decision about an order that is not, or no longer, in doubt
    ├── BreakNotOpen           a decision about a break that is closed already
    ├── InvalidDecision        a decision that lacks something, or contradicts the record
    ├── Overloaded             more is waiting to be sent than could be sent in time
    ├── Paused                 the gateway is away by plan, or about to go
    ├── InvalidKey             an idempotency key that is none
    ├── KeyReused              an idempotency key came again with another body
    ├── KeyInProgress          the first request with that key is still being worked on
    ├── NotOwner               this process does not hold the broker session
    └── AnswerIncomplete       a part of what the broker answered could not be written

Raised with facts, turned into HTTP answers once, in ibkr_site.problems.
"""

from datetime import datetime


class OrderError(Exception):
    """Any refusal by the order rules; the text is fit to be shown to the client."""


class IllegalTransition(OrderError):
    def __init__(self, status: str | None, kind: str) -> None:
        super().__init__(f"An order that is {status or 'not there yet'} cannot take the event {kind}")
        self.status = status
        self.kind = kind


class OrderNotFound(OrderError):
    pass


class NotOnRecordYet(OrderNotFound):
    def __init__(self, order_pk: int, *, instant: datetime, since: datetime | None) -> None:
        first = f": its first event was recorded at {since.isoformat()}" if since else ""
        super().__init__(f"Order {order_pk} was not on record at {instant.isoformat()}{first}.")


class BrokenRecord(OrderError):
    def __init__(self, order_pk: int, *, sequence: int) -> None:
        super().__init__(
            f"Event {sequence} of order {order_pk} cannot be replayed: the record is damaged. "
            f"Run manage.py replay_orders {order_pk}."
        )


class Unresolved(OrderError):
    pass


class NotOurs(OrderError):
    pass


class NotInDoubt(OrderError):
    def __init__(self, order_pk: int, status: str) -> None:
        super().__init__(f"Order {order_pk} is not in doubt: it is {status}. Nothing was changed.")


class BreakNotOpen(OrderError):
    def __init__(self, break_pk: int) -> None:
        super().__init__(f"Break {break_pk} is closed already. Nothing was changed.")


class InvalidDecision(OrderError):
    """`field` is the part of the decision that is wrong: perm_id or reason."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class Overloaded(OrderError):
    def __init__(self, *, retry_after: int) -> None:
        super().__init__(
            f"More orders are waiting than can be sent in time (IB takes 50 messages a second): try again in "
            f"{retry_after} s. Nothing was placed."
        )
        self.retry_after = retry_after


class Paused(OrderError):
    def __init__(self, reason: str, *, retry_after: int) -> None:
        super().__init__(f"{reason[:1].upper()}{reason[1:]}: try again then. Nothing was placed.")
        self.retry_after = retry_after


class InvalidKey(OrderError):
    pass


class KeyReused(OrderError):
    pass


class KeyInProgress(OrderError):
    pass


class NotOwner(OrderError):
    pass


class AnswerIncomplete(OrderError):
    pass
