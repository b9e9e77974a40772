"""The protocol holds in every world of every scope, and from each of them a way leads to rest without more faults."""

from functools import cache

import pytest

from orders.vocabulary import OrderStatus as S
from tests.model.explorer import explore, walk
from tests.model.scopes import LARGE, SCOPES

explored = cache(explore)

# What each scope must lead to, or it does not show what it is about.
OCCURS_EVERYWHERE = {S.RECEIVED, S.PENDING_NEW, S.NEW, S.IN_DOUBT, S.NOT_PLACED}


@pytest.mark.parametrize("name", SCOPES)
def test_no_world_breaks_an_invariant(name, record_property):
    found = explored(SCOPES[name])

    record_property("worlds", found.worlds)
    assert found.counterexample is None, f"\n{found.counterexample}"
    assert found.worlds > 5_000
    assert found.statuses >= OCCURS_EVERYWHERE


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("fills and refusals", S.FILLED),
        ("fills and refusals", S.REJECTED),
        ("a bracket, cut", S.CANCELED),
    ],
)
def test_endings_occur(name, status):
    (scope,) = (scope for about, scope in SCOPES.items() if name in about)

    assert status in explored(scope).statuses


@pytest.mark.parametrize("seed", range(100))
def test_no_long_walk_breaks_an_invariant(seed):
    assert len(walk(LARGE, seed=seed, faulty_steps=150, calm_steps=3_000)) > 50
