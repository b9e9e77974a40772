"""Our book, read from the record: what there is to compare with what the broker has just said.

Read in the thread that applies reports (see `hearing`), so it asks little: a page of what the broker has just told; and
at the last end marker the orders that work here, that the broker named or that have a break, and the executions of
the day, but for what was found to agree in a page.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Sum, When
from django.utils import timezone

from orders.breaks import register
from orders.breaks.books import (
    AccountContract,
    AccountExecution,
    BrokerBook,
    Holding,
    OurBook,
    OurExecution,
    OurOrder,
    Standing,
    Terms,
)
from orders.breaks.models import LIVE, AnchoredHolding, Break, PositionAnchor
from orders.breaks.vocabulary import Source
from orders.families import FIRST_REVISION
from orders.models import NOT_AT_REST, Execution, Order, later_words
from orders.stamps import MARK, split
from orders.vocabulary import OrderStatus as S
from orders.vocabulary import Side, TimeInForce

STANDINGS = {
    S.NEW: Standing.WORKING,
    S.PARTIALLY_FILLED: Standing.WORKING,
    S.PENDING_CANCEL: Standing.WORKING,
    S.FILLED: Standing.FILLED,
    S.CANCELED: Standing.ENDED,
    S.EXPIRED: Standing.ENDED,
    S.REJECTED: Standing.ENDED,
    S.DENIED: Standing.NEVER_PLACED,
    S.NOT_PLACED: Standing.NEVER_PLACED,
}  # the others are on their way, or recovery's to clear up
WORKING = [status for status, standing in STANDINGS.items() if standing is Standing.WORKING]
# What is told of them below: of a long day there are many thousand.
ORDER_COLUMNS = (
    *("account", "perm_id", "symbol", "stamp", "status", "quantity", "limit_price", "stop_price"),
    *("filled_quantity", "time_in_force", "received_at"),
)
EXECUTION_COLUMNS = (
    *("account", "exec_id", "family", "symbol", "side", "quantity", "price"),
    *("executed_at", "recorded_at"),
)
SIGNED = Case(When(side=Side.BUY, then=F("quantity")), default=-F("quantity"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the broker answers for: the accounts of its login, the trading day that began at `day_began`.

    Executions told since `listed_since` are expected in its list of the day; None near midnight, when the two clocks
    may not agree which day it is.
    """

    accounts: frozenset[str]
    client_id: int
    day_began: datetime
    listed_since: datetime | None


