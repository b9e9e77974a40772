"""HTTP over a bare socket: what no client library would send, and what comes back."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = field(default=b"", repr=False)  # what came behind it: the answer to a second request, if it was two

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def detail(self) -> str:
        return json.loads(self.body)["detail"]


def send(port: int, pieces: Sequence[bytes], *, pause: float = 0.0, seconds: float = 5.0) -> Reply | None:
    """Write the pieces, with a pause between them, and read to the end; None where nothing was answered.

    The writing side is left open: whoever waits for more has to give up by itself. Raises: TimeoutError, when nothing
    was heard for so many seconds.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        received = b""
        try:
            for number, piece in enumerate(pieces):
                time.sleep(pause if number else 0)
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was all said; the answer may be there
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    return parse(received) if received else None


def parse(received: bytes) -> Reply:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body, rest = _joined(body)
    else:
        length = int(headers.get("content-length", len(body)))
        body, rest = body[:length], body[length:]
    return Reply(status=int(first.split()[1]), headers=headers, body=body, rest=rest)


def _joined(chunks: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size, 16)
        body += chunks[:length]
        chunks = chunks[length + 2 :]
        if length == 0:
            return body, chunks
