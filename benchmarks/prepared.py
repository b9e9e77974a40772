"""A paper gateway whose day is already full: the state it would have kept had it traded that much.

Rules: orders of another client, ten executions each, spread over all instruments, buys and sells in turn; the state is
written by the gateway's own code and served by its own process.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from gateway.paper.book import Side
from gateway.paper.catalogue import Listing, read_catalogue
from gateway.paper.exchange import Exchange
from gateway.paper.orders import Execution, Order, Status
from gateway.paper.state import Store

ACCOUNT = "DU1000001"
SOMEBODY = 91  # a client id that is not ours
PER_ORDER = 10
SHARES = Decimal(7)
FEE = Decimal("0.35")


def write_state(directory: Path, *, executions: int) -> None:
    """Leave a day with that many executions in the directory."""
    exchange = Exchange(
        catalogue=read_catalogue(),
        accounts=[ACCOUNT],
        cash=Decimal(10_000_000),
        seed=1,
        clock=lambda: datetime.now(UTC),
    )
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
def serving(directory: Path) -> Iterator[int]:
    """A paper gateway on that state, as a process; its port."""
    argv = [sys.executable, "-m", "gateway.paper", "--port", "0", "--tick", "0", "--state", str(directory)]
    with subprocess.Popen([*argv, "--accounts", ACCOUNT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rsplit(":", 1)[1])
        finally:
            process.terminate()
