"""When the day's executions are asked for. Pure: every time comes in as an argument.

Rules
1. Whether it is time follows from when they were last asked for and nothing else: a bell that is lost, late or rung
   twice does no harm, and what failed is due again at once.
2. What the gateway forgets at a known moment, at its midnight or with a restart, is asked for shortly before it.
"""

from collections.abc import Iterable
from datetime import datetime, time, timedelta, tzinfo

# Once well before the gateway forgets, and once more as late as an answer may be hoped for.
BEFORE_IT_FORGETS = (timedelta(seconds=60), timedelta(seconds=10))


def due(
    now: datetime,
    *,
    last: datetime | None,
    working: bool,
    while_working: timedelta,
    at_rest: timedelta,
    forgets: Iterable[datetime],
) -> str:
    """Why to ask now, in words; empty when there is no need. `last` is when the last answered question was put."""
    if last is None or last > now:  # a clock was set back, or it is another machine's
        return "they were not asked for yet"
    for moment in sorted(forgets):
        if any(last < moment - early <= now < moment for early in BEFORE_IT_FORGETS):
            return f"the gateway forgets them at {moment:%H:%M} UTC"
    if working and now - last >= while_working:
        return "orders work"
    return "it has been a while" if now - last >= at_rest else ""


def next_midnight(now: datetime, zone: tzinfo) -> datetime:
    """When the gateway's day ends, by the clocks of its zone."""
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time.min, zone)


def last_midnight(now: datetime, zone: tzinfo) -> datetime:
    """When the gateway's day began."""
    return datetime.combine(now.astimezone(zone).date(), time.min, zone)
