"""Are the chains what they were? Each entry against the one before it, each chain against its signed checkpoints.

Rules
1. A chain is followed until its first bad entry: what comes after a break says nothing.
2. Checkpoints tell what the database alone cannot: that a chain was made anew (REWRITTEN), or that it ends before, or
   went another way after, a moment at which it was longer (TRUNCATED: entries deleted, or a backup restored).
3. Entries are read as a stream, in memory that does not grow with their number.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from django.db.models import Max, Min

from audit import chain as chains
from audit.merkle import Tree
from audit.models import Chain, Entry
from audit.note import HASH, Checkpoint

ENTRIES_AT_A_TIME = 2000
HASHES_AT_A_TIME = 20_000
LISTED_AT_MOST = 20


class Verdict(IntEnum):
    """What was found; also the exit code of verify_audit. The lowest one above 0 is the worst."""

    INTACT = 0
    REWRITTEN = 3  # entries are not those that were written
    TRUNCATED = 4  # entries are gone: deleted, or an older state was restored
    DIFFERS = 5  # the chains stand, and the record says something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, in words that say where."""

    verdict: Verdict
    words: str


@dataclass
class Report:
    """What was looked at and what was found; of each verdict the first findings."""

    entries: int = 0
    checkpoints: int = 0
    covered: dict[str, Checkpoint] = field(default_factory=dict)  # the last checkpoint that a chain was found to fit
    findings: list[Finding] = field(default_factory=list)
    left_out: int = 0

    @property
    def verdict(self) -> Verdict:
        return min((finding.verdict for finding in self.findings), default=Verdict.INTACT)

    def add(self, verdict: Verdict, words: str) -> None:
        if len(self.findings) < LISTED_AT_MOST:
            self.findings.append(Finding(verdict=verdict, words=words))
        else:
            self.left_out += 1


Look = Callable[[Sequence[Entry]], None]  # what else is to be done with entries that are right, batch by batch


@dataclass
class ChainCheck:
    """One chain from its beginning, or from where it stood at `since`."""

    name: str
    report: Report
    look: Look
    checkpoints: Sequence[Checkpoint] = ()
    since: datetime | None = None

    def run(self) -> None:
        walker, tree = chains.Walker(self.name), Tree()
        waiting = sorted(self.checkpoints, key=lambda checkpoint: checkpoint.size)
        first = self._first()
        if first > 1:
            walker = self._standing_before(first)
            before = [checkpoint for checkpoint in waiting if checkpoint.size < first]
            waiting = waiting[len(before) :]
            if before and not self._fits_still(before[-1]):
                return
        for batch in _batches(Entry.objects.filter(chain=self.name, seq__gte=first).order_by("seq")):
            right = []
            for entry in batch:
                if problem := walker.step(entry.seq, entry.prev, entry.hash, entry.body) or _unlike_its_text(entry):
                    self._broken(entry, problem)
                    break
                right.append(entry)
                tree.append(bytes.fromhex(entry.hash))
                while waiting and waiting[0].size == entry.seq:
                    if not self._fits(waiting.pop(0), entry, tree.root() if first == 1 else None):
                        return
            self.report.entries += len(right)
            self.look(right)
            if len(right) < len(batch):
                return
        self._check_end(walker, waiting)

    def _first(self) -> int:
        if self.since is None:
            return 1
        entries = Entry.objects.filter(chain=self.name)
        first: int | None = entries.filter(recorded_at__gte=self.since).aggregate(first=Min("seq"))["first"]
        return first or (entries.aggregate(last=Max("seq"))["last"] or 0) + 1

    def _standing_before(self, first: int) -> chains.Walker:
        before = Entry.objects.filter(chain=self.name, seq=first - 1).first()
        return chains.Walker(self.name, first - 1, before.hash if before else "")

    def _broken(self, entry: Entry, problem: str) -> None:
        about = f" ({entry.kind} of {entry.subject})" if entry.subject else f" ({entry.kind})"
        self.report.add(Verdict.REWRITTEN, f"{self.name}, entry {entry.seq}{about}: {problem}")

    def _fits_still(self, checkpoint: Checkpoint) -> bool:
        """Whether the entry that a checkpoint ends with is there as it was: of what it covers, nothing else is read."""
        entry = Entry.objects.filter(chain=self.name, seq=checkpoint.size).first()
        if entry is None:
            words = f"entry {checkpoint.size} is gone, with which the checkpoint of {checkpoint.time} ended"
            self.report.add(Verdict.REWRITTEN, f"{self.name}: {words}.")
            return False
        return self._fits(checkpoint, entry, None)

    def _fits(self, checkpoint: Checkpoint, entry: Entry, root: bytes | None) -> bool:
        if checkpoint.head == entry.hash and root in (None, checkpoint.root):
            self.report.checkpoints += 1
            self.report.covered[self.name] = checkpoint
            return True
        known = self.report.covered.get(self.name)
        after = known.size if known else 0
        where = f"{self.name}, entries {after + 1} to {checkpoint.size}"
        if chains.moment(entry.recorded_at) > checkpoint.time:
            self.report.add(
                Verdict.TRUNCATED,
                f"{where}: an earlier state was restored, or entries were deleted, and the chain went on. The "
                f"checkpoint of {checkpoint.time} had {checkpoint.size} entries; that one is younger.",
            )
        else:
            self.report.add(
                Verdict.REWRITTEN,
                f"{where}: they are linked, but they are not those that the checkpoint of {checkpoint.time} was signed "
                f"over. Somebody wrote this part of the chain anew.",
            )
        return False

    def _check_end(self, walker: chains.Walker, waiting: Sequence[Checkpoint]) -> None:
        if waiting:
            longest = waiting[-1]
            gone = f"entries {walker.seq + 1} to {longest.size} are gone" if walker.seq else "all its entries are gone"
            self.report.add(
                Verdict.TRUNCATED,
                f"{self.name}: {gone}. The checkpoint of {longest.time} had {longest.size}; now there are "
                f"{walker.seq}: deleted, or an earlier state was restored.",
            )
            return
        row = Chain.objects.filter(pk=self.name).first()
        size, head = (row.size, row.head) if row else (0, chains.NOTHING_BEFORE)
        if size != walker.seq:
            self.report.add(
                Verdict.TRUNCATED,
                f"{self.name}: it ends with entry {walker.seq}, and {size} were written: entries were deleted.",
            )
        elif head != walker.head:
            self.report.add(Verdict.REWRITTEN, f"{self.name}: its last entry is not the one that was written last.")


