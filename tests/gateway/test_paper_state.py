"""What survives: a restart, a torn last line, a kill at any moment."""

import json
import os
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.paper.catalogue import Catalogue, read_catalogue
from gateway.paper.exchange import Exchange
from gateway.paper.ledger import Ledger
from gateway.paper.orders import Status, StatusChanged
from gateway.paper.records import exchange_record
from gateway.paper.state import Store
from tests.gateway.paper_process import PaperGateway, RawClient, ledger_lines, place_order
from tests.gateway.trading import START, Floor

D = Decimal


class KeptFloor(Floor):
    """A floor whose exchange is kept in a directory, committed after each call."""

    def __init__(
        self, directory: Path, *, now: datetime = START, ledger: Ledger | None = None, **options: object
    ) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.now = now
        self.exchange = Exchange(
            catalogue=read_catalogue(),
            accounts=tuple(self.exchange.accounts),
            cash=D("200000"),
            seed=1,
            clock=lambda: self.now,
        )
        self.ledger = ledger or Ledger(None, lambda: self.now)
        self.store = Store(directory, self.exchange, self.ledger)
        self.store.load()
        self.exchange.open()
        self._listen()

    def _listen(self) -> None:
        events = self.exchange.take_events()
        for event in events:
            self.store.note(event)
            self.ledger.event(event)
        self.store.commit()
        self.ledger.commit()
        self.told += events


@contextmanager
def writing(file: Path) -> Iterator[Ledger]:
    with closing(Ledger(file, lambda: START)) as ledger:
        yield ledger


def two_turns(directory: Path) -> tuple[Path, int]:
    """The ledger of a gateway that was killed after two turns, and where in it the second begins."""
    file = directory / "ledger.jsonl"
    with writing(file) as ledger:
        floor = KeptFloor(directory, ledger=ledger)
        floor.place(1, "BUY", 10)
        before = file.stat().st_size
        floor.place(2, "SELL", 10)
    return file, before


def trade(floor: Floor) -> None:
    """A bit of everything."""
    floor.place(1, "BUY", 100)
    floor.place(2, "BUY", 10, "LMT", limit="230", order_ref="réf~1", memo={"open_close": "O"})
    floor.place(3, "SELL", 10, "STP", stop="225", time_in_force="GTC")
    floor.place(4, "BUY", 10, "LMT", limit="229", transmit=False)
    floor.place(5, "SELL", 10, "LMT", limit="240", transmit=False, parent_id=4)
    floor.place(6, "SELL", 10, "STP", stop="220", parent_id=4)
    floor.place(7, "SELL", 40, symbol="MSFT")
    floor.place(1, "BUY", 5_000, "LMT", limit="231.52", client=2)
    floor.place(8, "BUY", 1, "LMT", limit="200")
    floor.cancel(8)
    floor.place(9, "BUY", 1_000_000)
    floor.place(10, "BUY", 1, transmit=False)
    floor.step(3)


def state(floor: Floor) -> dict[str, object]:
    """Everything that counts, in a form that compares; prices only move on with the seed."""
    record: dict[str, Any] = json.loads(json.dumps(exchange_record(floor.exchange)))
    record["orders"] = sorted(record["orders"], key=lambda order: order["perm_id"])
    record["executions"] = sorted(record["executions"], key=lambda execution: execution["exec_id"])
    for account in record["accounts"].values():
        account["positions"].sort()
    del record["prices"]
    return record


