"""Resume trading that was halted, from the command line. In live mode a person does, in the admin."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.halts import stop_file, switch
from accounts.management.commands.halt import add_scope, scope_of
from alarms.notes import InvalidNote


class Command(BaseCommand):
    help = "End the halt of that scope. Not with TRADING_MODE=live: there a second person resumes, in the admin."

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope(parser)
        parser.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        scope, value = scope_of(options)
        try:
            row = switch.active().filter(scope=scope, value=switch.checked_value(scope, value)).first()
            if row is None:
                raise CommandError("That is not halted. Nothing was changed.")
            switch.resume(row.pk, reason=options["reason"], actor=switch.SYSTEM)
        except (switch.HaltError, InvalidNote) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{row}: resumed")
        for still in switch.active():
            self.stdout.write(self.style.WARNING(f"still on: {still}: {still.reason}"))
        if text := stop_file.found():
            self.stdout.write(self.style.WARNING(f"still on: {text}"))
