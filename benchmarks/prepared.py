"""Paper gateways as they would be later: with a full day behind them, or with many orders at work.

Rules: orders spread over all instruments, buys and sells in turn; those of a full day are another client's and have ten
executions each, those at work belong to the client one names and lie far from the market. The state is written by the
gateway's own code and served by its own process.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from gateway.paper.book import Side
from gateway.paper.catalogue import ContractAsk, Listing, read_catalogue
from gateway.paper.exchange import Exchange
from gateway.paper.orders import Execution, Order, Placement, Status
from gateway.paper.state import Store

ACCOUNT = "DU1000001"
SOMEBODY = 91  # a client id that is not ours
PER_ORDER = 10
SHARES = Decimal(7)
FEE = Decimal("0.35")
CASH = Decimal(10_000_000)


def new_exchange(instruments: Path | None = None) -> Exchange:
    return Exchange(
        catalogue=read_catalogue(instruments),
        accounts=[ACCOUNT],
        cash=CASH,
        seed=1,
        clock=lambda: datetime.now(UTC),
    )


def write_book(directory: Path, *, working: int, client_id: int, instruments: Path | None = None) -> None:
    """Leave that many working orders of a client in the directory."""
    exchange = new_exchange(instruments)
    exchange.open()
    listings = list(exchange.catalogue)
    for number in range(working):
        listing, side = listings[number % len(listings)], ("BUY", "SELL")[number // len(listings) % 2]
        receipt = exchange.place(
            Placement(
                client_id=client_id,
                order_id=number + 1,
                contract=ContractAsk(con_id=listing.con_id),
                side=side,
                quantity=SHARES,
                order_type="LMT",
                limit_price=far_from_the_market(listing, side),
            )
        )
        assert receipt.accepted, receipt
    exchange.take_events()
    Store(directory, exchange).close()


def far_from_the_market(listing: Listing, side: str) -> Decimal:
    """A price at which an order of that side rests."""
    price = listing.reference_price * (Decimal("0.7") if side == "BUY" else Decimal("1.3"))
    return price - price % listing.tick


def write_state(directory: Path, *, executions: int) -> None:
    """Leave a day with that many executions in the directory."""
    exchange = new_exchange()
    listings = list(exchange.catalogue)
    left = executions
    for number in range(-(-executions // PER_ORDER)):
        fills = min(PER_ORDER, left)
        left -= fills
        _add(exchange, listings[number % len(listings)], number, fills)
    Store(directory, exchange).close()


def _add(exchange: Exchange, listing: Listing, number: int, fills: int) -> None:
    register, now = exchange.register, exchange.clock()
    side, price = (Side.BUY, Side.SELL)[number % 2], exchange.mark(listing)
    order = Order(
        perm_id=register.take_perm_id(),
        client_id=SOMEBODY,
        order_id=number + 1,
        account=ACCOUNT,
        listing=listing,
        side=side,
        quantity=SHARES * fills,
        order_type="LMT",
        limit_price=price,
        stop_price=None,
        time_in_force="DAY",
        order_ref=f"batch-{number}",
        parent_id=0,
        parent_perm_id=0,
        oca_group="",
        oca_type=3,
        outside_rth=False,
        memo="",
        exchange="SMART",
    )
    order.filled, order.paid, order.status, order.ended_at = order.quantity, order.quantity * price, Status.FILLED, now
    register.finish(order)
    for part in range(1, fills + 1):
        register.executions.append(
            Execution(
                exec_id=register.take_exec_id(),
                at=now,
                perm_id=order.perm_id,
                client_id=SOMEBODY,
                order_id=order.order_id,
                account=ACCOUNT,
                listing=listing,
                side=side,
                quantity=SHARES,
                price=price,
                cumulative=SHARES * part,
                average_price=price,
                order_ref=order.order_ref,
                adds_liquidity=False,
                commission=FEE,
                realized=None,
            )
        )


@contextmanager
def serving(directory: Path, *options: str) -> Iterator[int]:
    """A paper gateway on that state, as a process; its port. `options` add to those below, or replace them."""
    with gateway_process(directory, *options) as (_, port):
        yield port


@contextmanager
def gateway_process(directory: Path, *options: str) -> Iterator[tuple[int, int]]:
    """The same; its process id and its port."""
    argv = [sys.executable, "-m", "gateway.paper", "--port", "0", "--tick", "0", "--state", str(directory)]
    with subprocess.Popen([*argv, "--accounts", ACCOUNT, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline().rsplit(":", 1)[1])
        finally:
            process.terminate()
