import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle

# The eight inputs that implementations of RFC 6962 are commonly tried with, and the roots over the first n of them.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
LEAVES = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


def by_definition(leaves):
    """RFC 6962, 2.1, word by word."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_known_roots(size, root):
    assert merkle.root(INPUTS[:size]).hex() == root


@given(LEAVES)
def test_the_root_is_that_of_the_definition(leaves):
    assert merkle.root(leaves) == by_definition(leaves)


@given(LEAVES, st.data())
def test_a_proof_holds_for_its_leaf_and_for_nothing_else(leaves, data):
    wanted = sorted(data.draw(st.sets(st.integers(0, len(leaves) - 1), min_size=1)))
    tree = merkle.Tree(wanted)
    for leaf in leaves:
        tree.append(leaf)
    root, size = tree.root(), len(leaves)

    proofs = tree.proofs()

    assert sorted(proofs) == wanted
    for index, path in proofs.items():
        assert merkle.includes(root, size, index, leaves[index], path)
        assert not merkle.includes(root, size, index, leaves[index] + b"x", path)
        assert not merkle.includes(root, size, size, leaves[index], path)
        assert not merkle.includes(root, size, -1, leaves[index], path)
        assert not merkle.includes(root, size, index, leaves[index], [*path, root])
        assert not path or not merkle.includes(root, size, index, leaves[index], path[:-1])
        assert not merkle.includes(hashlib.sha256(root).digest(), size, index, leaves[index], path)


@given(LEAVES, st.data())
def test_proofs_can_be_taken_again_as_the_tree_grows(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    tree = merkle.Tree([index])
    for count, leaf in enumerate(leaves, start=1):
        tree.append(leaf)
        for found, path in tree.proofs().items():
            assert merkle.includes(tree.root(), count, found, leaves[found], path)


@given(LEAVES, st.data())
def test_a_tree_continues_its_beginnings_and_no_other(leaves, data):
    first = data.draw(st.integers(1, len(leaves)))
    before, now = merkle.root(leaves[:first]), merkle.root(leaves)
    changed = merkle.root([leaves[0] + b"x", *leaves[1:first]])

    proof = merkle.consistency(leaves, first)

    assert merkle.continues(before, first, now, len(leaves), proof)
    assert not merkle.continues(changed, first, now, len(leaves), proof)
    assert not merkle.continues(before, first, changed, len(leaves), proof)
    assert not merkle.continues(before, first, now, len(leaves), [*proof, now])
    assert not merkle.continues(before, len(leaves) + 1, now, len(leaves), proof)
    assert not merkle.continues(before, 0, now, len(leaves), proof)
    assert first == len(leaves) or not merkle.continues(before, first, now, len(leaves), [])


@pytest.mark.parametrize("first", [0, 4])
def test_there_is_no_proof_of_a_beginning_that_is_none(first):
    with pytest.raises(ValueError, match="no tree"):
        merkle.consistency(INPUTS[:3], first)
