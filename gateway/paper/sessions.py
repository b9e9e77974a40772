"""One client's session: its connection, its client id and what it subscribed to.

Rules: a session may be spoken to from startApi until it is closing; what is sent earlier or later is dropped, because
the exchange must not care whether somebody listens.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from gateway.paper.throttle import Throttle
from gateway.tws.connection import ServerConnection, State
from gateway.tws.messages import ErrorMessage, Response

NOBODY = -1


@dataclass(slots=True, kw_only=True)
class Session:
    """`number` counts connections since the gateway started; `client_id` is NOBODY until startApi was accepted."""

    number: int
    connection: ServerConnection
    throttle: Throttle
    client_id: int = NOBODY
    messages: int = 0  # that it sent
    closing: bool = False
    reason: str = ""
    positions: bool = False
    positions_multi: dict[int, str] = field(default_factory=dict)  # request id: account
    account: str = ""  # of reqAccountUpdates
    accounts_multi: dict[int, str] = field(default_factory=dict)  # request id: account, empty for all
    summaries: dict[int, frozenset[str]] = field(default_factory=dict)  # request id: tags
    quotes: dict[int, int] = field(default_factory=dict)  # request id: contract id
    said: dict[tuple[object, ...], str] = field(default_factory=dict)  # what subscriptions were last told
    unsaid: Iterator[Response] = field(default_factory=lambda: iter(()))  # the rest of a long answer

    def send(self, *messages: Response) -> None:
        if self.connection.state is State.OPEN and not self.closing:
            self.connection.send(*messages)

    def say_more(self, messages: int) -> bool:
        """Say that much of a long answer; true when there may be more."""
        part = list(islice(self.unsaid, messages))
        self.send(*part)
        return len(part) == messages

    def error(self, request_id: int, code: int, text: str) -> None:
        self.send(ErrorMessage(req_id=request_id, code=code, text=text))

    def close(self, reason: str) -> None:
        """Say nothing more; the server closes the socket once what was said is out."""
        if not self.closing:
            self.closing, self.reason = True, reason

    def is_news(self, value: str, *key: object) -> bool:
        """Whether a subscription has not been told exactly this before; it counts as told from now on."""
        if self.said.get(key) == value:
            return False
        self.said[key] = value
        return True
