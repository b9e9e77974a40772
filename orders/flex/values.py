"""The texts of a Flex file's attributes, read strictly. Pure.

Rules
1. What does not fit is refused with its line, its name and what would be right; nothing is guessed.
2. An attribute that a query leaves out is told from one that is empty: the first is repaired in the query.
3. Dates that two countries read differently are refused. Times carry no zone in Flex files: `zone` is the one the
   account's statements are made in. A time that its clock showed twice, or never, is None; its text is kept.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import NoReturn

from gateway import times
from orders.flex.statement import FlexRefused, plain

LONGEST_TEXT = 255
SHOWN_CHARACTERS = 40  # of a wrong value
# What numeric(34, 18) holds.
DIGITS_BEFORE_POINT = 16
DIGITS_AFTER_POINT = 18
LARGEST_ID = 2**63 - 1
NOTHING = frozenset({"", "-", "--", "N/A"})  # how Flex files write that there is no value

_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][+-]?\d{1,2})?", re.ASCII)
# With every separator that a query can be set to, none included; a zone stands behind some texts.
_MOMENT = re.compile(
    r"(?P<date>\d{8}|\d{4}-\d\d-\d\d)"
    r"(?:(?:;|, ?| |T)?(?P<time>\d{6}|\d\d:\d\d:\d\d)(?: (?P<zone>[A-Za-z_]+(?:/[A-Za-z_]+)*))?)?",
    re.ASCII,
)
_EARLIEST, _LATEST = date(1980, 1, 1), date(2200, 1, 1)


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of one element. Every method raises FlexRefused; `among` are the names one of which must be."""

    line: int
    element: str
    values: dict[str, str]
    zone: tzinfo

    def text(self, *among: str, longest: int = LONGEST_TEXT) -> str:
        """A text that must be there and say something."""
        name, text = self._required(*among)
        if not text:
            self.refuse(f"{name} is empty")
        return self._fitting(name, text, longest)

    def maybe_text(self, name: str, *, longest: int = LONGEST_TEXT) -> str:
        """A text that may be empty, or left out of the query."""
        return self._fitting(name, self.values.get(name, "").strip(), longest)

    def present(self, *among: str, longest: int = LONGEST_TEXT) -> str:
        """A text that may be empty, but that the query must not leave out."""
        name, text = self._required(*among)
        return self._fitting(name, "" if text in NOTHING else text, longest)

    def number(self, *among: str) -> Decimal:
        name, text = self._required(*among)
        return self._decimal(name, text)

    def maybe_number(self, *among: str) -> Decimal | None:
        """A number that may be missing, with the name under which it is there."""
        for name in among:
            text = self.values.get(name, "").strip()
            if text not in NOTHING:
                return self._decimal(name, text)
        return None

    def identifier(self, name: str) -> int:
        found = self.maybe_identifier(name)
        if found is None:
            self._required(name)
            self.refuse(f"{name} is empty")
        return found

    def maybe_identifier(self, *among: str) -> int | None:
        for name in among:
            text = self.values.get(name, "").strip()
            if text in NOTHING:
                continue
            if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= LARGEST_ID):
                self.refuse(f"{name}={_shown(text)} is not an id")
            return int(text)
        return None

    def day(self, *among: str) -> date:
        """A date; the time that may follow it is left alone."""
        name, text = self._required(*among)
        return self._moment(name, text)[0]

    def moment(self, text: str, *, name: str) -> datetime | None:
        """A date and time in UTC; None where there is only a date, or where the clock showed the time not once."""
        day, clock, named = self._moment(name, text)
        if clock is None:
            return None
        zone = self.zone if named is None else times.zone(named)
        if zone is None:
            self.refuse(f"{name}={_shown(text)} names a time zone that is not known")
        wall = datetime.combine(day, clock, zone)
        first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
        return first if first == second else None

    def refuse(self, reason: str) -> NoReturn:
        raise FlexRefused(self.line, f"{self.element}: {reason}")

    def _required(self, *among: str) -> tuple[str, str]:
        named = [(name, self.values[name].strip()) for name in among if name in self.values]
        if not named:
            self.refuse(f"{' or '.join(among)} is missing: add the field to the query")
        return next((pair for pair in named if pair[1]), named[0])

    def _fitting(self, name: str, text: str, longest: int) -> str:
        if len(text) > longest:
            self.refuse(f"{name} is longer than {longest} characters")
        return text

    def _decimal(self, name: str, text: str) -> Decimal:
        if not _NUMBER.fullmatch(text):
            self.refuse(f"{name}={_shown(text)} is not a number")
        number = Decimal(text.replace(",", ""))
        if not number:
            return Decimal(0)
        if number.adjusted() >= DIGITS_BEFORE_POINT:
            self.refuse(f"{name}={_shown(text)} is larger than anything that is traded")
        _, _, decimals = plain(number).partition(".")
        if len(decimals) > DIGITS_AFTER_POINT:
            self.refuse(f"{name}={_shown(text)} has more than {DIGITS_AFTER_POINT} decimals")
        return number

    def _moment(self, name: str, text: str) -> tuple[date, time | None, str | None]:
        form = _MOMENT.fullmatch(text)
        if form is None:
            self.refuse(
                f"{name}={_shown(text)} is not a date that can be told for sure: "
                "set the query's date format to yyyyMMdd or yyyy-MM-dd, its time format to HHmmss or HH:mm:ss"
            )
        try:
            day = date.fromisoformat(form["date"])
            clock = time.fromisoformat(form["time"]) if form["time"] else None
        except ValueError:
            self.refuse(f"{name}={_shown(text)} is no day of the calendar, or no time of the day")
        if not _EARLIEST <= day <= _LATEST:
            self.refuse(f"{name}={_shown(text)} is not of our time")
        return day, clock, form["zone"]


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…")
