"""Statements of the broker into the record, from files."""

from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.breaks import statements
from orders.flex import differences
from orders.flex.importing import Outcome, import_file
from orders.flex.models import FlexStatement
from orders.flex.statement import FlexRefused

ROWS_PER_REPORT = 10_000
DIFFERENCES_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Import Flex statements (activity or trade confirmation, XML). Each file is imported as a whole or refused "
        "with the line and the reason; what was imported before changes nothing. Executions that are not on record "
        "are added; where a statement differs from the record, the differences are listed. "
        "The exit code is 1 when any file was refused; the others are imported all the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="+", type=Path, help="an XML file of a Flex query")
        parser.add_argument(
            "--dry-run", action="store_true", help="look at everything and say what would come of it; store nothing"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        refused = 0
        for path in options["file"]:
            try:
                outcome = self._import(path, dry_run=options["dry_run"], quiet=options["verbosity"] == 0)
            except OSError as problem:
                refused += 1
                self.stderr.write(self.style.ERROR(f"{path}: cannot be read: {problem.strerror}"))
            except FlexRefused as refusal:
                refused += 1
                self.stderr.write(self.style.ERROR(f"{path}: refused, nothing was stored: {refusal}"))
            else:
                self._tell(path, outcome, dry_run=options["dry_run"])
        count = len(options["file"])
        opened = 0 if options["dry_run"] or refused == count else statements.look().opened.total()
        if opened:
            self.stdout.write(self.style.WARNING(f"{opened:,} breaks opened: see the work list in the admin"))
        if refused:
            raise CommandError(f"{refused:,} of {count:,} files were refused", returncode=1)
        verb = "would be imported" if options["dry_run"] else "imported"
        self.stdout.write(self.style.SUCCESS(f"{count:,} files {verb}"))

    def _import(self, path: Path, *, dry_run: bool, quiet: bool) -> Outcome:
        reported = 0

        def progress(rows: int) -> None:
            nonlocal reported
            if rows - reported >= ROWS_PER_REPORT and not quiet:
                reported = rows
                self.stdout.write(f"{path}: {rows:,} rows so far ...")

        with path.open("rb") as file:
            return import_file(file, name=path.name, actor="import_flex", dry_run=dry_run, progress=progress)

    def _tell(self, path: Path, outcome: Outcome, *, dry_run: bool) -> None:
        for line in [*outcome.statements, *outcome.lines()]:
            self.stdout.write(f"{path}: {line}")
        if dry_run:
            return
        for statement in FlexStatement.objects.filter(file=outcome.sha256).order_by("account", "period_from"):
            found = differences.of_statement(statement)
            for difference in islice(found, DIFFERENCES_SHOWN):
                self.stdout.write(self.style.WARNING(f"{path}: {difference}"))
            more = sum(1 for _ in found)
            if more:
                self.stdout.write(self.style.WARNING(f"{path}: and {more:,} differences more"))
