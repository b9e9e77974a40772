"""Walks through the worlds: all of them, breadth first, or some of them, deeper and by chance.

A counterexample of `explore` is a shortest one. Its steps are numbered and in words, with what broke at the end.
"""

import gc
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from orders.errors import IllegalTransition
from orders.vocabulary import OrderStatus
from tests.model import gateway, lives, worker
from tests.model.changes import Step
from tests.model.invariants import at_rest, broken, undoubted
from tests.model.rules import PROTOCOL, Rules
from tests.model.world import Scope, World

FAULTS = 0.1  # how often a walk may choose one

GOALS: Sequence[tuple[str, Callable[[World], bool]]] = (
    ("I5: from here nothing brings it to rest", at_rest),
    ("I6: from here an order stays in doubt that could be told", undoubted),
)


class TooManyWorlds(Exception):
    """The scope is larger than was said."""


@dataclass(frozen=True, kw_only=True)
class Counterexample:
    """What broke, and the steps that led there."""

    broken: str
    steps: Sequence[str]

    def __str__(self) -> str:
        lines = [f"{number:3}. {text}" for number, text in enumerate(self.steps, start=1)]
        return "\n".join([*lines, f"     BROKEN  {self.broken}"])


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What an exploration found. `steps` counts those to worlds known already too, `statuses` are all that occurred."""

    worlds: int
    steps: int
    statuses: frozenset[OrderStatus]
    counterexample: Counterexample | None


class Atlas:
    """All worlds seen, from where and by which step each was reached first, and who leads to whom without a fault."""

    def __init__(self, beginning: World) -> None:
        self.numbers: dict[World, int] = {}
        self.steps = 0
        self._reached: list[tuple[int, str]] = []
        self._calmly_before: list[list[int]] = []
        self._enter(beginning, came_from=0, text="")

    def __len__(self) -> int:
        return len(self._reached)

    def add(self, step: Step, *, here: int) -> bool:
        """Note a step from world number `here`; true when it leads to a world not seen before."""
        self.steps += 1
        known = self.numbers.get(step.world)
        number = self._enter(step.world, came_from=here, text=step.text) if known is None else known
        if not step.fault:
            self._calmly_before[number].append(here)
        return known is None

    def counterexample(self, number: int, what: str) -> Counterexample:
        texts = []
        while number:
            number, text = self._reached[number]
            texts.append(text)
        return Counterexample(broken=what, steps=texts[::-1])

    def stuck(self, goal: Callable[[World], bool]) -> int | None:
        """The first world from which, though no further fault happens, no way leads to the goal."""
        waiting = [number for world, number in self.numbers.items() if goal(world)]
        fine = set(waiting)
        while waiting:
            for earlier in self._calmly_before[waiting.pop()]:
                if earlier not in fine:
                    fine.add(earlier)
                    waiting.append(earlier)
        return next((number for number in range(len(self)) if number not in fine), None)

    def explored(self, found: Counterexample | None) -> Explored:
        lived = {row.life for world in self.numbers for row in world.rows}
        statuses = frozenset(lives.status(life) for life in lived)
        return Explored(worlds=len(self), steps=self.steps, statuses=statuses, counterexample=found)

    def _enter(self, world: World, *, came_from: int, text: str) -> int:
        number = self.numbers[world] = len(self._reached)
        self._reached.append((came_from, text))
        self._calmly_before.append([])
        return number


def explore(scope: Scope, rules: Rules = PROTOCOL, *, at_most: int = 400_000) -> Explored:
    """Visit every world of the scope, up to a counterexample. Raises: TooManyWorlds."""
    atlas = Atlas(scope.beginning())
    with _no_collector():
        found = _broken_somewhere(atlas, scope, rules, at_most=at_most)
        for what, goal in GOALS:
            if found is None and (stuck := atlas.stuck(goal)) is not None:
                found = atlas.counterexample(stuck, what)
    return atlas.explored(found)


def walk(scope: Scope, rules: Rules = PROTOCOL, *, seed: int, faulty_steps: int, calm_steps: int) -> list[str]:
    """One path by chance: with faults, then without, until everything is told. Raises: AssertionError with the path."""
    chance = random.Random(seed)
    world, texts = scope.beginning(), [f"seed {seed}"]
    for number in range(faulty_steps + calm_steps):
        calm = number >= faulty_steps
        following = [step for step in successors(world, scope, rules) if not (calm and step.fault)]
        if undoubted(world) and (calm or not following):
            return texts
        if not following:
            raise AssertionError(
                str(Counterexample(broken="I6: nothing more happens, and not all is told", steps=texts))
            )
        calmly = [step for step in following if not step.fault]
        step = chance.choice(calmly if calmly and chance.random() > FAULTS else following)
        world = step.world
        texts.append(step.text)
        if what := broken(world):
            raise AssertionError(str(Counterexample(broken=what, steps=texts)))
    raise AssertionError(str(Counterexample(broken=f"not told within {calm_steps} calm steps", steps=texts)))


def successors(world: World, scope: Scope, rules: Rules) -> Iterable[Step]:
    """Everything that can happen next."""
    yield from worker.steps(world, rules)
    yield from gateway.steps(world, scope)


def _broken_somewhere(atlas: Atlas, scope: Scope, rules: Rules, *, at_most: int) -> Counterexample | None:
    waiting = deque(atlas.numbers)
    while waiting:
        world = waiting.popleft()
        here = atlas.numbers[world]
        try:
            for step in successors(world, scope, rules):
                if not atlas.add(step, here=here):
                    continue
                if what := broken(step.world):
                    return atlas.counterexample(atlas.numbers[step.world], what)
                waiting.append(step.world)
        except IllegalTransition as refusal:
            return atlas.counterexample(here, f"the lifecycle refuses what comes next: {refusal}")
        if len(atlas) > at_most:
            raise TooManyWorlds(f"{len(atlas)} worlds, and more to come")
    return None


@contextmanager
def _no_collector() -> Iterator[None]:
    """Worlds hold no cycles; the collector would look through all of them again and again, in vain."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
