"""A session that collects its reports, for the tests of this directory."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator

from gateway import pacing
from gateway.keeper import Timing
from gateway.reports import Report, SessionChanged, SessionState
from gateway.session import BrokerSession
from tests.gateway.scripted import wait_until

UNPACED = 100_000
_numbers = itertools.count(1)
QUICK = Timing(first_retry=0.02, last_retry=0.1, connect=1.0, hop=1.0)


class Collected:
    """Every report in order; `of` picks a kind."""

    def __init__(self) -> None:
        self.all: list[Report] = []
        self.broken: Callable[[Report], object] = lambda report: None

    def __call__(self, report: Report) -> None:
        self.broken(report)
        self.all.append(report)

    def of(self, *kinds: type[Report]) -> list[Report]:
        return [report for report in self.all if isinstance(report, kinds)]

    def states(self) -> list[SessionState]:
        return [report.state for report in self.of(SessionChanged)]

    def reasons(self) -> list[str]:
        return [report.reason for report in self.of(SessionChanged)]


@contextlib.contextmanager
def session_with(
    port: int,
    reports: Collected,
    *,
    recover: Callable[[BrokerSession, int], None] = lambda session, connection: None,
    timing: Timing = QUICK,
    client_id: int = 7,
    host: str = "127.0.0.1",
    account: str = "",
    messages_per_second: int = pacing.LIMIT,
) -> Iterator[BrokerSession]:
    """Started, and stopped at the end with nothing left behind."""
    name = f"session-{next(_numbers)}-"
    session = BrokerSession(
        host=host,
        port=port,
        client_id=client_id,
        name=name,
        account=account,
        sink=reports,
        recover=recover,
        timing=timing,
        messages_per_second=messages_per_second,
    )
    session.start()
    try:
        yield session
    finally:
        assert session.stop(timeout=5)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith(name)]
    assert session.status().state == SessionState.DISCONNECTED


def ready(session: BrokerSession) -> int:
    """Wait until it may send; the number of its connection."""
    wait_until(lambda: session.status().state == SessionState.READY)
    return session.status().connection


def shrink_send_buffer(session: BrokerSession) -> None:
    """Make the kernel take little, so that a gateway that does not read is felt at once."""
    wire = session._keeper._link.client.conn.transport.get_extra_info("socket")
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
