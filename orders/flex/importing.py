"""A Flex file into the record: all of it, or nothing.

Rules
1. One transaction per file; any refusal undoes all of it. One import at a time: the second of two sees the first.
2. Twice is once: a file is known by its SHA-256, a row by what it says. What is known is counted, not stored again.
3. Rows are written as they are read, some at a time: of the file, memory holds only what tells its repetitions.
4. Executions that the record lacks are added at the end (orders.flex.backfill), so that what others wait for is locked
   for no longer than that takes.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import BrokerAccount
from audit.record import record_site
from orders.flex import backfill, parsing
from orders.flex.models import FlexCash, FlexHolding, FlexImport, FlexStatement, FlexTrade
from orders.flex.repetitions import Repetitions
from orders.flex.statement import Cash, End, FlexRefused, Header, Holding, Item, Trade

CHUNK_BYTES = 256 * 1024
ROWS_AT_A_TIME = 1000
LOCK = 0x666C6578  # "flex": the advisory lock of all imports
MODELS: dict[type, type[Any]] = {Trade: FlexTrade, Cash: FlexCash, Holding: FlexHolding}
Progress = Callable[[int], None]


@dataclass(slots=True)
class Tally:
    """Of one kind of row: how many were stored, and how many had been said before."""

    new: int = 0
    known: int = 0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a file. `known_since` is the import that stored it, where this was not the first."""

    sha256: str
    size: int
    known_since: FlexImport | None = None
    statements: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    trades: Tally = field(default_factory=Tally)
    cash: Tally = field(default_factory=Tally)
    holdings: Tally = field(default_factory=Tally)
    repeated: int = 0
    added: backfill.Result = field(default_factory=backfill.Result)

    def lines(self) -> list[str]:
        """What came of it, in words."""
        if self.known_since is not None:
            before = self.known_since
            at = f"{before.imported_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            told = [f"This file was imported before, on {at} by {before.imported_by}: nothing of it is stored again"]
        else:
            told = [
                f"{tally.new:,} {name} stored, {tally.known:,} known already"
                for name, tally in (("trades", self.trades), ("cash rows", self.cash), ("positions", self.holdings))
                if tally.new or tally.known
            ] or ["Nothing to store: no trades, cash or positions in it"]
        if self.repeated:
            told.append(f"{self.repeated:,} rows stand in the file more than once and were taken once")
        if self.unread:
            told.append(f"Not read, as of no use here: {', '.join(self.unread)}")
        return told + self.added.lines()

    def counts(self) -> dict[str, object]:
        kept = ("trades", "cash", "holdings", "added")
        return {name: asdict(getattr(self, name)) for name in kept} | {"repeated": self.repeated}


def import_file(
    file: BinaryIO, *, name: str, actor: str, dry_run: bool = False, progress: Progress = lambda _rows: None
) -> Outcome:
    """Store what a file says and add the executions that are lacking. With `dry_run` all of it is undone at the end.

    `file` can be read more than once. `progress` is told how many rows were read, now and then.
    Raises: FlexRefused; nothing is stored then.
    """
    sha256, size = _measured(file)
    outcome = Outcome(sha256=sha256, size=size)
    with transaction.atomic():
        _wait_for_other_imports()
        outcome.known_since = FlexImport.objects.filter(pk=sha256).first()
        if outcome.known_since is None:
            _store(file, outcome, progress)
        statements = FlexStatement.objects.filter(file=sha256).order_by("account", "period_from", "pk")
        outcome.statements = [str(statement) for statement in statements]
        # Of a known file as well: what stood in the way the last time may be gone.
        outcome.added = backfill.run(statements, session=f"flex {sha256[:12]}")
        if outcome.known_since is None:
            FlexImport.objects.create(
                sha256=sha256,
                name=name[:255],
                size=size,
                imported_at=timezone.now(),
                imported_by=actor,
                counts=outcome.counts(),
            )
            record_site("statement imported", actor, {"sha256": sha256, "name": name[:255], "bytes": size})
        if dry_run:
            transaction.set_rollback(True)
    return outcome


