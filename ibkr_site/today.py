"""Orders and fills of today for the admin's first page: how many of each sort, and a bar for each hour. Days are UTC.

Rules: the newest COUNTED rows of each are read, by the index of their time; where there are more, that is said. A
drawing is numbers for an SVG: its colours are in review.css, and whoever cannot see it has the figures beside it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from orders.models import Execution, Order
from orders.presentation import with_standing
from orders.vocabulary import OrderStatus, Side

COUNTED = 10_000
HOURS = 24
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 480, 150, 34, 10, 20
GAP = 3  # between two bars
# How the statuses are drawn, from the bottom up; the class of a bar is the word.
SORTS: Mapping[str, frozenset[str]] = {
    "filled": frozenset({OrderStatus.FILLED}),
    "gone": frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.NOT_PLACED}),
    "refused": frozenset({OrderStatus.REJECTED, OrderStatus.DENIED}),
    "doubt": frozenset({OrderStatus.IN_DOUBT}),
}
WORKING = "working"  # all the others


class Bar(NamedTuple):
    """A piece of a bar."""

    sort: str
    x: float
    y: float
    width: float
    height: float
    words: str


class Tick(NamedTuple):
    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`highest`: of the scale."""

    bars: tuple[Bar, ...]
    hours: tuple[Tick, ...]
    highest: int

    width, height, left, top, floor = WIDTH, HEIGHT, LEFT, TOP, HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """`counts` by word, in the order to be shown; `all_counted` is false when there are more than were read."""

    day: str
    counts: Mapping[str, int]
    total: int
    all_counted: bool
    chart: Chart


def orders(now: datetime) -> Today:
    """Those received today, by status."""
    rows = Order.objects.filter(received_at__gte=_midnight(now)).order_by("-received_at", "-pk")
    read = list(rows.values_list("received_at", "status")[:COUNTED])
    counted = Counter(status for _, status in read)
    known = {status.value: counted[status] for status in OrderStatus if counted[status]}
    return _today(now, known, [(at, _sort(status)) for at, status in read], sorts=[*SORTS, WORKING])


def fills(now: datetime) -> Today:
    """Executions of today that count, by side; corrected and busted ones beside them."""
    rows = Execution.objects.filter(executed_at__gte=_midnight(now), executed_at__lte=now)
    newest = with_standing(rows.order_by("-executed_at", "-pk"))
    read = list(newest.values_list("executed_at", "side", "quantity", "is_replaced")[:COUNTED])
    words = [
        (at, "replaced" if replaced else side.lower() if quantity else "busted")
        for at, side, quantity, replaced in read
    ]
    counted = Counter(word for _, word in words)
    shown = [*(side.value.lower() for side in Side), "replaced", "busted"]
    known = {word: counted[word] for word in shown if counted[word]}
    drawn = [(at, word) for at, word in words if word not in ("replaced", "busted")]
    return _today(now, known, drawn, sorts=shown[:-2], read=len(read))


def _today(
    now: datetime,
    counts: Mapping[str, int],
    drawn: Sequence[tuple[datetime, str]],
    *,
    sorts: Sequence[str],
    read: int | None = None,
) -> Today:
    total = sum(counts.values())
    return Today(
        day=f"{now.astimezone(UTC):%Y-%m-%d}",
        counts=counts,
        total=total,
        all_counted=(total if read is None else read) < COUNTED,
        chart=_draw(Counter((at.astimezone(UTC).hour, sort) for at, sort in drawn), sorts),
    )


def _draw(counted: Counter[tuple[int, str]], sorts: Iterable[str]) -> Chart:
    by_hour = Counter[int]()
    for (hour, _), count in counted.items():
        by_hour[hour] += count
    highest = max(by_hour.values(), default=0) or 1
    step = (WIDTH - LEFT) / HOURS
    bars = []
    for hour in range(HOURS):
        y = float(HEIGHT - BOTTOM)
        for sort in sorts:
            if count := counted[hour, sort]:
                height = (HEIGHT - BOTTOM - TOP) * count / highest
                y -= height
                words = f"{hour:02}:00 to {hour + 1:02}:00 UTC: {count} {sort}"
                x = LEFT + hour * step + GAP / 2
                bars.append(Bar(sort, round(x, 1), round(y, 1), round(step - GAP, 1), round(height, 1), words))
    hours = tuple(Tick(round(LEFT + hour * step, 1), f"{hour:02}:00") for hour in range(0, HOURS, 6))
    return Chart(bars=tuple(bars), hours=hours, highest=highest)


def _sort(status: str) -> str:
    return next((sort for sort, statuses in SORTS.items() if status in statuses), WORKING)


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
