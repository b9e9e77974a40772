"""The two books that are compared, as plain frozen values. Pure.

Rules: both are of one moment (see `hearing`); quantities of executions and positions are signed, sold is negative;
None is "not said", never zero. `Point` is one thing on which books agree or do not.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from orders.breaks.vocabulary import BreakKind, Severity

Value = Decimal | str
BreakId = tuple[str, str]  # kind and key
AccountOrder = tuple[str, int]  # account and permId
AccountExecution = tuple[str, str]  # account and exec_id
AccountContract = tuple[str, int]  # account and contract id

# What stands where one side has nothing.
NOT_LISTED = "not listed"
NOT_HERE = "no record"


class Standing(StrEnum):
    """Where an order stands, in the few words that both sides have."""

    WORKING = "working"
    FILLED = "filled"
    ENDED = "ended"
    NEVER_PLACED = "never placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a working order asks for; `stop_price` is the one that sets it off."""

    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOrder:
    """An order as the broker listed it among the open or the completed ones; `terms` only while it works."""

    account: str
    perm_id: int
    symbol: str
    stamp: str | None
    standing: Standing | None  # None: a word that is neither a yes nor a no
    filled: Decimal | None
    terms: Terms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExecution:
    account: str
    exec_id: str
    symbol: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    symbol: str
    security_type: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerBook:
    """What the broker said between the first question and the last end marker; the last word on each thing counts.

    What was found to agree while it was told is not in `orders` and `executions`: `agreed_` are our keys of it.
    """

    orders: Mapping[AccountOrder, ListedOrder] = field(default_factory=dict)
    executions: Mapping[AccountExecution, ListedExecution] = field(default_factory=dict)
    holdings: Mapping[AccountContract, Holding] = field(default_factory=dict)
    agreed_orders: Set[int] = frozenset()
    agreed_executions: Set[int] = frozenset()

    def lists(self, order: "OurOrder") -> bool:
        """Whether it names that order of ours."""
        return (order.account, order.perm_id) in self.orders or order.pk in self.agreed_orders


@dataclass(frozen=True, slots=True, kw_only=True)
class OurOrder:
    """`lapses`: a day order of an earlier trading day, which the broker forgets without a word."""

    pk: int
    account: str
    perm_id: int | None
    symbol: str
    stamp: str | None
    standing: Standing | None  # None: claimed or in doubt, which recovery looks after
    status: str  # for people
    terms: Terms
    filled: Decimal
    lapses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OurExecution:
    """`listed_today`: told on the present connection and of the present trading day, so the broker lists it."""

    pk: int
    account: str
    exec_id: str
    symbol: str
    quantity: Decimal
    price: Decimal
    listed_today: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OurBook:
    """Of the `accounts` that the broker answered for: orders that work here, that it named, or that have a break; but
    for what was found to agree before.

    `holdings` are what was held when an account was first looked at and what was executed since; accounts without
    such a beginning are not in `anchored`. `orphans` are all there are. `watched`: breaks that live, with what the
    other side last said.
    """

    read_at: datetime
    accounts: frozenset[str] = frozenset()
    orders: tuple[OurOrder, ...] = ()
    executions: Mapping[AccountExecution, OurExecution] = field(default_factory=dict)
    orphans: tuple[OurExecution, ...] = ()
    anchored: frozenset[str] = frozenset()
    holdings: Mapping[AccountContract, Holding] = field(default_factory=dict)
    watched: Mapping[BreakId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing that was looked at in both books: `expected` by ours, `actual` by theirs. `key`: unique in its kind."""

    kind: BreakKind
    key: str
    account: str
    symbol: str
    subject: str
    expected: Value
    actual: Value
    severity: Severity = Severity.CRITICAL
    order_pk: int | None = None
    execution_pk: int | None = None
    con_id: int | None = None
    security_type: str = ""

    @property
    def id(self) -> BreakId:
        return self.kind, self.key

    @property
    def agrees(self) -> bool:
        return self.expected == self.actual

    @property
    def gap(self) -> Decimal | None:
        """How far theirs is from ours, where both are figures: it stays while both move together."""
        if isinstance(self.expected, Decimal) and isinstance(self.actual, Decimal):
            return self.actual - self.expected
        return None

    def is_same_difference(self, other: "Point") -> bool:
        """Whether the other one, of another moment, tells the same."""
        if self.gap is not None:
            return self.gap == other.gap
        return (self.expected, self.actual) == (other.expected, other.actual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a look at two books found: differences, and which of the watched breaks they now agree on.

    A watched break in neither was not looked at: the other side said nothing of it, and unknown is not agreed.
    """

    differences: tuple[Point, ...] = ()
    agreed: frozenset[BreakId] = frozenset()


def text(value: Value) -> str:
    """A value as it is stored and shown."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value
