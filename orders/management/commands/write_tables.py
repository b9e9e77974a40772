"""The parts of docs/ that are taken from the code: `python manage.py write_tables`.

Rules: a page keeps its generated part between two marker comments, and everything outside of them is written by hand;
what stands in the docs about a row of the lifecycle is that row's own comment.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.diagnosis import ADVICE, Finding
from accounts.limits import values
from alarms.vocabulary import MEANINGS
from gateway.error_codes import ERROR_CODES, Effect
from orders import lifecycle
from orders.vocabulary import FINAL, EventKind, OrderStatus

# `(S.NEW, E.FILL): S.FILLED,  # why`
ROW = re.compile(r"^ {4}\(S\.(\w+), E\.(\w+)\): S\.\w+,(?:  # (.*))?$", re.MULTILINE)
# What may come at any time and never moves an order.
NOTES = (EventKind.ERROR_REPORTED, EventKind.TRADE_CORRECTED, EventKind.UNEXPECTED)
FILLS = (EventKind.PARTIAL_FILL, EventKind.FILL)
EFFECTS = {
    Effect.REJECTED: "the order becomes REJECTED, acknowledged or not, unless partly filled; the broker is asked",
    Effect.REJECTS: "the order becomes REJECTED if it was not acknowledged yet; else a note; the broker is asked",
    Effect.CANCEL_CONFIRMED: "a note; the status that comes beside it decides",
    Effect.CANCEL_REFUSED: "the cancellation is refused; the broker is asked what the order is",
    Effect.RECOVER: "a note; it contradicts what we know, so nothing is concluded and the broker is asked",
    Effect.WARNING: "a note; the order is live",
}

Edge = tuple[str, str, str]  # from, to, event


def reasons() -> dict[tuple[str, str], str]:
    """The comments of the table's rows."""
    return {(status, kind): why for status, kind, why in ROW.findall(inspect.getsource(lifecycle))}


def diagram(edges: Iterable[Edge]) -> str:
    """A mermaid state diagram; events that lead the same way share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for start, end, kind in edges:
        if start != end:
            arrows[start, end].append(kind.lower().replace("_", " "))
    lines = [f"    {start} --> {end}: {', '.join(kinds)}" for (start, end), kinds in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def edges(*, usual: bool) -> list[Edge]:
    """The usual way of an order, or what leads out of a status in which nothing more was expected."""
    begin = [("[*]", "RECEIVED", EventKind.RECEIVED), ("[*]", "DENIED", EventKind.DENIED)] if usual else []
    never_sent = (OrderStatus.RECEIVED, OrderStatus.DENIED)
    found: list[Edge] = [*begin]
    for (start, kind), end in lifecycle.TABLE.items():
        late = start in FINAL or start is OrderStatus.IN_DOUBT or (start in never_sent and kind in FILLS)
        if late is not usual:
            found.append((start, end, kind))
    return found


def lifecycle_table() -> str:
    """Every row of the table but the notes."""
    why = reasons()
    lines = ["| In status | comes | and leads to | because |", "|---|---|---|---|"]
    for status in OrderStatus:
        for (start, kind), end in lifecycle.TABLE.items():
            if start is status and kind not in NOTES:
                lines.append(f"| {start} | {kind} | {end} | {why.get((start, kind), '')} |")
    return "\n".join(lines)


def error_code_table() -> str:
    """Every code that is listed, with what it does."""
    lines = ["| Code | Says | Effect | What that means here |", "|---:|---|---|---|"]
    for code, (meaning, effect) in sorted(ERROR_CODES.items()):
        lines.append(f"| {code} | {meaning} | {effect} | {EFFECTS[effect]} |")
    return "\n".join(lines)


def session_table() -> str:
    """What may be wrong with the session, and what to do."""
    lines = ["| `problem` | On the page | What to do |", "|---|---|---|"]
    for finding, (words, what_to_do) in ADVICE.items():
        if finding is not Finding.IN_ORDER:
            lines.append(f"| `{finding}` | {words} | {what_to_do} |")
    return "\n".join(lines)


def alarm_table() -> str:
    """Every kind of alarm, and what to do."""
    lines = ["| `kind` | On the page | Severity | Is over | What to do |", "|---|---|---|---|---|"]
    for kind, meaning in MEANINGS.items():
        over = "with its condition" if meaning.lasting else "when it is acknowledged"
        lines.append(f"| `{kind}` | {kind.label} | {meaning.severity.label.lower()} | {over} | {meaning.what_to_do} |")
    return "\n".join(lines)


def limit_table() -> str:
    """Every limit, how it is set, and what holds before anybody set it."""
    lines = ["| Limit | With `manage.py limits set` | What it means | Paper | Live |", "|---|---|---|---|---|"]
    paper, live = values.in_words(values.PAPER), values.in_words(values.LIVE)
    for name, label, words, _ in values.LIMITS:
        lines.append(f"| {label} | `--{name.replace('_', '-')}` | {words} | {paper[name]} | {live[name]} |")
    return "\n".join(lines)


def parts() -> dict[tuple[str, str], str]:
    """(page below docs/, name of the part) -> its text."""
    return {
        ("lifecycle.md", "usual"): diagram(edges(usual=True)),
        ("lifecycle.md", "late"): diagram(edges(usual=False)),
        ("lifecycle.md", "table"): lifecycle_table(),
        ("error-codes.md", "table"): error_code_table(),
        ("operations.md", "session"): session_table(),
        ("limits.md", "table"): limit_table(),
        ("alarms.md", "alarms"): alarm_table(),
    }


def with_part(page: str, name: str, text: str) -> str:
    """The page with that part replaced. Raises: ValueError where the page has no place for it."""
    begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no part {begin} … {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


class Command(BaseCommand):
    help = "Write the parts of docs/ that are taken from the code."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own form
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        for (name, part), text in parts().items():
            path = Path(settings.BASE_DIR) / "docs" / name
            path.write_text(with_part(path.read_text(), part, text))
            self.stdout.write(f"docs/{name}: {part}")
