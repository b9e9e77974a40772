"""When the gateway is away by plan, and no order may be on its way to it: nightly restart, weekly login, weekend.

Rules
1. Pure: times come in as arguments and settings as text; nothing here reads a clock.
2. A pause begins `guard` before its event: a gateway that restarts can lose an order already written to it.
3. Wall clocks are those of the named zone. A time that a change of clocks skips counts as the moment after the gap;
   one that comes twice is taken both times.
4. An empty calendar pauses nothing: the paper gateway runs all the time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY, WEEK = timedelta(days=1), timedelta(days=7)

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_DAY = "|".join(DAYS)
_DAILY = re.compile(rf"(?P<at>{_CLOCK}) (?P<zone>\S+)", re.ASCII)
_WEEKLY = re.compile(rf"(?P<day>{_DAY}) (?P<at>{_CLOCK}) (?P<zone>\S+)", re.ASCII)
_SPAN = re.compile(rf"(?P<day>{_DAY}) (?P<at>{_CLOCK}) ?- ?(?P<last>{_DAY}) (?P<till>{_CLOCK}) (?P<zone>\S+)", re.ASCII)


class Kind(StrEnum):
    """Why the gateway is away."""

    RESTART = "RESTART"
    LOGIN = "LOGIN"
    WEEKEND = "WEEKEND"


WORDS = {
    Kind.RESTART: "the gateway's nightly restart",
    Kind.LOGIN: "the gateway's weekly login",
    Kind.WEEKEND: "the gateway's weekend",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """No order leaves from `begins` (the guard included) until `ends`; the gateway goes away at `event`. UTC."""

    kind: Kind
    begins: datetime
    event: datetime
    ends: datetime

    @property
    def reason(self) -> str:
        """For clients and pages: what it is, and until when."""
        return f"no orders are sent during {WORDS[self.kind]}, until {self.ends:%a %H:%M} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A pause that comes again: daily, or on `weekday` (0 is Monday). It ends `lasts` later, or at a wall clock."""

    kind: Kind
    zone: ZoneInfo
    at: time
    weekday: int | None = None
    lasts: timedelta = timedelta(0)
    until: tuple[int, time] | None = None  # weekday and wall clock, in the place of `lasts`

    def around(self, moment: datetime, *, guard: timedelta) -> Iterator[Pause]:
        """Every pause that covers the moment or begins within the week after it."""
        day = moment.astimezone(self.zone).date()
        for offset in range(-8, 9):  # a weekly one may have begun a week ago and still go on
            start = day + timedelta(days=offset)
            if self.weekday in (None, start.weekday()):
                yield from self._on(start, guard=guard)

    def _on(self, day: date, *, guard: timedelta) -> Iterator[Pause]:
        for event in _moments(day, self.at, self.zone):
            yield Pause(kind=self.kind, begins=event - guard, event=event, ends=self._end(day, event))

    def _end(self, day: date, event: datetime) -> datetime:
        if self.until is None:
            return event + self.lasts
        weekday, clock = self.until
        later = (weekday - day.weekday()) % 7
        if later == 0 and clock <= self.at:
            later = 7
        return _moments(day + timedelta(days=later), clock, self.zone)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """All windows of one gateway."""

    windows: tuple[Window, ...] = ()
    guard: timedelta = timedelta(0)

    def pause(self, moment: datetime) -> Pause | None:
        """The pause that covers the moment; of several, the one that ends last."""
        covering = [pause for pause in self._around(moment) if pause.begins <= moment < pause.ends]
        return max(covering, key=lambda pause: pause.ends, default=None)

    def following(self, moment: datetime) -> Pause | None:
        """The next pause that begins after the moment."""
        return min((p for p in self._around(moment) if p.begins > moment), key=lambda p: p.begins, default=None)

    def last(self, moment: datetime) -> Pause | None:
        """The latest pause that began by the moment, over or not; of the past week."""
        return max((p for p in self._around(moment) if p.begins <= moment), key=lambda p: p.begins, default=None)

    def _around(self, moment: datetime) -> Iterator[Pause]:
        for window in self.windows:
            yield from window.around(moment, guard=self.guard)


def daily(kind: Kind, text: str, *, lasts: timedelta) -> Window:
    """`23:45 America/New_York`. Raises: ValueError, with the form that is understood."""
    found = _DAILY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not understood: write it as 23:45 America/New_York")
    return Window(kind=kind, zone=_zone(found["zone"]), at=time.fromisoformat(found["at"]), lasts=lasts)


def weekly(kind: Kind, text: str, *, lasts: timedelta) -> Window:
    """`Sun 01:00 America/New_York`. Raises: ValueError."""
    found = _WEEKLY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not understood: write it as Sun 01:00 America/New_York")
    at, weekday = time.fromisoformat(found["at"]), DAYS.index(found["day"])
    return Window(kind=kind, zone=_zone(found["zone"]), at=at, weekday=weekday, lasts=lasts)


def span(kind: Kind, text: str) -> Window:
    """`Fri 23:00 - Sun 18:00 America/New_York`. Raises: ValueError."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not understood: write it as Fri 23:00 - Sun 18:00 America/New_York")
    begins = (DAYS.index(found["day"]), time.fromisoformat(found["at"]))
    ends = (DAYS.index(found["last"]), time.fromisoformat(found["till"]))
    if begins == ends:
        raise ValueError(f"{text!r} begins where it ends")
    return Window(kind=kind, zone=_zone(found["zone"]), at=begins[1], weekday=begins[0], until=ends)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; no name at all; a directory of the zone files
        raise ValueError(f"{name} is no time zone: use a name like America/New_York or UTC") from None


def _moments(day: date, clock: time, zone: ZoneInfo) -> list[datetime]:
    """The moments, in UTC, at which the zone's clocks show that time on that day: one, or two when they are set back.

    One that they skip is read by the clock of before the gap, which makes it the same distance after it.
    """
    local = [datetime.combine(day, clock.replace(fold=fold), zone) for fold in (0, 1)]
    first, second = (moment.astimezone(UTC) for moment in local)
    skipped = first.astimezone(zone).time() != clock
    return [first] if first == second or skipped else [first, second]
