"""The second factor of a user, by hand: the first one of an installation, or the end of a lost one."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.logins import factor

ACTOR = "SYSTEM"  # a command: no person is known


class Command(BaseCommand):
    help = (
        "enrol USER: a new second factor in the place of any there was; prints its address for an authenticator app "
        "and ten recovery codes, once. reset USER: take it away; where one is required, the next login sets up another."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["enrol", "reset"])
        parser.add_argument("user")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}.")
        if options["action"] == "reset":
            had = factor.reset(user, actor=ACTOR)
            self.stdout.write("The second factor is taken away." if had else "There was none.")
            return
        device, codes = factor.enrol(user, actor=ACTOR)
        self.stdout.write("Put this into an authenticator app:\n" + device.config_url)
        self.stdout.write("Recovery codes, each for one login:\n" + "\n".join(codes))
