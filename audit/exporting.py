"""A bundle for a stranger: entries, the checkpoints that cover them, proofs, and the public key. `verify.py` checks it.

Rules: entries are the very texts that were hashed, a line each. A part of a chain has one proof, of its last entry that
a checkpoint covers; an entry whose successor is not in the bundle has one of its own, so that an order can be shown
without the entries of others. Nothing in the manifest is free: it can be composed from the other files.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from django.db import transaction
from django.db.models import QuerySet

from audit import canonical
from audit.merkle import Tree
from audit.models import Entry
from audit.note import BadNote, Verifier
from audit.sinks import Signed

FORMAT = "order-audit-bundle/1"
ENTRIES, PROOFS, CHECKPOINTS, KEYS = "entries.jsonl", "proofs.jsonl", "checkpoints.txt", "public_key.txt"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to export; nothing given: everything. `last`: the highest id, so that what comes meanwhile is left out."""

    chain: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None
    last: int | None = None

    def entries(self) -> QuerySet[Entry]:
        entries = Entry.objects.all()
        if self.chain:
            entries = entries.filter(chain=self.chain)
        if self.subject:
            entries = entries.filter(subject=self.subject)
        if self.since is not None:
            entries = entries.filter(recorded_at__gte=self.since)
        if self.until is not None:
            entries = entries.filter(recorded_at__lt=self.until)
        if self.last is not None:
            entries = entries.filter(id__lte=self.last)
        return entries


@dataclass
class Part:
    """What the bundle has of one chain: how much, and which entries are followed by none of the bundle."""

    first: int = 0
    last: int = 0
    entries: int = 0
    unproved: int = 0
    ends: list[int] = field(default_factory=list)

    def add(self, seq: int, *, covered: bool) -> None:
        if covered:
            if self.ends and self.ends[-1] == seq - 1:
                self.ends.pop()  # this one follows it and is proved: so is that one
            self.ends.append(seq)
        self.unproved += not covered
        self.first, self.last, self.entries = self.first or seq, seq, self.entries + 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written. `unproved`: entries that no checkpoint covers yet."""

    entries: int
    unproved: int


def write(
    directory: Path, selection: Selection, *, checkpoints: Iterable[Signed], verifiers: Sequence[Verifier]
) -> Bundle:
    """Write a bundle into a directory that does not exist yet. Raises: OSError."""
    directory.mkdir(parents=True)
    latest: dict[str, Signed] = {}
    for signed in checkpoints:
        known = latest.get(signed.checkpoint.chain)
        if known is None or known.checkpoint.size <= signed.checkpoint.size:
            latest[signed.checkpoint.chain] = signed
    sizes = {name: signed.checkpoint.size for name, signed in latest.items()}
    with transaction.atomic():
        with (directory / ENTRIES).open("w", encoding="utf-8", newline="\n") as file:
            parts = _write_entries(file, selection, sizes)
        covering = [latest[name] for name in sorted(parts) if name in latest]
        with (directory / PROOFS).open("w", encoding="utf-8", newline="\n") as file:
            for signed in covering:
                _write_proofs(file, signed, parts[signed.checkpoint.chain].ends)
    (directory / CHECKPOINTS).write_text("".join(f"{signed.note}\n" for signed in covering), encoding="utf-8")
    used = [key for key in verifiers if any(_is_by(key, signed) for signed in covering)]
    (directory / KEYS).write_text("".join(f"{key}\n" for key in used), encoding="utf-8")
    _write_manifest(directory, parts)
    return Bundle(sum(part.entries for part in parts.values()), sum(part.unproved for part in parts.values()))


def _write_entries(file: TextIO, selection: Selection, sizes: Mapping[str, int]) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    chains = selection.entries().order_by().values_list("chain", flat=True).distinct()
    for name in sorted(chains):
        part = parts[name] = Part()
        rows = selection.entries().filter(chain=name).order_by("seq").values_list("seq", "body")
        for seq, body in rows.iterator(chunk_size=2000):
            file.write(f"{body}\n")
            part.add(seq, covered=seq <= sizes.get(name, 0))
    return parts


def _write_proofs(file: TextIO, signed: Signed, ends: Sequence[int]) -> None:
    name, size = signed.checkpoint.chain, signed.checkpoint.size
    tree = Tree([seq - 1 for seq in ends])
    hashes = Entry.objects.filter(chain=name, seq__lte=size).order_by("seq").values_list("hash", flat=True)
    for hash_ in hashes.iterator(chunk_size=20_000):
        tree.append(bytes.fromhex(hash_))
    for index, path in sorted(tree.proofs().items()):
        proof = {"chain": name, "seq": index + 1, "size": size, "path": [node.hex() for node in path]}
        file.write(f"{canonical.dumps(proof)}\n")


def _is_by(key: Verifier, signed: Signed) -> bool:
    try:
        return key.verify(signed.note) == signed.checkpoint
    except BadNote:
        return False


def _write_manifest(directory: Path, parts: dict[str, Part]) -> None:
    manifest = {
        "chains": {
            name: {"entries": part.entries, "first": part.first, "last": part.last} for name, part in parts.items()
        },
        "files": {name: _sha256(directory / name) for name in (CHECKPOINTS, ENTRIES, PROOFS, KEYS)},
        "format": FORMAT,
    }
    (directory / MANIFEST).write_text(f"{canonical.dumps(manifest)}\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
