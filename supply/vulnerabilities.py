"""Looks the pins up among known vulnerabilities: `make audit`.

Rules: fails on what is found and not waived, on a waiver that is over, and where pip-audit itself is broken. That
nobody could be asked is said loudly and fails nothing: a network that is away is no vulnerability. Only a finished
answer about every pin is called clean.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from supply import waivers
from supply.pins import Pin, apart, production_pins
from supply.waivers import Waiver, WaiverError

# pip-audit ends with 1 whatever happened. A finished answer is JSON; else its last words name the error.
NOBODY_ANSWERED = re.compile(
    r"^(requests\.exceptions\.|pip_audit\._service\.interface\.|urllib3\.exceptions\.|ERROR:pip_audit\._cli:Tip: your)"
)


class UnreachableError(Exception):
    """The service that knows vulnerabilities gave no answer."""


class BrokenError(Exception):
    """pip-audit failed by itself."""


class Finding(NamedTuple):
    """A known vulnerability of a pin, under all the names it has."""

    pin: Pin
    names: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no version without it yet"
        return f"{self.pin.name} {self.pin.version}: {' = '.join(self.names)}, {remedy}"


def main(arguments: list[str], today: date, pins: list[Pin]) -> int:
    """Says what is found; 1 where that is not fine."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--osv-url", help="another server that speaks OSV's query")
    parser.add_argument("--waivers", type=Path, default=waivers.FILE)
    given = parser.parse_args(arguments)
    try:
        accepted = waivers.read(given.waivers)
    except WaiverError as error:
        return _say(f"FAILED: {error}")
    over = [waiver for waiver in accepted if waiver.expired(today)]
    for waiver in over:
        _say(f"FAILED: the waiver of {waiver.id} for {waiver.package} ended {waiver.until}: decide anew")
    try:
        findings, missed = look_up(pins, given.osv_url)
    except UnreachableError as error:
        _say(f"WARNING: NOTHING WAS LOOKED UP, {len(pins)} packages are unchecked: {error}")
        return 1 if over else 0
    except BrokenError as error:
        return _say(f"FAILED: pip-audit: {error}")
    if missed:
        _say(f"WARNING: NOT LOOKED UP: {', '.join(f'{pin.name} {pin.version}' for pin in missed)}")
    bad = _judge(findings, [waiver for waiver in accepted if waiver not in over])
    _say(f"{len(pins) - len(missed)} packages looked up, {len(findings)} known vulnerabilities, {bad} not waived")
    return 1 if over or bad else 0


def look_up(pins: list[Pin], osv_url: str | None = None) -> tuple[list[Finding], list[Pin]]:
    """What is known about the pins, and the pins nobody said anything about. Raises UnreachableError, BrokenError."""
    # pip-audit refuses two versions of one package, which pins for several Pythons are.
    answers = [one for part in apart(pins) for one in _ask(part, osv_url)]
    answered = {Pin(one["name"], one["version"]): one["vulns"] for one in answers if "vulns" in one}
    findings = [
        Finding(pin, (each["id"], *each["aliases"]), tuple(each["fix_versions"]))
        for pin, known in answered.items()
        for each in known
    ]
    return findings, [pin for pin in pins if pin not in answered]


def _ask(pins: list[Pin], osv_url: str | None) -> list[dict[str, Any]]:
    # OSV knows what PyPI's own service knows, and has no 404 for a package that pip-audit would pass over as clean.
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv", "--format", "json"]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off", *(["--osv-url", osv_url] if osv_url else [])]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        file.flush()
        process = subprocess.run([*command, "--requirement", file.name], capture_output=True, text=True, check=False)  # noqa: S603
    try:
        answers: list[dict[str, Any]] = json.loads(process.stdout)["dependencies"]
    except ValueError:
        last = (process.stderr.strip().splitlines() or [f"ended with {process.returncode} and said nothing"])[-1]
        raise (UnreachableError if NOBODY_ANSWERED.match(last) else BrokenError)(last[:300]) from None
    return answers


def _judge(findings: list[Finding], accepted: list[Waiver]) -> int:
    """Says what became of each finding and waiver; how many findings are not waived."""
    used: set[Waiver] = set()
    bad = 0
    for finding in findings:
        waiver = next((one for one in accepted if one.covers(finding.pin.name, set(finding.names))), None)
        if waiver is None:
            bad += _say(f"FAILED: {finding}")
        else:
            used.add(waiver)
            _say(f"waived until {waiver.until}: {finding}: {waiver.reason}")
    for waiver in accepted:
        if waiver not in used:
            _say(f"WARNING: the waiver of {waiver.id} for {waiver.package} matches nothing: delete it")
    return bad


def _say(line: str) -> int:
    sys.stdout.write(f"{line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], datetime.now(UTC).date(), production_pins()))
