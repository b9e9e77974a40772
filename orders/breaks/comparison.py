"""Two books held against each other. Pure.

Rules
1. A point is looked at only where both sides can speak of it; what the broker lists no longer is neither agreed nor
   different, unless our book came to say what the broker said last.
2. One cause, one difference: where the status differs, the figures that follow from it are not looked at.
3. A new difference counts only when a second look confirms it; a watched break closes only on agreement.
"""

from collections.abc import Iterable
from itertools import chain

from orders.breaks import order_points, trade_points
from orders.breaks.books import BreakId, BrokerBook, Comparison, OurBook, Point


def compare(ours: OurBook, theirs: BrokerBook) -> Comparison:
    """Every difference between the two books, and the watched breaks that are none any more."""
    points = chain(
        order_points.listed(ours, theirs),
        order_points.no_longer_listed(ours, theirs),
        trade_points.executions(ours, theirs),
        trade_points.orphans(ours),
        trade_points.positions(ours, theirs),
    )
    return _sorted_out(points, ours)


def agree(ours: OurBook, theirs: BrokerBook) -> bool:
    """Whether the orders and executions of both books agree, with no watched break among what was looked at.

    Where one side cannot say how an order stands, nothing agrees.
    """
    standings = chain((mine.standing for mine in ours.orders), (listed.standing for listed in theirs.orders.values()))
    if None in standings:
        return False
    points = chain(
        order_points.listed(ours, theirs),
        order_points.no_longer_listed(ours, theirs),
        trade_points.executions(ours, theirs),
    )
    return all(point.agrees and point.id not in ours.watched for point in points)


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
    differences: dict[BreakId, Point] = {}
    agreed: set[BreakId] = set()
    for point in points:
        if not point.agrees:
            differences.setdefault(point.id, point)
        elif point.id in ours.watched:
            agreed.add(point.id)
    return Comparison(differences=tuple(differences.values()), agreed=frozenset(agreed - differences.keys()))
