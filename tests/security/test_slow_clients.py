"""Clients that begin a request and do not end it, 200 at once.

Half a head costs the house nothing. Half a body holds a thread of the web process for as long as its client stays, for
the web server waits for it without an end: docs/operations.md says what to put before it. Here it is shown that
nothing is ordered, and that the house is back as soon as they are gone.
"""

import socket
import time
from contextlib import ExitStack, contextmanager

from tests.walks.house import until

CLIENTS = 200
HALF_A_HEAD = b"POST /order/market HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /order/market HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)


@contextmanager
def slow_clients(port: int, begun: bytes):
    with ExitStack() as clients:
        for _ in range(CLIENTS):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            client.sendall(begun)
        yield


def test_half_a_head(target, seen):
    with seen.unchanged(), slow_clients(target.port, HALF_A_HEAD):
        began = time.monotonic()
        for _ in range(20):
            assert target.get("/account", headers={"Connection": "close"}).status_code == 200
        assert time.monotonic() - began < 10


def test_half_a_body(target, seen):
    before = seen.look()

    with slow_clients(target.port, HALF_A_BODY):
        time.sleep(1)

    until(lambda: target.get("/health/ready").status_code == 200, why=target.log_tail())
    assert seen.look() == before


def test_a_body_that_is_announced_and_never_sent(target, seen):
    """Too large to be wanted: it is refused on its announcement, and no thread waits for it."""
    huge = HALF_A_BODY.replace(b"Content-Length: 99", b"Content-Length: 99999999")

    with seen.unchanged(), slow_clients(target.port, huge):
        assert target.get("/account", headers={"Connection": "close"}).status_code == 200
