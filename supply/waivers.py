"""Known vulnerabilities that are accepted for a while: requirements/waivers.toml.

Rules: a waiver names one vulnerability of one package, why it does not hurt here, and the last day it counts. After
that day it is an error, found again or not: somebody has to look.
"""

import tomllib
from datetime import date
from pathlib import Path
from typing import NamedTuple

from supply.pins import REQUIREMENTS, canonical

FILE = REQUIREMENTS / "waivers.toml"
FIELDS = {"id": str, "package": str, "reason": str, "until": date}


class WaiverError(Exception):
    """The file is not as it should be; the text says where."""


class Waiver(NamedTuple):
    """One accepted vulnerability; `until` is the last day it counts."""

    id: str
    package: str
    reason: str
    until: date

    def expired(self, today: date) -> bool:
        return today > self.until

    def covers(self, package: str, names: set[str]) -> bool:
        """Whether it is about that vulnerability, by any of the names it is known under."""
        return self.package == canonical(package) and self.id in names


def read(file: Path = FILE) -> list[Waiver]:
    """The waivers of the file. Raises WaiverError."""
    try:
        tables = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise WaiverError(f"{file.name}: {error}") from error
    if set(tables) - {"waiver"}:
        raise WaiverError(f"{file.name}: only [[waiver]] may stand there, not {', '.join(set(tables) - {'waiver'})}")
    return [_waiver(file.name, number, table) for number, table in enumerate(tables.get("waiver", []), start=1)]


def _waiver(file: str, number: int, table: dict[str, object]) -> Waiver:
    for field, kind in FIELDS.items():
        # A date with a time is a date to Python, and no day to compare with.
        if type(table.get(field)) is not kind or table[field] == "":
            raise WaiverError(f"{file}: waiver {number} needs {field}, a {'date' if kind is date else 'text'}")
    if set(table) - set(FIELDS):
        raise WaiverError(f"{file}: waiver {number} has what nobody reads: {', '.join(set(table) - set(FIELDS))}")
    waiver = Waiver(**table)  # type: ignore[arg-type]
    return waiver._replace(package=canonical(waiver.package))
