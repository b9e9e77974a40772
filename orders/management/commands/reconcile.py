"""Compare our books with the broker's now, and say what differs."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import GatewaySession
from orders.breaks import runs
from orders.breaks.models import OPEN, Break, ReconciliationRun
from orders.breaks.vocabulary import RunOutcome

LOOK_SECONDS = 0.25
COMPARED = ("orders", "executions", "positions")
NOBODY = "no gateway worker took it up: is one running, and does it own the session?"


class Command(BaseCommand):
    help = (
        "Ask the gateway's worker to compare orders, executions and positions with the broker's, wait for the result "
        "and list the open breaks. Exit code 0: the books agree. 1: there are open breaks. 2: the broker could not be "
        "asked, so nothing was opened or closed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--gateway", default=settings.GATEWAY_NAME, help="name of the gateway (default: %(default)s)"
        )
        parser.add_argument(
            "--wait", type=float, default=60.0, metavar="SECONDS", help="how long to wait (default: %(default)g)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        gateway = options["gateway"]
        if not GatewaySession.objects.filter(pk=gateway).exists():
            known = ", ".join(GatewaySession.objects.values_list("pk", flat=True)) or "none so far"
            raise CommandError(
                f"no worker of a gateway named {gateway} has reported yet (known: {known})", returncode=2
            )
        run = runs.request(gateway, by="command")
        self._say(f"Asked the worker of {gateway} for {run} ...", options)
        run = self._finished(run, options)
        if run.outcome != RunOutcome.COMPLETE:
            raise CommandError(f"{run} failed, nothing was opened or closed: {run.reason}", returncode=2)
        self._report(run)

    def _finished(self, run: ReconciliationRun, options: dict[str, Any]) -> ReconciliationRun:
        deadline = time.monotonic() + options["wait"]
        said = False
        while run.finished_at is None:
            if time.monotonic() >= deadline:
                if run.started_at is None and runs.withdraw(run.pk, reason=NOBODY):
                    raise CommandError(f"{run} was given up after {options['wait']:g} s: {NOBODY}", returncode=2)
                raise CommandError(
                    f"{run} is still running after {options['wait']:g} s: see it in the admin, or wait longer",
                    returncode=2,
                )
            time.sleep(LOOK_SECONDS)
            run.refresh_from_db()
            if run.started_at is not None and not said:
                said = True
                self._say("The worker asks the broker; new differences are looked at twice ...", options)
        return run

    def _report(self, run: ReconciliationRun) -> None:
        compared = ", ".join(f"{run.compared[what]:,} {what}" for what in COMPARED)
        opened, closed = sum(run.opened.values()), sum(run.closed.values())
        self.stdout.write(f"Compared {compared}: {opened} opened, {closed} closed.")
        rows = list(Break.objects.filter(OPEN).order_by("severity", "opened_at"))
        for row in rows:
            line = f"{row.get_severity_display()}: break {row.pk}, {row}, account {row.account}"
            self.stdout.write(self.style.ERROR(f"{line}: expected {row.expected}, actual {row.actual}"))
        if rows:
            raise CommandError(f"{len(rows)} open break{'s' * (len(rows) > 1)}: see /admin/orders/break/", returncode=1)
        self.stdout.write(self.style.SUCCESS("The books agree."))

    def _say(self, text: str, options: dict[str, Any]) -> None:
        if options["verbosity"] > 0:
            self.stdout.write(text)
