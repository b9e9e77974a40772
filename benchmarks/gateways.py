"""Two gateways on one database against one of them alone: `python -m benchmarks.gateways`.

Two whole stacks as `make run` starts them, each before a paper gateway of its own with an account of its own; the
second uses the PostgreSQL and the Redis of the first. What is asked is whether they stand in each other's way. On a
machine whose processors one stack fills two cannot be faster than one, so each session has a pace that leaves room.

    python -m benchmarks.gateways                      at most ten messages a second for each session
    python -m benchmarks.gateways --pace 0             as fast as the machine goes
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks import meter, rivals
from benchmarks.load import Orders, Run
from benchmarks.placing import SYMBOLS, write_instruments
from benchmarks.rivals import Served, Venue
from gateway.paper.catalogue import read_catalogue

SECOND_ACCOUNT = "DU2000002"


def add_up(runs: list[Run]) -> str:
    together = Run([each for run in runs for each in run.milliseconds], max(run.seconds for run in runs))
    p50, p99 = together.percentile(50), together.percentile(99)
    return f"{together.per_second:7.1f} orders/s   p50 {p50:6.0f} ms   p99 {p99:6.0f} ms"


async def run(options: argparse.Namespace, directory: Path) -> None:
    instruments = write_instruments(directory / "instruments.csv")
    pace = {"IB_MESSAGES_PER_SECOND": str(options.pace or rivals.UNPACED)}
    supplies = [Orders(read_catalogue(instruments)) for _ in range(2)]

    async def place(served: list[Served]) -> list[Run]:
        runs = (
            one.place(supply, number=options.orders, at_once=16)
            for one, supply in zip(served, supplies[: len(served)], strict=True)
        )
        return list(await asyncio.gather(*runs))

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            rivals.ours(Venue(directory, instruments, 0), "first", GATEWAY_NAME="first", **pace)
        )
        await first.place(Orders(read_catalogue(instruments)), number=SYMBOLS, at_once=4)
        print(f"one gateway    {add_up(await place([first]))}", flush=True)
        assert first.database is not None
        shared = {
            "DATABASE_URL": first.database.read_text().strip(),
            "REDIS_URL": first.database.with_name("redis_url").read_text().strip(),
        }
        venue = Venue(directory, instruments, 0, account=SECOND_ACCOUNT)
        own = {"GATEWAY_NAME": "second", "IB_ACCOUNT": SECOND_ACCOUNT, "IB_CLIENT_ID": "18", "AUDIT_ORIGIN": "second"}
        second = await stack.enter_async_context(rivals.ours(venue, "second", **own, **shared, **pace))
        await second.place(Orders(read_catalogue(instruments)), number=SYMBOLS, at_once=4)
        processes = [*meter.family(first.process), *meter.family(second.process)]
        before = meter.processor_seconds(processes)
        runs = await place([first, second])
        spent = sum(meter.processor_seconds(processes).values()) - sum(before.values())
        print(f"two gateways   {add_up(runs)}")
        print(f"the two used {spent / max(run.seconds for run in runs):.1f} processors")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pace", type=int, default=10, help="messages a second of each session; 0: no pace (%(default)s)"
    )
    parser.add_argument("--orders", type=int, default=200, help="for each gateway (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ibkr-benchmark-") as name:
        Path(name).chmod(0o755)  # the embedded database runs as another user, who must be able to come by
        asyncio.run(run(options, Path(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