class Reader:
    """Reads our side of what the broker speaks of, in one run."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._watched = register.watched(Source.BROKER)

    def named(self, theirs: BrokerBook) -> OurBook:
        """Only what `theirs` names."""
        rows = _known(self._scope).filter(exec_id__in=[exec_id for _, exec_id in theirs.executions])
        orders = _named(theirs, self._scope, {})
        return OurBook(
            read_at=timezone.now(),
            accounts=self._scope.accounts,
            orders=tuple(_our_order(row, self._scope) for row in orders.values()),
            executions={
                (row.account, row.exec_id): _our_execution(row, listed_today=False)
                for row in rows
                if (row.account, row.exec_id) in theirs.executions
            },
            watched=self._watched,
        )

    def whole(self, theirs: BrokerBook) -> OurBook:
        """All there is to compare, but for what was found to agree."""
        scope = self._scope
        today = dict(_today(scope))
        anchors = list(PositionAnchor.objects.filter(account__in=scope.accounts))
        orders = _orders(theirs, scope, executed={pk for pk in today.values() if pk is not None})
        return OurBook(
            read_at=timezone.now(),
            accounts=scope.accounts,
            orders=tuple(_our_order(row, scope) for row in orders),
            executions=_executions(theirs, scope, today=today.keys() - theirs.agreed_executions),
            orphans=tuple(_our_execution(row, listed_today=False) for row in _orphans(scope)),
            anchored=frozenset(anchor.account_id for anchor in anchors),
            holdings=_holdings(anchors),
            watched=register.watched(Source.BROKER),
        )


def _orders(theirs: BrokerBook, scope: Scope, *, executed: Set[int]) -> Iterable[Order]:
    orders = Order.objects.filter(account__in=scope.accounts).only(*ORDER_COLUMNS)
    working = orders.filter(NOT_AT_REST, status__in=WORKING)
    found = _named(theirs, scope, {row.pk: row for row in working if row.pk not in theirs.agreed_orders})
    broken = Break.objects.filter(LIVE, source=Source.BROKER, order__isnull=False).values("order")
    wanted = executed - found.keys() - theirs.agreed_orders
    found |= {order.pk: order for order in orders.filter(pk__in=wanted)}
    found |= {order.pk: order for order in orders.filter(pk__in=broken)}
    return found.values()


def _named(theirs: BrokerBook, scope: Scope, found: dict[int, Order]) -> dict[int, Order]:
    """With the orders that `theirs` names, by permId or stamp, and that were not found yet."""
    orders = Order.objects.filter(account__in=scope.accounts).only(*ORDER_COLUMNS)
    named = {(order.account_id, order.perm_id) for order in found.values()}
    missing = {perm_id for account, perm_id in theirs.orders if (account, perm_id) not in named}
    called = orders.filter(perm_id__in=missing)
    found |= {order.pk: order for order in called if (order.account_id, order.perm_id) in theirs.orders}
    stamps = {order.stamp for order in theirs.orders.values() if order.stamp}
    missing_stamps = stamps - {order.stamp for order in found.values()}
    return found | {order.pk: order for order in orders.filter(stamp__in=missing_stamps)}


def _known(scope: Scope) -> QuerySet[Execution]:
    return Execution.objects.filter(account__in=scope.accounts).only(*EXECUTION_COLUMNS)


def _today(scope: Scope) -> Iterable[tuple[int, int | None]]:
    """The executions of the day, each with its order."""
    rows = Execution.objects.filter(account__in=scope.accounts, executed_at__gte=scope.day_began)
    return rows.values_list("pk", "order_id").iterator(chunk_size=10_000)


def _executions(theirs: BrokerBook, scope: Scope, *, today: Set[int]) -> dict[AccountExecution, OurExecution]:
    """Corrected and corrections alike: the broker may list either."""
    rows = list(_known(scope).filter(pk__in=today))
    rest = {exec_id for _, exec_id in theirs.executions} - {row.exec_id for row in rows}
    if rest:
        # Those whose time could not be read, or that a gateway listed from another day.
        rows += _known(scope).filter(exec_id__in=rest)
    families = _agreed_families(rows, theirs)
    return {
        (row.account, row.exec_id): _our_execution(
            row, listed_today=_is_listed_today(row, scope) and (row.account, row.family) not in families
        )
        for row in rows
    }


def _agreed_families(rows: Iterable[Execution], theirs: BrokerBook) -> set[tuple[str, str]]:
    """Trades of which the broker lists another word than `rows`, one that was found to agree."""
    if not theirs.agreed_executions:
        return set()
    places = {row.account for row in rows}, {row.family for row in rows}
    told = Execution.objects.filter(account__in=places[0], family__in=places[1]).values_list("pk", "account", "family")
    return {(account, family) for pk, account, family in told if pk in theirs.agreed_executions}


def _is_listed_today(row: Execution, scope: Scope) -> bool:
    since, at = scope.listed_since, row.executed_at
    return since is not None and row.recorded_at >= since and at is not None and at >= scope.day_began


def _orphans(scope: Scope) -> QuerySet[Execution]:
    """Executions of ours, by stamp or client id, that belong to no order on record."""
    known = Order.objects.filter(account_id=OuterRef("account"), perm_id=OuterRef("perm_id"))
    ours = Q(order_ref__contains=MARK) | Q(client_id=scope.client_id)
    counted = Execution.objects.effective().filter(order__isnull=True, account__in=scope.accounts)
    rows = counted.filter(~Exists(known), ours).defer("raw")
    stamped = [row.pk for row in rows if row.client_id == scope.client_id or split(row.order_ref)[1] is not None]
    return rows.filter(pk__in=stamped)


def _holdings(anchors: Iterable[PositionAnchor]) -> dict[AccountContract, Holding]:
    """What should be held: what the anchors say, and what was executed since."""
    held: dict[AccountContract, Holding] = {}

    def add(account: str, contract: dict[str, Any], quantity: Decimal) -> None:
        before = held.get((account, contract["con_id"]))
        held[account, contract["con_id"]] = Holding(
            symbol=contract["symbol"],
            security_type=contract["security_type"],
            quantity=quantity + (before.quantity if before is not None else 0),
        )

    columns = ("con_id", "symbol", "security_type")
    for anchor in anchors:
        beginnings = AnchoredHolding.objects.filter(anchor=anchor).values(*columns).annotate(total=Sum("quantity"))
        for row in beginnings.order_by():
            add(anchor.account_id, row, row["total"])
        for row in _executed_since(anchor).values(*columns).annotate(total=Sum(SIGNED)).order_by():
            add(anchor.account_id, row, row["total"])
        for execution, before in _corrected_since(anchor):
            contract = {column: getattr(execution, column) for column in columns}
            add(anchor.account_id, contract, _signed(execution) - _signed(before))
    return held


def _last_words_since(anchor: PositionAnchor) -> QuerySet[Execution]:
    """What counts of the trades told of since, busts included: there the last word is that nothing was executed."""
    return Execution.objects.filter(~Exists(later_words()), account=anchor.account_id, recorded_at__gt=anchor.taken_at)


def _executed_since(anchor: PositionAnchor) -> QuerySet[Execution]:
    """Without what came on record late: it was executed before, and the anchor's positions hold it already."""
    # IB tells times in whole seconds: of the anchor's own second, what was not on record then came after it.
    after = Q(executed_at__isnull=True) | Q(executed_at__gte=anchor.taken_at.replace(microsecond=0))
    return _last_words_since(anchor).filter(after).exclude(Exists(_told_before(anchor)))


