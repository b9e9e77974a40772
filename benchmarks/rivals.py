"""Who is measured: our stack, the peer, and the floor; each before a paper gateway of its own, all the same program.

Rules: every one is real processes over TCP. The peer and the floor get a fresh gateway for every round, ours keeps one
for all rounds and has its history to carry. Where pacing is off it is off for all: at the gateway, in ib_insync and in
our session. The orders a book holds are the rival's own, as they would be had it placed them.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks import load
from benchmarks.load import Orders, Run
from benchmarks.prepared import ACCOUNT, CASH, gateway_process, write_book

ROOT = Path(__file__).parents[1]
START_SECONDS = 90.0
OURS, PEER, FLOOR = 17, 31, 33  # client ids
UNPACED = 100_000  # messages a second: never reached
# By the database's clock: asked for, claimed, acknowledged, answered.
STEPS = """
    SELECT extract(epoch FROM sent.recorded_at - o.received_at)::float8 * 1000,
        extract(epoch FROM accepted.recorded_at - sent.recorded_at)::float8 * 1000,
        extract(epoch FROM a.answered_at - accepted.recorded_at)::float8 * 1000
    FROM (SELECT * FROM orders_order WHERE request_id IS NOT NULL ORDER BY id DESC LIMIT %s) AS o
    JOIN orders_orderevent sent ON sent.order_id = o.id AND sent.kind = 'SENT'
    JOIN orders_orderevent accepted ON accepted.order_id = o.id AND accepted.kind = 'ACCEPTED'
    JOIN orders_requestanswer a ON a.request_id = o.request_id
