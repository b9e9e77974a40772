"""Whether the trail still stands behind an order: looked at whenever its page is.

Rules
1. A look is bounded: the latest LOOKED_AT entries of the order, each against its own hash, its neighbours in the chain
   and the row it tells of. That nothing is wrong further away only `verify_audit` says.
2. Signed is what the chain's last checkpoint covers, when a published key signed it and the entry it ends with is
   still that one. Without the public keys nothing is called signed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from audit import chain as chains
from audit import keys
from audit.models import Entry, SignedChain
from audit.note import Checkpoint
from audit.signing import verified
from audit.verification import unlike_its_hash, unlinked
from orders import refold, trail
from orders.models import Order
from orders.verification import compare

LOOKED_AT = 500
VERIFIED, UNSIGNED, BROKEN = "verified", "unsigned", "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`standing` is one of the three words above."""

    standing: str
    label: str
    words: str


def of(order: Order) -> Proof:
    """What the trail says of an order now. Costs the same number of queries for every order."""
    latest = Entry.objects.filter(subject=trail.subject(order.pk)).order_by("-id")[:LOOKED_AT]
    entries = list(latest)[::-1]
    checkpoints = _checkpoints({entry.chain for entry in entries})
    problem = next(_problems(order, entries, checkpoints), None)
    if problem is not None:
        return Proof(standing=BROKEN, label="Broken", words=problem)
    return _signed(order, entries, checkpoints)


def _signed(order: Order, entries: Sequence[Entry], checkpoints: Mapping[str, Checkpoint]) -> Proof:
    if not entries:
        return Proof(standing=UNSIGNED, label="Older than the trail", words="The trail began after this order.")
    own = [entry for entry in entries if entry.chain == chains.of_account(order.account_id)]
    checkpoint = checkpoints.get(chains.of_account(order.account_id))
    covered = [entry.seq for entry in own if checkpoint is not None and entry.seq <= checkpoint.size]
    looked = f"The latest {LOOKED_AT} entries were looked at." if len(entries) == LOOKED_AT else ""
    if checkpoint is None or not covered:
        words = f"{len(entries)} entries are as they were written. The next checkpoint signs them. {looked}"
        return Proof(standing=UNSIGNED, label="Not signed yet", words=words.strip())
    newer = len(own) - len(covered)
    words = f"Its {len(entries)} entries in {checkpoint.chain} are as they were written; signed at {checkpoint.time}."
    if newer:
        words += f" {newer} newer: not signed yet."
    return Proof(standing=VERIFIED, label=f"Verified up to entry {covered[-1]}", words=f"{words} {looked}".strip())


def _checkpoints(names: set[str]) -> dict[str, Checkpoint]:
    """The last checkpoint of each chain that a published key signed."""
    try:
        verifiers = keys.published(settings.AUDIT_PUBLIC_KEYS)
    except (keys.KeyRefused, OSError):
        return {}
    found = (verified(row.note, verifiers) for row in SignedChain.objects.filter(chain__in=names))
    return {checkpoint.chain: checkpoint for checkpoint in found if checkpoint is not None}


def _problems(order: Order, entries: Sequence[Entry], checkpoints: Mapping[str, Checkpoint]) -> Iterator[str]:
    for entry in entries:
        if problem := unlike_its_hash(entry):
            yield f"at entry {entry.seq} of {entry.chain} ({entry.kind}): {problem}"
            return  # what it says cannot be compared
    yield from unlinked(entries)
    for name, checkpoint in checkpoints.items():
        if not Entry.objects.filter(chain=name, seq=checkpoint.size, hash=checkpoint.head).exists():
            yield f"at entry {checkpoint.size} of {name}: it is not the one that was signed at {checkpoint.time}"
    for entry, now, _then in compare(entries).unlike:
        what = "its row is gone from the record" if now is None else "the record says something else now"
        yield f"at entry {entry.seq} of {entry.chain} ({entry.kind}): {what}"
    yield from _events_without_entries(order, entries)


def _events_without_entries(order: Order, entries: Sequence[Entry]) -> Iterator[str]:
    """Events of the order that the trail should tell of and does not, among the latest; and what they add up to."""
    rows = list(order.events.order_by("-sequence").defer("raw")[:LOOKED_AT])[::-1]
    told = {entry.record for entry in entries if entry.kind == trail.EVENT}
    whole = len(entries) < LOOKED_AT
    first = trail.opened().get(trail.EVENT, 0) + 1 if whole else min(filter(None, told), default=0)
    for row in rows:
        if row.pk >= first and row.pk not in told:
            yield f"at event {row.sequence}: it is in the record, and the trail has nothing of it"
    if len(rows) == order.last_sequence or whole:
        yield from (f"in the order's row: {difference}" for difference in refold.differences(order, rows))