def names(checkpoints: Iterable[Checkpoint] = ()) -> list[str]:
    """All chains there are, and those that there were when checkpoints were signed."""
    kept = set(Chain.objects.values_list("name", flat=True)) | set(
        Entry.objects.order_by("chain").values_list("chain", flat=True).distinct()
    )
    return sorted(kept | {checkpoint.chain for checkpoint in checkpoints})


def by_chain(checkpoints: Iterable[Checkpoint]) -> dict[str, list[Checkpoint]]:
    """Checkpoints by the chain they are of."""
    found: dict[str, list[Checkpoint]] = defaultdict(list)
    for checkpoint in checkpoints:
        found[checkpoint.chain].append(checkpoint)
    return found


def check_subject(subject: str, report: Report, look: Look) -> set[str]:
    """Each entry about one thing: its text, its hash, its neighbours. Returns the chains that have some.

    Whether one is missing only the whole chain tells (`check_signed`).
    """
    found = set()
    for batch in _batches(Entry.objects.filter(subject=subject).order_by("id")):
        right = []
        for entry in batch:
            if problem := unlike_its_hash(entry):
                report.add(
                    Verdict.REWRITTEN, f"{entry.chain}, entry {entry.seq} ({entry.kind} of {subject}): {problem}"
                )
            else:
                right.append(entry)
        for words in unlinked(right):
            report.add(Verdict.REWRITTEN, words)
        found |= {entry.chain for entry in batch}
        report.entries += len(batch)
        look(right)
    return found


def check_signed(name: str, report: Report, checkpoints: Sequence[Checkpoint]) -> None:
    """All hashes of a chain against its longest checkpoint. The texts they are of are not read."""
    last = max(checkpoints, key=lambda checkpoint: checkpoint.size, default=None)
    if last is None:
        return
    tree = Tree()
    hashes = Entry.objects.filter(chain=name, seq__lte=last.size).order_by("seq").values_list("hash", flat=True)
    for hash_ in hashes.iterator(chunk_size=HASHES_AT_A_TIME):
        tree.append(bytes.fromhex(hash_) if HASH.fullmatch(hash_) else b"")  # what is none fits no root
    if tree.root() == last.root:
        report.checkpoints += 1
        report.covered[name] = last
        return
    report.add(
        Verdict.TRUNCATED if tree.size < last.size else Verdict.REWRITTEN,
        f"{name}: entries 1 to {last.size} are not those that the checkpoint of {last.time} was signed over. Which of "
        f"them, only a verification of the whole chain says.",
    )


def unlinked(entries: Sequence[Entry]) -> Iterator[str]:
    """Where these entries and their neighbours in the chains do not name each other."""
    by_chain: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_chain[entry.chain].append(entry)
    for name, own in by_chain.items():
        beside = {seq + step for seq in (entry.seq for entry in own) for step in (-1, 1)}
        rows = Entry.objects.filter(chain=name, seq__in=beside).values_list("seq", "prev", "hash")
        known = {seq: (prev, hash_) for seq, prev, hash_ in rows}
        end = Chain.objects.filter(pk=name).values_list("size", "head").first()
        for entry in own:
            _, before = known.get(entry.seq - 1, ("", chains.NOTHING_BEFORE if entry.seq == 1 else ""))
            after, _ = known.get(entry.seq + 1, (entry.hash if end == (entry.seq, entry.hash) else "", ""))
            if before != entry.prev:
                yield f"at entry {entry.seq - 1} of {name}: it is gone, or not the one that entry {entry.seq} names"
            if after != entry.hash:
                yield f"at entry {entry.seq + 1} of {name}: it is gone, or does not name entry {entry.seq}"


def unlike_its_hash(entry: Entry) -> str:
    """What is wrong with an entry by itself, or nothing."""
    if chains.digest(entry.body) != entry.hash:
        return "its text does not have the hash that stands beside it"
    return _unlike_its_text(entry)


def facts_of(entry: Entry) -> str:
    """The canonical text of what an entry tells. Raises: ValueError when its text is not what its columns say."""
    shell = chains.Entry(
        chain=entry.chain,
        seq=entry.seq,
        prev=entry.prev,
        kind=entry.kind,
        subject=entry.subject,
        record=entry.record,
        recorded_at=chains.moment(entry.recorded_at),
        facts="\n",  # stands in no canonical text
    )
    before, after = shell.body().split("\n")
    if not (entry.body.startswith(before) and entry.body.endswith(after)):
        raise ValueError("its columns say something else than its text")
    return entry.body[len(before) : -len(after)]


def _unlike_its_text(entry: Entry) -> str:
    try:
        facts_of(entry)
        if entry.record is None:  # nobody compares it with a row
            chains.read(entry.body)
    except ValueError as problem:
        return str(problem)
    return ""


def _batches(entries: "Iterable[Entry]") -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries.iterator(chunk_size=ENTRIES_AT_A_TIME):  # type: ignore[attr-defined]
        batch.append(entry)
        if len(batch) == ENTRIES_AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch
