"""Executions that a statement knows and the record lacks are added to it, with what they cost.

Rules
1. What is on record stays as it is; where the statement says otherwise, `differences` tells it.
2. An execution is an order's by our stamp; else by the broker's order id, where an order here bears it as its
   permanent id and is of the same contract and side. Others are stored as executions of no order.
3. Nothing is filled beyond what was ordered: a fill that would be is left to a person, for it may be one that is on
   record under another id.
4. While it cannot be told whether an order of ours was placed, what its contract's executions add up to is evidence
   (orders.evidence). Others' executions of that contract wait until the doubt is over and the file is imported again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Position
from gateway.reports import ContractFacts
from orders import fills, journal, stamps
from orders.families import bust_of
from orders.flex.models import FlexStatement, FlexTrade
from orders.flex.standing import batches, standing
from orders.models import Commission, Execution, Order
from orders.vocabulary import Actor, ExecutionSource, OrderStatus

STORED = Decimal("1e-8")  # what the record's columns hold
UNTOLD = (OrderStatus.PENDING_NEW, OrderStatus.IN_DOUBT)
# What the API calls by the name of its underlying, and the statement by its own.
NAMED_BY_UNDERLYING = frozenset({"OPT", "FUT", "FOP", "WAR", "FSOPT", "FSFOP"})


@dataclass(slots=True, kw_only=True)
class Result:
    """What was added, and what was not, with the reason."""

    executions: int = 0
    of_orders: int = 0  # among these, those of orders on record
    busts: int = 0
    commissions: int = 0
    overfilling: int = 0
    waiting: int = 0

    def lines(self) -> list[str]:
        """In words, as far as there is anything to say."""
        told = (
            (self.executions, f"executions added to the record, {self.of_orders:,} of them to orders on record"),
            (self.busts, "executions taken back, as the broker took them back"),
            (self.commissions, "commissions added to the record"),
            (self.overfilling, "executions not added: with them their orders would be filled beyond their quantity"),
            (
                self.waiting,
                "executions not added yet: an order in their contract is in doubt; import the file again after",
            ),
        )
        return [f"{count:,} {what}" for count, what in told if count]


@dataclass(slots=True, kw_only=True)
class _Surroundings:
    """What is on record around some trades of one account."""

    by_stamp: dict[str | None, Order]
    by_perm_id: dict[int | None, Order]
    symbols: dict[int, str]  # by contract, as the API calls them
    families: set[str]  # of the executions on record
    undecided: set[tuple[str, str]]  # contracts: symbol, security type
    taken: dict[int, Decimal] = field(default_factory=dict)  # what these trades fill, by order

    def fits(self, order: Order, quantity: Decimal) -> bool:
        """Whether that much is left of an order; if so, it is taken."""
        taken = self.taken.get(order.pk, Decimal(0)) + quantity
        if taken > order.state().leaves_quantity:
            return False
        self.taken[order.pk] = taken
        return True


def run(statements: Iterable[FlexStatement], *, session: str) -> Result:
    """Add what the statements' days have and the record lacks. `session` names the import in the trail."""
    result = Result()
    for statement in statements:
        of_account = FlexTrade.objects.filter(account=statement.account)
        days = (statement.period_from, statement.period_to)
        trades = of_account.filter(Q(statement=statement) | Q(trade_date__range=days))
        for batch in batches(trades.filter(~Exists(_here())).order_by("pk")):
            _add(batch, result, session=session)
        for cancel in trades.filter(cancels=True).order_by("pk"):
            _bust(cancel, result, session=session)
        for batch in batches(trades.filter(~Exists(_charged()), commission__isnull=False).order_by("pk")):
            _charge(batch, result)
    return result


def _here() -> QuerySet[Execution]:
    return Execution.objects.filter(account=OuterRef("account"), exec_id=OuterRef("exec_id"))


def _charged() -> QuerySet[Commission]:
    return Commission.objects.filter(exec_id=OuterRef("exec_id"))


def _add(batch: list[FlexTrade], result: Result, *, session: str) -> None:
    if not batch:
        return
    around = _surroundings(batch)
    said = []
    for trade in batch:
        order = _order(trade, around)
        fill = _fill(trade, order, around)
        contract = (fill.contract.symbol, fill.contract.security_type)
        if contract in around.undecided and (order is None or order.status not in UNTOLD):
            result.waiting += 1
        elif order is not None and trade.family not in around.families and not around.fits(order, fill.quantity):
            result.overfilling += 1
        else:
            around.families.add(trade.family)
            said.append(fills.Said(fill, ExecutionSource.FLEX, _origin(fill, session)))
            result.of_orders += order is not None
    fills.record_all(said)
    result.executions += len(said)


