"""A message's order of fields as data: one table per message, walked by the reader and by the writer alike.

Rules: items stand in wire order. A path names a value in the message (`order_id`, `order.tif`). What is on the wire
may depend on the version (`since`, `before`) and on the *text* of an earlier field (Group): the text, because `None`
as an order type is written where there is none and brings its fields with it. Version bounds stand on top-level items
only. Once the version is known, fields that follow each other are read and written in one go (Run).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby, islice
from operator import attrgetter, itemgetter
from typing import Any, Protocol, get_type_hints

from gateway.tws.fields import COUNT, FLAG, Encoding

NEVER = 10_000  # a version beyond all


class Item(Protocol):
    """One entry of a layout: reads itself from the wire and writes itself onto it."""

    @property
    def since(self) -> int: ...

    @property
    def before(self) -> int: ...

    def read(self, reading: "Reading") -> None: ...

    def write(self, writing: "Writing") -> None: ...

    def under(self, owner: str) -> "Item": ...


Layout = tuple[Item, ...]


@dataclass(slots=True)
class Reading:
    """A message being read: the fields to come, the values gathered so far by name, those of its parts (`order.tif`) by
    part and name, and the texts by path."""

    source: Iterator[str]
    values: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def keep(self, path: str, value: Any) -> None:
        part, _, name = path.rpartition(".")
        self.of(part)[name] = value

    def of(self, part: str) -> dict[str, Any]:
        """The values of that part; of the message itself where it is empty."""
        return self.parts.setdefault(part, {}) if part else self.values

    def take(self) -> str:
        for text in self.source:
            return text
        raise ValueError("the message ends here")

    def take_as(self, path: str, encoding: Encoding) -> Any:
        """Read the next field.

        Raises: ValueError, naming the path.
        """
        try:
            text = self.take()
            value = encoding.read(text)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        self.texts[path] = text
        return value


@dataclass(slots=True)
class Writing:
    """A message being written: where the values come from, and the texts so far, in order and by path."""

    source: object
    out: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, text: str) -> None:
        self.texts[path] = text
        self.out.append(text)


@cache
def _getter(path: str) -> Callable[[object], Any]:
    return attrgetter(path)


@dataclass(frozen=True, slots=True)
class Field:
    """One value in one field."""

    path: str
    encoding: Encoding
    since: int = 0
    before: int = NEVER

    def read(self, reading: Reading) -> None:
        reading.keep(self.path, reading.take_as(self.path, self.encoding))

    def write(self, writing: Writing) -> None:
        writing.put(self.path, self.encoding.write(_getter(self.path)(writing.source)))

    def under(self, owner: str) -> "Field":
        return replace(self, path=f"{owner}.{self.path}")


@dataclass(frozen=True, slots=True)
class Constant:
    """A field without a value: message versions and fields long out of use. Written as given, read as anything."""

    text: str
    since: int = 0
    before: int = NEVER

    def read(self, reading: Reading) -> None:
        reading.take()

    def write(self, writing: Writing) -> None:
        writing.out.append(self.text)

    def under(self, owner: str) -> "Constant":
        return self


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are there only if the text of an earlier field says so."""

    decider: str
    holds: Callable[[str], bool]
    items: Layout
    since: int = 0
    before: int = NEVER

    def read(self, reading: Reading) -> None:
        if self.holds(reading.texts[self.decider]):
            for item in self.items:
                item.read(reading)

    def write(self, writing: Writing) -> None:
        if self.holds(writing.texts[self.decider]):
            for item in self.items:
                item.write(writing)

    def under(self, owner: str) -> "Group":
        return replace(self, decider=f"{owner}.{self.decider}", items=within(owner, *self.items))


@dataclass(frozen=True, slots=True)
class Repeated:
    """A count, then that many elements; a tuple in the message."""

    path: str
    element: type
    items: Layout
    since: int = 0
    before: int = NEVER

    def read(self, reading: Reading) -> None:
        count = reading.take_as(self.path, COUNT)
        elements = []
        for _ in range(count):  # a lie about the count ends where the fields end
            part = Reading(reading.source)
            for item in self.items:
                item.read(part)
            elements.append(self.element(**part.values))
        reading.keep(self.path, tuple(elements))

    def write(self, writing: Writing) -> None:
        elements = _getter(self.path)(writing.source)
        writing.put(self.path, str(len(elements)))
        for element in elements:
            part = Writing(element, writing.out)
            for item in self.items:
                item.write(part)

    def under(self, owner: str) -> "Repeated":
        return replace(self, path=f"{owner}.{self.path}")


