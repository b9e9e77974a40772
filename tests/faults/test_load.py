"""More than there is room for."""

import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.faults import proxy as wire
from tests.faults.house import THEIRS, Run
from tests.faults.table import NOT_PLACED, PLACED, REFUSED, UNKNOWN, Fault, each, endure
from tests.gateway.paper_process import RawClient, place_order

BURST = int(os.environ.get("LOAD_BURST", "500"))
FILLS = int(os.environ.get("LOAD_FILLS", "200"))
STEADY_SECONDS = float(os.environ.get("LOAD_SECONDS", "5"))


def burst(run: Run) -> None:
    """All at once; IB takes twenty per contract and side, so the other half of them sells."""
    run.together(BURST, lambda n: run.client.market(quantity=1, action="BUY" if n % 2 else "SELL", patience=30))


def steady(run: Run) -> None:
    """Forty orders a second."""
    owner, began = run.house.owner(), time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        for number in range(int(STEADY_SECONDS * 40)):
            time.sleep(max(0.0, began + number / 40 - time.monotonic()))
            pool.submit(run.client.market, action="BUY" if number % 2 else "SELL")
            if number % 400 == 0:
                run.megabytes.append(owner.resident_megabytes())


def memory_is_flat(run: Run, _found) -> None:
    """Once it is warm; a few seconds say nothing."""
    run.megabytes.append(run.house.owner().resident_megabytes())
    warm = run.megabytes[len(run.megabytes) // 4 :]
    print(f"the owner's memory: {' '.join(f'{size:.0f}' for size in run.megabytes)} MB")  # noqa: T201
    if STEADY_SECONDS >= 120:
        assert max(warm) < 1.1 * warm[0] + 10


def acknowledged_slowly(run: Run) -> None:
    run.house.proxy.rules.append(wire.delay(wire.TO_CLIENT, 0.2, wire.OPEN_ORDER))
    run.together(15, lambda _: run.client.limit())


def filled_in_crumbs(run: Run) -> None:
    """One large order, sold into share by share by four others at once."""
    run.client.limit(price=231.5, symbol="AAPL", quantity=FILLS + 2000)
    sellers = [threading.Thread(target=_sell, args=(run, 60 + n, FILLS // 4)) for n in range(4)]
    for seller in sellers:
        seller.start()
    for seller in sellers:
        seller.join()


def _sell(run: Run, client_id: int, count: int) -> None:
    with RawClient.started(run.house.gateway_port, client_id, offer="v157..157") as client:
        first = _next_id(run, client_id)
        for number in range(count):
            plain = place_order(first + number, action="SELL", quantity=1, order_type="LMT", price=225)
            client.write(_on_account(plain, THEIRS))
            time.sleep(0.022)  # below the gateway's limit for one client
        client.send(49, 1)
        client.read_until(49)


def _next_id(run: Run, client_id: int) -> int:
    lines = [line for line in run.house.ledger() if line.get("clientId") == client_id]
    used = [line["orderId"] for line in lines if "orderId" in line]
    return max(used, default=0) + 1


def _on_account(data: bytes, account: str) -> bytes:
    fields = data[4:].split(b"\0")
    fields[23] = account.encode()
    text = b"\0".join(fields)
    return struct.pack(">I", len(text)) + text


def at_most_twenty(run: Run, found) -> None:
    assert len(found.at_broker) <= 20, f"{len(found.at_broker)} orders of one contract and side"


FAULTS = [
    Fault(
        name=f"{BURST} orders at once",
        promise=1,
        happens="sent in time, or certainly not: refused at the door when there is no room",
        load=burst,
        said={PLACED, NOT_PLACED, UNKNOWN, REFUSED},
        ends={"FILLED", "NOT_PLACED", "NEW", "DENIED"},
    ),
    Fault(
        name="forty orders on one contract at once",
        promise=3,
        happens="twenty reach the broker, as IB allows; the others are refused",
        load=lambda run: run.together(40, lambda _: run.client.limit(symbol="AAPL")),
        said={PLACED, NOT_PLACED, REFUSED},
        ends={"NEW", "NOT_PLACED", "DENIED"},
        then=at_most_twenty,
    ),
    Fault(
        name="forty orders a second",
        promise=1,
        happens="all placed, below the gateway's limit of messages, and the worker's memory stays flat",
        load=steady,
        then=memory_is_flat,
        said={PLACED, NOT_PLACED, REFUSED, UNKNOWN},
        ends={"FILLED", "NOT_PLACED", "NEW", "DENIED"},
    ),
    Fault(
        name="acknowledgements five a second",
        promise=1,
        happens="many orders wait for their answer at the same time, and get it",
        load=acknowledged_slowly,
        said={PLACED, UNKNOWN},
        ends={"NEW"},
    ),
    Fault(
        name=f"{FILLS} partial fills",
        promise=4,
        happens="each is stored once",
        load=filled_in_crumbs,
        said={PLACED, UNKNOWN},
        ends={"PARTIALLY_FILLED", "FILLED"},
    ),
]


@each(FAULTS)
def test_load(fault, house):
    endure(fault, house)
