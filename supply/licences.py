"""The licences of what runs, on a page: `make licences`, and `make check` refuses what is not allowed or not on it.

Rules: a licence is what the installed package declares; nobody is asked. A pin that this Python does not install keeps
its row of the page, which another Python wrote.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

from supply.pins import Pin, canonical, production_pins

PAGE = Path(__file__).parents[1] / "docs" / "licences.md"
HEAD = """# Licences

What the running system is made of and under which licence, as each package declares it. `make licences` writes this
page and `make check` refuses a licence that is not allowed in `supply/licences.py`.

| package | version | licence |
|---|---|---|
"""
# Any of these lets the system be run, changed and passed on.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense",
    "Zlib",
    # The same as older packages say it.
    "Apache Software License", "BSD License", "MIT License", "Python Software Foundation License",
    # The driver of the database: imported as it is, not changed and not copied from.
    "LGPL-3.0-only",
}  # fmt: skip
_ROW = re.compile(r"^\| ([a-z0-9-]+) \| (\S+) \| (.+) \|$", re.MULTILINE)


def main(arguments: list[str], page: Path = PAGE) -> int:
    """Write the page, or with --check compare it; 1 with the reasons where something is not fine."""
    before = page.read_text() if page.exists() else ""
    licences = collect(production_pins(), before)
    wrong = refused(licences)
    if arguments == ["--check"]:
        wrong += ["docs/licences.md is old: run `make licences`"] if rendered(licences) != before else []
    else:
        page.write_text(rendered(licences))
    sys.stdout.write("".join(f"{line}\n" for line in wrong) or f"{len(licences)} licences are allowed\n")
    return 1 if wrong else 0


def collect(pins: list[Pin], page: str) -> dict[Pin, str]:
    """The licence of each pin, as installed or else as the page has it; empty where neither knows it."""
    written = {Pin(name, version): licence for name, version, licence in _ROW.findall(page)}
    installed = {Pin(canonical(one.name), one.version): declared(one.metadata) for one in metadata.distributions()}
    return {pin: installed.get(pin) or written.get(pin, "") for pin in pins}


def declared(about: metadata.PackageMetadata) -> str:
    """What the package says of its licence: the expression, else its classifiers, else the first line of the text."""
    if "License-Expression" in about:
        return about["License-Expression"]
    classifiers = [each.split(" :: ") for each in about.get_all("Classifier") or ()]
    names = sorted(parts[-1] for parts in classifiers if parts[0] == "License")
    text = about.get_all("License") or [""]
    return " AND ".join(names) or text[0].partition("\n")[0]


def allowed(licence: str) -> bool:
    """Whether all that is required is allowed, where a choice is given any of it. Brackets are not understood: no."""
    return all(any(each.strip() in ALLOWED for each in part.split(" OR ")) for part in licence.split(" AND "))


def refused(licences: dict[Pin, str]) -> list[str]:
    """A line for each pin whose licence is not allowed or not known."""
    unknown = "not installed here and not on the page: run `make licences` on the Python that installs it too"
    return [
        f"{pin.name} {pin.version}: {f'{licence!r} is not allowed' if licence else unknown}"
        for pin, licence in licences.items()
        if not allowed(licence)
    ]


def rendered(licences: dict[Pin, str]) -> str:
    """The page."""
    return HEAD + "".join(f"| {pin.name} | {pin.version} | {licence or '?'} |\n" for pin, licence in licences.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
