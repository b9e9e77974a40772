"""What two books say of orders. Pure."""

from collections import Counter
from collections.abc import Iterator

from orders.breaks.books import (
    NOT_HERE,
    NOT_LISTED,
    BrokerBook,
    ListedOrder,
    OurBook,
    OurOrder,
    Point,
    Standing,
    Terms,
    Value,
    text,
)
from orders.breaks.vocabulary import BreakKind as K
from orders.breaks.vocabulary import Severity

NO_PRICE = "no price"


def listed(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    """Orders that the broker lists, and ours, which it may not."""
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
        yield _known_there(order, listed=theirs.lists(order) or order.pk in listed_here)
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


def no_longer_listed(ours: OurBook, theirs: BrokerBook) -> Iterator[Point]:
    """Completed orders are listed for a day: later our book may still come to say what the broker said last."""
    for order in ours.orders:
        if order.standing is None or theirs.lists(order):
            continue
        for point in (
            _figure(order, K.STATUS, "Status", expected=order.standing, actual=order.standing),
            _filled(order, actual=order.filled),
        ):
            if ours.watched.get(point.id) == text(point.expected):
                yield point
        if order.standing is not Standing.WORKING:
            yield from _terms_that_bind_nobody(order)
