"""The table in docs/reliability.md, written from the tables of the tests: `python -m tests.faults.pages`."""

import importlib
import os
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
NAMES = ("web", "worker", "wire", "gateway", "servers", "cancel", "halt", "access", "load", "clocks")
MODULES = tuple(f"test_{name}" for name in NAMES)
PROMISES = {
    1: "Nothing is lost",
    2: "Nothing is placed twice",
    3: "We do not guess",
    4: "Every fill once",
    5: "A halt stops",
}


def fault_table() -> str:
    """Every fault of the tables: the promise, what is broken, what happens, and which test shows it."""
    lines = ["| Promise | Fault | What happens | Test |", "|---|---|---|---|"]
    for number, promise in PROMISES.items():
        for name in MODULES:
            module = importlib.import_module(f"tests.faults.{name}")
            for fault in module.FAULTS:
                if fault.promise == number:
                    known = " (known not to hold yet)" if fault.finding else ""
                    test = f"`{name}.py::{name}[{fault.name}]`"
                    lines.append(f"| {number}. {promise} | {fault.name} | {fault.happens}{known} | {test} |")
    return "\n".join(lines)


def variant_table() -> str:
    """The broken variants of the protocol, and the invariant that finds each out."""
    from tests.faults.broken_worker import VARIANTS
    from tests.faults.test_variants import SCENARIOS

    lines = ["| Rule taken out | What the worker does instead | Found out by |", "|---|---|---|"]
    for name, variant in VARIANTS.items():
        found_by = ", ".join(sorted(SCENARIOS[name][1], key=lambda invariant: int(invariant[1:])))
        lines.append(f"| {name.replace('-', ' ')} | {variant.__doc__} | {found_by} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page as it should be."""
    from orders.management.commands.write_tables import with_part

    return with_part(with_part(page, "faults", fault_table()), "variants", variant_table())


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ibkr_site.settings")
    django.setup()
    PAGE.write_text(written(PAGE.read_text()))


if __name__ == "__main__":
    main()
