"""Where a statement and the record say different things: the third side of reconciliation.

Rules
1. `expected` is what our record says, `actual` what the broker's statement says; empty where it says nothing.
2. A trade and its corrections are one: the last word here is held against the last word there.
3. An execution is missing at the broker only where the statement must have it: within the hours that surely belong to
   its days, and old enough to be on it.
4. Positions are compared for the end of a day, reckoned back from what is held now, and only once executions were asked
   for since. What moved without an execution (a split, an assignment, a transfer) shows here.
5. Nothing is written, and memory does not grow with the statement. What a difference means is for others to decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import chain, groupby, islice
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models.functions import Coalesce

from accounts.models import GatewaySession, Position
from orders.flex.models import FlexHolding, FlexStatement, FlexTrade
from orders.flex.standing import batches, families, standing
from orders.flex.statement import plain
from orders.models import Commission, Execution
from orders.vocabulary import Side

AT_A_TIME = 1000
STORED = Decimal("1e-8")  # what the record's columns hold
SAME_MONEY = Decimal("0.0001")  # the live report and the statement round a commission at different places
# The broker's trading day ends here for all that has no later hours; a trade after it may be of the next day.
DAY_ENDS, LATEST_END = time(17), time(20)
SETTLED_AFTER = timedelta(hours=1)  # how old a trade is before every statement has it
TRADES, HOLDINGS = frozenset({"Trades", "TradeConfirms"}), frozenset({"OpenPositions"})
# Combinations are on statements leg by leg, currencies in a section of their own.
NOT_ON_STATEMENTS, NOT_AMONG_HOLDINGS = ("BAG",), ("BAG", "CASH")


class Kind(StrEnum):
    MISSING_HERE = "MISSING_HERE"
    MISSING_AT_BROKER = "MISSING_AT_BROKER"
    CONTRACT = "CONTRACT"
    SIDE = "SIDE"
    QUANTITY = "QUANTITY"
    PRICE = "PRICE"
    COMMISSION = "COMMISSION"
    POSITION = "POSITION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`day` is the end of which day a position is of; None for trades."""

    kind: Kind
    account: str
    exec_id: str
    con_id: int
    symbol: str
    security_type: str
    expected: str
    actual: str
    day: date | None = None

    def __str__(self) -> str:
        what = f"{self.symbol} ({self.con_id})" + (f" of {self.day}" if self.day else f" {self.exec_id}")
        return (
            f"{self.kind.replace('_', ' ').lower()}: {what}: here {self.expected or '–'}, broker {self.actual or '–'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """One execution as one of the two sides tells it."""

    account: str
    exec_id: str
    con_id: int
    symbol: str
    security_type: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    commission_currency: str

    def __str__(self) -> str:
        return f"{self.side} {plain(self.quantity)} @ {plain(self.price)}"


def of_statement(statement: FlexStatement) -> Iterator[Difference]:
    """All differences between a statement's days and the record as it is now."""
    if TRADES.intersection(statement.sections):
        yield from _trades(statement)
        yield from _missing_at_broker(statement)
    if HOLDINGS.intersection(statement.sections):
        yield from _holdings(statement)


def between(ours: Executed | None, theirs: Executed) -> Iterator[Difference]:
    """What one execution of a statement differs in from the record's. Pure."""

    def differs(kind: Kind, expected: str, actual: str) -> Difference:
        return Difference(
            kind=kind,
            account=theirs.account,
            exec_id=theirs.exec_id,
            con_id=theirs.con_id,
            symbol=theirs.symbol,
            security_type=theirs.security_type,
            expected=expected,
            actual=actual,
        )

    if ours is None:
        yield differs(Kind.MISSING_HERE, "", str(theirs))
        return
    if ours.con_id != theirs.con_id:
        yield differs(Kind.CONTRACT, f"{ours.symbol} ({ours.con_id})", f"{theirs.symbol} ({theirs.con_id})")
    if ours.side != theirs.side:
        yield differs(Kind.SIDE, ours.side, theirs.side)
    if ours.quantity != theirs.quantity:
        yield differs(Kind.QUANTITY, plain(ours.quantity), plain(theirs.quantity))
    if ours.price != theirs.price:
        yield differs(Kind.PRICE, plain(ours.price), plain(theirs.price))
    if theirs.commission is not None and not _same_money(ours, theirs):
        yield differs(Kind.COMMISSION, _money(ours), _money(theirs))


def _trades(statement: FlexStatement) -> Iterator[Difference]:
    days = (statement.period_from, statement.period_to)
    told = FlexTrade.objects.filter(account=statement.account, trade_date__range=days).defer("raw")
    counting = chain.from_iterable(batches(told.order_by("family", "exec_id")))
    last_words = (list(members)[-1] for _, members in groupby(counting, key=lambda trade: trade.family))
    while batch := list(islice(last_words, AT_A_TIME)):
        ours = _ours(statement.account, {trade.family for trade in batch})
        for trade in batch:
            yield from between(ours.get(trade.family), _theirs(trade))


def _ours(account: str, families: set[str]) -> dict[str, Executed]:
    rows = list(Execution.objects.effective().filter(account=account, family__in=families).defer("raw"))
    charges = Commission.objects.filter(exec_id__in={row.exec_id for row in rows}).order_by("pk")
    charged = {row.exec_id: (row.amount, row.currency) for row in charges.defer("raw")}
    return {row.family: _as_executed(row, *charged.get(row.exec_id, (None, ""))) for row in rows}


def _as_executed(row: Execution, commission: Decimal | None, currency: str) -> Executed:
    return Executed(
        account=row.account,
        exec_id=row.exec_id,
        con_id=row.con_id,
        symbol=row.symbol,
        security_type=row.security_type,
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        commission=commission,
        commission_currency=currency,
    )


def _theirs(trade: FlexTrade) -> Executed:
    return Executed(
        account=trade.account,
        exec_id=trade.exec_id,
        con_id=trade.con_id,
        symbol=trade.symbol,
        security_type=trade.security_type,
        side=trade.side,
        quantity=trade.quantity.quantize(STORED),
        price=trade.price.quantize(STORED),
        commission=trade.commission,
        commission_currency=trade.commission_currency,
    )


def _same_money(ours: Executed, theirs: Executed) -> bool:
    if ours.commission is None or theirs.commission is None:
        return ours.commission is theirs.commission
    same_currency = ours.commission_currency == theirs.commission_currency
    return same_currency and abs(ours.commission - theirs.commission) < SAME_MONEY


def _money(side: Executed) -> str:
    return f"{plain(side.commission)} {side.commission_currency}" if side.commission is not None else ""


def _missing_at_broker(statement: FlexStatement) -> Iterator[Difference]:
    zone = ZoneInfo(settings.FLEX_TIME_ZONE)
    since = datetime.combine(statement.period_from, time.min, zone)
    until = datetime.combine(statement.period_to, DAY_ENDS, zone)
    generated = statement.generated_at or until
    here = Execution.objects.effective().filter(account=statement.account, executed_at__gte=since)
    here = here.filter(executed_at__lt=min(until, generated - SETTLED_AFTER)).exclude(
        security_type__in=NOT_ON_STATEMENTS
    )
    rows = here.defer("raw").order_by("executed_at", "pk").iterator(chunk_size=AT_A_TIME)
    while batch := list(islice(rows, AT_A_TIME)):
        there = families(statement.account, {row.family for row in batch})
        for row in batch:
            if row.family not in there:
                yield _missing(_as_executed(row, None, ""))


def _missing(ours: Executed) -> Difference:
    return Difference(
        kind=Kind.MISSING_AT_BROKER,
        account=ours.account,
        exec_id=ours.exec_id,
        con_id=ours.con_id,
        symbol=ours.symbol,
        security_type=ours.security_type,
        expected=str(ours),
        actual="",
    )


def _holdings(statement: FlexStatement) -> Iterator[Difference]:
    day, account = statement.period_to, statement.account
    end = datetime.combine(day, LATEST_END, ZoneInfo(settings.FLEX_TIME_ZONE))
    if not _in_step_since(account, end):
        return
    theirs = _told_holdings(account, day)
    ours = _reckoned_holdings(account, day, end)
    for con_id in sorted(theirs.keys() | ours.keys()):
        names, expected = ours.get(con_id, (None, Decimal(0)))
        told, actual = theirs.get(con_id, (None, Decimal(0)))
        if expected != actual:
            symbol, security_type = names or told or ("", "")
            yield Difference(
                kind=Kind.POSITION,
                account=account,
                exec_id="",
                con_id=con_id,
                symbol=symbol,
                security_type=security_type,
                expected=plain(expected),
                actual=plain(actual),
                day=day,
            )


Names = tuple[str, str]  # symbol, security type
Held = dict[int, tuple[Names | None, Decimal]]  # by contract


def _in_step_since(account: str, moment: datetime) -> bool:
    """Whether executions were asked for after that moment: else what is held now cannot be reckoned back to it."""
    sessions = GatewaySession.objects.filter(broker_accounts=account, executions_as_of__gt=moment.astimezone(UTC))
    return sessions.exists()


def _told_holdings(account: str, day: date) -> Held:
    """By the last word on each; the holdings of several model portfolios add up."""
    told: dict[str, FlexHolding] = {}
    for row in FlexHolding.objects.filter(account=account, report_date=day).order_by("pk").defer("raw"):
        told[row.reference] = row
    held: Held = {}
    for row in told.values():
        if row.security_type not in NOT_AMONG_HOLDINGS:
            _, before = held.get(row.con_id, (None, Decimal(0)))
            held[row.con_id] = ((row.symbol, row.security_type), before + row.quantity.quantize(STORED))
    return held


def _reckoned_holdings(account: str, day: date, end: datetime) -> Held:
    """What was held at the end of a day: what is held now, less what was executed since."""
    rows = Position.objects.filter(account=account).exclude(security_type__in=NOT_AMONG_HOLDINGS)
    held: Held = {row.con_id: ((row.symbol, row.security_type), row.quantity) for row in rows}
    for row in _executed_after(account, day, end):
        names, now = held.get(row.con_id, ((row.symbol, row.security_type), Decimal(0)))
        held[row.con_id] = (names, now - (row.quantity if row.side == Side.BUY else -row.quantity))
    return held


def _executed_after(account: str, day: date, end: datetime) -> Iterator[Execution]:
    """A trade that a statement has is of the day that it says there, any other of the one its time says."""
    at = Coalesce("executed_at", "recorded_at")
    # The night session of a day began the evening before; no trade is told of a day before the one it was made on.
    near = Execution.objects.effective().annotate(at=at).filter(account=account, at__gte=end - timedelta(days=1))
    rows = near.exclude(security_type__in=NOT_AMONG_HOLDINGS).defer("raw").iterator(chunk_size=AT_A_TIME)
    while batch := list(islice(rows, AT_A_TIME)):
        told = FlexTrade.objects.filter(account=account, family__in={row.family for row in batch}, cancels=False)
        days = {trade.family: trade.trade_date for trade in standing(list(told.defer("raw").order_by("pk")))}
        for row in batch:
            later = days[row.family] > day if row.family in days else (row.executed_at or row.recorded_at) >= end
            if later:
                yield row