def _measured(file: BinaryIO) -> tuple[str, int]:
    """SHA-256 and size. Raises: FlexRefused for more than may be imported."""
    limit = settings.FLEX_MAX_MEGABYTES * 1024 * 1024
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(file):
        digest.update(chunk)
        size += len(chunk)
        if size > limit:
            raise FlexRefused(
                1,
                f"is larger than {settings.FLEX_MAX_MEGABYTES} MB (FLEX_MAX_MEGABYTES): "
                "choose a shorter period, or fewer sections and fields",
            )
    return digest.hexdigest(), size


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _unchanged(file: BinaryIO, sha256: str) -> Iterator[bytes]:
    """The file again. Raises: FlexRefused when it is no longer the one that was measured."""
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise FlexRefused(1, "changed while it was read: import it again once it is complete")


def _wait_for_other_imports() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _store(file: BinaryIO, outcome: Outcome, progress: Progress) -> None:
    accounts = frozenset(BrokerAccount.objects.values_list("pk", flat=True))
    writer = _Writer(outcome, progress)
    zone = ZoneInfo(settings.FLEX_TIME_ZONE)
    for item in parsing.read(_unchanged(file, outcome.sha256), accounts=accounts, zone=zone):
        writer.take(item)
    writer.repetitions.refuse_contradictions()


class _Writer:
    """Takes items as they are read and writes them some at a time."""

    def __init__(self, outcome: Outcome, progress: Progress) -> None:
        self.repetitions = Repetitions()
        self._outcome, self._progress = outcome, progress
        self._tallies = {Trade: outcome.trades, Cash: outcome.cash, Holding: outcome.holdings}
        self._header: Header | None = None
        self._statement_pk = uuid.uuid4()
        self._waiting: dict[str, Trade | Cash | Holding] = {}  # by digest; all of one kind
        self._rows = 0

    def take(self, item: Item) -> None:
        match item:
            case Header():
                self._header, self._statement_pk = item, uuid.uuid4()
            case End():
                self._flush()
                self._end(item)
            case row:
                self._row(row)

    def _row(self, row: Trade | Cash | Holding) -> None:
        digest = row.digest
        self._rows += 1
        if not self.repetitions.is_new(row, digest):
            self._outcome.repeated += 1
            return
        if type(next(iter(self._waiting.values()), row)) is not type(row):
            self._flush()
        self._waiting[digest] = row
        if len(self._waiting) == ROWS_AT_A_TIME:
            self._flush()

    def _flush(self) -> None:
        """Write what waits. Rows come before their statement, whose end is not read yet: the database waits for it."""
        if not self._waiting:
            return
        kind = type(next(iter(self._waiting.values())))
        model = MODELS[kind]
        known = set(model.objects.filter(digest__in=self._waiting).values_list("digest", flat=True))
        rows = [self._as_model(row, digest) for digest, row in self._waiting.items() if digest not in known]
        model.objects.bulk_create(rows)
        self._tallies[kind].new += len(rows)
        self._tallies[kind].known += len(known)
        self._waiting.clear()
        self._progress(self._rows)

    def _as_model(self, row: Trade | Cash | Holding, digest: str) -> Any:
        said = {each.name: getattr(row, each.name) for each in fields(row)}
        return MODELS[type(row)](statement_id=self._statement_pk, reference=row.reference, digest=digest, **said)

    def _end(self, end: End) -> None:
        header = self._header
        assert header is not None  # the parser puts one before each end
        FlexStatement.objects.create(
            pk=self._statement_pk,
            file_id=self._outcome.sha256,
            account=header.account,
            kind=header.kind.value,
            query_name=header.query_name,
            period_from=header.period_from,
            period_to=header.period_to,
            generated_at=header.generated_at,
            generated_text=header.generated_text,
            sections=list(end.sections),
            unread=list(end.unread),
        )
        self._outcome.unread += [name for name in end.unread if name not in self._outcome.unread]
