"""The key that signs checkpoints."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from audit import keys
from audit.note import BadNote
from audit.record import record_site


class Command(BaseCommand):
    help = (
        "Create, rotate or show the key that signs checkpoints of the audit trail. The private key stays in "
        f"{settings.AUDIT_KEY_FILE}; give the public key, which is what is printed, to those who verify."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["create", "rotate", "show"])
        parser.add_argument("--name", default=settings.AUDIT_ORIGIN, help="names the key and its checkpoints' origin")

    def handle(self, *_args: Any, action: str, name: str, **_options: Any) -> None:
        path, public = settings.AUDIT_KEY_FILE, settings.AUDIT_PUBLIC_KEYS
        try:
            match action:
                case "create":
                    with transaction.atomic():  # begins first: while the database is away no file is changed
                        signer = keys.create(path, public, name=name)
                        record_site("checkpoint key created", "SYSTEM", {"key": str(signer.verifier)})
                case "rotate":
                    with transaction.atomic():
                        old, signer = keys.rotate(path, public)
                        record_site("checkpoint key rotated", "SYSTEM", {"old": str(old), "key": str(signer.verifier)})
            for verifier in keys.published(public):
                self.stdout.write(str(verifier))
        except (keys.KeyRefused, BadNote, OSError) as error:
            raise CommandError(str(error)) from error