"""


@dataclass(frozen=True)
class Venue:
    """Where a paper gateway takes what it has from: a book prepared once, copied for each."""

    directory: Path
    instruments: Path
    working: int
    paced: bool = False
    account: str = ACCOUNT  # another one only where no order works

    @contextmanager
    def gateway(self, name: str, *, client_id: int) -> Iterator[tuple[int, int, Path]]:
        """A gateway with that book, its orders of that client: its process id, its port, its ledger."""
        prepared, state = self.directory / f"book-{self.working}-{client_id}", self.directory / name
        if not self.working:
            state.mkdir()
        else:
            if not prepared.exists():
                write_book(prepared, working=self.working, client_id=client_id, instruments=self.instruments)
            shutil.copytree(prepared, state)
        ledger = state / "ledger.jsonl"
        options = ["--instruments", str(self.instruments), "--cash", str(CASH), "--tick", "0.5"]
        options += ["--accounts", self.account, "--ledger", str(ledger), *([] if self.paced else ["--rate", "0"])]
        with gateway_process(state, *options) as (process, port):
            yield process, port, ledger


def messages_per_order(ledger: Path) -> float:
    """What went to the gateway over all sessions, by what was placed; after the sessions are closed."""
    lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    sent = sum(line["messages"] for line in lines if line["kind"] == "session_close")
    return sent / max(1, sum(line["kind"] == "placement" for line in lines))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- Over HTTP: ours and the peer -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """A server to be asked over HTTP, and the processes it consists of."""

    port: int
    process: int
    gateway_process: int
    ledger: Path
    database: Path | None = None  # where the address of its database stands

    def steps(self, last: int) -> list[float]:
        """Median milliseconds of the last orders: asked to claimed, claimed to acknowledged, that to the answer."""
        assert self.database is not None
        with psycopg.connect(self.database.read_text().strip()) as connection:
            rows = connection.execute(STEPS, [last]).fetchall()
        return [median(step) for step in zip(*rows, strict=True)]

    async def place(self, orders: Orders, *, number: int, at_once: int) -> Run:
        return await load.place_over_http(self.port, orders, number=number, at_once=at_once)

    async def read(self, path: str, *, number: int) -> Run:
        return await load.read_over_http(self.port, path, number=number)


@asynccontextmanager
async def ours(venue: Venue, name: str, **environment: str) -> AsyncIterator[Served]:
    """The whole stack as `make run` starts it, ready to trade. `environment`: settings beside those of the bench."""
    with venue.gateway(f"{name}-gateway", client_id=OURS) as (gateway, gateway_port, ledger):
        data, port = venue.directory / name, free_port()
        data.mkdir()
        own = {
            "ENV_FILE": "",
            "DATA_DIR": str(data),
            "PORT": str(port),
            "IB_PORT": str(gateway_port),
            "IB_ACCOUNT": ACCOUNT,
            "IB_CLIENT_ID": str(OURS),
            "LOG_LEVEL": "WARNING",
            # On a machine that does other things an order is to be slow rather than given up.
            "PLACEMENT_WAIT_SECONDS": "40",
            "ORDER_VALID_SECONDS": "60",
            **({} if venue.paced else {"IB_MESSAGES_PER_SECOND": str(UNPACED)}),
        }
        with (data / "stack.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ibkr_site.stack"],
                cwd=ROOT,
                env={**os.environ, **own, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            await _answers(port, "/health/ready", process, data / "stack.log")
            yield Served(port, process.pid, gateway, ledger, data / "database_url")
        finally:
            process.terminate()
            process.wait(60)


@asynccontextmanager
async def peer(venue: Venue, name: str) -> AsyncIterator[Served]:
    with venue.gateway(f"{name}-gateway", client_id=PEER) as (gateway, gateway_port, ledger):
        port, log_file = free_port(), venue.directory / f"{name}.log"
        argv = [sys.executable, "-m", "benchmarks.peer", "--gateway", str(gateway_port), "--port", str(port)]
        with log_file.open("wb") as log:
            process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)
        try:
            await _answers(port, "/openapi.json", process, log_file)
            yield Served(port, process.pid, gateway, ledger)
        finally:
            process.terminate()
            process.wait(30)


async def _answers(port: int, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError, load.Refused, asyncio.IncompleteReadError):
            client = await load.Client(port).connect()
            try:
                await client.ask("GET", path)
            finally:
                client.close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise RuntimeError(f"nothing answers at port {port}:\n{tail}")
        await asyncio.sleep(0.1)


# --- The floor: the library alone, on one connection ------------------------------------------------------------------


class Floor:
    """ib_insync in this process, connected once: from placeOrder to the permId."""

    def __init__(self, ib: Any, gateway: int) -> None:
        self._ib = ib
        self.gateway_process = gateway
        self.process = os.getpid()
        self._contracts: dict[str, Any] = {}
        self._known: dict[int, asyncio.Future[None]] = {}
        ib.openOrderEvent += self._listed

    def _listed(self, trade: Any) -> None:
        waiting = self._known.pop(trade.order.orderId, None)
        if waiting is not None and trade.order.permId:
            waiting.set_result(None)

    async def place(self, orders: Orders, *, number: int, at_once: int) -> Run:
        from ib_insync import LimitOrder, Stock

        async def one(_: int) -> None:
            asked = orders.take()
            symbol = asked["symbol"]
            if symbol not in self._contracts:
                (self._contracts[symbol],) = await self._ib.qualifyContractsAsync(Stock(symbol, "SMART", "USD"))
            order = LimitOrder(asked["action"], asked["quantity"], asked["limit_price"], tif="DAY")
            trade = self._ib.placeOrder(self._contracts[symbol], order)
            known = self._known[trade.order.orderId] = asyncio.get_running_loop().create_future()
            await known

        return await load.closed_loop(one, number=number, at_once=at_once)


@asynccontextmanager
async def floor(venue: Venue, name: str) -> AsyncIterator[Floor]:
    from ib_insync import IB

    with venue.gateway(f"{name}-gateway", client_id=FLOOR) as (gateway, port, _):
        ib = IB()
        if not venue.paced:
            ib.client.MaxRequests = 0
        await ib.connectAsync("127.0.0.1", port, FLOOR, 10)
        try:
            yield Floor(ib, gateway)
        finally:
            ib.disconnect()
            await asyncio.sleep(0.05)
