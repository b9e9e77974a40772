"""The pins: every package with its version, of every Python version and platform.

Rules: a version that only another Python installs counts too, since the image may be that Python.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
PRODUCTION = "base"  # what `make run` and the image install
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[a-z0-9,_-]+\])?==([^\s;\\]+)", re.MULTILINE)


class Pin(NamedTuple):
    """A package, its name as indexes spell it (`ib-insync`), and one version."""

    name: str
    version: str


def canonical(name: str) -> str:
    """The spelling under which two names of one package are equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def production_pins() -> list[Pin]:
    """What runs in production, by name."""
    return pins_in((REQUIREMENTS / f"{PRODUCTION}.txt").read_text())


def pins_in(text: str) -> list[Pin]:
    """The pins of a compiled file, by name, a package once per version."""
    return sorted({Pin(canonical(name), version) for name, version in _PIN.findall(text)})


def apart(pins: Iterable[Pin]) -> list[list[Pin]]:
    """The pins in as many lists as are needed for no list to name a package twice."""
    lists: list[dict[str, Pin]] = []
    for pin in pins:
        free = next((one for one in lists if pin.name not in one), None)
        if free is None:
            lists.append(free := {})
        free[pin.name] = pin
    return [list(one.values()) for one in lists]
