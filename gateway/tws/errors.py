"""What the other side can do wrong on the wire: one error type, and two shapes of it that leave the stream usable.

RemoteProtocolError        the stream can no longer be trusted: close this connection, and only this one
├── UnreadableMessage      one message is short or carries nonsense (IB error 320); the next one can be read
└── UnknownMessage         a message id we do not speak (IB error 505); the next one can be read
"""


class RemoteProtocolError(Exception):
    """The other side broke the protocol; the text says how."""


class UnreadableMessage(RemoteProtocolError):
    """A whole frame that is not the message its id promises.

    `request_id` is the order id or request id when it was read before the trouble began, else None.
    """

    def __init__(self, reason: str, *, message_id: int, request_id: int | None) -> None:
        super().__init__(reason)
        self.message_id = message_id
        self.request_id = request_id


class UnknownMessage(RemoteProtocolError):
    """A whole frame with a message id outside our tables."""

    def __init__(self, message_id: int) -> None:
        super().__init__(f"unknown message id {message_id}")
        self.message_id = message_id
