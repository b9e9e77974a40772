"""Is the trail intact, and does the record say what the trail says?"""

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.models import Verification
from audit.moments import moment
from audit.note import Checkpoint
from audit.signing import NotRead, read_back
from audit.verification import Report, Verdict
from database.clock import database_now
from orders.models import Order
from orders.verification import Scope, Verifier

PROGRESS_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Verify the audit trail and compare the record with it. Exit codes: 0 intact; 3 rewritten: entries are not "
        "those that were written; 4 truncated or restored: entries are gone; 5 the record differs from the trail; 1 it "
        "could not be verified. Changes nothing but the note of its last run. Safe to run while orders are placed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", default="", help="only the chain and the orders of this account")
        parser.add_argument("--order", type=int, help="only the entries of this order, and their neighbours")
        parser.add_argument("--since", type=moment, metavar="TIME", help="only what was recorded since then (UTC)")
        parser.add_argument(
            "--checkpoint",
            type=Path,
            metavar="FILE",
            help="signed checkpoints to compare with, in a file or a directory; without it, those of AUDIT_SINKS",
        )
        parser.add_argument("--public-keys", type=Path, default=settings.AUDIT_PUBLIC_KEYS, metavar="FILE")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["order"] is not None and not Order.objects.filter(pk=options["order"]).exists():
            self.stderr.write(f"order {options['order']} is not in the record; looking for it in the trail")
        scope = Scope(account=options["account"], order=options["order"], since=options["since"])
        checkpoints = self._checkpoints(options["checkpoint"], options["public_keys"])
        began_at, began = database_now(), time.monotonic()
        self.told = began if options["verbosity"] > 0 else float("inf")
        report = Verifier(scope, checkpoints, progress=self._progress).run()
        Verification.objects.create(
            began_at=began_at,
            ended_at=database_now(),
            scope=str(scope),
            entries=report.entries,
            verdict=report.verdict.name,
            findings=[finding.words for finding in report.findings],
        )
        self._tell(report, seconds=time.monotonic() - began)

    def _checkpoints(self, path: Path | None, public_keys: Path) -> list[Checkpoint]:
        try:
            signed = read_back(path, settings.AUDIT_SINKS, public_keys)
        except NotRead as error:
            raise CommandError(str(error)) from error
        if not signed:
            self.stderr.write("without checkpoints: a chain that was made anew as a whole would not be noticed")
        return [each.checkpoint for each in signed]

    def _progress(self, line: str) -> None:
        if time.monotonic() - self.told > PROGRESS_SECONDS:
            self.told = time.monotonic()
            self.stderr.write(f"{line} ...")

    def _tell(self, report: Report, *, seconds: float) -> None:
        for finding in report.findings:
            self.stdout.write(self.style.ERROR(f"{finding.verdict.name}: {finding.words}"))
        if report.left_out:
            self.stdout.write(self.style.ERROR(f"and {report.left_out:,} more"))
        rate = f"{report.entries / seconds:,.0f} entries/s" if seconds else ""
        summary = (
            f"{report.entries:,} entries verified in {seconds:.1f} s ({rate}), {report.checkpoints:,} checkpoints fit"
        )
        for name, checkpoint in sorted(report.covered.items()):
            self.stdout.write(f"{name}: signed up to entry {checkpoint.size}, at {checkpoint.time}")
        if report.verdict is not Verdict.INTACT:
            raise CommandError(f"{summary}: {report.verdict.name}", returncode=int(report.verdict))
        self.stdout.write(self.style.SUCCESS(f"{summary}: intact"))