@dataclass(frozen=True, slots=True)
class Optional:
    """A flag, then the fields of the part if it is set; None in the message otherwise."""

    path: str
    element: type
    items: Layout
    since: int = 0
    before: int = NEVER

    def read(self, reading: Reading) -> None:
        value = None
        if reading.take_as(self.path, FLAG):
            part = Reading(reading.source)
            for item in self.items:
                item.read(part)
            value = self.element(**part.values)
        reading.keep(self.path, value)

    def write(self, writing: Writing) -> None:
        value = _getter(self.path)(writing.source)
        writing.put(self.path, FLAG.write(value is not None))
        if value is not None:
            part = Writing(value, writing.out)
            for item in self.items:
                item.write(part)

    def under(self, owner: str) -> "Optional":
        return replace(self, path=f"{owner}.{self.path}")


class Run:
    """Fields in a row, at one version: an order has more than a hundred, and most are read and written for nothing."""

    since, before = 0, NEVER

    def __init__(self, fields: tuple[Field, ...], deciders: frozenset[str]) -> None:
        self._fields = fields
        self._paths = tuple(field.path for field in fields)
        self._values = attrgetter(*self._paths)
        self._readers = tuple(field.encoding.read for field in fields)
        self._writers = tuple(field.encoding.write for field in fields)
        self._deciders = tuple((n, path) for n, path in enumerate(self._paths) if path in deciders)
        self._places = tuple(_places(self._paths))

    def read(self, reading: Reading) -> None:
        texts = tuple(islice(reading.source, len(self._fields)))
        try:
            if len(texts) < len(self._fields):
                raise ValueError
            values = [read(text) for read, text in zip(self._readers, texts, strict=True)]
        except ValueError:
            reading.source = iter(texts)  # once more, to say which
            for field in self._fields:
                field.read(reading)
            raise
        for part, names, where in self._places:
            reading.of(part).update(zip(names, values[where], strict=True))
        for number, path in self._deciders:
            reading.texts[path] = texts[number]

    def write(self, writing: Writing) -> None:
        values = self._values(writing.source)
        texts = [write(value) for write, value in zip(self._writers, values, strict=True)]
        writing.out += texts
        for number, path in self._deciders:
            writing.texts[path] = texts[number]

    def under(self, owner: str) -> "Run":
        raise TypeError("a run is made of what stands where it is to be")


def _places(paths: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], slice]]:
    """Which of these values belong to which part, under what names."""
    begin = 0
    for part, of_it in groupby((path.rpartition(".") for path in paths), key=itemgetter(0)):
        names = tuple(name for _, _, name in of_it)
        yield part, names, slice(begin, begin + len(names))
        begin += len(names)


def in_runs(layout: Layout) -> Layout:
    """The same items for one version, fields that follow each other taken together."""
    deciders = frozenset(item.decider for item in layout if isinstance(item, Group))
    items: list[Item] = []
    for _, together in groupby(layout, key=type):
        items += _taken_together([*together], deciders)
    return tuple(items)


def _taken_together(alike: list[Item], deciders: frozenset[str]) -> list[Item]:
    fields = tuple(item for item in alike if isinstance(item, Field))
    return [Run(fields, deciders)] if len(fields) > 1 else alike


def within(owner: str, *items: Item) -> Layout:
    """The same items, their paths under `owner`."""
    return tuple(item.under(owner) for item in items)


def at_version(layout: Layout, version: int) -> Layout:
    """The items that are on the wire at that server version."""
    return tuple(item for item in layout if item.since <= version < item.before)


@dataclass(frozen=True, slots=True)
class Since:
    """Annotation: the field is on the wire from that server version on."""

    version: int


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def annotated_layout(kind: type) -> Layout:
    """The layout of a dataclass whose annotations carry an encoding, or a layout for a part, per field."""
    items: list[Item] = []
    for name, hint in _hints(kind).items():
        since = 0
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, Since):
                since = mark.version
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, Encoding):
                items.append(Field(name, mark, since=since))
            elif isinstance(mark, tuple):
                items += within(name, *mark)
    return tuple(items)


def build(kind: type, reading: Reading, **more: Any) -> Any:
    """Make the message from what was read; its parts first."""
    parts = {name: _part_type(kind, name)(**values) for name, values in reading.parts.items()}
    return kind(**reading.values, **parts, **more)


@cache
def _part_type(kind: type, owner: str) -> type:
    hint = _hints(kind)[owner]
    part: type = getattr(hint, "__origin__", hint)
    return part
