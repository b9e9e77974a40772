"""Orders and reads over HTTP, against the guide's own design and against the library alone: `make bench`.

Three rivals take turns in every round, each before a paper gateway of its own (benchmarks.rivals): our whole stack as
`make run` starts it; the peer, which opens a connection for each request; and the floor, ib_insync on one open
connection without HTTP or a record. Orders are limit orders over 101 symbols and both sides, in turn resting and filled
at once, so that IB's limit of 20 orders per contract and side is never met. Where not said otherwise the pace of 50
messages a second is lifted for all three. Figures are medians over the rounds.

    python -m benchmarks.placing                      everything but the long run; some minutes
    python -m benchmarks.placing --sustained 10       and ten minutes at 45 orders a second, paced
    python -m benchmarks.placing --quick              few orders, one round: whether it runs at all
    python -m benchmarks.placing --json result.json --chart chart.svg
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import chart, meter, rivals
from benchmarks.load import Client, Orders, Refused, Run, closed_loop, open_loop
from benchmarks.rivals import Venue, messages_per_order
from gateway.paper.catalogue import BUNDLED, read_catalogue

SYMBOLS = 101  # no divisor in common with sides and kinds: every combination comes up
SUSTAINED_WARM_UP = 400
READS = ("/account", "/positions", "/orders")


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int = 5
    single: int = 100  # orders of a run with one client
    crowd: int = 400  # orders of a run with sixteen
    flood: int = 2000  # orders of the run for the throughput
    reads: int = 60
    warm_up: int = 40


QUICK = Extent(rounds=1, single=20, crowd=64, flood=200, reads=10, warm_up=16)


@dataclass(frozen=True)
class Row:
    """One measurement of one rival: milliseconds, requests a second, and what a request cost."""

    what: str
    who: str
    p50: float
    p99: float
    per_second: float
    cpu_ms: float  # of all processes of the rival and its gateway, per request
    gateway_cpu_ms: float


def write_instruments(path: Path) -> Path:
    lines = ["symbol,con_id,primary_exchange,reference_price,tick,name"]
    bundled = len(read_catalogue(BUNDLED))
    lines += [f"BN{number:02},,NASDAQ,{100 + number},0.01,Bench {number}" for number in range(SYMBOLS - bundled)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Bench:
    """Collects the rows of all runs."""

    def __init__(self, directory: Path, extent: Extent) -> None:
        self.directory = directory
        self.extent = extent
        self.instruments = write_instruments(directory / "instruments.csv")
        self.rows: list[Row] = []
        self.facts: dict[str, Any] = {}
        self._runs = 0

    def orders(self, *, resting: int = 2) -> Orders:
        return Orders(read_catalogue(self.instruments), resting=resting)

    def name(self, who: str) -> str:
        self._runs += 1
        return f"{self._runs}-{who}"

    async def measured(self, what: str, who: str, rival: Any, run: Callable[[], Awaitable[Run]]) -> Row:
        processes = [*meter.family(rival.process), rival.gateway_process]
        before = meter.processor_seconds(processes)
        seen = await run()
        after = meter.processor_seconds(processes)
        spent = {part: after[part] - before.get(part, 0.0) for part in after}
        each = 1000 / len(seen.milliseconds)
        row = Row(
            what=what,
            who=who,
            p50=seen.percentile(50),
            p99=seen.percentile(99),
            per_second=seen.per_second,
            cpu_ms=sum(spent.values()) * each,
            gateway_cpu_ms=spent.get("gateway", 0.0) * each,
        )
        self.rows.append(row)
        parts = ", ".join(f"{part} {seconds * each:.1f}" for part, seconds in sorted(spent.items()) if seconds)
        say(f"  {what:<28} {who:<6} {row.p50:8.2f} {row.p99:8.2f} ms {row.per_second:7.0f}/s   CPU ms: {parts}")
        return row

    async def placements(self, who: str, rival: Any, orders: Orders, *, book: str) -> None:
        extent = self.extent
        await rival.place(orders, number=extent.warm_up, at_once=1)
        for at_once, number in ((1, extent.single), (16, extent.crowd)):
            if who == "peer" and at_once > 1:
                number = min(number, 150)  # it is slow, and the same from the first to the last
            await self.measured(
                f"order, {book}, {at_once} client{'s' * (at_once > 1)}",
                who,
                rival,
                lambda number=number, at_once=at_once: rival.place(orders, number=number, at_once=at_once),  # type: ignore[misc]
            )

    def steps(self, own: rivals.Served, *, book: str) -> None:
        asked, acknowledged, answered = own.steps(self.extent.single)
        self.facts[f"steps, {book}"] = {
            "asked to claimed": round(asked, 2),
            "claimed to acknowledged": round(acknowledged, 2),
            "acknowledged to answer": round(answered, 2),
        }

    async def reads(self, who: str, rival: Any, *, book: str) -> None:
        for path in READS:
            try:
                await rival.read(path, number=3)
                await self.measured(
                    f"GET {path}, {book}",
                    who,
                    rival,
                    lambda path=path: rival.read(path, number=self.extent.reads),  # type: ignore[misc]
                )
            except Refused as refused:
                say(f"  GET {path}, {book}: {who} refused it, and has no row: {refused}")

    async def book(self, *, working: int) -> None:
        """All rivals in turns, before books with that many working orders."""
        venue, book = Venue(self.directory, self.instruments, working), f"{working:,} working"
        orders = self.orders()
        name = self.name("ours")
        async with rivals.ours(venue, name) as own:
            # Before the crowd of other people's first impressions: every symbol is asked about once.
            await own.place(self.orders(), number=SYMBOLS, at_once=1)
            for number in range(self.extent.rounds):
                say(f"{book}, round {number + 1} of {self.extent.rounds}")
                async with rivals.floor(venue, self.name("floor")) as floor:
                    await self.placements("floor", floor, self.orders(), book=book)
                async with rivals.peer(venue, self.name("peer")) as peer:
                    await self.placements("peer", peer, self.orders(), book=book)
                    await self.reads("peer", peer, book=book)
                ledger = peer.ledger
                await own.place(orders, number=self.extent.single, at_once=1)
                self.steps(own, book=book)
                await self.placements("ours", own, orders, book=book)
                await self.reads("ours", own, book=book)
            self.memory(f"{book}", own)
            await self.flood(own, orders, book=book)
            self.memory(f"{book}, at the end", own)
        self.facts[f"messages per order, {book}, ours, all asked beside"] = messages_per_order(own.ledger)
        self.facts[f"messages per order, {book}, peer, reads too"] = messages_per_order(ledger)

    async def flood(self, own: Any, orders: Orders, *, book: str) -> None:
        number = self.extent.flood
        await self.measured(
            f"{number:,} orders, {book}, 16", "ours", own, lambda: own.place(orders, number=number, at_once=16)
        )

    def memory(self, when: str, rival: Any) -> None:
        held = meter.megabytes(meter.family(rival.process))
        self.facts[f"MB, {when}"] = {part: round(size) for part, size in sorted(held.items())}

    async def sustained(self, minutes: float, *, rate: float) -> None:
        """So many orders a second, paced as IB wants it; times from when an order was due."""
        say(f"{rate:g} orders a second for {minutes:g} minutes")
        venue = Venue(self.directory, self.instruments, 0, paced=True)
        orders = self.orders(resting=20)
        async with rivals.ours(venue, self.name("paced")) as own:
            clients = [await Client(own.port).connect() for _ in range(64)]
            place = lambda who: clients[who].ask("POST", "/order/limit", orders.take())  # noqa: E731
            await closed_loop(place, number=SYMBOLS, at_once=1)
            # Until each thread has its connection and its statements.
            await closed_loop(place, number=SUSTAINED_WARM_UP, at_once=16)
            await asyncio.sleep(2)
            self.memory("sustained, before", own)
            seconds = minutes * 60
            run = open_loop(place, per_second=rate, seconds=seconds, at_once=64)
            await self.measured(f"{rate:g}/s, paced, {minutes:g} min", "ours", own, lambda: run)
            self.memory("sustained, after", own)
            for client in clients:
                client.close()
        self.facts["messages per order, sustained"] = messages_per_order(own.ledger)


def summary(rows: list[Row]) -> list[Row]:
    """The median of each measurement over the rounds, in the order they first came."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.what, row.who), []).append(row)
    figures = ("p50", "p99", "per_second", "cpu_ms", "gateway_cpu_ms")
    return [
        Row(what, who, **{name: median(getattr(row, name) for row in same) for name in figures})
        for (what, who), same in found.items()
    ]


