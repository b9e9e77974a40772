"""The chart of the figures, as SVG: readable on light and dark ground."""

from collections.abc import Sequence
from typing import Protocol

WIDTH, BAR, GAP, LEFT, RIGHT = 760, 16, 22, 220, 90
# Middle tones: they stand off from white as well as from black.
COLOURS = {"floor": "#8a8f98", "peer": "#d9822b", "ours": "#2f8f6b"}
NAMES = {"floor": "the library alone", "peer": "the guide’s design", "ours": "this gateway"}
GROUND = "#7a7f87"


class Figure(Protocol):
    what: str
    who: str
    p50: float
    per_second: float


def draw(rows: Sequence[Figure]) -> str:
    """Bars of p50, on a scale of powers of ten: what is slower than the peer by ten would else hide the rest."""
    from math import log10

    whats = list(dict.fromkeys(row.what for row in rows if any(r.who == "peer" and r.what == row.what for r in rows)))
    shown = [[row for who in COLOURS for row in rows if (row.what, row.who) == (what, who)] for what in whats]
    low = min(row.p50 for group in shown for row in group)
    high = max(row.p50 for group in shown for row in group)
    floor, top = 10 ** int(log10(low) - (low < 1)), high * 1.1

    def length(value: float) -> float:
        return (WIDTH - LEFT - RIGHT) * log10(value / floor) / log10(top / floor)

    lines, y = [], 44
    for what, group in zip(whats, shown, strict=True):
        middle = y + len(group) * BAR / 2 + 4
        lines.append(f'<text x="{LEFT - 12}" y="{middle:.0f}" text-anchor="end">{what}</text>')
        for row in group:
            width = max(2.0, length(row.p50))
            lines.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.0f}" height="{BAR - 3}" rx="2" fill="{COLOURS[row.who]}"/>'
            )
            lines.append(f'<text x="{LEFT + width + 6:.0f}" y="{y + 11}">{_plain(row.p50)} ms</text>')
            y += BAR
        y += GAP
    legend = "".join(
        f'<rect x="{LEFT + 150 * n}" y="10" width="12" height="12" rx="2" fill="{COLOURS[who]}"/>'
        f'<text x="{LEFT + 150 * n + 18}" y="20">{NAMES[who]}</text>'
        for n, who in enumerate(COLOURS)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{GROUND}">'
        "<title>Median time from request to answer, in milliseconds, logarithmic</title>"
        f"{legend}{''.join(lines)}</svg>\n"
    )


def _plain(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
