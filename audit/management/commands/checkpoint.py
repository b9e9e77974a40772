"""Sign checkpoints of the chains, again and again until told to stop, and once more then."""

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, close_old_connections, transaction

from audit import keys, sinks, stop_signals
from audit.note import BadNote, Signer
from audit.record import record_site
from audit.signing import Notary

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Sign checkpoints of all chains of the audit trail and keep them in AUDIT_SINKS: once, or every so many "
        "seconds until SIGTERM or Ctrl-C and a last time then. Signs only what continues what it signed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every",
            type=float,
            nargs="?",
            const=settings.AUDIT_SECONDS,
            metavar="SECONDS",
            help="go on, with that time between two rounds (AUDIT_SECONDS); without it, one round",
        )
        parser.add_argument("--create-key", action="store_true", help="make a key if there is none yet")
        parser.add_argument(
            "--accept-restore",
            action="store_true",
            help="after a backup was restored: sign what there is now, and write in the site's chain that it was so",
        )

    def handle(self, *_args: Any, every: float | None, create_key: bool, accept_restore: bool, **_options: Any) -> None:
        if every is not None and every <= 0:
            raise CommandError("--every must be above 0 seconds")
        notary = self._notary(create_key)
        if accept_restore:
            record_site("restore accepted", "SYSTEM", {"key": str(notary.signer.verifier)})
            notary.accept()
        if every is None:
            self._round(notary)
            return
        stopping = threading.Event()
        stop_signals.heard_by(stopping, signal.SIGTERM, signal.SIGINT)
        while not stopping.is_set():
            close_old_connections()  # the database may have been away since the last round
            self._round(notary)
            stopping.wait(every)
        self._round(notary)

    def _notary(self, create_key: bool) -> Notary:
        path, public = settings.AUDIT_KEY_FILE, settings.AUDIT_PUBLIC_KEYS
        try:
            signer = self._created() if create_key and not path.exists() else keys.load(path)
            kept_in = [sinks.parse(text) for text in settings.AUDIT_SINKS]
            return Notary(signer, keys.published(public), kept_in, memory=path.with_name("last_signed"))
        except (keys.KeyRefused, BadNote, ValueError, OSError) as error:
            raise CommandError(str(error)) from error

    def _created(self) -> Signer:
        with transaction.atomic():
            signer = keys.create(settings.AUDIT_KEY_FILE, settings.AUDIT_PUBLIC_KEYS, name=settings.AUDIT_ORIGIN)
            record_site("checkpoint key created", "SYSTEM", {"key": str(signer.verifier)})
        log.warning("made a key for checkpoints; its public part, to be kept elsewhere too: %s", signer.verifier)
        return signer

    def _round(self, notary: Notary) -> None:
        try:
            signed = notary.sign()
        except Error as error:
            log.error("no checkpoint: the database is away (%s)", type(error).__name__)  # noqa: TRY400
            return
        for each in signed:
            log.debug("signed %s with %s entries", each.checkpoint.chain, each.checkpoint.size)
