"""Halt trading from the command line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.halts import switch
from accounts.halts.models import Scope
from alarms.notes import InvalidNote


def add_scope(parser: CommandParser) -> None:
    """What a halt is about: exactly one of these."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="everything")
    for scope in (Scope.ACCOUNT, Scope.SYMBOL, Scope.KEY):
        which.add_argument(f"--{scope.lower()}", metavar=scope, default="")


def scope_of(options: dict[str, Any]) -> tuple[Scope, str]:
    for scope in (Scope.ACCOUNT, Scope.SYMBOL, Scope.KEY):
        if options[scope.lower()]:
            return scope, options[scope.lower()]
    return Scope.ALL, ""


class Command(BaseCommand):
    help = (
        "Halt trading: from its commit on no order is sent within the scope; what waits is withdrawn. Orders at the "
        "broker stay there: cancel them in the admin or with POST /api/v1/halts. Cancellations are never halted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope(parser)
        parser.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        scope, value = scope_of(options)
        try:
            row = switch.halt(scope, value, reason=options["reason"], actor=switch.SYSTEM)
        except (switch.HaltError, InvalidNote) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{row}, on since {row.halted_at:%Y-%m-%d %H:%M:%S} UTC")