def test_after_a_kill_everything_is_there(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    trade(floor)
    floor.store.note_prices()
    floor.store.commit()

    again = KeptFloor(tmp_path)

    assert state(again) == state(floor)
    assert again.market().maker.fair == floor.market().maker.fair
    assert again.exchange.accounts["DU1000001"].pending == floor.exchange.accounts["DU1000001"].pending
    assert again.exchange.register.next_valid_id(1) == 11
    assert not again.exchange.register.held


def test_after_a_clean_stop_everything_is_there(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    trade(floor)
    floor.store.close()

    assert [file.name for file in sorted(tmp_path.iterdir())] == ["journal-2.jsonl", "snapshot.json"]
    assert state(KeptFloor(tmp_path)) == state(floor)


def test_restored_orders_go_on_working(tmp_path: Path) -> None:
    trade(KeptFloor(tmp_path))
    again = KeptFloor(tmp_path)

    again.fair("228.90")
    assert again.order(2).status is Status.FILLED
    assert again.order(4).status is Status.FILLED
    assert again.order(5).status is Status.SUBMITTED
    again.fair("224.50")
    assert again.order(3).status is Status.FILLED
    again.fair("219.50")
    assert (again.order(6).status, again.order(5).status) == (Status.FILLED, Status.CANCELLED)


def test_an_order_the_reopened_market_meets_is_filled(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    floor.place(1, "BUY", 10, "LMT", limit="230")
    floor.market().maker.fair = D("229")
    floor.store.note_prices()
    floor.store.commit()

    assert KeptFloor(tmp_path).order(1).status is Status.FILLED


def test_time_priority_survives(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    for order_id in (1, 2):
        floor.place(order_id, "SELL", 10, "LMT", limit="231.50")
    floor.place(1, "SELL", 20, "LMT", limit="231.50")  # larger: behind the second

    again = KeptFloor(tmp_path)
    again.place(1, "BUY", 10, "LMT", limit="231.50", client=2)

    assert (again.order(1).filled, again.order(2).filled) == (0, 10)


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    perm_ids, exec_ids = set(), set()
    for run in range(4):
        floor = KeptFloor(tmp_path)
        order_id = floor.exchange.register.next_valid_id(1)
        assert order_id == 2 * run + 1
        perm_ids |= {
            floor.place(order_id, "BUY", 1).perm_id,
            floor.place(order_id + 1, "BUY", 1, transmit=False).perm_id,
        }
        exec_ids |= {execution.exec_id for execution in floor.executions()}

    assert len(perm_ids) == 8
    assert len(exec_ids) == 4


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_last_line_is_as_if_never_written(tmp_path: Path, cut: int) -> None:
    floor = KeptFloor(tmp_path)
    floor.place(1, "BUY", 10)
    before = state(floor)
    floor.place(2, "BUY", 10)
    (journal,) = tmp_path.glob("journal-*")
    journal.write_bytes(journal.read_bytes()[:-cut])

    assert state(KeptFloor(tmp_path)) == before


@pytest.mark.parametrize("left", [0, 1, 100, None])
def test_what_the_state_knows_the_ledger_comes_to_say(tmp_path: Path, left: int | None) -> None:
    """Killed after the state was written, before the ledger was, or in the middle of it."""
    file, before = two_turns(tmp_path)
    whole = file.read_bytes()
    assert [json.loads(line)["kind"] for line in whole[before:].splitlines()] == ["execution", "ended"]
    os.truncate(file, len(whole) if left is None else before + left)

    with writing(file) as ledger:
        KeptFloor(tmp_path, ledger=ledger)

    assert file.read_bytes() == whole


def test_a_ledger_that_was_taken_away_begins_with_the_last_turn(tmp_path: Path) -> None:
    file, before = two_turns(tmp_path)
    last = file.read_bytes()[before:]
    file.unlink()

    with writing(file) as ledger:
        KeptFloor(tmp_path, ledger=ledger)

    assert file.read_bytes() == last


def test_a_snapshot_that_was_not_finished_changes_nothing(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    trade(floor)
    (tmp_path / "snapshot.json.new").write_text('{"generation": 99, "or', encoding="utf-8")
    (tmp_path / "journal-2.jsonl").write_text("", encoding="utf-8")

    assert state(KeptFloor(tmp_path)) == state(floor)


def test_midnight_between_two_runs(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    trade(floor)

    again = KeptFloor(tmp_path)
    again.wait(days=1)
    again.step()

    assert {order.order_id for order in again.exchange.register.working.values()} == {3}
    assert not again.executions()
    third = KeptFloor(tmp_path)
    assert {order.order_id for order in third.exchange.register.working.values()} == {3}
    held = {position.listing.symbol: position.quantity for position in third.exchange.accounts["DU1000001"].holdings()}
    assert held == {
        position.listing.symbol: position.quantity for position in floor.exchange.accounts["DU1000001"].holdings()
    }


def test_a_day_order_does_not_outlive_a_midnight_that_nobody_ran(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    floor.place(1, "BUY", 10, "LMT", limit="230")
    floor.place(2, "BUY", 10, "LMT", limit="230", time_in_force="GTC")
    floor.place(3, "BUY", 100)
    floor.market().maker.fair = D("229")  # both would be filled at the opening
    floor.store.note_prices()
    floor.store.commit()

    again = KeptFloor(tmp_path, now=floor.now + timedelta(days=1))

    assert [(execution.order_id, execution.at) for execution in again.executions()] == [(2, again.now)]
    assert {order.order_id for order in again.exchange.register.completed.values()} == {2}
    assert any(isinstance(event, StatusChanged) and event.order.order_id == 1 for event in again.told)


def test_a_new_account_joins_the_kept_ones(tmp_path: Path) -> None:
    KeptFloor(tmp_path).place(1, "BUY", 10)

    again = KeptFloor(tmp_path, accounts=("DU2",))

    assert set(again.exchange.accounts) == {"DU2", "DU1000001"}


def test_a_state_with_an_unlisted_symbol_is_refused(tmp_path: Path) -> None:
    KeptFloor(tmp_path).place(1, "BUY", 10)
    others = Catalogue(listing for listing in read_catalogue() if listing.symbol != "AAPL")
    floor = Floor()
    exchange = Exchange(catalogue=others, accounts=["DU1"], cash=D(1), seed=1, clock=lambda: floor.now)

    with pytest.raises(ValueError, match="AAPL"):
        Store(tmp_path, exchange).load()


def test_the_journal_grows_by_what_changed_only(tmp_path: Path) -> None:
    floor = KeptFloor(tmp_path)
    for order_id in range(1, 301):
        floor.place(order_id, "BUY", 1, "LMT", limit="200")
    (journal,) = tmp_path.glob("journal-*")
    lines = journal.read_bytes().splitlines()

    assert len(lines) == 300
    assert len(json.loads(lines[-1])["orders"]) == 1
    assert len(lines[-1]) < 1_500


def test_a_long_journal_becomes_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.paper.state.LARGEST_JOURNAL", 5_000)
    floor = KeptFloor(tmp_path)
    for order_id in range(1, 31):
        floor.place(order_id, "BUY", 1, "LMT", limit="200")
    (journal,) = tmp_path.glob("journal-*")

    assert journal.name != "journal-1.jsonl"
    assert journal.stat().st_size < 7_000
    assert state(KeptFloor(tmp_path)) == state(floor)


# The real process


def test_kill_9_loses_no_acknowledged_order(tmp_path: Path) -> None:
    """Killed at a random moment of a burst, again and again: what was answered is there and was in the ledger."""
    ledger, kept = tmp_path / "ledger.jsonl", tmp_path / "state"
    moments = random.Random(4)
    acknowledged: dict[int, int] = {}
    for _ in range(3):
        gateway = PaperGateway("--state", str(kept), "--ledger", str(ledger))
        with RawClient.started(gateway.port, 1, offer="v157..157") as client:
            client.send(8, 1, 1)
            next_id = int(client.read_until(9)[-1][2])
            assert next_id > max(acknowledged, default=0)
            for order_id in range(next_id, next_id + 40):
                client.write(place_order(order_id, action="BUY", quantity=1, order_type="LMT", price="230"))
            for _ in range(moments.randint(3, 25)):
                opened = client.read_until(5)[-1]
                acknowledged[int(opened[1])] = int(opened[25])
            gateway.kill()

    with PaperGateway("--state", str(kept), "--ledger", str(ledger)) as gateway:
        with RawClient.started(gateway.port, 1, offer="v157..157") as client:
            client.send(5, 1)
            listed = {int(f[1]): int(f[25]) for f in client.read_until(53) if f[0] == "5"}

    placed = {line["orderId"]: line["permId"] for line in ledger_lines(ledger, "placement") if line["accepted"]}
    assert acknowledged.items() <= listed.items()
    assert acknowledged.items() <= placed.items()
