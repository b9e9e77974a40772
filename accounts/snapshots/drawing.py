"""A line chart as numbers for an SVG: pure geometry, and nothing of HTML, colours or the database.

Rules: a line breaks where points are missing; the scale is chosen from what is shown, with a little air; money stays
Decimal until it becomes a coordinate.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 92, 12, 12, 28  # of the labels around the plot
Y_TICKS = 5
# Steps between labels of time, and how a moment is written with each.
TIME_STEPS = (
    (timedelta(minutes=10), "%H:%M"),
    (timedelta(hours=1), "%H:%M"),
    (timedelta(hours=3), "%H:%M"),
    (timedelta(days=1), "%d %b"),
    (timedelta(days=7), "%d %b"),
    (timedelta(days=30), "%d %b %Y"),
    (timedelta(days=60), "%b %Y"),
    (timedelta(days=180), "%b %Y"),
    (timedelta(days=730), "%Y"),
)
X_TICKS = 9


class Sample(NamedTuple):
    """`piece` is a place on the time axis that counts up; two samples are joined when their pieces are near."""

    piece: int
    at: datetime
    value: Decimal | None


class Tick(NamedTuple):
    at: float
    label: str


class Dot(NamedTuple):
    x: float
    y: float
    sample: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """`lines` are SVG point lists, one for each stretch without a gap; `dots` the samples, to be read one by one."""

    lines: tuple[str, ...]
    dots: tuple[Dot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    width, height, left, right, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM


def draw(samples: Sequence[Sample], *, begins: datetime, ends: datetime, bridge: int) -> Drawing:
    """`bridge`: how many pieces may lie between two samples that are joined."""
    known = [sample for sample in samples if sample.value is not None]
    low, high, step = _scale([sample.value for sample in known if sample.value is not None])
    span = (ends - begins).total_seconds()

    def x_of(at: datetime) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (at - begins).total_seconds() / span, 1)

    def y_of(value: Decimal) -> float:
        return round(float(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)), 1)

    dots = tuple(Dot(x_of(sample.at), y_of(sample.value), sample) for sample in known if sample.value is not None)
    count = int((high - low) / step)
    return Drawing(
        lines=tuple(_line(stretch) for stretch in _stretches(dots, bridge)),
        dots=dots,
        x_ticks=tuple(Tick(x_of(at), text) for at, text in _times(begins, ends)),
        y_ticks=tuple(Tick(y_of(low + step * n), _money(low + step * n, step)) for n in range(count + 1)),
    )


def _line(stretch: Sequence[Dot]) -> str:
    joined = stretch if len(stretch) > 1 else [*stretch, *stretch]  # one alone is seen by its line's round end
    return " ".join(f"{dot.x},{dot.y}" for dot in joined)


def _stretches(dots: Iterable[Dot], bridge: int) -> list[list[Dot]]:
    stretches: list[list[Dot]] = []
    for dot in dots:
        if not stretches or dot.sample.piece - stretches[-1][-1].sample.piece > bridge:
            stretches.append([])
        stretches[-1].append(dot)
    return stretches


def _scale(values: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    """Lowest and highest label and the step between: round numbers around what is shown."""
    low, high = (min(values), max(values)) if values else (Decimal(0), Decimal(1))
    if low == high:
        air = max(abs(low) / 100, Decimal(1))
        low, high = low - air, high + air
    rough = (high - low) / Y_TICKS
    power = Decimal(10) ** rough.adjusted()
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _times(begins: datetime, ends: datetime) -> list[tuple[datetime, str]]:
    """Round moments in UTC between the two, and how they are written."""
    step, form = next((s for s in TIME_STEPS if (ends - begins) / s[0] <= X_TICKS), TIME_STEPS[-1])
    seconds = step.total_seconds()
    first = math.ceil(begins.timestamp() / seconds)
    last = math.floor(ends.timestamp() / seconds)
    stride = max(1, math.ceil((last - first + 1) / X_TICKS))
    moments = [datetime.fromtimestamp(number * seconds, UTC) for number in range(first, last + 1, stride)]
    return [(at, f"{at:{form}}") for at in moments]


def _money(value: Decimal, step: Decimal) -> str:
    return f"{value:,.{max(0, -step.adjusted())}f}"