def _surroundings(batch: list[FlexTrade]) -> _Surroundings:
    account = batch[0].account
    orders = Order.objects.filter(account=account)
    named = {stamps.split(trade.order_ref)[1] for trade in batch} - {None}
    perm_ids = {trade.broker_order_id for trade in batch} - {None}
    held = Position.objects.filter(account=account, con_id__in={trade.con_id for trade in batch})
    kin = Execution.objects.filter(account=account, family__in={trade.family for trade in batch})
    return _Surroundings(
        by_stamp={order.stamp: order for order in orders.filter(stamp__in=named)},
        by_perm_id={order.perm_id: order for order in orders.filter(perm_id__in=perm_ids).order_by("-pk")},
        symbols=dict(held.values_list("con_id", "symbol")),
        families=set(kin.values_list("family", flat=True)),
        undecided=set(orders.filter(status__in=UNTOLD).values_list("symbol", "security_type")),
    )


def _order(trade: FlexTrade, around: _Surroundings) -> Order | None:
    stamped = around.by_stamp.get(stamps.split(trade.order_ref)[1])
    if stamped is not None:
        return stamped
    order = around.by_perm_id.get(trade.broker_order_id)
    if order is None or trade.broker_order_id is None:
        return None
    terms = (_symbol(trade, around), trade.security_type, trade.side)
    return order if terms == (order.symbol, order.security_type, order.side) else None


def _fill(trade: FlexTrade, order: Order | None, around: _Surroundings) -> fills.Fill:
    return fills.Fill(
        exec_id=trade.exec_id,
        account=trade.account,
        perm_id=(order.perm_id or 0) if order is not None else 0,
        order_id=order.broker_order_id if order is not None else None,
        client_id=order.client_id if order is not None else None,
        contract=ContractFacts(
            con_id=trade.con_id,
            symbol=_symbol(trade, around),
            security_type=trade.security_type,
            currency=trade.currency,
        ),
        side=trade.side,
        quantity=trade.quantity.quantize(STORED),
        price=trade.price.quantize(STORED),
        time_text=trade.time_text,
        executed_at=trade.executed_at,
        exchange=trade.exchange,
        order_ref=trade.order_ref,
        raw=_said(trade),
    )


def _symbol(trade: FlexTrade, around: _Surroundings) -> str:
    """What the API calls the contract: as it did for what is held, else as it does by its kind."""
    known = around.symbols.get(trade.con_id)
    if known is not None:
        return known
    if trade.security_type in NAMED_BY_UNDERLYING and trade.underlying:
        return trade.underlying
    return trade.symbol.partition(".")[0] if trade.security_type == "CASH" else trade.symbol


def _bust(cancel: FlexTrade, result: Result, *, session: str) -> None:
    """Take back what the broker took back, unless the same execution was booked anew."""
    of_account = FlexTrade.objects.filter(account=cancel.account)
    exec_id = cancel.exec_id
    if cancel.cancelled_id:
        named = Q(transaction_id=cancel.cancelled_id) | Q(trade_id=cancel.cancelled_id)
        exec_id = of_account.filter(named, cancels=False).values_list("exec_id", flat=True).first() or ""
    counted = Execution.objects.effective().filter(account=cancel.account, exec_id=exec_id).select_related("order")
    taken = counted.first() if exec_id else None
    if taken is None or standing(list(of_account.filter(exec_id=exec_id, cancels=False))):
        return
    order = taken.order
    fill = fills.Fill(
        exec_id=bust_of(exec_id),
        account=taken.account,
        perm_id=taken.perm_id,
        order_id=taken.broker_order_id,
        client_id=taken.client_id,
        contract=ContractFacts(
            con_id=taken.con_id, symbol=taken.symbol, security_type=taken.security_type, currency=taken.currency
        ),
        side=taken.side,
        quantity=Decimal(0),
        price=taken.price,
        time_text=cancel.time_text,
        executed_at=cancel.executed_at,
        order_ref=stamps.stamped(order.order_ref, order.stamp) if order is not None and order.stamp else "",
        raw=_said(cancel),
    )
    if fills.record(fill, source=ExecutionSource.FLEX, origin=_origin(fill, session)) is not fills.Outcome.KNOWN:
        result.busts += 1


def _charge(batch: list[FlexTrade], result: Result) -> None:
    """Add what an execution on record cost, where nothing is on record of it."""
    executed = Execution.objects.filter(exec_id__in={trade.exec_id for trade in batch})
    known = set(executed.values_list("account", "exec_id"))
    rows = [
        Commission(
            exec_id=trade.exec_id,
            amount=trade.commission.quantize(STORED),
            currency=trade.commission_currency,
            raw=_said(trade),
            recorded_at=timezone.now(),
        )
        for trade in batch
        if trade.commission is not None and (trade.account, trade.exec_id) in known
    ]
    fills.keep_commissions(rows)
    result.commissions += len(rows)


def _said(trade: FlexTrade) -> list[str]:
    """As wire messages are kept: what kind of message it is, then its fields."""
    return ["Flex statement", *(f"{name}={text}" for name, text in trade.raw.items())]


def _origin(fill: fills.Fill, session: str) -> journal.Origin:
    return journal.Origin(actor=Actor.BROKER, session=session, raw=fill.raw)
