"""What survives a restart: a snapshot and a journal of what changed since, in one directory.

Rules: the journal takes one line per turn of the server, holding every order as it now stands, every execution and
every number given away since the line before, and what the ledger is going to say of it; the line is on disk before
the ledger's are, and both before any answer of that turn leaves. A torn last line belongs to answers that never left
and is dropped. `snapshot.json` names its journal and is replaced atomically (write, fsync, rename, fsync of the
directory), so that there is always one matching pair. Cash and positions are in the snapshot; after it they follow
from the executions. Held orders (transmit=False) are not kept, as at IB.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gateway.paper.exchange import Exchange
from gateway.paper.ledger import Ledger, Promise
from gateway.paper.orders import Event, Executed, Execution, Held, Opened, Order, StatusChanged
from gateway.paper.records import (
    Record,
    counters_record,
    exchange_record,
    execution_record,
    order_record,
    prices_record,
    restore,
)

LARGEST_JOURNAL = 64 << 20  # bytes; a larger one would make the next start slow


class Store:
    """Keeps one exchange in one directory."""

    def __init__(self, directory: Path, exchange: Exchange, ledger: Ledger | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._exchange = exchange
        self._ledger = ledger or Ledger(None, exchange.clock)
        self._generation = 0
        self._journal = -1
        self._orders: dict[int, Order] = {}
        self._executions: list[Execution] = []
        self._held = False
        self._prices = False
        self._day = exchange.day
        self._written = 0

    def load(self) -> None:
        """Bring the exchange to where it was left; then start a new journal. Before `exchange.open()`.

        Raises: ValueError when the directory holds what this exchange cannot take (an unknown symbol).
        """
        snapshot = self._directory / "snapshot.json"
        if snapshot.exists():
            saved = json.loads(snapshot.read_text(encoding="utf-8"))
            self._generation = saved["generation"]
            promised = [saved.get("ledger")]
            restore(self._exchange, saved, self._journal_lines(promised))
            if promise := promised[-1]:
                self._ledger.keep(promise)
        self.compact()

    def note(self, event: Event) -> None:
        """Remember that an order or execution of this event must be saved."""
        match event:
            case Opened(order) | StatusChanged(order):
                self._orders[order.perm_id] = order
            case Executed(execution):
                self._executions.append(execution)
            case Held(_):
                self._held = True

    def note_prices(self) -> None:
        self._prices = True

    def commit(self) -> None:
        """Make everything noted so far durable. A new day starts a new snapshot: the old day's orders are gone."""
        if self._exchange.day != self._day or self._written > LARGEST_JOURNAL:
            self.compact()
        elif self._orders or self._executions or self._held or self._prices:
            line = json.dumps(self._line(), ensure_ascii=False).encode() + b"\n"
            _write(self._journal, line)
            os.fsync(self._journal)
            self._written += len(line)
            self._forget()

    def _line(self) -> Record:
        register = self._exchange.register
        line: Record = {
            # A held order that was dropped is in neither.
            "orders": [
                order_record(order)
                for key, order in self._orders.items()
                if key in register.working or key in register.completed
            ],
            "executions": [execution_record(execution) for execution in self._executions],
            "counters": counters_record(register.counters),
            "ledger": self._ledger.pending(),
        }
        if self._prices:
            line["prices"] = prices_record(self._exchange)
        return line

    def _forget(self) -> None:
        self._orders.clear()
        self._executions.clear()
        self._held = self._prices = False

    def compact(self) -> None:
        """Write a snapshot of everything and start an empty journal."""
        self._forget()  # it stands in the exchange, and so in the snapshot
        self._day = self._exchange.day
        old = self._path_of_journal()
        self._generation += 1
        self._written = 0
        if self._journal >= 0:
            os.close(self._journal)
        self._journal = os.open(self._path_of_journal(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        record = {"generation": self._generation, "ledger": self._ledger.pending(), **exchange_record(self._exchange)}
        draft = self._directory / "snapshot.json.new"
        with draft.open("wb") as file:
            file.write(json.dumps(record, ensure_ascii=False).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._directory / "snapshot.json")
        self._sync_directory()
        with suppress(FileNotFoundError):
            old.unlink()

    def close(self) -> None:
        self.compact()
        os.close(self._journal)
        self._journal = -1

    def _path_of_journal(self) -> Path:
        return self._directory / f"journal-{self._generation}.jsonl"

    def _journal_lines(self, promised: list[Promise | None]) -> Iterator[Record]:
        """The lines; what the last of them promised the ledger takes the place of what is in `promised`."""
        with suppress(FileNotFoundError):
            for text in self._path_of_journal().read_bytes().split(b"\n")[:-1]:  # what follows the last was torn
                line = json.loads(text)
                promised[:] = [line.get("ledger")]
                yield line

    def _sync_directory(self) -> None:
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