def _corrected_since(anchor: PositionAnchor) -> Iterable[tuple[Execution, Execution]]:
    """What the anchor's positions hold and was corrected since, with what it was then."""
    for execution in _last_words_since(anchor).filter(Exists(_told_before(anchor)), revision__gt=FIRST_REVISION):
        told = Execution.objects.filter(account=execution.account, family=execution.family)
        before = told.filter(recorded_at__lte=anchor.taken_at).order_by("-revision").first()
        assert before is not None  # that is what was asked for
        yield execution, before


def _told_before(anchor: PositionAnchor) -> QuerySet[Execution]:
    return Execution.objects.filter(
        account=OuterRef("account"), family=OuterRef("family"), recorded_at__lte=anchor.taken_at
    )


def _our_order(row: Order, scope: Scope) -> OurOrder:
    return OurOrder(
        pk=row.pk,
        account=row.account_id,
        perm_id=row.perm_id,
        symbol=row.symbol,
        stamp=row.stamp,
        standing=STANDINGS.get(S(row.status)),
        status=row.get_status_display(),
        terms=Terms(quantity=row.quantity, limit_price=row.limit_price, stop_price=row.stop_price),
        filled=row.filled_quantity,
        lapses=row.time_in_force == TimeInForce.DAY and row.received_at < scope.day_began,
    )


def _our_execution(row: Execution, *, listed_today: bool) -> OurExecution:
    return OurExecution(
        pk=row.pk,
        account=row.account,
        exec_id=row.exec_id,
        symbol=row.symbol,
        quantity=_signed(row),
        price=row.price,
        listed_today=listed_today,
    )


def _signed(execution: Execution) -> Decimal:
    return execution.quantity if execution.side == Side.BUY else -execution.quantity
