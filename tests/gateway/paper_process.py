"""The real paper gateway as a process, and a raw socket that speaks to it frame by frame."""

import json
import selectors
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = 10.0


class PaperGateway:
    """`python -m gateway.paper` on a free port of the loopback; its market stands still unless told otherwise."""

    def __init__(self, *arguments: str, tick: str = "0", port: int = 0) -> None:
        self.complaints = ""  # what it wrote to stderr; known once it ended
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "gateway.paper", "--port", str(port), "--tick", tick, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        line = self._first_line()
        if not line.startswith("paper gateway listening on "):
            self.kill()
            raise RuntimeError(f"the gateway did not start: {line}{self.complaints}")
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self) -> "PaperGateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End it politely; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
        return self._reap()

    def ended(self) -> int:
        """Wait for it to end by itself; its exit code."""
        return self._reap()

    def kill(self) -> None:
        self._process.kill()
        self._reap()

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            selector.select(PATIENCE)
        return self._process.stdout.readline()

    def _reap(self) -> int:
        _, self.complaints = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode


class RawClient:
    """Fields out, fields in. The wire is spelled out here, so that the gateway is not tested by its own codec."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._buffer = b""

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @classmethod
    def started(cls, port: int, client_id: int, *, offer: str = "v157..176") -> "RawClient":
        """Connected and past the farm messages."""
        client = cls(port)
        client.write(hello(offer))
        client.read()
        client.send(71, 2, client_id, "")
        while client.read()[3:4] != ["2158"]:
            pass
        return client

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send(self, *fields: object) -> None:
        self.write(frame(*fields))

    def read(self) -> list[str]:
        """The next message; EOFError when the gateway hung up."""
        length = struct.unpack(">I", self._take(4))[0]
        return self._take(length).decode().split("\0")[:-1]

    def read_until(self, message_id: int) -> list[list[str]]:
        """All messages up to and with the first of that id."""
        messages = [self.read()]
        while messages[-1][0] != str(message_id):
            messages.append(self.read())
        return messages

    def hung_up(self) -> bool:
        """Whether the gateway closes this connection (what it still says is read past)."""
        try:
            while True:
                self.read()
        except (EOFError, ConnectionResetError):
            return True
        except TimeoutError:
            return False

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def frame(*fields: object) -> bytes:
    payload = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(payload)) + payload


def hello(offer: str = "v157..176") -> bytes:
    return b"API\0" + struct.pack(">I", len(offer)) + offer.encode()


def place_order(order_id: int, *, action: str, quantity: int, order_type: str, price: object = "") -> bytes:
    """placeOrder of AAPL at version 157: 110 fields, as the page lists them."""
    contract = [265598, "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "", "", "", ""]
    order = [action, quantity, order_type, price, "", "DAY", "", ""]
    flags = ["", 0, "", 1, 0, 0, 0, 0, 0, 0, 0]
    allocation = ["", 0, *[""] * 7, 0, "", -1]
    limits = [0, *[""] * 2, 0, *[""] * 2, 0, 0, "", 0, *[""] * 5]
    volatility = [0, *[""] * 4, 0, *[""] * 10]
    hedge = [0, "", "", 0, 0, "", "", 0, "", 0, 0, 0, 0]
    adjusted = [*[""] * 6, 0, *[""] * 8]
    return frame(
        3, order_id, *contract, *order, *flags, *allocation, *limits, *volatility, *hedge, *adjusted, 0, 0, 0, ""
    )


def ledger_lines(path: Path, *kinds: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if not kinds or line["kind"] in kinds]
