"""One client's session: its connection, its client id and what it subscribed to.

Rules: a session may be spoken to from startApi until it is closing; what is sent earlier or later is dropped, because
the exchange must not care whether somebody listens.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from gateway.paper.throttle import Throttle
from gateway.tws.connection import ServerConnection, State
from gateway.tws.messages import ErrorMessage, Response

NOBODY = -1
MESSAGES_A_TURN = 100  # of a long answer, before others have their turn, and other questions of the same client


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
    traded: float = -math.inf  # when it last placed or cancelled an order, by the server's clock
    unsaid: deque[Iterator[Response]] = field(default_factory=deque)  # what is left of long answers, in their order

    def send(self, *messages: Response) -> None:
        if self.connection.state is State.OPEN and not self.closing:
            self.connection.send(*messages)

    def tell(self, answer: Iterator[Response]) -> None:
        """Begin an answer that may be long: what is not said at once waits for `say_more`."""
        self.unsaid.append(answer)
        if len(self.unsaid) == 1:
            self.say_more()

    def say_more(self) -> None:
        """Say another part of what was begun."""
        part: list[Response] = []
        while self.unsaid and len(part) < MESSAGES_A_TURN:
            bit = list(islice(self.unsaid[0], MESSAGES_A_TURN - len(part)))
            part += bit
            if not bit:
                self.unsaid.popleft()
        self.send(*part)

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
