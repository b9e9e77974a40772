"""Orders a second the paper gateway takes from one client, and whether that stays so: `python -m benchmarks.paper`.

A gateway as a process with its ledger and its state on disk, the pace lifted; ib_insync's own bytes for limit orders,
in turn resting and filled at once, in flights of a hundred of which each is sent when the one before it is answered.
The figures are by what went before: the first orders of a day against the last.

    python -m benchmarks.paper                   20,000 orders in four parts
    python -m benchmarks.paper 100000            more of them
"""

import argparse
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import meter
from benchmarks.load import Orders
from benchmarks.placing import write_instruments
from benchmarks.rivals import Venue
from gateway.paper.catalogue import read_catalogue

VERSION = 176
FLIGHT = 100
PARTS = 4


class Encoder:
    """ib_insync's client without a socket: what it would write."""

    def __init__(self) -> None:
        from ib_insync.client import Client
        from ib_insync.wrapper import Wrapper

        self._client = Client(Wrapper(None))
        self._client.MaxRequests = 0
        self._client._serverVersion = VERSION
        self._client.connState = Client.CONNECTED
        self._client.conn.isConnected = lambda: True
        self._client.conn.sendMsg = lambda data: self._written.append(data)
        self._written: list[bytes] = []

    def order(self, order_id: int, asked: dict[str, Any]) -> bytes:
        from ib_insync import LimitOrder, Stock

        order = LimitOrder(asked["action"], asked["quantity"], asked["limit_price"], tif="DAY")
        self._client.placeOrder(order_id, Stock(asked["symbol"], "SMART", "USD"), order)
        return self._written.pop()


def frames(sock: socket.socket) -> Iterator[bytes]:
    """What the gateway says, message by message."""
    buffer = bytearray()
    while True:
        while len(buffer) >= 4 and len(buffer) >= 4 + (size := struct.unpack_from(">I", buffer)[0]):
            yield bytes(buffer[4 : 4 + size])
            del buffer[: 4 + size]
        data = sock.recv(1 << 18)
        if not data:
            raise ConnectionError("the gateway hung up")
        buffer += data


def frame(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def place(sock: socket.socket, answers: Iterator[bytes], orders: list[bytes], first: int) -> None:
    """Send the orders in flights, each when every order of the one before it has its openOrder."""
    for begin in range(0, len(orders), FLIGHT):
        flight = orders[begin : begin + FLIGHT]
        sock.sendall(b"".join(flight))
        missing = set(range(first + begin, first + begin + len(flight)))
        while missing:
            fields = next(answers).split(b"\0", 2)
            if fields[0] == b"5":
                missing.discard(int(fields[1]))
            elif fields[0] == b"4" and fields[1] == b"2":
                code = fields[2].split(b"\0")
                if int(code[0]) in range(first, first + len(orders)):
                    raise RuntimeError(f"an order was refused: {code}")


def measure(number: int) -> list[tuple[int, float, float]]:
    """Orders before, orders a second, and milliseconds of the gateway's processor for each; by part."""
    encoder, found = Encoder(), []
    with tempfile.TemporaryDirectory(prefix="ibkr-benchmark-") as name:
        instruments = write_instruments(Path(name) / "instruments.csv")
        supply = Orders(read_catalogue(instruments))
        with Venue(Path(name), instruments, 0).gateway("gateway", client_id=2) as (process, port, _):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(b"API\0" + frame(f"v157..{VERSION}".encode()) + frame(b"71\x002\x0041\0\0"))
                answers = frames(sock)
                next(answers)
                each = number // PARTS
                for part in range(PARTS):
                    first = 1 + part * each
                    batch = [encoder.order(first + n, supply.take()) for n in range(each)]
                    spent, began = meter.processor_seconds([process])["gateway"], time.perf_counter()
                    place(sock, answers, batch, first)
                    seconds = time.perf_counter() - began
                    spent = meter.processor_seconds([process])["gateway"] - spent
                    found.append((part * each, each / seconds, spent * 1000 / each))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", nargs="?", type=int, default=20_000, help="how many orders (%(default)s)")
    options = parser.parse_args()
    print(f"{'orders before':>14} {'orders/s':>9} {'CPU ms each':>12}")
    for before, per_second, cpu in measure(options.number):
        print(f"{before:>14,} {per_second:>9,.0f} {cpu:>12.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
