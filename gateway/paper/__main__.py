"""Run the paper gateway: `python -m gateway.paper`."""

import argparse
import asyncio
import logging
import signal
import sys
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.paper import catalogue
from gateway.paper.exchange import Exchange
from gateway.paper.ledger import Ledger
from gateway.paper.rendering import Clock
from gateway.paper.server import Server
from gateway.paper.state import Store
from gateway.paper.throttle import RATE
from gateway.paper.venue import Venue

DESCRIPTION = """\
A paper IB Gateway: a small exchange that speaks the TWS API, for ib_insync, ib_async and other clients.
Its market is always open. Orders meet a seeded market maker and each other; nothing leaves this machine."""

EPILOG = f"instruments:\n{catalogue.__doc__}"


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.paper",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=4002, help="port to listen on; 0 picks a free one (default: %(default)s)")
    add("--accounts", type=_accounts, default="DU1000001", help="account codes, with commas (default: %(default)s)")
    add("--cash", type=_dollars, default=Decimal(200_000), help="dollars in a new account (default: %(default)s)")
    add("--seed", type=int, default=1, help="of all prices and sizes (default: %(default)s)")
    add(
        "--tick",
        type=_seconds,
        default=0.5,
        help="seconds between moves of the market; 0: none (default: %(default)s)",
    )
    add("--instruments", type=Path, metavar="FILE", help="more instruments, see below")
    add("--ledger", type=Path, metavar="FILE", help="append every session, placement, cancel and execution to FILE")
    add("--state", type=Path, metavar="DIR", help="keep orders, positions and cash in DIR over restarts")
    add("--time-zone", default="UTC", help="zone of times and of midnight, e.g. US/Eastern (default: %(default)s)")
    add(
        "--rate", type=int, default=RATE, help="messages a second from one client; 0: any number (default: %(default)s)"
    )
    add("--read-only", action="store_true", help="refuse orders with 321, as a gateway whose API is read-only")
    add("--verbose", action="store_true", help="log more")
    return parser


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text} is no amount") from None
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return amount


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600 seconds")
    return seconds


def _accounts(text: str) -> list[str]:
    codes = [code.strip() for code in text.split(",")]
    if not all(code.isascii() and code.isalnum() for code in codes) or len(set(codes)) < len(codes):
        raise argparse.ArgumentTypeError("needs account codes of letters and digits, each once")
    return codes


def now() -> datetime:
    return datetime.now(UTC)


async def serve(options: argparse.Namespace) -> None:
    zone = UTC if options.time_zone == "UTC" else ZoneInfo(options.time_zone)
    exchange = Exchange(
        catalogue=catalogue.read_catalogue(options.instruments),
        accounts=options.accounts,
        cash=options.cash,
        seed=options.seed,
        clock=now,
        zone=zone,
    )
    ledger = Ledger(options.ledger, now)
    store = Store(options.state, exchange, ledger) if options.state else None
    if store is not None:
        store.load()
    clock = Clock(zone, options.time_zone)
    venue = Venue(exchange, ledger=ledger, store=store, clock=clock, read_only=options.read_only, rate=options.rate)
    ledger.record("start", accounts=list(exchange.accounts), seed=options.seed)
    venue.open()
    server = Server(venue, tick=options.tick)
    for number in (signal.SIGINT, signal.SIGTERM):
        server.loop.add_signal_handler(number, server.finish)
    port = await server.start(options.host, options.port)
    print(f"paper gateway listening on {options.host}:{port}", flush=True)  # noqa: T201 - for whoever waits for it
    await server.finished
    await server.stop()
    ledger.record("stop")
    ledger.close()
    if store is not None:
        store.close()


def main() -> int:
    options = arguments().parse_args()
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        asyncio.run(serve(options))
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:
        print(f"paper gateway: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
