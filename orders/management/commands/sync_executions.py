"""Ask the broker for the day's executions now, through the worker that owns the session."""

import time
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import GatewaySession
from accounts.ownership import is_owned
from gateway.reports import SessionState
from orders import wanted
from orders.models import Execution

LOOK_SECONDS = 0.1
REPORT_SECONDS = 5.0
LONGEST_SECONDS = 86_400.0
# Exit codes; 0: the record is in step, 1: what Django says of a wrong call.
NO_OWNER, NOT_CONNECTED, NO_ANSWER = 3, 4, 5

EPILOG = f"""\
exit codes:
  0  the broker answered in full and everything is written down
  1  there is no such gateway, or the command was called wrongly
  {NO_OWNER}  no worker owns the session: start one (make run, or celery -A ibkr_site worker)
  {NOT_CONNECTED}  a worker owns it and is not connected to the gateway; the reason is printed
  {NO_ANSWER}  the answer was not complete in time; what had come by then is kept, and it is safe to ask again
"""


class Command(BaseCommand):
    help = (
        "Ask the broker for the day's orders and executions and write down what is not on record yet. The worker that "
        "owns the session asks; this command waits for it. Running it twice does no harm."
    )

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--gateway", default=settings.GATEWAY_NAME, help="whose executions (default: GATEWAY_NAME, %(default)s)"
        )
        parser.add_argument(
            "--wait", type=_seconds, default=120.0, metavar="SECONDS", help="for the answer (default: %(default)g)"
        )

    def handle(self, *_args: Any, gateway: str, wait: float, verbosity: int, **_options: Any) -> None:
        _refuse_without_owner(gateway)
        before = Execution.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        number = wanted.day(gateway)
        deadline, next_word = time.monotonic() + wait, time.monotonic() + REPORT_SECONDS
        while (session := GatewaySession.objects.get(pk=gateway)).executions_synced < number:
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"The answer was not complete within {wait:g} s; what has come is kept. Ask again, or give it "
                    "longer with --wait.",
                    returncode=NO_ANSWER,
                )
            if time.monotonic() >= next_word:
                next_word += REPORT_SECONDS
                _refuse_without_owner(gateway)
                if verbosity > 0:
                    new = Execution.objects.filter(pk__gt=before).count()
                    self.stdout.write(f"{session.state}, {new:,} new executions so far ...")
            time.sleep(LOOK_SECONDS)
        self.stdout.write(self.style.SUCCESS(_summary(session)))


def _refuse_without_owner(gateway: str) -> None:
    """Raises: CommandError, saying who would have to ask and cannot."""
    session = GatewaySession.objects.filter(pk=gateway).first()
    if session is None:
        known = ", ".join(GatewaySession.objects.values_list("pk", flat=True)) or "none yet"
        raise CommandError(f"No worker has ever run for a gateway called {gateway} (known: {known}).")
    if not is_owned(gateway=gateway, client_id=session.client_id):
        raise CommandError(
            f"No worker owns the session with {gateway}, so nobody can ask. Start one: make run, or "
            "celery -A ibkr_site worker.",
            returncode=NO_OWNER,
        )
    if session.state in (SessionState.DISCONNECTED, SessionState.LINK_DOWN):
        raise CommandError(
            f"{gateway} is {session.state}: {session.reason or 'no reason given'}", returncode=NOT_CONNECTED
        )


def _summary(session: GatewaySession) -> str:
    tally = session.executions_tally
    known, new, corrections, commissions = (tally.get(n, 0) for n in ("known", "new", "corrections", "commissions"))
    return (
        f"{known + new + corrections:,} executions today at {session.pk}: {known:,} known, {new:,} new, "
        f"{corrections:,} corrections; {commissions:,} new commissions"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ArgumentTypeError(f"{text} is not between 0 and {LONGEST_SECONDS:g} seconds")
    return seconds
