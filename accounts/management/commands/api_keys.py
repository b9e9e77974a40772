"""API keys, from a terminal."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.access import register
from accounts.access.forms import expiry
from accounts.access.models import ApiKey, Scope
from accounts.access.register import InvalidKeyTerms, NoSuchKey
from accounts.display import moment


class Command(BaseCommand):
    help = (
        "Create, list, rotate and revoke API keys. The key itself is printed once, alone on its line, and stored "
        "nowhere. Each change is written in the audit trail."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        _add_create(verbs.add_parser("create", help="make a key and print it"))
        verbs.add_parser("list", help="all keys, the newest first")
        rotate = verbs.add_parser("rotate", help="give a key a new secret and print it")
        rotate.add_argument("key", help="public id")
        rotate.add_argument(
            "--overlap", type=int, default=0, metavar="SECONDS", help="the old secret is good for so long"
        )
        revoke = verbs.add_parser("revoke", help="end a key, at once and for good")
        revoke.add_argument("key", help="public id")
        for verb in verbs.choices.values():
            verb.add_argument("--actor", default="SYSTEM", help="who does it, as the trail will say")

    def handle(self, *_args: Any, verb: str, actor: str, **options: Any) -> None:
        try:
            getattr(self, f"_{verb}")(options, actor)
        except (InvalidKeyTerms, NoSuchKey) as problem:
            raise CommandError(str(problem)) from problem

    def _create(self, options: dict[str, Any], actor: str) -> None:
        key, credential = register.create(
            name=options["name"],
            grants={scope: options[scope.value] for scope in Scope},
            networks_allowed=options["network"],
            expires_at=expiry(options["days"]),
            actor=actor,
        )
        self.stderr.write(f"Key {key.pk}. This is shown once; keep it where others cannot read it:")
        self.stdout.write(credential.text)

    def _list(self, options: dict[str, Any], actor: str) -> None:
        for key in ApiKey.objects.order_by("-created_at").prefetch_related("grants", "uses"):
            granted = ", ".join(sorted(map(str, key.grants.all())))
            used = max((use.last_used_at for use in key.uses.all()), default=None)
            facts = [f"{key.pk}  {key.name}", granted, f"from {', '.join(key.networks) or 'anywhere'}"]
            facts += [f"expires {moment(key.expires_at)}"] if key.expires_at else []
            facts += [f"last used {moment(used)}"] if used else ["never used"]
            facts += [f"REVOKED {moment(key.revoked_at)}"] if key.revoked_at else []
            self.stdout.write("; ".join(facts))

    def _rotate(self, options: dict[str, Any], actor: str) -> None:
        overlap = timedelta(seconds=options["overlap"])
        key, credential = register.rotate(options["key"], overlap=overlap, actor=actor)
        self.stderr.write(f"Key {key.pk} has a new secret. This is shown once:")
        self.stdout.write(credential.text)

    def _revoke(self, options: dict[str, Any], actor: str) -> None:
        key = register.revoke(options["key"], actor=actor)
        self.stdout.write(f"Key {key.pk} is revoked.")


def _add_create(parser: ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="whose key it is, or what for")
    for scope in Scope:
        parser.add_argument(
            f"--{scope.value}", nargs="+", default=[], metavar="ACCOUNT", help="in these accounts; '*' for all"
        )
    parser.add_argument(
        "--network", nargs="+", default=[], metavar="RANGE", help="only from these addresses or ranges like 10.0.0.0/8"
    )
    parser.add_argument("--days", type=int, help="good for so long; else until it is revoked")
