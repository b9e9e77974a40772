"""What a Flex file says, as plain frozen values, and how it is refused. Pure.

Rules
1. `line` is where the element begins in the file; `raw` are its attributes as written, empty ones left out.
2. Neither belongs to what the row says: two rows are equal, and have one `digest`, when they say the same.
3. Quantities of trades are positive and go with a side; positions and amounts of cash are signed. A commission is
   what was paid, as in the live reports: a rebate is negative. (The file has both the other way round.)
"""

import hashlib
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


class FlexRefused(Exception):
    """The file is not imported: nothing of it is stored. The text is fit for the person who brought it."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class Kind(StrEnum):
    """What the query was of: FlexQueryResponse's `type`."""

    ACTIVITY = "AF"
    CONFIRMATIONS = "TCF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Begins a statement: all rows up to its end are of this account. `generated_at` is None where the text could mean
    two moments, as once a year."""

    line: int
    kind: Kind
    query_name: str
    account: str
    period_from: date
    period_to: date
    generated_text: str
    generated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Ends a statement: the sections that were read, and those that are of no use here."""

    line: int
    sections: tuple[str, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    line: int = field(compare=False)
    raw: dict[str, str] = field(compare=False)
    account: str

    @property
    def reference(self) -> str:
        """What the broker calls this row: of two rows with one reference, the later one tells it anew."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """SHA-256 of all that the row says."""
        said = [f"{name}={_canonical(getattr(self, name))}" for name in (f.name for f in fields(self) if f.compare)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade(Row):
    """One execution, or (`cancels`) the taking back of one. Without `exec_id`: booked by the broker, not executed."""

    exec_id: str
    trade_id: str
    transaction_id: str
    cancelled_id: str  # trade id or transaction id of the trade that is taken back, where the file says so
    cancels: bool
    broker_order_id: int | None
    order_ref: str
    symbol: str
    underlying: str
    con_id: int
    security_type: str
    currency: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    commission_currency: str
    trade_date: date
    time_text: str
    executed_at: datetime | None
    exchange: str
    notes: str

    @property
    def reference(self) -> str:
        name = self.exec_id or (f"trade {self.trade_id}" if self.trade_id else f"transaction {self.transaction_id}")
        return f"{name} taken back" if self.cancels else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Cash(Row):
    """One movement of cash: a deposit, a dividend, interest, a fee."""

    transaction_id: str
    type: str
    currency: str
    amount: Decimal
    report_date: date
    time_text: str
    symbol: str
    con_id: int | None
    description: str

    @property
    def reference(self) -> str:
        return self.transaction_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding(Row):
    """What was held of a contract at the end of a day."""

    report_date: date
    con_id: int
    model: str
    symbol: str
    security_type: str
    currency: str
    quantity: Decimal
    mark_price: Decimal | None
    cost_price: Decimal | None

    @property
    def reference(self) -> str:
        return f"{self.con_id} {self.report_date} {self.model}".strip()


Item = Header | Trade | Cash | Holding | End


def plain(number: Decimal) -> str:
    """All digits of a number and no zeros at its end; Decimal's own `normalize` rounds."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _canonical(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
