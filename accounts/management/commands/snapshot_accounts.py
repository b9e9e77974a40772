"""Keep what the accounts are worth and hold now: what beat rings for, by hand."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.display import moment, money
from accounts.models import GatewaySession
from accounts.snapshots import taking
from accounts.snapshots.models import AccountSnapshot
from database import clock


class Command(BaseCommand):
    help = (
        "Keep a snapshot of every account: its figures and positions as the gateway worker holds them now. "
        "The schedule (SNAPSHOT_SECONDS) has a moment for each snapshot, and for one that has its snapshot nothing is "
        "done. Nothing is asked of the broker, and nothing is stored while the worker is not connected. "
        "Exit code 1 means that no snapshot was taken; the line says why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--again", action="store_true", help="take one now, whether or not there is one for the schedule's moment"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        gateway = settings.GATEWAY_NAME
        session = GatewaySession.objects.filter(pk=gateway).first()
        if session is None:
            raise CommandError("No snapshot was taken: no gateway worker has ever run; start one with make run")
        due_at = clock.database_now() if options["again"] else taking.latest_moment(session)
        try:
            taken = taking.take(gateway, due_at=due_at)
        except taking.Skipped as skipped:
            taking.skip(gateway, due_at=due_at, reason=str(skipped))
            raise CommandError(f"No snapshot was taken: {skipped}") from skipped
        for snapshot in taken.snapshots:
            self.stdout.write(_line(snapshot))
        there = f", {taken.already} already there for {moment(due_at)} UTC (--again takes another)"
        self.stdout.write(
            self.style.SUCCESS(f"{len(taken.snapshots)} snapshot(s) taken" + (there if taken.already else ""))
        )


def _line(snapshot: AccountSnapshot) -> str:
    worth = money(snapshot.position_value)
    return (
        f"{snapshot.account_id}: net liquidation {money(snapshot.net_liquidation)} {snapshot.currency}, "
        f"{snapshot.position_count} position(s) worth {worth}, as of {moment(snapshot.as_of)} UTC"
    )
