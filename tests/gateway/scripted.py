"""A gateway that says what the test tells it to, byte for byte: for the faults that a well-behaved one never shows.

It runs in the test's own thread on a blocking socket, with a time-out on every wait. The messages are spelled out here
and not taken from `gateway.tws`, so that the session is tested against the page and not against our own codec.
"""

import socket
import struct
import time
from collections.abc import Callable

UNSET = "1.7976931348623157E308"
UNSET_INT = "2147483647"
PATIENCE = 5.0


class ScriptedGateway:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # soon full, when nobody reads
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self.talks: list[Talk] = []

    def accept(self) -> "Talk":
        """The next connection, before a word was said."""
        connection, _ = self._listener.accept()
        self.talks.append(Talk(connection))
        return self.talks[-1]

    def greet(self, **greeting: object) -> "Talk":
        """The next connection, up to where the library calls it ready."""
        talk = self.accept()
        talk.greet(**greeting)
        return talk

    def close(self) -> None:
        self._listener.close()
        for talk in self.talks:
            talk.close()


class Talk:
    """One conversation. `answer_time` false: the time is never told, as in a half-open connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._buffer = b""
        self.answer_time = True

    def greet(
        self,
        *,
        version: int = 176,
        clock: str = "20260405 23:49:26 Central European Standard Time",
        accounts: str = "DU1000001",
        next_id: int = 1,
    ) -> None:
        self.hear_hello()
        self.send(version, clock)
        assert self.receive()[0] == "71"
        self.send(15, 1, accounts)
        self.send(9, 1, next_id)

    def hear_hello(self) -> str:
        assert self._read(4) == b"API\0"
        return self._frame().decode()

    def send(self, *fields: object) -> None:
        self.send_bytes(frame(*fields))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> list[str]:
        """The next message that is not the liveness question, which is answered by the way."""
        while (fields := self.hear())[0] == "49":
            pass
        return fields

    def hear(self) -> list[str]:
        fields = self._frame().decode().split("\0")[:-1]
        if fields[0] == "49" and self.answer_time:
            self.send(49, 1, int(time.time()))
        return fields

    def expect(self, message: int) -> list[str]:
        fields = self.receive()
        assert fields[0] == str(message), fields
        return fields

    def idle(self, seconds: float) -> list[list[str]]:
        """What comes unasked in that time, the liveness question left out."""
        heard = []
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                heard.append(self.hear())
        except TimeoutError:
            pass
        finally:
            self._socket.settimeout(PATIENCE)
        return [fields for fields in heard if fields[0] != "49"]

    def ended(self) -> bool:
        """Whether the session hung up; waits for it, and swallows what it still says."""
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()

    def _frame(self) -> bytes:
        return self._read(struct.unpack(">I", self._read(4))[0])

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionError("the session hung up")
            self._buffer += chunk
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


def frame(*fields: object) -> bytes:
    text = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(text)) + text


CONTRACT = ("265598", "AAPL", "STK", "", "0", "?", "", "SMART", "USD", "AAPL", "NMS")


def open_order(
    *,
    order_id: int = 1,
    client_id: int = 7,
    perm_id: int = 1788680597,
    side: str = "BUY",
    quantity: str = "100",
    order_type: str = "LMT",
    limit: str = "101.25",
    aux: str = "0.0",
    ref: str = "ref~STAMP",
    status: str = "Submitted",
    trail: str = UNSET,
    warning: str = "",
) -> tuple[object, ...]:
    """openOrder (5) as version 176 sends it: 136 fields, with the eight that real gateways add for "None"."""
    return (
        *(5, order_id, *CONTRACT, side, quantity, order_type, limit, aux, "DAY", "", "DU1000001", "", 0, ref),
        *(client_id, perm_id, 0, 0, 0, "", f"{perm_id}.0/DU1000001/100", "", "", "", "", "", "", "", "", "", 0, "", -1),
        *(0, "", "", "", "", "", UNSET_INT, 0, 0, 0, "", 3, 0, 0, "", 0, 0, "", 0, "None", ""),
        *(0, "", "", "", "?", 0, 0, ""),
        *(0, 0, trail, "", "", "", "", 0, 0, 0, UNSET_INT, UNSET_INT, "", "", 0, "", "IB", 0, 0, "", 0, 0, status),
        *(*[UNSET] * 9, "", "", "", "", warning, 0, 0, 0, "", UNSET, trail, UNSET, UNSET, UNSET, UNSET, 0, "", "", ""),
        *(0, 1, 0, 0, 0, "", "", "", UNSET_INT, "", "", "", ""),
    )


def completed_order(
    *, perm_id: int = 1788680597, status: str = "Filled", filled: str = "100", ref: str = "ref~STAMP"
) -> tuple[object, ...]:
    """completedOrder (101) as version 176 sends it."""
    return (
        *(101, *CONTRACT, "BUY", "100", "LMT", "101.25", "0.0", "DAY", "", "DU1000001", "", 0, ref, perm_id),
        *(0, 0, 0, "", "", "", "", "", "", "", "", "", "", 0, "", -1, "", "", "", "", "", UNSET_INT, 0, 0, "", 3, 0),
        *("", 0, "None", "", 0, 0, 0, ""),
        *(0, 0, UNSET, "", "", 0, 0, 0, UNSET_INT, UNSET_INT, "", "", "", "IB", 0, 0, "", 0, status, 0, 0, 0),
        *(UNSET, UNSET, "", 1, 0, "", filled, 0, 0, "Not an insider or substantial shareholder", 0, 0, 0),
        *("20260405 23:50:00 Central European Standard Time", "Filled Size: 100", "", "", "", "", ""),
    )


def order_status(
    *, order_id: int = 1, status: str = "Submitted", filled: str = "0", remaining: str = "100", client_id: int = 7
) -> tuple[object, ...]:
    return (3, order_id, status, filled, remaining, "0", 1788680597, 0, "0", client_id, "", "0")


def execution(
    *,
    request_id: int = -1,
    exec_id: str = "0000e0d5.64abcdef.01.01",
    when: str = "20260413 15:27:04 US/Eastern",
    side: str = "BOT",
    shares: str = "100",
    price: str = "101.25",
    order_id: int | str = 1,
) -> tuple[object, ...]:
    return (
        *(11, request_id, order_id, *CONTRACT, exec_id, when, "DU1000001", "NASDAQ", side, shares, price),
        *(1788680597, 7, 0, shares, price, "ref~STAMP", "", "", "", 2),
    )


def commission(exec_id: str = "0000e0d5.64abcdef.01.01", *, realized: str = UNSET) -> tuple[object, ...]:
    return (59, 1, exec_id, "1.0012", "USD", realized, UNSET, "")


def contract_details(request_id: str, *, symbol: str = "AAPL", con_id: int = 265598) -> tuple[object, ...]:
    return (
        *(10, request_id, symbol, "STK", "", "0", "", "SMART", "USD", symbol, "NMS", "NMS", con_id, "0.01"),
        *("", "LMT,MKT", "SMART,NASDAQ", 1, 0, "APPLE INC", "NASDAQ", "", "Technology", "Computers", "Computers"),
        *("US/Eastern", "", "", "", "", 0, 1, "", "", "26,26", "", "COMMON", "0.0001", "0.0001", "100"),
    )


def wait_until(condition: Callable[[], object], *, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
