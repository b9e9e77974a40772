"""Let somebody try again who was locked out of the admin."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.logins import lockout


class Command(BaseCommand):
    help = "Forget the failed logins of a user name, of an address, or of everybody (--all)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user")
        parser.add_argument("--address")
        parser.add_argument("--all", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not (options["user"] or options["address"] or options["all"]):
            raise CommandError("Say whom: --user NAME, --address ADDRESS, or --all.")
        count = lockout.unlock(actor="SYSTEM", username=options["user"], address=options["address"])
        self.stdout.write(f"{count} failed logins are forgotten.")
