"""Show the limits of accounts, or set some of them."""

import getpass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.limits import changing, values
from accounts.limits.changing import EVERY, InvalidLimits
from accounts.limits.models import LimitVersion
from accounts.limits.values import LIMITS, Limit, Limits

NO_LIMIT = "none"


class Command(BaseCommand):
    help = (
        "Show what limits hold, or set some: the others stay as they are, each change is a new version with its "
        "reason, and it holds from the next order on. Exit code 1: nothing was changed, the line says why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("show", help="what holds now")
        show.add_argument("account", nargs="?", help="of this account only")
        change = actions.add_parser("set", help="change some limits")
        change.add_argument("account", nargs="?", default=EVERY, help="not given: every account without its own")
        for limit in LIMITS:
            change.add_argument(
                option(limit), dest=limit.name, metavar=metavar(limit), help=limit.help_text.replace("%", "%%")
            )
        change.add_argument("--reason", required=True, help="why; recorded with who you are")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["action"] == "show":
            self._show(options["account"])
        else:
            self._set(options["account"], options)

    def _show(self, account: str | None) -> None:
        own = LimitVersion.objects.exclude(account=EVERY).order_by("account").values_list("account", flat=True)
        for name in [account] if account else [EVERY, *own.distinct()]:
            self._tell(name, changing.in_force(name))

    def _tell(self, account: str, limits: Limits) -> None:
        whose = account or "Every account without limits of its own"
        standing = f"version {limits.version}" if limits.version else "nobody has set any: the mode's defaults"
        if limits.version and limits.account != account:
            standing += " of those for every account"
        self.stdout.write(self.style.MIGRATE_HEADING(f"{whose}: {standing}"))
        for name, words in values.in_words(limits).items():
            self.stdout.write(f"  {name.replace('_', '-'):18} {words}")

    def _set(self, account: str, options: dict[str, Any]) -> None:
        given = {limit: options[limit.name] for limit in LIMITS if options[limit.name] is not None}
        if not given:
            raise CommandError("Name at least one limit: see manage.py limits set --help")
        try:
            changes = {limit.name: _value(limit, text) for limit, text in given.items()}
            row = changing.change(account, changes, by=f"command:{getpass.getuser()}", reason=options["reason"])
        except InvalidLimits as problem:
            name = f"--{problem.field.replace('_', '-')}: " if problem.field else ""
            raise CommandError(f"{name}{problem} Nothing was changed.") from problem
        self._tell(account, row.values())


def option(limit: Limit) -> str:
    """How a limit is named on the command line."""
    return f"--{limit.name.replace('_', '-')}"


def metavar(limit: Limit) -> str:
    """What stands for its value there."""
    words = {"decimal": "N", "count": "N", "symbols": "A,B", "types": "A,B", "yes/no": "yes|no"}[limit.kind]
    return words if limit.kind == "yes/no" else f"{words}|{NO_LIMIT}"


def _value(limit: Limit, text: str) -> Any:
    text = text.strip()
    if limit.kind == "yes/no":
        return {"yes": True, "no": False}.get(text.lower(), text)
    if text.lower() == NO_LIMIT:
        return None
    if limit.kind in ("symbols", "types"):
        return text.split(",")
    try:
        return Decimal(text) if limit.kind == "decimal" else int(text)
    except (InvalidOperation, ValueError):
        return text
