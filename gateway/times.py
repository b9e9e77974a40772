"""The broker's time texts, read strictly into aware UTC.

A text that could mean two moments, or none, is None and never a guess: the caller keeps the text. Nothing raises.

    20231116-12:15:35                               UTC, the dash says so
    20230224  12:04:56, 20230224 12:04:56           the gateway's own zone
    20260413 15:27:04 US/Eastern                    an IANA name, legacy ones included
    20260405 23:49:26 Central European Standard Time  a Windows name: what a gateway on Windows says
"""

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

_FORM = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?P<gap>-| {1,2})"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?: (?P<zone>\S(?:.*\S)?))?",
    re.ASCII,
)

# Windows zone names (CLDR's main territory for each), and the abbreviations of one meaning that older gateways use.
# CST is missing on purpose: it is Chicago and Shanghai.
_OTHER_NAMES = {
    "AUS Eastern Standard Time": "Australia/Sydney",
    "Arabian Standard Time": "Asia/Dubai",
    "Argentina Standard Time": "America/Buenos_Aires",
    "Atlantic Standard Time": "America/Halifax",
    "Canada Central Standard Time": "America/Regina",
    "Cen. Australia Standard Time": "Australia/Adelaide",
    "Central Europe Standard Time": "Europe/Budapest",
    "Central European Standard Time": "Europe/Warsaw",
    "Central Standard Time": "America/Chicago",
    "Central Standard Time (Mexico)": "America/Mexico_City",
    "China Standard Time": "Asia/Shanghai",
    "Coordinated Universal Time": "UTC",
    "E. Australia Standard Time": "Australia/Brisbane",
    "E. Europe Standard Time": "Europe/Chisinau",
    "E. South America Standard Time": "America/Sao_Paulo",
    "Eastern Standard Time": "America/New_York",
    "Egypt Standard Time": "Africa/Cairo",
    "FLE Standard Time": "Europe/Kiev",
    "GMT Standard Time": "Europe/London",
    "GTB Standard Time": "Europe/Bucharest",
    "Greenwich Standard Time": "Atlantic/Reykjavik",
    "Hawaiian Standard Time": "Pacific/Honolulu",
    "India Standard Time": "Asia/Calcutta",
    "Israel Standard Time": "Asia/Jerusalem",
    "Korea Standard Time": "Asia/Seoul",
    "Mountain Standard Time": "America/Denver",
    "New Zealand Standard Time": "Pacific/Auckland",
    "Newfoundland Standard Time": "America/St_Johns",
    "Pacific Standard Time": "America/Los_Angeles",
    "Romance Standard Time": "Europe/Paris",
    "Russian Standard Time": "Europe/Moscow",
    "SA Pacific Standard Time": "America/Bogota",
    "SE Asia Standard Time": "Asia/Bangkok",
    "Singapore Standard Time": "Asia/Singapore",
    "South Africa Standard Time": "Africa/Johannesburg",
    "Taipei Standard Time": "Asia/Taipei",
    "Tokyo Standard Time": "Asia/Tokyo",
    "Turkey Standard Time": "Europe/Istanbul",
    "US Eastern Standard Time": "America/Indianapolis",
    "US Mountain Standard Time": "America/Phoenix",
    "UTC": "UTC",
    "W. Australia Standard Time": "Australia/Perth",
    "W. Europe Standard Time": "Europe/Berlin",
    "West Asia Standard Time": "Asia/Tashkent",
    "CEST": "Europe/Berlin",
    "EDT": "America/New_York",
    "EST": "America/New_York",
    "HKT": "Asia/Hong_Kong",
    "JST": "Asia/Tokyo",
    "MDT": "America/Denver",
    "PDT": "America/Los_Angeles",
    "PST": "America/Los_Angeles",
}


def zone(name: str) -> tzinfo | None:
    """The zone of an IANA or Windows name, None when there is no such zone."""
    try:
        return ZoneInfo(_OTHER_NAMES.get(name, name))
    except (KeyError, ValueError, OSError):  # unknown; not a key at all ("../x"); a directory ("America")
        return None


def parse(text: str, *, local: tzinfo | None = None) -> datetime | None:
    """The moment a time text names. `local` is the gateway's own zone, for texts that carry none."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    where: tzinfo | None
    if form["gap"] == "-":
        # The dash form is UTC by definition; a zone that says otherwise makes it two texts in one.
        where = UTC if form["zone"] in (None, "UTC", "GMT") else None
    else:
        where = zone(form["zone"]) if form["zone"] else local
    if where is None:
        return None
    year, month, day, hour, minute, second = (int(form[part]) for part in _PARTS)
    try:
        return _the_one(datetime(year, month, day, hour, minute, second, tzinfo=where))
    except (ValueError, OverflowError):  # no such day; beyond the calendar once moved to UTC
        return None


_PARTS = ("year", "month", "day", "hour", "minute", "second")


def _the_one(wall: datetime) -> datetime | None:
    """That wall clock time in UTC, unless the clock showed it twice (autumn) or never (spring)."""
    first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    return first if first == second else None


def zone_of(text: str) -> tzinfo | None:
    """The zone a time text names, as the handshake's connection time does."""
    form = _FORM.fullmatch(text)
    return zone(form["zone"]) if form and form["zone"] else None
