"""Signing checkpoints: what the chains are now, by a process that remembers what they were.

Rules
1. Nothing is signed that does not continue what was signed before: this process reads every entry itself, and keeps
   the last checkpoint of each chain beside its key. A chain that was changed below it gets no further signature.
2. A round signs all chains that are right; what is wrong, and a sink that failed, is said aloud and in the run's row.
3. After a restore from a backup, a person says so (`accept`), and the site's chain says it too.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from audit import chain as chains
from audit import keys
from audit.merkle import Tree
from audit.models import Chain, CheckpointRun, Entry, SignedChain
from audit.note import BadNote, Checkpoint, Signer, Verifier
from audit.sinks import FileSink, Signed, Sink, SinkFailed, at, parse

log = logging.getLogger(__name__)

NOT_SIGNED = "not signed"  # ends what is said of a chain that is no longer what it was


@dataclass
class Standing:
    """A chain as far as it was read."""

    walker: chains.Walker
    tree: Tree = field(default_factory=Tree)


class NotContinued(Exception):
    """A chain is not what it was when it was last signed."""


@dataclass
class Notary:
    """Signs rounds of checkpoints. `memory`: the file with the last checkpoint of each chain."""

    signer: Signer
    verifiers: Sequence[Verifier]
    sinks: Sequence[Sink]
    memory: Path
    _standing: dict[str, Standing] = field(default_factory=dict)
    _signed: dict[str, Signed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._signed = {each.checkpoint.chain: each for each in read_notes(self.memory, self.verifiers)}

    def sign(self) -> list[Signed]:
        """One round: sign, keep, remember."""
        problems: list[str] = []
        signed = []
        for name in sorted({*Chain.objects.values_list("name", flat=True), *self._signed}):
            try:
                signed.append(self._sign(name))
            except NotContinued as error:
                problems.append(str(error))
        if signed:
            self._signed |= {each.checkpoint.chain: each for each in signed}
            problems += self._keep(signed)
        for problem in problems:
            log.critical("checkpoints: %s", problem)
        SignedChain.objects.bulk_create(
            [SignedChain(chain=each.checkpoint.chain, note=each.note) for each in signed],
            update_conflicts=True,
            unique_fields=["chain"],
            update_fields=["note"],
        )
        now = datetime.now(UTC)
        entries = sum(each.checkpoint.size for each in signed)
        CheckpointRun.objects.update_or_create(
            pk=1, defaults={"at": now, "chains": len(signed), "entries": entries, "problem": "; ".join(problems)}
        )
        return signed

    def accept(self) -> None:
        """Forget what was signed before: the next round signs what there is."""
        self._signed = {}
        self._standing = {}

    def _sign(self, name: str) -> Signed:
        try:
            standing = self._read(name)
        except NotContinued:
            self._standing.pop(name, None)  # from the beginning next time: perhaps it was put right
            raise
        checkpoint = Checkpoint(
            origin=self.signer.name,
            chain=name,
            size=standing.walker.seq,
            root=standing.tree.root(),
            head=standing.walker.head,
            time=chains.moment(datetime.now(UTC)),
        )
        return Signed(checkpoint, self.signer.sign(checkpoint))

    def _read(self, name: str) -> Standing:
        """Read on to the end of the chain. Raises: NotContinued."""
        standing = self._standing.setdefault(name, Standing(chains.Walker(name)))
        last = self._signed[name].checkpoint if name in self._signed else None
        entries = Entry.objects.filter(chain=name, seq__gt=standing.walker.seq).order_by("seq")
        for entry in entries.values_list("seq", "prev", "hash", "body").iterator():
            if problem := standing.walker.step(*entry):
                raise NotContinued(f"{name}, entry {entry[0]}: {problem}; {NOT_SIGNED}")
            standing.tree.append(bytes.fromhex(standing.walker.head))
            if last is not None and standing.walker.seq == last.size and standing.tree.root() != last.root:
                was = f"signed at {last.time} up to entry {last.size}"
                raise NotContinued(f"{name} is not what was {was}; {NOT_SIGNED}")
        size = Chain.objects.filter(pk=name).values_list("size", flat=True).first() or 0
        if size < max(standing.walker.seq, last.size if last is not None else 0):
            raise NotContinued(f"{name} has fewer entries than were signed, {size}; {NOT_SIGNED}")
        return standing

    def _keep(self, signed: Sequence[Signed]) -> list[str]:
        problems = []
        for sink in self.sinks:
            try:
                sink.keep(signed)
            except SinkFailed as error:
                problems.append(f"not kept: {error}")
        draft = self.memory.with_name(f".{self.memory.name}")
        draft.write_text("".join(f"{each.note}\n" for each in self._signed.values()))
        draft.replace(self.memory)
        return problems


class NotRead(Exception):
    """Checkpoints cannot be read where they should be; the text says what to do."""


def read_back(path: Path | None, places: Sequence[str], public: Path) -> list[Signed]:
    """The checkpoints that a published key signed: those of `path`, or else of the sinks, where there must be some of
    each chain that was signed.

    Raises: NotRead.
    """
    try:
        return _read_path(path, public) if path else _read_sinks(places, public)
    except (SinkFailed, keys.KeyRefused, OSError, ValueError) as error:
        raise NotRead(str(error)) from error


def _read_path(path: Path, public: Path) -> list[Signed]:
    if not path.exists():
        raise NotRead(f"{path} does not exist")
    found = _believed(at(path).read(), keys.published(public), path)
    if not found:
        raise NotRead(f"{path} holds no checkpoint signed by a key of {public}")
    return found


def _read_sinks(places: Sequence[str], public: Path) -> list[Signed]:
    # First of all: the notary keeps checkpoints before it writes here that it signed them.
    signed = set(SignedChain.objects.values_list("chain", flat=True))
    notes = {place: parse(place).read() for place in places}
    if not places or not (signed or any(notes.values()) or CheckpointRun.objects.exists()):
        return []
    verifiers = keys.published(public)
    found = [each for place in places for each in _believed(notes[place], verifiers, place)]
    gone = signed - {each.checkpoint.chain for each in found}
    if gone or not found:
        of = f" of {', '.join(sorted(gone))}" if gone else ""
        raise NotRead(
            f"checkpoints were signed, and none{of} by a key of {public} can be read from {', '.join(places)}: give "
            "them with --checkpoint FILE"
        )
    return found


def read_notes(path: Path, verifiers: Sequence[Verifier]) -> list[Signed]:
    """The checkpoints of a file that one of these keys signed; what is none is passed over, and said."""
    return _believed(FileSink(path).read(), verifiers, path)


def _believed(notes: Iterable[str], verifiers: Sequence[Verifier], place: Path | str) -> list[Signed]:
    found = []
    for note in notes:
        checkpoint = verified(note, verifiers)
        if checkpoint is None:
            log.warning("%s: a note that begins with %r is not signed by a known key", place, note[:60])
        else:
            found.append(Signed(checkpoint, note))
    return found


def verified(note: str, verifiers: Sequence[Verifier]) -> Checkpoint | None:
    """The checkpoint of a note that one of these keys signed."""
    for verifier in verifiers:
        try:
            return verifier.verify(note)
        except BadNote:
            continue
    return None
