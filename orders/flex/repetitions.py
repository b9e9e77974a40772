"""What a file says more than once. Pure.

The same words twice are one row. Different words about one execution contradict each other, unless the file says that
one of the two was taken back: that is how a trade is booked anew. Takes some bytes per row, so that the first line
can be named; the size of a file is limited.
"""

from typing import NamedTuple

from orders.flex.statement import Cash, FlexRefused, Holding, Trade


class _Said(NamedTuple):
    line: int
    digest: bytes
    ids: tuple[str, ...]


class Repetitions:
    """Looks at the rows of one file in their order."""

    def __init__(self) -> None:
        self._said: dict[tuple[type, str, str], _Said] = {}
        self._contradictions: list[tuple[str, _Said, _Said]] = []
        self._taken_back: set[str] = set()
        self.count = 0

    def is_new(self, row: Trade | Cash | Holding, digest: str) -> bool:
        """False for what was said before in the same words."""
        ids = (row.trade_id, row.transaction_id) if isinstance(row, Trade) else ()
        if isinstance(row, Trade) and row.cancels and row.cancelled_id:
            self._taken_back.add(row.cancelled_id)
        said = _Said(row.line, bytes.fromhex(digest), ids)
        first = self._said.setdefault((type(row), row.account, row.reference), said)
        if first is said:
            return True
        if first.digest == said.digest:
            self.count += 1
            return False
        self._contradictions.append((row.reference, first, said))
        return True

    def refuse_contradictions(self) -> None:
        """Once the file is read to its end. Raises: FlexRefused."""
        for reference, first, second in self._contradictions:
            if not self._taken_back.intersection(first.ids + second.ids):
                raise FlexRefused(
                    second.line, f"{reference} contradicts line {first.line}, which says other things of it"
                )