def table(rows: list[Row]) -> str:
    """Lines for people; the ratios are of the peer's figure to ours, so above 1 is better than the peer."""
    head = f"{'':<32} {'':<6} {'p50 ms':>8} {'p99 ms':>8} {'a second':>9} {'CPU ms':>7}   {'p50':>6} {'a second':>9}"
    lines = [head, "-" * len(head)]
    for what in dict.fromkeys(row.what for row in rows):
        here = {row.who: row for row in rows if row.what == what}
        for who, row in here.items():
            line = f"{what:<32} {who:<6} {row.p50:>8.2f} {row.p99:>8.2f} {row.per_second:>9.0f} {row.cpu_ms:>7.2f}"
            if who == "ours" and (peer := here.get("peer")):
                line += f"   {peer.p50 / row.p50:>5.2f}x {row.per_second / peer.per_second:>8.2f}x"
            lines.append(line)
    return "\n".join(lines)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def run(options: argparse.Namespace, directory: Path) -> Bench:
    bench = Bench(directory, QUICK if options.quick else Extent(rounds=options.rounds))
    for working in options.working:
        await bench.book(working=working)
    if options.sustained:
        await bench.sustained(options.sustained, rate=options.rate)
    return bench


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rounds", type=int, default=Extent.rounds, help="how often each rival has its turn (%(default)s)")
    add("--working", type=int, nargs="*", default=[0, 1000], help="working orders in the book (0 and 1000)")
    add("--sustained", type=float, default=0.0, metavar="MINUTES", help="and so long at --rate orders a second, paced")
    add("--rate", type=float, default=45.0, metavar="ORDERS", help="a second, of --sustained (%(default)g)")
    add("--quick", action="store_true", help="few orders, one round")
    add("--json", type=Path, metavar="FILE", help="write the figures to FILE too")
    add("--chart", type=Path, metavar="FILE", help="draw them to FILE, as SVG")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ibkr-benchmark-") as name:
        # The embedded database runs as another user, who must be able to come by.
        Path(name).chmod(0o755)
        bench = asyncio.run(run(options, Path(name)))
    rows = summary(bench.rows)
    print(table(rows))
    for fact, value in bench.facts.items():
        print(f"{fact}: {value if isinstance(value, dict) else round(value, 2)}")
    if options.json:
        machine = {"python": platform.python_version(), "cores": os.cpu_count()}
        figures = machine | {"rows": [asdict(row) for row in rows], "facts": bench.facts}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.chart:
        options.chart.write_text(chart.draw(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
