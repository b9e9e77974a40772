"""Two books held against each other. Pure.

Rules
1. A point is looked at only where both sides can speak of it; what the broker lists no longer is neither agreed nor
   different, unless our book came to say what the broker said last.
2. One cause, one difference: where the status differs, the figures that follow from it are not looked at.
3. A new difference counts only when a second look confirms it; a watched break closes only on agreement.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain

from orders.breaks.books import (
    BrokerBook,
    Comparison,
    Holding,
    ListedExecution,
    ListedOrder,
    OurBook,
    OurExecution,
    OurOrder,
    Point,
    Standing,
    Terms,
    Value,
    text,
)
from orders.breaks.vocabulary import BreakKind as K
from orders.breaks.vocabulary import Severity

ZERO = Decimal(0)
NOT_LISTED = "not listed"
NOT_HERE = "no record"
NO_PRICE = "no price"
# Exchanged currencies and combinations are executed and never listed as a position.
NEVER_HELD = frozenset({"CASH", "BAG"})


def compare(ours: OurBook, theirs: BrokerBook) -> Comparison:
    """Every difference between the two books, and the watched breaks that are none any more."""
    points = chain(
        _orders(ours, theirs),
        _orders_no_longer_listed(ours, theirs),
        _executions(ours, theirs),
        _orphans(ours),
        _positions(ours, theirs),
    )
    return _sorted_out(points, ours)


def confirmed(first: Comparison, second: Comparison, ours: OurBook) -> Comparison:
    """What two looks, one after the other, agree in; of breaks that are watched already the second alone decides."""
    seen = {point.id: point for point in first.differences}
    kept = [
        point
        for point in second.differences
        if point.id in ours.watched or (point.id in seen and point.is_same_difference(seen[point.id]))
    ]
    return Comparison(differences=tuple(kept), agreed=second.agreed)


def news(found: Comparison, ours: OurBook) -> bool:
    """Whether there is a difference that a second look would have to confirm."""
    return any(point.id not in ours.watched for point in found.differences)


def _sorted_out(points: Iterable[Point], ours: OurBook) -> Comparison:
    differences: dict[tuple[str, str], Point] = {}
    agreed = set()
    for point in points:
        if not point.agrees:
            differences.setdefault(point.id, point)
        elif point.id in ours.watched:
            agreed.add(point.id)
    return Comparison(differences=tuple(differences.values()), agreed=frozenset(agreed - differences.keys()))


# Orders


def _orders(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    by_perm_id = {(order.account, order.perm_id): order for order in ours.orders if order.perm_id is not None}
    by_stamp = {order.stamp: order for order in ours.orders if order.stamp is not None}
    listed_here = set()
    for listed in theirs.orders.values():
        stamped = by_stamp.get(listed.stamp) if listed.stamp is not None else None
        order = by_perm_id.get((listed.account, listed.perm_id))
        if stamped is not None and stamped.perm_id in (None, listed.perm_id):
            order = stamped
        yield _known_here(listed, order)
        if order is not None:
            if listed.stamp is not None and order is not stamped:
                yield _stamped_twice(listed, stamped) if stamped is not None else _stamp_unknown(listed)
            listed_here.add(order.pk)
            yield from _both(order, listed)
    for order in ours.orders:
        named = (order.account, order.perm_id) in theirs.orders
        yield _known_there(order, listed=named or order.pk in listed_here)
        yield _overfill(order)
    yield from _duplicates(ours)


def _known_here(listed: ListedOrder, order: OurOrder | None) -> Point:
    there = f"permId {listed.perm_id}"
    return Point(
        kind=K.MISSING_HERE,
        key=f"{listed.account} order {listed.perm_id}",
        account=listed.account,
        symbol=listed.symbol,
        subject=f"Order {listed.perm_id}",
        expected=there if order is not None else NOT_HERE,
        actual=there,
        order_pk=order.pk if order is not None else None,
    )


def _stamp_unknown(listed: ListedOrder) -> Point:
    return Point(
        kind=K.MISSING_HERE,
        key=f"{listed.account} stamp {listed.stamp} {listed.perm_id}",
        account=listed.account,
        symbol=listed.symbol,
        subject=f"Order with our stamp {listed.stamp}",
        expected=NOT_HERE,
        actual=f"permId {listed.perm_id}",
    )


def _stamped_twice(listed: ListedOrder, stamped: OurOrder) -> Point:
    """Two orders at the broker carry one stamp: the second is on record as if somebody else had placed it."""
    return Point(
        kind=K.DUPLICATE_PERM_ID,
        key=f"{listed.account} stamp {listed.stamp} {listed.perm_id}",
        account=listed.account,
        symbol=listed.symbol,
        subject=f"Orders with the stamp {listed.stamp}",
        expected=f"permId {stamped.perm_id}",
        actual=f"permId {listed.perm_id} as well",
        order_pk=stamped.pk,
    )


def _duplicates(ours: OurBook) -> Iterator[Point]:
    named = [order for order in ours.orders if order.perm_id is not None]
    count = Counter((order.account, order.perm_id) for order in named)
    for order in named:
        orders = count[order.account, order.perm_id]
        yield Point(
            kind=K.DUPLICATE_PERM_ID,
            key=f"{order.account} {order.perm_id}",
            account=order.account,
            symbol=order.symbol,
            subject=f"permId {order.perm_id}",
            expected=f"{orders} order" + ("s" if orders > 1 else ""),
            actual="1 order",
            order_pk=order.pk,
        )


def _known_there(order: OurOrder, *, listed: bool) -> Point:
    missing = order.standing is Standing.WORKING and not listed
    return Point(
        kind=K.MISSING_AT_BROKER,
        key=f"order {order.pk}",
        account=order.account,
        symbol=order.symbol,
        subject=f"Order {order.perm_id}",
        expected=order.status,
        actual=NOT_LISTED if missing else order.status,
        severity=Severity.WARNING if order.lapses else Severity.CRITICAL,
        order_pk=order.pk,
    )


def _overfill(order: OurOrder) -> Point:
    ordered = order.terms.quantity
    return _figure(
        order, K.OVERFILL, "Ordered and filled quantity", expected=ordered, actual=max(ordered, order.filled)
    )


def _both(order: OurOrder, listed: ListedOrder) -> Iterator[Point]:
    """An order that both sides have."""
    if order.standing is None or listed.standing is None:
        return
    works_there_alone = listed.standing is Standing.WORKING
    severity = Severity.CRITICAL if works_there_alone else Severity.WARNING
    yield _figure(order, K.STATUS, "Status", expected=order.standing, actual=listed.standing, severity=severity)
    if order.standing is not listed.standing:
        return
    if listed.filled is not None:
        yield _filled(order, actual=listed.filled)
    if listed.terms is None or order.standing is not Standing.WORKING:
        yield from _terms_that_bind_nobody(order)
    else:
        yield from _terms(order, order.terms, listed.terms)


def _filled(order: OurOrder, *, actual: Value) -> Point:
    # Of an order placed elsewhere the fills of earlier days cannot be known here: the broker lists one day.
    severity = Severity.WARNING if order.stamp is None else Severity.CRITICAL
    return _figure(order, K.QUANTITY, "Filled quantity", expected=order.filled, actual=actual, severity=severity)


def _terms(order: OurOrder, here: Terms, there: Terms) -> Iterator[Point]:
    for kind, subject, expected, actual in (
        (K.QUANTITY, "Ordered quantity", here.quantity, there.quantity),
        (K.PRICE, "Limit price", here.limit_price, there.limit_price),
        (K.PRICE, "Stop price", here.stop_price, there.stop_price),
    ):
        yield _figure(
            order,
            kind,
            subject,
            expected=NO_PRICE if expected is None else expected,
            actual=NO_PRICE if actual is None else actual,
            severity=Severity.WARNING,
        )


def _terms_that_bind_nobody(order: OurOrder) -> Iterator[Point]:
    """An order that is over asks for nothing any more: whatever it was, nobody differs."""
    yield from _terms(order, order.terms, order.terms)


def _figure(
    order: OurOrder,
    kind: K,
    subject: str,
    *,
    expected: Value,
    actual: Value,
    severity: Severity = Severity.CRITICAL,
) -> Point:
    return Point(
        kind=kind,
        key=f"order {order.pk} {subject.lower()}",
        account=order.account,
        symbol=order.symbol,
        subject=f"{subject} of order {order.perm_id}",
        expected=expected,
        actual=actual,
        severity=severity,
        order_pk=order.pk,
    )


def _orders_no_longer_listed(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    """Completed orders are listed for a day: later our book may still come to say what the broker said last."""
    for order in ours.orders:
        if order.standing is None or (order.account, order.perm_id) in theirs.orders:
            continue
        for point in (
            _figure(order, K.STATUS, "Status", expected=order.standing, actual=order.standing),
            _filled(order, actual=order.filled),
        ):
            if ours.watched.get(point.id) == text(point.expected):
                yield point
        if order.standing is not Standing.WORKING:
            yield from _terms_that_bind_nobody(order)


# Executions


def _executions(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    for key, listed in theirs.executions.items():
        execution = ours.executions.get(key)
        if execution is None or ours.watched or not _is_the_same(execution, listed):
            yield from _execution(listed, execution)
    families = {(account, _family(exec_id)) for account, exec_id in theirs.executions}
    for (account, exec_id), execution in ours.executions.items():
        listed_there = (account, exec_id) in theirs.executions
        # After a correction the broker may list either, or both.
        if listed_there or (execution.listed_today and (account, _family(exec_id)) not in families):
            yield _execution_known_there(execution, listed=listed_there)


def _is_the_same(execution: OurExecution, listed: ListedExecution) -> bool:
    return (execution.quantity, execution.price) == (listed.quantity, listed.price)


def _execution(listed: ListedExecution, execution: OurExecution | None) -> Iterator[Point]:
    def point(kind: K, subject: str, *, expected: Value, actual: Value) -> Point:
        return Point(
            kind=kind,
            key=f"{listed.account} execution {listed.exec_id} {subject.lower()}".rstrip(),
            account=listed.account,
            symbol=listed.symbol,
            subject=f"{subject} of execution {listed.exec_id}" if subject else f"Execution {listed.exec_id}",
            expected=expected,
            actual=actual,
            execution_pk=execution.pk if execution is not None else None,
        )

    there = f"{text(listed.quantity)} at {text(listed.price)}"
    if execution is None:
        yield point(K.MISSING_HERE, "", expected=NOT_HERE, actual=there)
        return
    yield point(K.MISSING_HERE, "", expected=there, actual=there)
    yield point(K.QUANTITY, "Quantity", expected=execution.quantity, actual=listed.quantity)
    yield point(K.PRICE, "Price", expected=execution.price, actual=listed.price)


def _execution_known_there(execution: OurExecution, *, listed: bool) -> Point:
    here = f"{text(execution.quantity)} at {text(execution.price)}"
    return Point(
        kind=K.MISSING_AT_BROKER,
        key=f"execution {execution.pk}",
        account=execution.account,
        symbol=execution.symbol,
        subject=f"Execution {execution.exec_id}",
        expected=here,
        actual=here if listed else NOT_LISTED,
        execution_pk=execution.pk,
    )


def _family(exec_id: str) -> str:
    """A correction has the same id up to its last dot."""
    return exec_id.rpartition(".")[0] or exec_id


def _orphans(ours: OurBook) -> Iterator[Point]:
    looked_at = set()
    for execution in ours.orphans:
        point = Point(
            kind=K.ORPHAN_FILL,
            key=f"{execution.account} execution {execution.pk}",
            account=execution.account,
            symbol=execution.symbol,
            subject=f"Order of execution {execution.exec_id}",
            expected=NOT_HERE,
            actual=f"{text(execution.quantity)} at {text(execution.price)}",
            execution_pk=execution.pk,
        )
        looked_at.add(point.key)
        yield point
    yield from _vanished(K.ORPHAN_FILL, ours, looked_at, accounts=ours.accounts)


def _vanished(kind: K, ours: OurBook, looked_at: set[str], *, accounts: frozenset[str]) -> Iterator[Point]:
    """Watched breaks of a kind of which everything was read: what is not there any more is no difference."""
    for watched, key in ours.watched:
        account = key.partition(" ")[0]
        if watched == kind and key not in looked_at and account in accounts:
            yield Point(kind=kind, key=key, account=account, symbol="", subject="", expected=NOT_HERE, actual=NOT_HERE)


# Positions


def _positions(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    looked_at = set()
    for account, con_id in {**ours.holdings, **theirs.holdings}:
        here, there = ours.holdings.get((account, con_id)), theirs.holdings.get((account, con_id))
        known = here or there
        assert known is not None  # it came from one of the two
        if account not in ours.anchored or known.security_type in NEVER_HELD:
            continue
        nothing = Holding(symbol=known.symbol, security_type=known.security_type, quantity=ZERO)
        point = Point(
            kind=K.POSITION,
            key=f"{account} contract {con_id}",
            account=account,
            symbol=known.symbol,
            subject=f"Position in {known.symbol}",
            expected=(here or nothing).quantity,
            actual=(there or nothing).quantity,
            con_id=con_id,
            security_type=known.security_type,
        )
        looked_at.add(point.key)
        yield point
    yield from _vanished(K.POSITION, ours, looked_at, accounts=ours.anchored)
