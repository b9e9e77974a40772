"""Merkle trees as in RFC 6962, section 2.1 (RFC 9162): roots, and short proofs of what they cover. Pure.

Rules: a leaf is the raw hash of an entry, hashed once more with a zero byte before it; a node, its two children with a
one before them. A tree of n leaves splits at the largest power of two below n. Trees are built in one pass, in memory
that grows with the logarithm of their size.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass
class Tree:
    """A tree that grows leaf by leaf. `wanted`: ascending indexes of the leaves whose proofs are collected."""

    wanted: Sequence[int] = ()
    size: int = 0
    _complete: list[tuple[int, int, bytes]] = field(default_factory=list)  # (first leaf, number of leaves, hash)
    _paths: dict[int, list[bytes]] = field(default_factory=dict)

    def append(self, leaf: bytes) -> None:
        self._complete.append((self.size, 1, leaf_hash(leaf)))
        self.size += 1
        while len(self._complete) > 1 and self._complete[-1][1] == self._complete[-2][1]:
            self._complete.append(self._joined(self._complete.pop(-2), self._complete.pop(), self._paths))

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return self._folded({})

    def proofs(self) -> dict[int, list[bytes]]:
        """The audit paths of the wanted leaves in the tree as it is now."""
        paths = {index: list(self._paths.get(index, ())) for index in self._within(0, self.size)}
        self._folded(paths)
        return paths

    def _folded(self, paths: dict[int, list[bytes]]) -> bytes:
        if not self._complete:
            return EMPTY
        *others, last = self._complete
        for before in reversed(others):
            last = self._joined(before, last, paths)
        return last[2]

    def _joined(
        self, left: tuple[int, int, bytes], right: tuple[int, int, bytes], paths: dict[int, list[bytes]]
    ) -> tuple[int, int, bytes]:
        for here, sibling in ((left, right), (right, left)):
            for index in self._within(here[0], here[0] + here[1]):
                paths.setdefault(index, []).append(sibling[2])
        return left[0], left[1] + right[1], node_hash(left[2], right[2])

    def _within(self, first: int, end: int) -> Sequence[int]:
        return self.wanted[bisect_left(self.wanted, first) : bisect_left(self.wanted, end)] if self.wanted else ()


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaves."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def includes(root: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path proves that the leaf stands at that index of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, node = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and node == root


def consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """The proof that the tree over `leaves` continues the one over the first of them (RFC 6962, 2.1.2)."""
    if not 0 < first <= len(leaves):
        raise ValueError(f"there is no tree of {first} leaves inside one of {len(leaves)}")
    return _consistency(leaves, first, whole=True)


def _consistency(leaves: Sequence[bytes], first: int, *, whole: bool) -> list[bytes]:
    size = len(leaves)
    if first == size:
        return [] if whole else [root(leaves)]
    split = 1 << ((size - 1).bit_length() - 1)
    if first <= split:
        return [*_consistency(leaves[:split], first, whole=whole), root(leaves[split:])]
    return [*_consistency(leaves[split:], first - split, whole=False), root(leaves[:split])]


def continues(first_root: bytes, first: int, second_root: bytes, second: int, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the second tree has the first one's leaves at its beginning (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first & (first - 1) == 0:
        proof = [first_root, *proof]
    if not proof:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = proof[0]
    for node in proof[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            older, newer = node_hash(node, older), node_hash(node, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = node_hash(newer, node)
        position, last = position >> 1, last >> 1
    return last == 0 and older == first_root and newer == second_root
