"""A bundle of the trail that can be checked without us."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Max

from audit import chain as chains
from audit import exporting, keys, verify
from audit.models import Entry
from audit.moments import moment
from audit.record import record_site
from audit.signing import NotRead, read_back


class Command(BaseCommand):
    help = (
        "Write entries of the audit trail with the checkpoints that cover them, proofs and the public key into a new "
        f"directory. Who receives it checks it with {Path(verify.__file__).name} alone, one file that needs Python and "
        "nothing else. An order can be shown without the entries of others. That it was exported is written in the "
        "trail first, and is not in the bundle."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="is made, and must not exist")
        parser.add_argument("--account", default="", help="only the chain of this account")
        parser.add_argument("--order", type=int, help="only what is about this order")
        parser.add_argument("--since", type=moment, metavar="TIME", help="recorded then or later (UTC)")
        parser.add_argument("--until", type=moment, metavar="TIME", help="recorded before then (UTC)")
        parser.add_argument(
            "--checkpoint",
            type=Path,
            metavar="FILE",
            help="signed checkpoints, in a file or a directory; without it, those of AUDIT_SINKS",
        )
        parser.add_argument("--actor", default="SYSTEM", help="for whom, as the trail will say")

    def handle(self, *_args: Any, directory: Path, actor: str, **options: Any) -> None:
        selection = exporting.Selection(
            chain=chains.of_account(options["account"]) if options["account"] else "",
            subject=f"order:{options['order']}" if options["order"] is not None else "",
            since=options["since"],
            until=options["until"],
            last=Entry.objects.aggregate(last=Max("id"))["last"],
        )
        if not selection.entries().exists():
            raise CommandError("there is nothing of that in the trail")
        if directory.exists():
            raise CommandError(f"{directory} exists already")
        try:
            # Before it is written that there was an export.
            signed = read_back(options["checkpoint"], settings.AUDIT_SINKS, settings.AUDIT_PUBLIC_KEYS)
            verifiers = keys.published(settings.AUDIT_PUBLIC_KEYS)
        except (NotRead, keys.KeyRefused, OSError) as error:
            raise CommandError(str(error)) from error
        what = {name: str(options[name]) for name in ("account", "order", "since", "until") if options[name]}
        record_site("export", actor, {"list": "audit trail", "asked": what})
        try:
            bundle = exporting.write(directory, selection, checkpoints=signed, verifiers=verifiers)
        except OSError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{bundle.entries:,} entries in {directory}; check them with: python {verify.__file__} {directory}"
        )
        if bundle.unproved:
            self.stdout.write(
                f"{bundle.unproved:,} of them are newer than the last checkpoint and cannot be proved: export them "
                "again after the next one"
            )
