"""Load: orders spread over symbols and sides, and clients that send them over HTTP and take the time.

Rules: a client keeps its connection and has one request in flight; what is not answered with 200 ends the run, for a
fast refusal is no speed. Times are milliseconds from the first byte out to the last byte in.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from benchmarks.prepared import far_from_the_market
from gateway.paper.catalogue import Catalogue, Listing

NEAR = {"BUY": Decimal("1.05"), "SELL": Decimal("0.95")}  # beyond the other side's best price: filled at once
SHARES = 7


class Orders:
    """An endless supply: every symbol, side and price in turn, every `resting`th one far from the market."""

    def __init__(self, catalogue: Catalogue, *, resting: int = 2) -> None:
        self._listings: Sequence[Listing] = list(catalogue)
        self._resting = resting
        self._taken = 0

    def take(self) -> dict[str, Any]:
        """The next order, as POST /order/limit wants it."""
        number, self._taken = self._taken, self._taken + 1
        listing, side = self._listings[number % len(self._listings)], ("BUY", "SELL")[number % 2]
        near = listing.reference_price * NEAR[side]
        rests = number // 2 % self._resting == 0
        price = far_from_the_market(listing, side) if rests else near - near % listing.tick
        return {
            "symbol": listing.symbol,
            "action": side,
            "quantity": SHARES,
            "limit_price": float(price),
            "order_ref": f"bench-{number}",
        }


class Refused(RuntimeError):
    """An answer that is not 200."""


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def connect(self) -> "Client":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        return self

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """The body of the answer. Raises: Refused."""
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if content:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
        text = await self._reader.readexactly(length)
        if not answer.startswith("http/1.1 200"):
            raise Refused(f"{method} {path} {body}: {answer.splitlines()[0]} {text[:300]!r}")
        return text

    def close(self) -> None:
        self._writer.close()


@dataclass(slots=True)
class Run:
    """What one run took: milliseconds of each request, and seconds of all."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def closed_loop(act: Callable[[int], Awaitable[object]], *, number: int, at_once: int) -> Run:
    """Do it `number` times, that many at once; `act` is given which of them it is for."""
    run, left = Run(), iter(range(number))

    async def work(who: int) -> None:
        for _ in left:
            began = time.perf_counter()
            await act(who)
            run.milliseconds.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(work(who) for who in range(at_once)))
    run.seconds = time.perf_counter() - began
    return run


async def open_loop(act: Callable[[int], Awaitable[object]], *, per_second: float, seconds: float, at_once: int) -> Run:
    """Do it at a steady rate, whether or not answers come; times are from when it was due, so that no wait is lost."""
    run, free = Run(), asyncio.Queue[int]()
    for who in range(at_once):
        free.put_nowait(who)

    async def one(due: float) -> None:
        who = await free.get()
        await act(who)
        free.put_nowait(who)
        run.milliseconds.append((time.perf_counter() - due) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            due = began + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    run.seconds = time.perf_counter() - began
    return run


async def place_over_http(port: int, orders: Orders, *, number: int, at_once: int) -> Run:
    clients = [await Client(port).connect() for _ in range(at_once)]
    try:
        return await closed_loop(
            lambda who: clients[who].ask("POST", "/order/limit", orders.take()), number=number, at_once=at_once
        )
    finally:
        for client in clients:
            client.close()


async def read_over_http(port: int, path: str, *, number: int) -> Run:
    client = await Client(port).connect()
    try:
        return await closed_loop(lambda _: client.ask("GET", path), number=number, at_once=1)
    finally:
        client.close()
